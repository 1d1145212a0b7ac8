"""What the last report said, and what has come since."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from labels.errors import StanceError
from labels.taxonomy import Taxonomy
from serving.feeds.figures import Ask, Period, Tallies
from serving.feeds.means import Mean, differences

FORMAT = 1


@dataclass(frozen=True)
class Said:
    """What a report leaves behind for the next one.

    Attributes:
        made: when.
        collection: tells collections apart.
        newest: highest number of a scored article.
        period: that it was about.
        versions: of the models that had scored.
        targets: id → mean.
    """

    made: datetime
    collection: str
    newest: int
    period: Period
    versions: tuple[str, ...]
    targets: Mapping[str, Mean]


@dataclass(frozen=True)
class Shift:
    """A target, before and after.

    Attributes:
        said: the mean that the last report gave; None where it gave none, or for another period.
        later: mean of the articles that came since.
        difference: mean of those minus that of the articles before.
    """

    said: Mean | None
    later: Mean
    difference: Mean


@dataclass(frozen=True)
class Changed:
    """What has come since an earlier look.

    Attributes:
        since: when that was.
        articles: scored since, of the period.
        before: scored before, of the period.
        same_period: whether the last report was about the same days.
        versions: that had scored then; None where that is not known.
        shifts: target → before and after.
    """

    since: datetime
    articles: int
    before: int
    same_period: bool
    versions: tuple[str, ...] | None
    shifts: Mapping[str, Shift]

    @property
    def shifted(self) -> list[str]:
        """Targets whose difference has an interval that excludes 0."""
        return [target_id for target_id, shift in self.shifts.items() if shift.difference.excludes_zero]


def collection_mark(ask: Ask) -> tuple[str, int]:
    """What tells a collection from others (its first article), and the highest number of a scored article; "" and 0 of
    an empty one."""
    first = ask("SELECT id, epoch_us(first_seen) FROM articles ORDER BY id LIMIT 1")
    newest = ask("SELECT max(article) FROM latest")[0][0]
    return ("-".join(map(str, first[0])) if first else ""), int(newest or 0)


def changed(given: Tallies, taxonomy: Taxonomy, period: Period, last: Said) -> Changed:
    """What has come since the last report."""
    same = last.period == period
    return _changed(given, taxonomy, last.newest, last.made, last.targets if same else {}, same, last.versions)


def changed_since(given: Tallies, taxonomy: Taxonomy, ask: Ask, moment: datetime) -> Changed | None:
    """What has come since a moment; None where nothing was there before."""
    newest = ask(
        f"SELECT max(id) FROM articles WHERE first_seen < TIMESTAMPTZ '{moment:%Y-%m-%d %H:%M:%S%z}'"
        " AND id IN (SELECT article FROM latest)"
    )[0][0]
    return None if newest is None else _changed(given, taxonomy, int(newest), moment, {}, False, None)


def _changed(
    given: Tallies,
    taxonomy: Taxonomy,
    newest: int,
    since: datetime,
    said: Mapping[str, Mean],
    same_period: bool,
    versions: tuple[str, ...] | None,
) -> Changed:
    later = given.ids > newest
    parts = given.part(later), given.part(~later)
    moved = zip(taxonomy.ids, given.means(later), differences(*parts), strict=True)
    shifts = {target_id: Shift(said.get(target_id), new, difference) for target_id, new, difference in moved}
    return Changed(since, int(later.sum()), int((~later).sum()), same_period, versions, shifts)


def read_said(path: Path, collection: str) -> Said | None:
    """What the last report said of this collection; None where there was none, or it was of another.

    Raises:
        StanceError: the file is not what a report left.
    """
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _not_said(path, error) from error
    try:
        if found["format"] != FORMAT:
            raise ValueError(f"format {found['format']}")
        since, until = (_day(found["period"][bound]) for bound in ("since", "until"))
        said = Said(
            made=datetime.fromisoformat(found["made"]),
            collection=found["collection"],
            newest=int(found["newest"]),
            period=Period(since, until),
            versions=tuple(found["versions"]),
            targets={target_id: Mean(**mean) for target_id, mean in found["targets"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _not_said(path, error) from error
    return said if said.collection == collection else None


def as_json(said: Said) -> str:
    """The file that `read_said` reads."""
    bounds = {"since": said.period.since, "until": said.period.until}
    value: dict[str, Any] = {
        "format": FORMAT,
        "made": said.made.isoformat(timespec="seconds"),
        "collection": said.collection,
        "newest": said.newest,
        "period": {name: day.isoformat() if day else None for name, day in bounds.items()},
        "versions": said.versions,
        "targets": {target_id: mean.as_dict() for target_id, mean in said.targets.items()},
    }
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def means_by_target(taxonomy: Taxonomy, means: Sequence[Mean]) -> dict[str, Mean]:
    """Means in the order of the taxonomy, by target."""
    return dict(zip(taxonomy.ids, means, strict=True))


def _day(given: str | None) -> date | None:
    return None if given is None else date.fromisoformat(given)


def _not_said(path: Path, error: Exception) -> StanceError:
    return StanceError(
        f"is not what an earlier report left: {error}", path=path, hint="Remove it, or name another --out."
    )
