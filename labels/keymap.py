"""Which key means what while somebody labels by hand, worked out from the taxonomy."""

from __future__ import annotations

import string
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from labels.errors import StanceError
from labels.taxonomy import Taxonomy

COMMANDS = {"s": "skip", "u": "undo", "w": "whose", "t": "note", "q": "quit"}
UNTOUCHED = "x"

_LETTERS = string.ascii_lowercase + string.ascii_uppercase


@dataclass(frozen=True)
class Keymap:
    """Keys of one taxonomy.

    Attributes:
        targets: key → target that the next key gives a class.
        classes: target → key → class, after the target's key; `UNTOUCHED` is never among them.
        direct: key → target and class at once, for targets that read the whole sentence.
    """

    targets: Mapping[str, str]
    classes: Mapping[str, Mapping[str, str]]
    direct: Mapping[str, tuple[str, str]]


def keymap(taxonomy: Taxonomy) -> Keymap:
    """Digits for targets, a letter of its name for each class.

    Raises:
        StanceError: the taxonomy has more targets, or a target more classes, than there are keys.
    """
    classes = {target.id: _class_keys(target.classes) for target in taxonomy}
    direct: dict[str, tuple[str, str]] = {}
    for target in taxonomy:
        if target.scope == "overall":
            for key, label in classes[target.id].items():
                alone = _free((key, *_letters(label)), {*COMMANDS, *direct, *string.digits})
                if alone is not None:
                    direct[alone] = target.id, label
    targets: dict[str, str] = {}
    for target in taxonomy:
        first = _free(string.digits[1:] + _LETTERS, {*COMMANDS, *direct, *targets})
        if first is None:
            raise StanceError(f"no key is left for target '{target.id}': the taxonomy has too many to label by hand")
        targets[first] = target.id
    return Keymap(targets, classes, direct)


def _class_keys(classes: Iterable[str]) -> dict[str, str]:
    keys: dict[str, str] = {}
    for label in classes:
        key = _free((*_letters(label), *_LETTERS, *string.digits), {UNTOUCHED, *keys})
        if key is None:
            raise StanceError(f"no key is left for class '{label}': its target has too many to label by hand")
        keys[key] = label
    return keys


def _letters(name: str) -> list[str]:
    # The lower case of a few letters is two characters, which no key types.
    return [letter for letter in name.lower() if letter.isalnum() and letter.isprintable()]


def _free(candidates: Iterable[str], taken: Collection[str]) -> str | None:
    return next((key for key in candidates if key not in taken), None)
