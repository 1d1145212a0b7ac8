"""Who voices what the sentences of articles say, as `stance analyze` finds it (docs/analysis.md).

A tagger reads a sentence in about the time that scoring it takes. So it is asked only about sentences that count in
some mean: those that touch a target and are answered surely.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from threadpoolctl import threadpool_limits

from labels.taxonomy import UNRELATED
from serving.analysis.aliases import Aliases, load_aliases
from serving.analysis.holders import voice_of, voices
from serving.analysis.speakers import Reading
from serving.analysis.tagger import Tagger, shipped_tagger
from serving.feeds.scores import Said, Sentence
from training.holder import Holder

_NOT_ASKED = Holder("none", None, None, 1.0)
"""In place of the tagger's word: who speaks in a quotation is still seen, for the sentences around it."""


@dataclass(frozen=True)
class HolderFinder:
    """Finds holders.

    Attributes:
        aliases: names of the field.
        tagger: reads sentences; by rules alone where None.
    """

    aliases: Aliases
    tagger: Tagger | None


def holder_finder() -> HolderFinder:
    """With the tagger that ships, and the names of the file that STANCE_ALIASES names.

    Raises:
        StanceError: one of them cannot be read.
    """
    return HolderFinder(load_aliases(), shipped_tagger())


def voices_of(
    finder: HolderFinder, sentences: Sequence[Sentence], answers: Sequence[Mapping[str, Any]]
) -> list[Said | None]:
    """Who voices each sentence; None where it counts in no mean.

    Args:
        sentences: all sentences of some articles, in their order.
        answers: of `serving.scoring.score_texts`, one a sentence.
    """
    counting = [number for number, answer in enumerate(answers) if _counts(answer)]
    tagged = _tagged(finder.tagger, sentences, counting)
    said: list[Said | None] = [None] * len(sentences)
    for _, of_article in groupby(counting, key=lambda number: sentences[number].article.id):
        numbers = list(of_article)
        reading = Reading.of(sentences[numbers[0]].article.text)
        first = numbers[0] - sentences[numbers[0]].number
        own = slice(first, first + len(reading.sentences))
        found = voices(reading, finder.aliases, tagged[own] if tagged else None)
        for number in numbers:
            voiced = found[number - first]
            said[number] = Said(voice_of(voiced), voiced.party.name if voiced and voiced.party else None)
    return said


def _tagged(tagger: Tagger | None, sentences: Sequence[Sentence], asked: Sequence[int]) -> list[Holder] | None:
    if tagger is None:
        return None
    # Its matrices are small: more threads of BLAS wait for each other, which took twice the processor time in all.
    with threadpool_limits(1, user_api="blas"):
        found = dict(zip(asked, tagger.tag([sentences[number].text for number in asked]), strict=True))
    return [found.get(number, _NOT_ASKED) for number in range(len(sentences))]


def _counts(answer: Mapping[str, Any]) -> bool:
    return any(given["label"] != UNRELATED and not given["abstained"] for given in answer["targets"].values())
