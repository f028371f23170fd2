"""Where and in which precision to train: chosen by what the machine can do fast."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Compute:
    """Device and precision of a training.

    Attributes:
        device: Torch device.
        precision: `bfloat16` runs convolutions and linear layers under autocast; parameters, their
            gradients and the optimizer stay float32.
    """

    device: torch.device
    precision: Precision

    def autocast(self) -> torch.autocast:
        """Context in which forward passes run."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16")

    def place(self, model: nn.Module) -> nn.Module:
        """Move a network to the device, in the memory layout that its convolutions like best."""
        return model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def fast_bfloat16() -> bool:
    """True if this CPU multiplies bfloat16 in hardware (AMX or AVX512-BF16); emulation would be slower."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


def choose_compute(precision: Precision | None = None) -> Compute:
    """Take the GPU if there is one, and bfloat16 where the hardware has it, unless `precision` says otherwise."""
    if torch.cuda.is_available():
        return Compute(torch.device("cuda"), precision or "bfloat16")
    return Compute(torch.device("cpu"), precision or ("bfloat16" if fast_bfloat16() else "float32"))
