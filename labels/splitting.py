"""Sentences of a running text, by their places in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from punkt import PunktSentenceTokenizer, load_model

_LINE = re.compile(r"\S.*")


@cache
def _splitter() -> PunktSentenceTokenizer:
    return PunktSentenceTokenizer(load_model("english"))


def sentence_spans(text: str) -> Iterator[tuple[int, int]]:
    """Start and end (characters, end exclusive) of every sentence, in order.

    Within a line by Punkt (Kiss & Strunk 2006, "Unsupervised Multilingual Sentence Boundary Detection", its model for
    English); the end of a line always ends a sentence, since news texts hold a paragraph a line and headlines have no
    full stop. A span neither begins nor ends with white space.
    """
    for line in _LINE.finditer(text):
        for start, end in _splitter().span_tokenize(line[0]):
            sentence = line[0][start:end]
            stripped = sentence.strip()
            if stripped:
                first = line.start() + start + sentence.index(stripped)
                yield first, first + len(stripped)
