"""Labelling by hand: what every key does, and what is saved when. What it looks like is in `labels.screen`."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from labels.corpus import Sentence
from labels.errors import StanceError
from labels.keymap import COMMANDS, UNTOUCHED, keymap
from labels.store import Label, Store
from labels.taxonomy import Target, Taxonomy

ENTER, ESCAPE, BACKSPACE, SPACE, ERASE, END = "enter", "escape", "backspace", " ", "erase", "end"
"""Keys that are no character; `ERASE` empties a line (Ctrl-U), `END` leaves (Ctrl-D)."""


@dataclass(frozen=True)
class Draft:
    """What has been said of the sentence on the screen and is not saved yet: target → class where it is touched."""

    labels: Mapping[str, str] = field(default_factory=dict)
    holder: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Typing:
    """A line that is being typed, for a field of the draft: `holder` or `note`."""

    field: str
    text: str


@dataclass(frozen=True)
class Step:
    """A sentence that has been left behind: saved as `event`, or skipped (None)."""

    sentence: Sentence
    draft: Draft
    event: str | None


class Sitting:
    """One annotator before a list of sentences; resumes where the store says that they stopped.

    Attributes:
        current: the sentence on the screen; None where all are done.
        draft: what has been said of it so far.
        pending: the target that the next key gives a class.
        typing: the line that is being typed.
        page: which part of a sentence that is too long for the screen is shown; counts on without end.
        message: for the annotator, about the last key.
        over: whether the annotator has left.
    """

    def __init__(
        self,
        sentences: Sequence[Sentence],
        store: Store,
        taxonomy: Taxonomy,
        annotator: str,
        clock: Callable[[], datetime],
        codebook: str | None = None,
    ) -> None:
        self.taxonomy, self.annotator, self.keys = taxonomy, annotator, keymap(taxonomy)
        self._store, self._clock, self._codebook = store, clock, codebook
        self.pending: Target | None = None
        self.typing: Typing | None = None
        self.page, self.message, self.over = 0, "", False
        wanted = {sentence.record.id: sentence for sentence in sentences}
        known = store.labels()
        for label in known:
            _refuse_other_sentence(label, wanted.get(label.record), store)
        self._past = [
            Step(wanted[label.record], _draft_of(label), label.event)
            for label in known
            if label.annotator == annotator and label.record in wanted
        ]
        done = {step.sentence.record.id for step in self._past}
        self._todo = deque(sentence for sentence in wanted.values() if sentence.record.id not in done)
        self.draft = self._new_draft()

    @property
    def current(self) -> Sentence | None:
        return self._todo[0] if self._todo else None

    @property
    def labelled(self) -> int:
        """How many of the sentences have this annotator's label, in earlier sittings too."""
        return sum(step.event is not None for step in self._past)

    @property
    def skipped(self) -> int:
        return len(self._past) - self.labelled

    @property
    def left(self) -> int:
        """How many are to come, skipped ones not counted."""
        return len(self._todo)

    def press(self, key: str) -> None:
        """Do what a key says: a character, or one of the names above.

        Raises:
            StanceError: the store cannot be written.
        """
        self.message = ""
        if self.typing:
            self._type(self.typing, key)
        elif key == END:
            self.over = True
        elif self.pending:
            self._choose(self.pending, key)
        elif self.current:
            self._act(key)
        elif key in ("u", "U"):
            self._undo()
        elif key in (ENTER, "q", "Q"):
            self.over = True

    def paste(self, text: str) -> None:
        """Text that was pasted counts where a line is being typed, and is no command elsewhere."""
        if self.typing:
            self.typing = replace(self.typing, text=self.typing.text + " ".join(text.split()))

    def _act(self, key: str) -> None:
        keys = self.keys
        if key not in keys.targets and key not in keys.direct:
            key = key.lower()
        if key in keys.targets:
            self.pending = self.taxonomy[keys.targets[key]]
        elif key in keys.direct:
            self._toggle(*keys.direct[key])
        elif key == ENTER:
            self._save()
        elif key == ESCAPE:
            self.draft = self._new_draft()
        elif key == SPACE:
            self.page += 1
        elif (command := COMMANDS.get(key)) == "skip":
            self._leave(None)
        elif command == "undo":
            self._undo()
        elif command == "whose":
            self.typing = Typing("holder", self.draft.holder or "")
        elif command == "note":
            self.typing = Typing("note", self.draft.note or "")
        elif command == "quit":
            self.over = True
        elif len(key) == 1 and key.isprintable():
            self.message = f"'{key}' is no key here"

    def _choose(self, target: Target, key: str) -> None:
        classes, targets = self.keys.classes[target.id], self.keys.targets
        label = classes.get(key) or classes.get(key.lower())
        self.pending = None
        if label:
            self._toggle(target.id, label)
        elif key.lower() == UNTOUCHED:
            self._toggle(target.id, None)
        elif key in targets and targets[key] != target.id:
            self.pending = self.taxonomy[targets[key]]
        elif key not in targets and key not in (ESCAPE, BACKSPACE):
            self.message = f"'{key}' is no class of {target.title}"

    def _toggle(self, target_id: str, label: str | None) -> None:
        labels = dict(self.draft.labels)
        if label and labels.get(target_id) != label:
            labels[target_id] = label
        else:
            labels.pop(target_id, None)
        self.draft = replace(self.draft, labels=labels)

    def _type(self, typing: Typing, key: str) -> None:
        if key == ENTER:
            said = typing.text.strip() or None
            self.draft = (
                replace(self.draft, holder=said) if typing.field == "holder" else replace(self.draft, note=said)
            )
        if key in (ENTER, ESCAPE, END):
            self.typing = None
        elif key == BACKSPACE:
            self.typing = replace(typing, text=typing.text[:-1])
        elif key == ERASE:
            self.typing = replace(typing, text="")
        elif len(key) == 1 and key.isprintable():
            self.typing = replace(typing, text=typing.text + key)

    def _save(self) -> None:
        record = self._todo[0].record
        label = Label(
            event=uuid.uuid4().hex,
            record=record.id,
            labels={target_id: self.draft.labels.get(target_id) for target_id in self.taxonomy.ids},
            annotator=self.annotator,
            at=self._clock(),
            text=record.text,
            ref=record.ref,
            codebook=self._codebook,
            holder=self.draft.holder,
            group=record.group,
            source=record.source,
            date=record.date,
            split=record.split,
            note=self.draft.note,
        )
        self._store.add(label)
        self._leave(label.event)

    def _leave(self, event: str | None) -> None:
        self._past.append(Step(self._todo.popleft(), self.draft, event))
        self.draft, self.page = self._new_draft(), 0

    def _undo(self) -> None:
        if not self._past:
            self.message = "there is nothing to undo"
            return
        step = self._past[-1]
        if step.event:
            self._store.undo(uuid.uuid4().hex, step.event, self.annotator, self._clock())
        self._past.pop()
        self._todo.appendleft(step.sentence)
        self.draft, self.page = step.draft, 0
        self.message = "taken back; Enter saves it again" if step.event else "back to the skipped one"

    def _new_draft(self) -> Draft:
        return Draft(holder=self.current.record.holder if self.current else None)


def _draft_of(label: Label) -> Draft:
    return Draft({k: v for k, v in label.labels.items() if v is not None}, label.holder, label.note)


def _refuse_other_sentence(label: Label, sentence: Sentence | None, store: Store) -> None:
    if sentence and (label.text, label.ref) != (sentence.record.text, sentence.record.ref):
        raise StanceError(
            f"record '{label.record}' is in the store with another text or place than in the source",
            path=store.path,
            hint="Give every sentence an id of its own, or name another --store.",
        )
