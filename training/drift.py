"""Whether a model says of new texts what it says of a reference: which targets need labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labels.taxonomy import Taxonomy
from training.comparison import holm
from training.homogeneity import DesignEffect, Floats, design_effect, homogeneity_p, pooled, stability_index
from training.profile import WORDS, Measure, Profile, Said, counted
from training.resampling import number

ALPHA = 0.05
"""Probability of any false alarm, over all targets and measures of one look."""

NOTABLE, LARGE = 0.1, 0.25
"""The usual limits of the stability index: a shift below 0.1 is little, above 0.25 large (Siddiqi 2006)."""

UNKNOWN_RISE = 1.5
"""An alarm on unknown words wants their share to be this many times that of the reference; our own choice."""

FEWEST_TEXTS = 100
"""Of fewer texts nothing is said: they are of a handful of documents."""

Tables = Mapping[Measure, NDArray[np.int64]]
"""Counts by group and cell, see `training.profile.counted`."""


@dataclass(frozen=True)
class Finding:
    """One measure, compared.

    Attributes:
        measure: target and what was counted.
        reference: share of each cell in the reference.
        window: likewise.
        index: population stability index, of the pooled cells.
        design_effect: by which the statistic was divided.
        p: of the test of homogeneity.
        p_holm: corrected for all tests that were made.
    """

    measure: Measure
    reference: tuple[float, ...]
    window: tuple[float, ...]
    index: float
    design_effect: float
    p: float
    p_holm: float

    @property
    def alarm(self) -> bool:
        """Significant, and large enough to matter."""
        if self.measure == WORDS:
            before, now = self.reference[1], self.window[1]
            matters = now > before and now >= UNKNOWN_RISE * before
        else:
            matters = self.index >= NOTABLE
        return matters and self.p_holm < ALPHA


class Design:
    """Design effects, estimated from the groups of a test set, and each worked out once.

    Args:
        tables: what a model says of the test set, by group.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = {measure: table.astype(np.float64) for measure, table in tables.items()}
        self._shares: dict[Measure, Floats] = {
            measure: table.sum(axis=0) / table.sum() for measure, table in self._tables.items()
        }
        self._effect = cache(self._worked_out)

    def measures(self) -> list[Measure]:
        return list(self._tables)

    def shares(self, measure: Measure) -> Floats:
        """Share of each cell in the test set."""
        return self._shares[measure]

    def effect(self, measure: Measure, places: NDArray[np.intp]) -> DesignEffect:
        return self._effect(measure, tuple(places.tolist()))

    def _worked_out(self, measure: Measure, places: tuple[int, ...]) -> DesignEffect:
        return design_effect(self._tables[measure], np.array(places))


def profile_of_groups(tables: Tables, times: Floats | None = None) -> dict[Measure, Floats]:
    """Counts of all groups together, of each as often as `times` says (shape (groups,)); once where None."""
    weighted = {m: table if times is None else table * times[:, None] for m, table in tables.items()}
    return {measure: table.sum(axis=0).astype(np.float64) for measure, table in weighted.items()}


def compared(reference: Mapping[Measure, Floats], window: Mapping[Measure, Floats], design: Design) -> list[Finding]:
    """Every measure that both counted, compared; neither may be empty.

    Cells are pooled by what the reference and the test set let one expect, so the window does not choose its test.
    """
    tested = []
    for measure in design.measures():
        if not all(counts.get(measure, np.zeros(1)).sum() for counts in (reference, window)):
            continue
        first, second = reference[measure], window[measure]
        size = min(first.sum(), second.sum())
        places = pooled(
            size * np.minimum(first / first.sum(), design.shares(measure)), ordered=measure[1] == "confidence"
        )
        effect = design.effect(measure, places)
        one, other = (np.bincount(places, weights=counts).astype(np.float64) for counts in (first, second))
        tested.append((measure, first, second, effect, homogeneity_p(one, other, effect), stability_index(one, other)))
    corrected = holm([p for *_, p, _ in tested])
    return [
        Finding(measure, _shares(first), _shares(second), index, effect.mean, p, p_holm)
        for (measure, first, second, effect, p, index), p_holm in zip(tested, corrected, strict=True)
    ]


def _shares(counts: Floats) -> tuple[float, ...]:
    return tuple((counts / counts.sum()).tolist())


def drift(
    reference: Profile, window: Profile, said: Said, groups: NDArray[np.intp], taxonomy: Taxonomy
) -> dict[str, Any]:
    """Compare what was said of two sets of texts; fit for JSON, docs/drift.md describes it.

    Args:
        reference: what the window is compared with.
        window: what was said lately.
        said: of the test set by the same model; its groups give the design effects.
        groups: number of the group of each of its texts.
        taxonomy: of the model.
    """
    sizes = {"reference": reference.texts, "window": window.texts}
    if min(sizes.values()) < FEWEST_TEXTS:
        return {"texts": sizes, "enough": False, "alarm": False, "targets": {}, "unknown_words": None}
    design = Design(counted(said, taxonomy, groups))
    before, now = (profile.by_measure() for profile in (reference, window))
    findings = {finding.measure: finding for finding in compared(before, now, design)}
    targets = {target_id: _of_target(target_id, findings) for target_id in taxonomy.ids}
    words = _of_words(findings[WORDS], before[WORDS], now[WORDS]) if WORDS in findings else None
    return {
        "texts": sizes,
        "enough": True,
        "alarm": any(finding.alarm for finding in findings.values()),
        "targets": targets,
        "unknown_words": words,
    }


def _of_target(target_id: str, findings: Mapping[Measure, Finding]) -> dict[str, Any]:
    of = {measure[1]: finding for measure, finding in findings.items() if measure[0] == target_id}
    alarms = [finding.index for finding in of.values() if finding.alarm]
    p_holm = min(finding.p_holm for finding in of.values())
    shift = (
        "large" if max(alarms, default=0) >= LARGE else "notable" if alarms else "little" if p_holm < ALPHA else "none"
    )
    return {
        **{what: _about(finding) for what, finding in of.items()},
        "p_holm": number(p_holm),
        "needs_labels": bool(alarms),
        "shift": shift,
    }


def _about(finding: Finding) -> dict[str, Any]:
    return {
        "reference": [number(share) for share in finding.reference],
        "window": [number(share) for share in finding.window],
        "index": number(finding.index),
        "design_effect": number(finding.design_effect),
        "p": number(finding.p),
        "p_holm": number(finding.p_holm),
    }


def _of_words(finding: Finding, reference: Floats, window: Floats) -> dict[str, Any]:
    """Shares of unknown words and their difference, with a 95% interval that the design effect widens."""
    known = finding.reference[1], finding.window[1]
    sizes: Sequence[float] = (float(reference.sum()), float(window.sum()))
    variance = sum(share * (1 - share) / size for share, size in zip(known, sizes, strict=True))
    half, difference = 1.96 * float(np.sqrt(finding.design_effect * variance)), known[1] - known[0]
    return {
        "reference": number(known[0]),
        "window": number(known[1]),
        "difference": {
            "value": number(difference),
            "low": number(difference - half),
            "high": number(difference + half),
        },
        "design_effect": number(finding.design_effect),
        "p": number(finding.p),
        "p_holm": number(finding.p_holm),
        "alarm": finding.alarm,
    }
