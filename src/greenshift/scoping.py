"""Which techniques pay on a target, by its capabilities, and what a study's full space therefore searches."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from greenshift.config import StudyConfig
from greenshift.design import Design
from greenshift.errors import InputError
from greenshift.space import Scope, layer_groups
from greenshift.space.forms import BLOCKS, SEPARABLE, Forms, ProfileOf, find_forms
from greenshift.space.full import usable_patterns
from greenshift.space.scheme_choices import CHOICES, WITHOUT_ZERO
from greenshift.space.scope import listed
from greenshift.space.techniques import PATTERNS, TECHNIQUES, check_techniques
from greenshift.targets import Target, capabilities, energy_over_int8, look_up_over_int8

_ZEROS_COST = "zeros cost as much as other weights"
_COMPACT = ("width", "depth", "blocks", "resolution")
# Energies closer than this are the same: cost models are not that fine.
_SAME = 0.995


@dataclass(frozen=True)
class Verdict:
    """What a technique or a scheme is worth on a target.

    Attributes:
        runs: Whether the target can run it.
        profits: Whether it saves energy there, or may gain accuracy, at the energy that the reason tells; None where
            the target has no energies.
        reason: Why, in a few words.
    """

    runs: bool
    profits: bool | None
    reason: str


def judge_scheme(name: str, target: Target) -> Verdict:
    """Say what one value of `scheme_GROUP` is worth on a target, by the energy of an ordinary convolution.

    Int8 is held against float32, everything else against int8.

    Args:
        name: The value.
        target: The device.
    """
    if energy_over_int8(target, *CHOICES["int8"].stored) is None:
        return Verdict(True, None, "the target has no energies")
    choice = CHOICES[name]
    arithmetic, bits, act_bits, _ = most = choice.most or choice.stored
    if energy_over_int8(target, *most) is None:
        return Verdict(False, False, f"no kernel runs {arithmetic} layers of {bits}-bit weights")
    ratio = energy_over_int8(target, *choice.stored)
    if name == "int8":
        float32 = energy_over_int8(target, *CHOICES["float"].stored)
        words = "float32 does not run" if float32 is None else f"int8 takes {1 / float32:.2f} of float32's energy"
        return Verdict(True, float32 is None or 1 / float32 < _SAME, words)
    words = f"{name} of {choice.stored[1]}-bit weights takes {ratio:.2f} of int8's energy"
    if name in WITHOUT_ZERO and not capabilities(target).popcount:
        words += f" with {act_bits}-bit activations and no popcount kernel"
    return Verdict(True, ratio is not None and ratio < _SAME, words)


def _judge_schemes(technique: str, target: Target) -> Verdict:
    verdicts = [judge_scheme(name, target) for name in TECHNIQUES[technique].schemes]
    reasons = dict.fromkeys(verdict.reason for verdict in verdicts)
    profits = None if verdicts[0].profits is None else any(verdict.profits for verdict in verdicts)
    return Verdict(any(verdict.runs for verdict in verdicts), profits, "; ".join(reasons))


def _judge_prune(target: Target) -> Verdict:
    channels = "whole channels save their multiply-accumulates"
    return Verdict(True, True, f"{channels}; {'zeros are skipped too' if _skips_zeros(target) else _ZEROS_COST}")


def _skips_zeros(target: Target) -> bool:
    return capabilities(target).sparsity


def _judge_activation(target: Target) -> Verdict:
    if energy_over_int8(target, *CHOICES["int8"].stored) is None:
        return Verdict(True, None, "the target has no energies")
    ratio = look_up_over_int8(target)
    if ratio is None:
        return Verdict(False, False, "nothing there looks up or computes other functions than a clamp")
    return Verdict(True, True, f"accuracy, not energy: looking a function up takes {ratio:.3f} of an int8 convolution")


_JUDGES: Mapping[str, Callable[[Target], Verdict]] = {
    "prune": _judge_prune,
    "activation": _judge_activation,
    "distill": lambda _: Verdict(True, True, "accuracy from training alone: the network that runs is the same"),
    "compact": lambda _: Verdict(True, True, "fewer multiply-accumulates and fewer bytes"),
    "fuse": lambda _: Verdict(True, True, "what is folded costs nothing"),
}


def judge(technique: str, target: Target) -> Verdict:
    """Say what a technique is worth on a target.

    Args:
        technique: Its name.
        target: The device.
    """
    judge_it = _JUDGES.get(technique)
    return _judge_schemes(technique, target) if judge_it is None else judge_it(target)


def study_scope(config: StudyConfig, profile_of: ProfileOf, target: Target) -> Scope | None:
    """Return what a study's full space searches, None if the study has another space.

    Without `techniques` everything is searched that saves something on the target; with storage among what counts,
    also what only stores less. Techniques that are named are searched if the target can run them at all.

    Args:
        config: The study.
        profile_of: Profiles designs on its images.
        target: Its target.

    Raises:
        InputError: If a name is unknown, a named technique lacks what it needs, or nothing is left.
    """
    if config.space != "full":
        return None
    check_techniques(config.techniques)
    if config.teacher is None and "distill" in config.techniques:
        raise InputError("techniques: distill needs a teacher; name its file with teacher; that of init will do too")
    asked = [name for name in TECHNIQUES if name in (config.techniques or TECHNIQUES)]
    left_out = {"distill": "no teacher is given"} if config.teacher is None and "distill" in asked else {}
    idle: dict[str, str] = {}
    for name in asked:
        if name not in left_out and not TECHNIQUES[name].schemes:
            _sort_out(name, judge(name, target), named=name in config.techniques, left_out=left_out, idle=idle)
    schemes = _schemes(config, asked, target, left_out, idle)
    wanted = _wanted(config, asked, left_out)
    forms, without = find_forms(profile_of, config.model, wanted, pretrained=config.init is not None)
    left_out |= without
    patterns: tuple[str, ...] = ()
    if "prune" in asked and "prune" not in left_out:
        patterns, without = _patterns(config, profile_of, forms, target, schemes, idle)
        left_out |= without
    _check_whole(config, asked, forms, patterns, left_out)
    techniques = tuple(name for name in asked if _is_searched(name, schemes, left_out))
    _check_left(config, techniques, schemes, left_out, target.name)
    groups = forms.groups[1.0, BLOCKS[0]]
    return Scope(groups, techniques, schemes, patterns, forms, left_out, idle, target.name)


def _wanted(config: StudyConfig, asked: list[str], left_out: dict[str, str]) -> set[str]:
    """What to ask of the backbone; what the study itself rules out is added to `left_out`."""
    wanted = {"activation", "channels"} if "prune" in asked else {"activation"}
    wanted -= {"activation"} if "activation" not in asked or "activation" in left_out else set()
    if "compact" not in asked:
        return wanted
    wanted |= set(_COMPACT)
    if config.init is not None:
        left_out |= dict.fromkeys(_COMPACT[:3], "init has weights for the whole network only")
    if config.teacher is not None and "distill" not in asked:
        left_out["resolution"] = "the teacher of every trial sees images of the data's own size"
    return wanted - set(left_out)


def _patterns(
    config: StudyConfig,
    profile_of: ProfileOf,
    forms: Forms,
    target: Target,
    schemes: tuple[str, ...],
    idle: dict[str, str],
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Patterns of zeros that are searched, and why others are not."""
    if set(schemes) <= set(WITHOUT_ZERO):
        return (), dict.fromkeys(PATTERNS, "binary weights have no zero")
    skips = _skips_zeros(target)
    if not skips and "prune" not in config.techniques:
        return (), dict.fromkeys(PATTERNS, _ZEROS_COST)
    width = min(forms.widths, default=1.0)
    with_all = [block for block in forms.blocks or BLOCKS[:1] if block != SEPARABLE]
    narrow = [layer_groups(profile_of(Design(config.model, width=width, blocks=block))) for block in with_all]
    patterns, left_out = usable_patterns(narrow, width)
    if not skips:
        idle |= dict.fromkeys(patterns, _ZEROS_COST)
    return patterns, left_out


def _check_whole(
    config: StudyConfig, asked: list[str], forms: Forms, patterns: tuple[str, ...], left_out: dict[str, str]
) -> None:
    """Leave a technique out of which nothing is left."""
    parts = {"compact": _COMPACT, "prune": (*PATTERNS, "channels"), "activation": ("activation",)}
    there = {
        "compact": forms.widths or forms.depths or forms.blocks or forms.pixels,
        "prune": patterns or forms.channels,
        "activation": forms.activation,
    }
    for name in asked:
        if name in there and not there[name]:
            found = {part: left_out.pop(part) for part in parts[name] if part in left_out and part != name}
            left_out[name] = left_out.get(name) or listed(found)
            if name in config.techniques:
                raise InputError(f"techniques: {name} has nothing to search here ({left_out[name]}); leave it out")


def _is_searched(name: str, schemes: tuple[str, ...], left_out: Mapping[str, str]) -> bool:
    technique = TECHNIQUES[name]
    if technique.schemes:  # of which one may be called like the technique, and left out where another is not
        return bool(set(technique.schemes) & set(schemes))
    return technique.add is not None and name not in left_out


def _sort_out(name: str, verdict: Verdict, *, named: bool, left_out: dict[str, str], idle: dict[str, str]) -> None:
    if not verdict.runs or (verdict.profits is False and not named):
        left_out[name] = verdict.reason
    elif verdict.profits is False:
        idle[name] = verdict.reason


def _schemes(
    config: StudyConfig, asked: list[str], target: Target, left_out: dict[str, str], idle: dict[str, str]
) -> tuple[str, ...]:
    """Return what a group can be; what is left out, techniques without any scheme included, is added to `left_out`."""
    stores = {"size_bytes", "peak_memory_bytes"} & set(config.objectives) or config.max_size or config.max_memory
    schemes = []
    for choice in CHOICES.values():
        if choice.technique is None or choice.technique in asked:
            # Float32 and int8 are what everything is held against.
            wanted = bool(stores) or choice.name in ("float", "int8")
            verdict = judge_scheme(choice.name, target)
            if verdict.runs and wanted:
                schemes.append(choice.name)
                continue
            named = choice.technique in config.techniques
            _sort_out(choice.name, verdict, named=named, left_out=left_out, idle=idle)
            if choice.name not in left_out:
                schemes.append(choice.name)
    return tuple(schemes)


def _check_left(
    config: StudyConfig, techniques: tuple[str, ...], schemes: tuple[str, ...], left_out: Mapping[str, str], target: str
) -> None:
    if not schemes:
        raise InputError(f"techniques: float32 layers do not run on {target}; add uniform")
    if config.techniques and not techniques:
        reasons = ", ".join(f"{name}: {left_out.get(name, 'always on')}" for name in config.techniques)
        raise InputError(f"techniques: nothing is left to search on {target} ({reasons}); name other techniques")
