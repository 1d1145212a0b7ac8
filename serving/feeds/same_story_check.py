"""How often a story is found again that another paper changed, and a different one taken for it.

    python -m serving.feeds.same_story_check ARTICLES.jsonl

reads articles, one a line with its `text`, changes each as papers do, and looks for it among all.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import numpy as np

from labels.records import read_json_lines
from serving.feeds.same_story import FEWEST, NEAR, Stories, near_text, same_story, signature

_HEAD = "Special report. What the governments said, what they left open, and what is to come of it.\n\n"
_FOOT = (
    "\n\nReporting by our correspondents in four capitals; editing by the foreign desk. This story was first published "
    "by a news agency and has not been changed, but for its headline. Write to us with corrections."
)


def main(path: Path) -> None:
    """Print the measurement for a file of articles."""
    texts = [text for text in dict.fromkeys(_texts(path)) if len(text.split()) > FEWEST]
    signatures = [signature(text) for text in texts]
    stories = Stories((number, signed, None, str(number)) for number, signed in enumerate(signatures))
    random.seed(1)
    print(f"{len(texts)} articles; near from {NEAR}\n")
    print("the same story             found   estimate: least   5 %    median")
    for name, change in _CHANGES.items():
        changed = [signature(change(text)) for text in texts]
        found = np.mean([stories.near(signed) == number for number, signed in enumerate(changed)])
        alike = [same_story(*pair) for pair in zip(signatures, changed, strict=True)]
        least, low, middle = np.min(alike), np.quantile(alike, 0.05), np.median(alike)
        print(f"{name:<26} {found:6.1%} {least:16.2f} {low:7.2f} {middle:7.2f}")
    print("\ndifferent articles         pairs   taken for one   most alike")
    _print_different("any two", list(combinations(signatures, 2)))
    for share in (0.25, 0.5):
        quoting = [signature(_quoting(texts[i], texts[i - 1], share)) for i in range(len(texts))]
        name = f"{share:.0%} of one is the other's"
        _print_different(name, [(quoting[i], signatures[i - 1]) for i in range(len(texts))])


def _print_different(name: str, pairs: list[tuple[bytes, bytes]]) -> None:
    mistaken = sum(near_text(*pair) for pair in pairs)
    print(f"{name:<26} {len(pairs):6} {mistaken:14} {max(same_story(*pair) for pair in pairs):12.2f}")


def _texts(path: Path) -> Iterator[str]:
    for _, record in read_json_lines(path):
        text = record.get("text") if isinstance(record, dict) else None
        if isinstance(text, str):
            yield text


def _first(text: str, share: float) -> str:
    words = text.split(" ")
    return " ".join(words[: round(share * len(words))])


def _without_some(text: str, share: float) -> str:
    return "\n\n".join(part for part in text.split("\n\n") if random.random() >= share) or text


def _edited(text: str, share: float) -> str:
    words = text.split(" ")
    for position in random.sample(range(len(words)), round(share * len(words))):
        words[position] = "edited"
    return " ".join(words)


def _quoting(text: str, quoted: str, share: float) -> str:
    """A text into which so much of another was put that it makes up the share of the whole."""
    words, other = text.split(), quoted.split()
    taken = min(len(other), round(share / (1 - share) * len(words)))
    middle = len(words) // 2
    return " ".join(words[:middle] + other[:taken] + words[middle:])


_CHANGES: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "one paragraph, upper case": lambda text: " ".join(text.upper().split()),
    "other head and foot": lambda text: _HEAD + text + _FOOT,
    "5 % of words edited": lambda text: _edited(text, 0.05),
    "10 % of words edited": lambda text: _edited(text, 0.1),
    "a fifth of paragraphs out": lambda text: _without_some(text, 0.2),
    "first 80 %": lambda text: _first(text, 0.8),
    "first 60 %": lambda text: _first(text, 0.6),
    "first 60 %, head and foot": lambda text: _HEAD + _first(text, 0.6) + _FOOT,
    "first 50 %": lambda text: _first(text, 0.5),
    "first 40 %": lambda text: _first(text, 0.4),
}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
