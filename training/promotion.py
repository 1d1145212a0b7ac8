"""The gate: whether a candidate may take the champion's place, and by how much it is better or worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from labels.errors import StanceError
from labels.yaml_file import read_yaml
from training.footprint import Footprint
from training.resampling import Figure

DEFAULT_RULE = Path(__file__).parent / "promotion.yaml"

Who = Literal["candidate", "champion", "neither"]
Margin = Annotated[float, Field(ge=0, lt=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Guarded(_Strict):
    """What the figure of each guarded target may lose."""

    guarded: Literal["all"] | list[str] = "all"
    measure: Literal["macro_f1", "pole_f1"] = "macro_f1"
    margin: Margin


class Overall(_Strict):
    """What the figure over all targets may lose."""

    measure: Literal["mean_macro_f1", "issue_pole_f1", "issue_side_f1"] = "mean_macro_f1"
    margin: Margin = 0.0


class Contrast(_Strict):
    """What the share of contrast pairs that are answered rightly may lose."""

    measure: Literal["flips_rightly", "stays", "consistent"] = "flips_rightly"
    margin: Margin


class CalibrationBound(_Strict):
    """By how much the mean expected calibration error may grow."""

    margin: Margin


class LatencyBound(_Strict):
    """How many times as long as the champion a text may take."""

    times: Annotated[float, Field(gt=0)]


class SizeBound(_Strict):
    """How large a model folder may be, in millions of bytes."""

    megabytes: Annotated[float, Field(gt=0)]


class Rule(_Strict):
    """What must hold for a candidate to be promoted; a part that is left out is not asked for, but for the first two.

    Attributes:
        evidence: whether a difference itself must not lie below a margin, or the lower end of its 95% interval.
    """

    targets: Guarded
    overall: Overall
    evidence: Literal["estimate", "interval"] = "estimate"
    contrast: Contrast | None = None
    calibration: CalibrationBound | None = None
    latency: LatencyBound | None = None
    size: SizeBound | None = None


@dataclass(frozen=True)
class Check:
    """One condition, and what was found.

    Attributes:
        kind: the part of the rule: targets, overall, contrast, calibration, latency or size.
        what: the target, or the measure.
        champion: the champion's figure; None where undefined.
        candidate: the candidate's.
        difference: candidate minus champion, with its interval where there is one; None where undefined.
        bound: what the difference (or, for latency and size, the figure) is held against.
        passed: whether the condition holds.
        who: who is better as far as can be told: "candidate", "champion", or "neither" where the interval holds 0.
    """

    kind: str
    what: str
    champion: float | None
    candidate: float | None
    difference: Figure | None
    bound: float
    passed: bool
    who: Who

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def load_rule(path: Path = DEFAULT_RULE) -> Rule:
    """Read a rule.

    Raises:
        StanceError: the file cannot be read, or is not a rule.
    """
    return read_yaml(path, TypeAdapter(Rule))


def guarded_targets(rule: Rule, champion: Sequence[str]) -> list[str]:
    """The ids of the targets that the rule guards, of those that the champion answers.

    Raises:
        StanceError: the rule names a target that the champion does not answer.
    """
    if rule.targets.guarded == "all":
        return list(champion)
    for target_id in rule.targets.guarded:
        if target_id not in champion:
            raise StanceError(
                f"'{target_id}' is not a target of the champion",
                field="targets.guarded",
                hint=f"It answers {', '.join(champion)}.",
            )
    return list(rule.targets.guarded)


def checks_of(
    rule: Rule, compared: Mapping[str, Any], guarded: Sequence[str], footprints: Mapping[str, Footprint]
) -> list[Check]:
    """Every condition of a rule.

    Args:
        rule: see `load_rule`.
        compared: what `training.comparison.compare` returns of the candidate (a) and the champion (b).
        guarded: see `guarded_targets`; one that the candidate does not answer in the same classes fails.
        footprints: by `candidate` and `champion`.
    """
    checks = [_of_target(rule, compared, target_id) for target_id in guarded]
    measure = rule.overall.measure
    champion, candidate = (compared[name]["overall"][measure]["value"] for name in "ba")
    minus = compared["a_minus_b"]["overall"][measure]
    checks.append(_margin("overall", measure, champion, candidate, minus, rule.overall.margin, rule.evidence))
    if rule.contrast and "contrast" in compared:
        share = rule.contrast.measure
        champion, candidate = (compared["contrast"]["all"][name][share]["value"] for name in "ba")
        # Their intervals are not of the difference, so that the estimate has to do.
        minus = _minus(candidate, champion)
        checks.append(_margin("contrast", share, champion, candidate, minus, rule.contrast.margin, "estimate"))
    if rule.calibration:
        checks.append(_of_calibration(rule.calibration.margin, compared["calibration"]))
    if rule.latency:
        checks.append(_of_latency(rule.latency.times, footprints))
    if rule.size:
        checks.append(_of_size(rule.size.megabytes, footprints))
    return checks


def _of_target(rule: Rule, compared: Mapping[str, Any], target_id: str) -> Check:
    measure, margin = rule.targets.measure, rule.targets.margin
    if target_id not in compared["targets"]:
        return Check("targets", target_id, None, None, None, -margin, False, "champion")
    champion, candidate = (compared[name]["targets"][target_id][measure]["value"] for name in "ba")
    minus = compared["a_minus_b"]["targets"][target_id][measure]
    return _margin("targets", target_id, champion, candidate, minus, margin, rule.evidence)


def _margin(
    kind: str,
    what: str,
    champion: float | None,
    candidate: float | None,
    minus: Figure | None,
    margin: float,
    evidence: str,
) -> Check:
    """A figure of which more is better. Where the champion has none, there is nothing to lose."""
    if champion is None or minus is None or minus["value"] is None:
        return Check(kind, what, champion, candidate, None, -margin, champion is None, "neither")
    held = minus["low"] if evidence == "interval" else minus["value"]
    # An interval that is undefined, as with one group, proves nothing.
    passed = held is not None and held >= -margin
    return Check(kind, what, champion, candidate, minus, -margin, passed, _who(minus))


def _who(minus: Figure, *, less_is_better: bool = False) -> Who:
    if minus["low"] is None or minus["high"] is None or minus["low"] <= 0 <= minus["high"]:
        return "neither"
    return "candidate" if (minus["low"] > 0) != less_is_better else "champion"


def _minus(candidate: float | None, champion: float | None) -> Figure | None:
    if candidate is None or champion is None:
        return None
    return {"value": round(candidate - champion, 6), "low": None, "high": None}


def _of_calibration(margin: float, calibration: Mapping[str, Any]) -> Check:
    """The error must not grow by more than the margin: less is better."""
    champion, candidate = (calibration[name]["ece"]["value"] for name in "ba")
    minus = calibration["a_minus_b"]["ece"]
    if minus["value"] is None:
        return Check("calibration", "ece", champion, candidate, None, margin, champion is None, "neither")
    who = _who(minus, less_is_better=True)
    return Check("calibration", "ece", champion, candidate, minus, margin, minus["value"] <= margin, who)


def _of_latency(times: float, footprints: Mapping[str, Footprint]) -> Check:
    champion, candidate = (footprints[name].milliseconds for name in ("champion", "candidate"))
    passed = candidate <= times * champion
    return Check("latency", "milliseconds", champion, candidate, _minus(candidate, champion), times, passed, "neither")


def _of_size(megabytes: float, footprints: Mapping[str, Footprint]) -> Check:
    champion, candidate = (footprints[name].megabytes for name in ("champion", "candidate"))
    passed = candidate <= megabytes
    return Check("size", "megabytes", champion, candidate, _minus(candidate, champion), megabytes, passed, "neither")
