"""How scores stand beside the columns that came in.

Nested (JSONL, Parquet, datasets): `targets` (id → label, abstained, score, probabilities), as `stance score --json`
gives it. Wide (CSV): a column for each of these, `TARGET.label`, `TARGET.abstained`, `TARGET.score` and a
`TARGET.p.CLASS` for each class. Both have `truncated` and `model`, with the fast path `path`, and where articles were
split `sentence` (its number, from 0), `start` and `end` (characters of the article's text, end exclusive); the column
of texts then holds the sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from labels.taxonomy import Taxonomy
from serving.batch.rows import Carried

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Layout:
    """What decides which columns are added, besides the targets.

    Attributes:
        split: whether rows are sentences of articles.
        fast: whether rows say what answered, the fast path or the encoder.
    """

    split: bool = False
    fast: bool = False


@dataclass(frozen=True)
class Piece:
    """A sentence of an article: its number, and its first and last (exclusive) character."""

    sentence: int
    start: int
    end: int


@dataclass(frozen=True)
class Scored:
    """Rows with what was found about them.

    Attributes:
        carried: a row for each answer, with its own text.
        pieces: of which article's characters; None where texts were scored whole.
        answers: see `score_texts`.
    """

    carried: Carried
    pieces: list[Piece] | None
    answers: list[dict[str, Any]]


_PIECE = ("sentence", "start", "end")


def nested_names(layout: Layout) -> list[str]:
    """Columns that are added, in their order."""
    return [*(_PIECE if layout.split else ()), "targets", *_about_answers(layout)]


def wide_names(taxonomy: Taxonomy, layout: Layout) -> list[str]:
    """Columns that are added, in their order."""
    of_targets = [
        f"{target.id}.{what}"
        for target in taxonomy
        for what in ("label", "abstained", "score", *(f"p.{label}" for label in target.outcomes))
    ]
    return [*(_PIECE if layout.split else ()), *of_targets, *_about_answers(layout)]


def _about_answers(layout: Layout) -> list[str]:
    return ["truncated", *(["path"] if layout.fast else []), "model"]


def nested_values(scored: Scored, model: str) -> list[dict[str, Any]]:
    """What is added to each row."""
    return [
        {**(asdict(scored.pieces[number]) if scored.pieces else {}), **answer, "model": model}
        for number, answer in enumerate(scored.answers)
    ]


def wide_values(values: Mapping[str, Any]) -> list[Any]:
    """The same of one row, in the order of `wide_names`."""
    cells = [values[name] for name in _PIECE if name in values]
    for answer in values["targets"].values():
        cells += [answer["label"], answer["abstained"], answer["score"], *answer["probabilities"].values()]
    return [*cells, *(values[name] for name in ("truncated", "path", "model") if name in values)]


def added_fields(taxonomy: Taxonomy, layout: Layout) -> list[pa.Field]:
    """Types of the columns that are added, nested."""
    import pyarrow as pa

    def answer(outcomes: tuple[str, ...]) -> pa.DataType:
        return pa.struct(
            [
                ("label", pa.string()),
                ("abstained", pa.bool_()),
                ("score", pa.float64()),
                ("probabilities", pa.struct([(label, pa.float64()) for label in outcomes])),
            ]
        )

    targets = pa.struct([(target.id, answer(target.outcomes)) for target in taxonomy])
    types = {"targets": targets, "truncated": pa.bool_(), "path": pa.string(), "model": pa.string()}
    return [pa.field(name, types.get(name, pa.int64())) for name in nested_names(layout)]
