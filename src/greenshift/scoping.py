"""Which techniques pay on a target, by its capabilities, and what a study's full space therefore searches."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from greenshift.config import StudyConfig
from greenshift.errors import InputError
from greenshift.profile import NetworkProfile
from greenshift.space import Scope, layer_groups
from greenshift.space.full import narrowest_width, usable_patterns
from greenshift.space.scheme_choices import CHOICES, WITHOUT_ZERO
from greenshift.space.techniques import TECHNIQUES, check_techniques
from greenshift.targets import Target, capabilities, energy_over_int8

# Energies closer than this are the same: cost models are not that fine.
_SAME = 0.995


@dataclass(frozen=True)
class Verdict:
    """What a technique or a scheme is worth on a target.

    Attributes:
        runs: Whether the target can run it.
        profits: Whether it saves energy there, or accuracy at no energy; None where the target has no energies.
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
    skips = capabilities(target).sparsity
    return Verdict(True, skips, "zeros are skipped" if skips else "zeros cost as much as other weights")


_JUDGES: Mapping[str, Callable[[Target], Verdict]] = {
    "prune": _judge_prune,
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


def study_scope(config: StudyConfig, profile: NetworkProfile, target: Target) -> Scope | None:
    """Return what a study's full space searches, None if the study has another space.

    Without `techniques` everything is searched that saves something on the target; with storage among what counts,
    also what only stores less. Techniques that are named are searched if the target can run them at all.

    Args:
        config: The study.
        profile: Its network without any scheme.
        target: Its target.

    Raises:
        InputError: If a name is unknown, a named technique lacks what it needs, or nothing is left.
    """
    if config.space != "full":
        return None
    check_techniques(config.techniques)
    missing = _missing(config)
    for name in config.techniques:
        if name in missing:
            raise InputError(f"techniques: {name} {missing[name][1]}")
    asked = [name for name in TECHNIQUES if name in (config.techniques or TECHNIQUES)]
    left_out = {name: reason for name, (reason, _) in missing.items() if name in asked}
    idle: dict[str, str] = {}
    for name in asked:
        if name not in left_out and not TECHNIQUES[name].schemes:
            _sort_out(name, judge(name, target), named=name in config.techniques, left_out=left_out, idle=idle)
    schemes = _schemes(config, asked, target, left_out, idle)
    if "prune" in asked and set(schemes) <= set(WITHOUT_ZERO):
        left_out["prune"] = "binary weights have no zero"
    groups = layer_groups(profile)
    patterns: tuple[str, ...] = ()
    if "prune" in asked and "prune" not in left_out:
        narrowest = narrowest_width(tuple(name for name in asked if name not in left_out))
        patterns, without = usable_patterns(groups, narrowest)
        left_out |= without
    techniques = tuple(name for name in asked if _is_searched(name, schemes, left_out))
    _check_left(config, techniques, schemes, left_out, target.name)
    return Scope(groups, techniques, schemes, patterns, left_out, idle, target.name)


def _is_searched(name: str, schemes: tuple[str, ...], left_out: Mapping[str, str]) -> bool:
    technique = TECHNIQUES[name]
    if technique.schemes:  # of which one may be called like the technique, and left out where another is not
        return bool(set(technique.schemes) & set(schemes))
    return technique.add is not None and name not in left_out


def _missing(config: StudyConfig) -> dict[str, tuple[str, str]]:
    """Techniques that lack what they need: why they are left out, and what to do if they were named."""
    missing = {}
    if config.teacher is None:
        missing["distill"] = ("no teacher is given", "needs a teacher; name its file with teacher")
    if ":" in config.model:
        missing["compact"] = (
            "the model has no width",
            f"needs a built-in model; {config.model} has no width to change",
        )
    return missing


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
