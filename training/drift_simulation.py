"""How often `stance drift` gives an alarm: a false one where nothing has changed, and a right one where poles grow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labels.taxonomy import Taxonomy
from training.bounds import lower_bound, upper_bound
from training.drift import Design, Finding, Tables, compared, profile_of_groups
from training.outcomes import Progress
from training.profile import Said, counted
from training.resampling import number

GROWTH = (2, 4)
"""By these factors poles are made more frequent."""

_POWER_SHARE = 10
"""One window of a shift for that many without one: shifts are many, and their rates need no fine interval."""


def simulate(
    said: Said,
    groups: NDArray[np.intp],
    taxonomy: Taxonomy,
    *,
    texts: int,
    times: int,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Draw windows of whole groups, with replacement, until there are as many texts as asked, and look for drift.

    Args:
        said: what a model says of a test set.
        groups: number of each text's group.
        taxonomy: of the model.
        texts: of a window, at least; the last group is whole.
        times: how many windows.
        seed: of the drawing.
        progress: told how many are done.

    Returns:
        `texts`, `windows`; `false_alarms`: the share of windows in which any target or the words gave an alarm, with
        a 95% interval (Clopper & Pearson), against the `reference` as it is and against one `redrawn` group by group
        for every window, which is as uncertain as a test set; `power`: by target and growth, `poles` (their share in
        the reference, and how large it is made) and the rate of alarms for this target.
    """
    random = np.random.default_rng(seed)
    tables = counted(said, taxonomy, groups)
    design, reference = Design(tables), profile_of_groups(tables)
    alarms: dict[str, list[bool]] = {"reference": [], "redrawn": []}
    count = int(groups.max()) + 1
    for done in range(times):
        window = profile_of_groups(tables, _drawn(groups, count, texts, random))
        alarms["reference"].append(_any(compared(reference, window, design)))
        # Had the test set been another one of its kind: documents that came twice stand in it as two.
        again = np.repeat(np.arange(count), random.multinomial(count, np.full(count, 1 / count)))
        other = {measure: table[again] for measure, table in tables.items()}
        alarms["redrawn"].append(_any(compared(profile_of_groups(other), window, Design(other))))
        if progress:
            progress("windows without a shift", done + 1, times)
    return {
        "texts": texts,
        "windows": times,
        "groups": count,
        "false_alarms": {name: _rate(found) for name, found in alarms.items()},
        "power": _power(said, groups, taxonomy, tables, texts, max(1, times // _POWER_SHARE), random, progress),
    }


def _drawn(groups: NDArray[np.intp], count: int, texts: int, random: np.random.Generator) -> NDArray[np.float64]:
    """How often each group is drawn."""
    sizes = np.bincount(groups, minlength=count)
    order = random.integers(count, size=texts)
    enough = int(np.searchsorted(np.cumsum(sizes[order]), texts)) + 1
    return np.bincount(order[:enough], minlength=count).astype(np.float64)


def _any(findings: Iterable[Finding]) -> bool:
    return any(finding.alarm for finding in findings)


def _power(
    said: Said,
    groups: NDArray[np.intp],
    taxonomy: Taxonomy,
    tables: Tables,
    texts: int,
    times: int,
    random: np.random.Generator,
    progress: Progress | None,
) -> dict[str, Any]:
    """Windows in which each text that is answered with a pole of a target stands several times."""
    design, reference = Design(tables), profile_of_groups(tables)
    found: dict[str, Any] = {}
    for t, target in enumerate(taxonomy):
        pole = np.isin(said.outcomes[:, t], [target.outcome(target.conciliatory), target.outcome(target.other)])
        found[target.id] = {}
        for growth in GROWTH:
            rows = np.repeat(np.arange(len(pole)), np.where(pole, growth, 1))
            shifted = counted(said.rows(rows), taxonomy, groups[rows])
            alarms = []
            for _ in range(times):
                window = profile_of_groups(
                    shifted, _drawn(groups[rows], len(shifted[target.id, "outcomes"]), texts, random)
                )
                alarms.append(any(f.alarm for f in compared(reference, window, design) if f.measure[0] == target.id))
            found[target.id][str(growth)] = {
                "poles": [number(pole.mean()), number(pole[rows].mean())],
                **_rate(alarms),
            }
        if progress:
            progress("targets with a shift", t + 1, len(taxonomy))
    return found


def _rate(alarms: list[bool]) -> dict[str, float | None]:
    seen, each = np.array(alarms), np.arange(len(alarms))
    return {
        "rate": number(seen.mean()),
        "low": number(lower_bound(seen, each, 0.025)),
        "high": number(upper_bound(seen, each, 0.025)),
    }
