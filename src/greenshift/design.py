"""A design is data: backbone, schemes, pruning and training recipe, frozen, as JSON, with a hash."""

import dataclasses
import hashlib
import json
import math
import re
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from greenshift.activations import Activation
from greenshift.compactness import BlockName, check_compactness, compactness_from_json, compactness_to_json
from greenshift.errors import InputError
from greenshift.schemes import LayerKey, Scheme, parse_key, scheme_from_json, scheme_to_json

OptimizerName = Literal["SGD", "Adam", "Adagrad", "Adadelta", "RMSprop", "RAdam", "Ranger"]
ScheduleName = Literal["constant", "step", "cosine"]
PRUNING_ENDS = 0.5  # share of the epochs after which the masks of a gradual pruning are fixed


@dataclass(frozen=True)
class Optimization:
    """How one step of gradient descent is made.

    Attributes:
        name: One of the paper's seven optimizers.
        lr: Peak learning rate.
        momentum: Momentum of SGD and RMSprop; the other optimizers have none and ignore it.
        weight_decay: L2 weight decay; on 2^shift for the exponents of PS layers.
        schedule: Learning rate over the epochs: as it is, divided by ten at 40, 60, 80 and 90 % of
            the epochs, or a cosine to zero.
        warmup: Share of the epochs over which the learning rate rises linearly from zero.
        nesterov: Nesterov momentum (SGD only).
    """

    name: OptimizerName = "SGD"
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    schedule: ScheduleName = "constant"
    warmup: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        """Check the values."""
        if self.name not in get_args(OptimizerName):
            raise InputError(f"optimizer '{self.name}' is unknown; known: {', '.join(get_args(OptimizerName))}")
        if self.schedule not in get_args(ScheduleName):
            raise InputError(f"schedule '{self.schedule}' is unknown; known: {', '.join(get_args(ScheduleName))}")
        if self.lr <= 0:
            raise InputError(f"lr must be above 0, not {self.lr}")
        if not 0 <= self.momentum < 1:
            raise InputError(f"momentum must be in [0, 1), not {self.momentum}")
        if not 0 <= self.warmup < 1:
            raise InputError(f"warmup must be in [0, 1), not {self.warmup}")


@dataclass(frozen=True)
class Distillation:
    """How much a network learns from a teacher's outputs besides the labels.

    The loss of a batch is (1 - weight) CE + weight T^2 KL(teacher_T || student_T), where both distributions
    are softmaxes of logits divided by T (Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural
    Network", arXiv 1503.02531, section 2; T^2 keeps the gradient's size when T changes).

    Attributes:
        temperature: T, above 0; the higher, the more the teacher's unlikely classes count.
        weight: Share of the loss that comes from the teacher, 0 to 1; 0 is plain training.
    """

    temperature: float = 4.0
    weight: float = 0.5

    def __post_init__(self) -> None:
        """Check the values."""
        if not (self.temperature > 0 and math.isfinite(self.temperature)):
            raise InputError(f"distillation: temperature must be a number above 0, not {self.temperature}")
        if not 0 <= self.weight <= 1:
            raise InputError(f"distillation: weight must be in [0, 1], not {self.weight}")


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        epochs: Epochs of a full training; also the horizon of the schedule.
        batch_size: Images in a step.
        optimization: The optimizer and its schedule.
        augment: Random crop with 4 pixels of padding and horizontal flip (`crop-flip`), `crop`, or `none`.
        label_smoothing: Share of the target spread over the other classes.
        distillation: How much is learned from a teacher, or None to learn from the labels alone.
    """

    epochs: int = 200
    batch_size: int = 128
    optimization: Optimization = field(default_factory=Optimization)
    augment: Literal["none", "crop", "crop-flip"] = "none"
    label_smoothing: float = 0.0
    distillation: Distillation | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        if self.epochs < 1 or self.batch_size < 1:
            raise InputError(f"epochs and batch_size must be at least 1, not {self.epochs} and {self.batch_size}")
        if self.augment not in ("none", "crop", "crop-flip"):
            raise InputError(f"augment is 'none', 'crop' or 'crop-flip', not '{self.augment}'")


@dataclass(frozen=True)
class Pruning:
    """Which share of the weights of convolutions and linear layers is zero, and when they become zero.

    It belongs to the design and not to a layer's scheme: unstructured pruning ranks the weights of all
    layers together, so that no layer alone says how many of its own stay.

    Attributes:
        sparsity: Share of the weights of the pruned layers that are zero, above 0 and below 1. For N:M
            it has to be 1 - N/M, to 0.005.
        pattern: `unstructured` removes the weights of smallest magnitude wherever they are; `N:M`, such
            as `2:4`, leaves at most N of every M consecutive inputs of an output (Mishra et al.,
            arXiv 2104.08378; Zhou et al., arXiv 2102.04010); `channels` takes whole channels out of the
            network before its conversion, and `sparsity` is then the share of the backbone's
            multiply-accumulates that go at least (`compress.channels`).
        schedule: `one-shot` prunes before the first step; `gradual` over the first half of
            `Recipe.epochs` by the cubic schedule of Zhu and Gupta (arXiv 1710.01878, equation 1), so
            that a training that ends before has not reached the sparsity. Channels go between epochs
            then, and layers are converted when the last ones are gone (`train.gradual`).
        keep_first: Leave the first convolution whole.
        keep_last: Leave the last linear layer whole.
        scope: Whether unstructured pruning ranks the weights of all layers together (`global`) or takes the
            same share of every `layer`; left out of the JSON form where it is `global`.
    """

    sparsity: float
    pattern: str = "unstructured"
    schedule: Literal["one-shot", "gradual"] = "gradual"
    keep_first: bool = False
    keep_last: bool = False
    scope: Literal["global", "layer"] = "global"

    def __post_init__(self) -> None:
        """Check the values."""
        if not 0 < self.sparsity < 1:
            raise InputError(f"pruning: sparsity must be above 0 and below 1, not {self.sparsity}")
        if self.schedule not in ("one-shot", "gradual"):
            raise InputError(f"pruning: schedule is 'one-shot' or 'gradual', not '{self.schedule}'")
        if self.scope not in ("global", "layer"):
            raise InputError(f"pruning: scope is 'global' or 'layer', not '{self.scope}'")
        if self.pattern == "unstructured":
            return
        if self.scope == "layer":
            raise InputError(f"pruning: {self.pattern} is the same in every layer anyway; leave the scope out")
        if self.pattern == "channels":
            return
        match = re.fullmatch(r"([1-9]\d*):([1-9]\d*)", self.pattern)
        if match is None or int(match[1]) >= int(match[2]):
            known = "'unstructured', 'channels' or N:M with N below M"
            raise InputError(f"pruning: pattern is {known}, not '{self.pattern}'")
        share = 1 - int(match[1]) / int(match[2])
        if abs(self.sparsity - share) > 0.005:
            raise InputError(f"pruning: {self.pattern} is a sparsity of {share:.4g}, not {self.sparsity}")

    @property
    def group(self) -> tuple[int, int] | None:
        """N and M of the pattern, None if it is another one."""
        if self.pattern in ("unstructured", "channels"):
            return None
        kept, size = self.pattern.split(":")
        return int(kept), int(size)

    def to_json(self) -> dict[str, Any]:
        """Return the fields; those that came later only where they are not at their default."""
        fields = dataclasses.asdict(self)
        if self.scope == "global":
            del fields["scope"]
        return fields

    def ramp(self, fraction_done: float) -> float:
        """Share of the final sparsity that is due at a point of the training.

        Args:
            fraction_done: Share of the steps of `Recipe.epochs` that are done, 0 to 1.
        """
        if self.schedule == "one-shot":
            return 1.0
        return 1.0 - (1.0 - min(fraction_done / PRUNING_ENDS, 1.0)) ** 3


@dataclass(frozen=True)
class Design:
    """One network and how it is trained, without its weights.

    Attributes:
        backbone: Model name, `timm:NAME` or `package.module:factory`.
        width: Width multiplier of the backbone's channels.
        schemes: Pairs of layer key and scheme; the first key that matches a layer decides.
        recipe: The training recipe.
        pruning: Weights to remove, or None; left out of the JSON form where there is none.
        depth: Multiplier of the blocks in each stage of the backbone, at least one block stays.
        blocks: What stands in place of the backbone's dense 3x3 convolutions but the first:
            `separable` or `bottleneck` (`greenshift.models.compact`), or `dense` to keep them.
        resolution: Height and width in pixels of the images that the network takes, at most the data's;
            None for the data's own. Like `depth` and `blocks`, left out of the JSON form at its default.
        activations: Pairs of a glob over the names of the backbone's activation modules and the function to put
            there; the first glob that matches a module decides. Left out of the JSON form where there is none.
    """

    backbone: str
    width: float = 1.0
    schemes: tuple[tuple[LayerKey, Scheme], ...] = ()
    recipe: Recipe = field(default_factory=Recipe)
    pruning: Pruning | None = None
    depth: float = 1.0
    blocks: BlockName = "dense"
    resolution: int | None = None
    activations: tuple[tuple[str, Activation], ...] = ()

    def __post_init__(self) -> None:
        """Check the values."""
        check_compactness(self.depth, self.blocks, self.resolution)

    @property
    def channel_pruning(self) -> Pruning | None:
        """The pruning, if it takes channels out of the float network."""
        return self.pruning if self.pruning is not None and self.pruning.pattern == "channels" else None

    @property
    def weight_pruning(self) -> Pruning | None:
        """The pruning, if it sets weights to zero, which takes masks."""
        return None if self.channel_pruning else self.pruning

    def to_json(self) -> dict[str, Any]:
        """Return the design as a JSON object; `from_json` is the inverse."""
        recipe = dataclasses.asdict(self.recipe)
        if self.recipe.distillation is None:
            del recipe["distillation"]  # so that designs from before there was any keep their digest
        return {
            "backbone": self.backbone,
            "width": self.width,
            "schemes": [{"layers": str(key), **scheme_to_json(scheme)} for key, scheme in self.schemes],
            "recipe": recipe,
            # Designs without pruning keep the digests that they had before there was any.
            **({} if self.pruning is None else {"pruning": self.pruning.to_json()}),
            **compactness_to_json(self.depth, self.blocks, self.resolution),
            **({"activations": [_choice_to_json(*pair) for pair in self.activations]} if self.activations else {}),
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> "Design":
        """Read a design from a JSON object.

        Raises:
            InputError: If a key is unknown or missing, or a value is out of range.
        """
        try:
            recipe = dict(data["recipe"])
            optimization = Optimization(**recipe.pop("optimization"))
            learned = recipe.pop("distillation", None)
            distillation = None if learned is None else Distillation(**learned)
            schemes = []
            for entry in data["schemes"]:
                fields = dict(entry)
                schemes.append((parse_key(fields.pop("layers")), scheme_from_json(fields)))
            return Design(
                backbone=data["backbone"],
                width=data["width"],
                schemes=tuple(schemes),
                recipe=Recipe(optimization=optimization, distillation=distillation, **recipe),
                pruning=Pruning(**data["pruning"]) if data.get("pruning") is not None else None,
                **compactness_from_json(data),
                activations=tuple(_choice_from_json(**entry) for entry in data.get("activations", ())),
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise InputError(f"design: {error} in {json.dumps(data)[:200]}") from error

    @property
    def digest(self) -> str:
        """First 12 hex digits of the SHA-256 of the canonical JSON form."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def _choice_to_json(glob: str, choice: Activation) -> dict[str, Any]:
    return {"modules": glob, **dataclasses.asdict(choice)}


def _choice_from_json(modules: str, **fields: Any) -> tuple[str, Activation]:
    if not isinstance(modules, str):
        raise InputError(f"design: activations: modules is a name or a glob, not {modules!r}")
    return modules, Activation(**fields)
