"""A document read whole: what each sentence says of each target, whose position that is, and what it adds up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from labels.taxonomy import UNRELATED, Target
from serving.analysis.aliases import Aliases
from serving.analysis.holders import Voiced, voice_of, voices
from serving.analysis.speakers import Reading
from serving.analysis.tagger import Tagger
from serving.analysis.totals import VOICES, Point, Total, Voice, totals_by
from serving.scoring import DECIMALS, Count, score_texts
from training.holder import Holder
from training.model_folder import Model
from training.outcomes import Progress


@dataclass(frozen=True)
class DocumentIn:
    """A text to read, and what else is known of it."""

    text: str
    title: str | None = None
    date: str | None = None
    source: str | None = None


@dataclass(frozen=True)
class Row:
    """A line of the table holder × target.

    Attributes:
        holder: name in this document; None for those whom the text does not name, or not so that it could be told.
        kind: person, state, office, several, or other.
        of: the state or body that they belong to, where it is known.
        sentences: how many voice their position, on a target or not.
        targets: target → total.
    """

    holder: str | None
    kind: str
    of: str | None
    sentences: int
    targets: Mapping[str, Total]


@dataclass(frozen=True)
class Analysis:
    """What a document says.

    Attributes:
        document: as it was given.
        reading: its sentences and quotations.
        scores: of each sentence, as `serving.scoring.score_texts` gives them.
        voiced: whose position each sentence voices; None where nobody does.
        totals: target → voice → total, where a sentence of that voice touches the target. No total is of two voices.
        table: a row for each holder but the author, those with most sentences first.
    """

    document: DocumentIn
    reading: Reading
    scores: Sequence[Mapping[str, Any]]
    voiced: Sequence[Voiced | None]
    totals: Mapping[str, Mapping[Voice, Total]]
    table: Sequence[Row]


def read_documents(documents: Sequence[DocumentIn]) -> list[Reading]:
    """Their sentences and quotations, nothing scored yet."""
    return [Reading.of(document.text) for document in documents]


def analyze(
    documents: Sequence[DocumentIn],
    readings: Sequence[Reading],
    model: Model,
    aliases: Aliases,
    tagger: Tagger | None = None,
    *,
    targets: Sequence[str] | None = None,
    progress: Progress | None = None,
    count: Count | None = None,
) -> list[Analysis]:
    """What each document says, in their order.

    Args:
        documents: texts.
        readings: of the documents, from `read_documents`.
        model: scores the sentences.
        aliases: names of the field.
        tagger: tells holders of sentences; by rules alone where None.
        targets: ids to answer for; all of the taxonomy where None.
        progress: told how far the scoring is.
        count: told what the model answers, as for `score_texts`.

    Raises:
        KeyError: a target that the model does not have.
    """
    texts = [reading.text[start:end] for reading in readings for start, end in reading.sentences]
    scores = score_texts(model, texts, targets, progress, count) if texts else []
    tagged = list(tagger.tag(texts)) if tagger and texts else None
    asked = [model.taxonomy[target_id] for target_id in targets or model.taxonomy.ids]
    found: list[Analysis] = []
    place = 0
    for document, reading in zip(documents, readings, strict=True):
        own = slice(place, place + len(reading.sentences))
        place = own.stop
        found.append(_analysis(document, reading, scores[own], tagged[own] if tagged else None, aliases, asked))
    return found


def _analysis(
    document: DocumentIn,
    reading: Reading,
    scores: Sequence[Mapping[str, Any]],
    tagged: Sequence[Holder] | None,
    aliases: Aliases,
    targets: Sequence[Target],
) -> Analysis:
    voiced = voices(reading, aliases, tagged)
    points = {target.id: points_of(scores, target) for target in targets}
    by_voice = totals_by(points, [voice_of(one) for one in voiced])
    totals: dict[str, dict[Voice, Total]] = {
        target: {v: by_voice[v][target] for v in VOICES if target in by_voice.get(v, {})} for target in points
    }
    return Analysis(document, reading, scores, voiced, totals, _table(points, voiced))


def points_of(scores: Sequence[Mapping[str, Any]], target: Target) -> list[Point]:
    """What the sentences that touch a target say of it.

    A sentence touches it where its label is a class of the target; it weighs as much as that label is probable.
    """
    answers = [(number, score["targets"][target.id]) for number, score in enumerate(scores)]
    return [
        Point(
            number,
            a["probabilities"][target.conciliatory],
            a["probabilities"][target.other],
            # A label that was chosen against the odds may round to nothing.
            max(a["probabilities"][a["label"]], 10**-DECIMALS),
            a["abstained"],
        )
        for number, a in answers
        if a["label"] != UNRELATED
    ]


def _table(points: Mapping[str, Sequence[Point]], voiced: Sequence[Voiced | None]) -> list[Row]:
    keys = [None if voice_of(one) != "others" else _key(one) for one in voiced]
    about = {key: one for key, one in zip(keys, voiced, strict=True) if key is not None and one is not None}
    sentences = Counter(key for key in keys if key is not None)
    by_key = totals_by(points, keys)
    rows: list[Row] = []
    for key, number in sentences.most_common():
        party = about[key].party
        kind = about[key].kind if about[key].kind == "several" else party.kind if party else "other"
        rows.append(Row(party.name if party else None, kind, party.of if party else None, number, by_key[key]))
    return rows


def _key(voiced: Voiced | None) -> str:
    assert voiced is not None
    if voiced.party is not None:
        return f"named {voiced.party.name}"
    return "several" if voiced.kind == "several" else "not named"


def as_json(analysis: Analysis) -> dict[str, Any]:
    """An analysis as the service answers it."""
    document, reading = analysis.document, analysis.reading
    return {
        "title": document.title,
        "date": document.date,
        "source": document.source,
        "sentences": [
            {
                "start": start,
                "end": end,
                "text": reading.text[start:end],
                "quoted": round(reading.share(number), 2),
                "holder": _holder_json(analysis.voiced[number], reading.text),
                **analysis.scores[number],
            }
            for number, (start, end) in enumerate(reading.sentences)
        ],
        "totals": {
            target: {voice: total_json(by_voice.get(voice)) for voice in VOICES}
            for target, by_voice in analysis.totals.items()
        },
        "holders": [
            {
                "holder": row.holder,
                "kind": row.kind,
                "of": row.of,
                "sentences": row.sentences,
                "targets": {target: total_json(summed) for target, summed in row.targets.items()},
            }
            for row in analysis.table
        ],
    }


def _holder_json(voiced: Voiced | None, text: str) -> dict[str, Any] | None:
    if voiced is None:
        return None
    named = voiced.start is not None
    return {
        "kind": voiced.kind,
        "text": text[voiced.start : voiced.end] if named else None,
        "start": voiced.start,
        "end": voiced.end,
        "name": voiced.party.name if voiced.party else None,
        "of": voiced.party.of if voiced.party else None,
        "probability": None if voiced.probability is None else round(float(voiced.probability), 4),
    }


def total_json(summed: Total | None) -> dict[str, Any] | None:
    """A total with rounded numbers."""
    if summed is None:
        return None
    rounded = {
        k: None if v is None else round(v, 4) for k, v in asdict(summed).items() if k in ("score", "low", "high")
    }
    return {**asdict(summed), **rounded, "evidence": list(summed.evidence)}
