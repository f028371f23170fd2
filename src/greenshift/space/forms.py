"""What a backbone can be made into, found by profiling it: widths, depths, blocks, image sizes, fewer channels."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar, get_args

from greenshift.activations import Activation
from greenshift.compactness import BlockName
from greenshift.design import Design, Pruning
from greenshift.errors import InputError
from greenshift.profile import NetworkProfile
from greenshift.space.groups import LayerGroup, layer_groups

# Steps, because everything that changes the layers is another network to be traced before its cost is known.
WIDTHS = (0.25, 0.375, 0.5, 0.625, 0.75, 1.0)
DEPTHS = (0.33, 0.67, 1.0)  # of the three blocks of a stage in ResNet20: one, two, three
RESOLUTIONS = (0.5, 0.75, 1.0)
CHANNEL_SHARES = (0.25, 0.5, 0.75)
BLOCKS: tuple[BlockName, ...] = get_args(BlockName)
SEPARABLE: BlockName = "separable"

ProfileOf = Callable[[Design], NetworkProfile]
Step = TypeVar("Step", float, BlockName)


@dataclass(frozen=True)
class Forms:
    """What can be chosen of a backbone itself; empty where there is nothing to choose.

    Attributes:
        groups: Layer groups by depth and blocks. The groups have the same names in every form, their layers may not.
        widths: Width multipliers, the whole network's last; so are the others, but for `blocks`.
        depths: Depth multipliers.
        blocks: What stands for dense 3x3 convolutions, `dense` first.
        pixels: Height and width of the images by resolution multiplier; None for the data's own.
        channels: Shares of the multiply-accumulates that can go with whole channels.
        activation: The network's own activation function, `own` if it has no other name; None if none can be replaced.
    """

    groups: Mapping[tuple[float, BlockName], tuple[LayerGroup, ...]] = field(default_factory=dict)
    widths: tuple[float, ...] = ()
    depths: tuple[float, ...] = ()
    blocks: tuple[BlockName, ...] = ()
    pixels: Mapping[float, int | None] = field(default_factory=dict)
    channels: tuple[float, ...] = ()
    activation: str | None = None

    @property
    def activated(self) -> tuple[str, ...]:
        """Names of the stages that have activation modules in every form."""
        stages = [[g.name for g in groups if g.is_stage and g.activations] for groups in self.groups.values()]
        return tuple(name for name in stages[0] if all(name in names for names in stages)) if stages else ()


def channel_pruning(share: float) -> Pruning:
    """Return the pruning that takes whole channels, with a share of the multiply-accumulates, out of a network."""
    return Pruning(share, "channels", "one-shot", keep_first=True, keep_last=True)


def find_forms(
    profile_of: ProfileOf, backbone: str, wanted: Collection[str], *, pretrained: bool = False
) -> tuple[Forms, dict[str, str]]:
    """Return what can be chosen of a backbone, and why something that was wanted cannot be, by its name.

    A form is offered if the network can be built in it, if it is another network than the forms before, and if its
    layers fall into the same groups, so that every configuration can have it.

    Args:
        profile_of: Profiles a design on the study's images.
        backbone: Model name.
        wanted: Some of `width`, `depth`, `blocks`, `resolution`, `channels` and `activation`.
        pretrained: Whether trainings start from the whole network's weights, which have to fit smaller images too.
    """
    probe = _Probe(profile_of, backbone)
    whole = probe.whole
    least = {WIDTHS[0]: [replace(whole, width=WIDTHS[0])]}
    widths = WIDTHS if "width" in wanted and probe.offered("width", least) else ()
    blocks = _blocks(probe) if "blocks" in wanted else ()
    depths = _depths(probe, blocks) if "depth" in wanted else ()
    pixels = _pixels(probe, depths, pretrained=pretrained) if "resolution" in wanted else {}
    channels = _channels(probe, pixels) if "channels" in wanted else ()
    activation = None
    swapped = {1.0: [replace(whole, activations=(("*", Activation("tanh")),))]}
    if "activation" in wanted and probe.offered("activation", swapped, changes=False):
        # Those of the built-in networks that can be replaced are all ReLUs.
        activation = "own" if ":" in backbone else "relu"
    groups = {
        (depth, block): layer_groups(profile_of(replace(whole, depth=depth, blocks=block)))
        for depth in depths or (1.0,)
        for block in blocks or BLOCKS[:1]
    }
    forms = Forms(groups, widths, depths, blocks, pixels, channels, activation)
    if activation is not None and not forms.activated:
        probe.left_out["activation"] = "no stage has activation modules in every form of the network"
        forms = replace(forms, activation=None)
    return forms, probe.left_out


class _Probe:
    """Asks for profiles of one backbone's forms, and keeps why a kind of form is not offered."""

    def __init__(self, profile_of: ProfileOf, backbone: str) -> None:
        self.whole = Design(backbone)
        self.left_out: dict[str, str] = {}
        self.profile_of = profile_of
        self._names = self._group_names(self.whole)

    def _group_names(self, design: Design) -> list[str]:
        return [group.name for group in layer_groups(self.profile_of(design))]

    def offered(self, kind: str, forms: Mapping[Step, list[Design]], *, changes: bool = True) -> tuple[Step, ...]:
        """Return the steps of which all forms can be had; each has to change the network if `changes`."""
        found: list[Step] = []
        reasons: list[str] = []
        seen = [self.profile_of(self.whole)] if changes else []
        for step, designs in forms.items():
            try:
                profile = self.profile_of(designs[0])
                same = all(self._group_names(design) == self._names for design in designs)
            except InputError as error:
                reasons.append(str(error).partition(";")[0])
                continue
            if profile in seen:
                reasons.append("it changes nothing in this network")
            elif not same:
                reasons.append("its layers would fall into other groups")
            else:
                found.append(step)
                seen += [profile] if changes else []
        if not found:
            self.left_out[kind] = reasons[0]
        return tuple(found)


def _blocks(probe: _Probe) -> tuple[BlockName, ...]:
    found = probe.offered("blocks", {block: [replace(probe.whole, blocks=block)] for block in BLOCKS[1:]})
    return (BLOCKS[0], *found) if found else ()


def _depths(probe: _Probe, blocks: tuple[BlockName, ...]) -> tuple[float, ...]:
    forms = {
        depth: [replace(probe.whole, depth=depth, blocks=block) for block in blocks or BLOCKS[:1]]
        for depth in DEPTHS[:-1]
    }
    found = probe.offered("depth", forms)
    return (*found, 1.0) if found else ()


def _pixels(probe: _Probe, depths: tuple[float, ...], *, pretrained: bool) -> dict[float, int | None]:
    """Sizes at which the network has the layers that it has at the data's own, of the same size if `pretrained`."""
    size = probe.profile_of(probe.whole).input_shape[-1]
    pixels = {step: round(step * size) for step in RESOLUTIONS[:-1]}
    least = dict.fromkeys([1.0, *depths[:1]])
    forms = {
        step: [replace(probe.whole, resolution=side, depth=depth) for depth in least] for step, side in pixels.items()
    }
    found = probe.offered("resolution", forms)
    layers = _layers(probe.profile_of(probe.whole), sized=pretrained)
    kept = [step for step in found if _layers(probe.profile_of(forms[step][0]), sized=pretrained) == layers]
    if found and not kept:
        own_size = "init has weights for images of the data's own size only"
        probe.left_out["resolution"] = own_size if pretrained else "smaller images would take other layers"
    return {**{step: pixels[step] for step in kept}, 1.0: None} if kept else {}


def _channels(probe: _Probe, pixels: Mapping[float, int | None]) -> tuple[float, ...]:
    sides = dict.fromkeys([None, *list(pixels.values())[:1]])
    forms = {
        share: [replace(probe.whole, pruning=channel_pruning(share), resolution=side) for side in sides]
        for share in CHANNEL_SHARES
    }
    return probe.offered("channels", forms)


def _layers(profile: NetworkProfile, *, sized: bool) -> list[tuple[str, int]]:
    return [(layer.name, layer.weights if sized else 0) for layer in profile.layers if layer.weights]
