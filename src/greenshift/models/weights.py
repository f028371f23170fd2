"""Trained weights from a file into a network."""

from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from greenshift.errors import InputError

# Where training scripts put the weights in a checkpoint, and what wrappers put before their names.
_NESTS = ("state_dict", "model_state_dict", "model", "net")
_PREFIXES = ("module.", "_orig_mod.")
# Checkpoints from before torch 0.4.1 lack this counter; only batch norms without momentum ever read it.
_OPTIONAL = "num_batches_tracked"


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Load all weights of a network from a file. On any error the network is left as it was.

    Nothing is unpickled but tensors and plain containers. Weights may lie under `state_dict` (or
    `model_state_dict`, `model`, `net`) and carry the prefix of a wrapper (`module.`).

    Args:
        model: The network; its parameters and buffers are written in place.
        path: A `.safetensors` file or a file written by `torch.save`.

    Raises:
        InputError: If the file is missing, unreadable, or holds no weights, or the weights are of
            another model: a name is missing, unknown, or of another shape.
    """
    path = Path(path)
    copy_weights(model, _plain(_read(path), path), f"checkpoint {path}")


def copy_weights(model: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Copy all weights of a network by name. On any error the network is left as it was.

    Args:
        model: The network; its parameters and buffers are written in place.
        weights: Tensors by name.
        source: What to call them in an error.

    Raises:
        InputError: If the weights are of another model: a name is missing, unknown, or of another shape.
    """
    own = model.state_dict()
    missing = [key for key in own if key not in weights and not key.endswith(_OPTIONAL)]
    unexpected = [key for key in weights if key not in own]
    shapes = [
        f"{key} {tuple(value.shape)} instead of {tuple(own[key].shape)}"
        for key, value in weights.items()
        if key in own and value.shape != own[key].shape
    ]
    problems = [
        f"{label} {', '.join(keys[:3])}" + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
        for label, keys in (("missing", missing), ("unexpected", unexpected), ("other shape", shapes))
        if keys
    ]
    if problems:
        raise InputError(f"{source} is of another model: {'; '.join(problems)}")
    model.load_state_dict({**own, **weights})


def _read(path: Path) -> object:
    if not path.is_file():
        raise InputError(f"checkpoint {path}: there is no such file")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # Damaged files raise nearly anything, and torch's own text tells users to switch its safety off.
        raise InputError(
            f"checkpoint {path} is damaged or holds more than weights ({type(error).__name__}); "
            "it must be a safetensors file or a state dict from torch.save"
        ) from error


def _plain(content: object, path: Path) -> dict[str, Tensor]:
    """Unwrap nests and prefixes."""
    if isinstance(content, Mapping):
        nested = next((content[nest] for nest in _NESTS if isinstance(content.get(nest), Mapping)), content)
        weights = dict(nested)
        if weights and all(isinstance(key, str) and isinstance(value, Tensor) for key, value in weights.items()):
            for prefix in _PREFIXES:
                if all(key.startswith(prefix) for key in weights):
                    weights = {key.removeprefix(prefix): value for key, value in weights.items()}
            return weights
    raise InputError(f"checkpoint {path} holds no weights: expected tensors by name, or such under 'state_dict'")
