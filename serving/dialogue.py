"""Adjudication in a terminal: a sentence, what each annotator said, and a question for each target they differ on."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Literal

from rich.markdown import Markdown
from rich.markup import escape
from rich.table import Table

from labels.adjudication import Adjudication, Decision, Disagreement
from labels.annotators import given_labels
from labels.screen import visible
from labels.taxonomy import UNRELATED, Target, Taxonomy
from serving.commands.console import out


class Command(Enum):
    """What can be typed instead of a label."""

    NOTE = "n"
    SKIP = "s"
    UNDO = "u"
    CODEBOOK = "?"
    QUIT = "q"


Leave = Literal[Command.SKIP, Command.UNDO, Command.QUIT]
KEYS = "number or label; n note, s skip, u undo, ? codebook, q quit"


class Dialogue:
    """Walks through the open disagreements of an adjudication.

    Args:
        texts: record id → sentence, of those at hand.
        codebook: target id → its section of the codebook; it is shown when the target first comes up.
    """

    def __init__(
        self,
        adjudication: Adjudication,
        taxonomy: Taxonomy,
        texts: Mapping[str, str],
        codebook: Mapping[str, str],
    ) -> None:
        self._adjudication, self._taxonomy, self._texts = adjudication, taxonomy, texts
        self._codebook = codebook
        self._shown: set[str] = set()

    def run(self) -> None:
        """Ask until everything is decided or skipped, or the user quits. Every decision is on disk before the next
        question."""
        waiting = list(self._adjudication.open)
        while waiting:
            disagreement = waiting.pop(0)
            answer = self._ask_sentence(disagreement)
            if isinstance(answer, Decision):
                self._adjudication.decide([answer])
                out.print(f"recorded; {len(self._adjudication.open)} open", style="dim")
            elif answer is Command.UNDO:
                waiting.insert(0, disagreement)
                if undone := self._adjudication.undo():
                    waiting.insert(0, undone)
                    out.print(f"taken back: {undone.record.id}", markup=False)
                else:
                    out.print("nothing to take back")
            elif answer is Command.QUIT:
                return

    def _ask_sentence(self, disagreement: Disagreement) -> Decision | Leave:
        for target_id in disagreement.targets:
            if target_id in self._codebook and target_id not in self._shown:
                self._show_codebook(self._taxonomy[target_id])
        self._show(disagreement)
        labels: dict[str, str | None] = {}
        note: str | None = None
        while len(labels) < len(disagreement.targets):
            target = self._taxonomy[disagreement.targets[len(labels)]]
            answer = self._ask_target(disagreement, target)
            if isinstance(answer, str):
                labels[target.id] = None if answer == UNRELATED else answer
            elif answer is Command.NOTE:
                note = self._read("note: ") or note
            elif answer is Command.UNDO and labels:
                labels.popitem()
            elif answer is Command.CODEBOOK:
                self._show_codebook(target)
                self._show(disagreement)
            else:
                if labels or note:
                    out.print("the sentence was not finished; what was answered for it is not recorded")
                return answer
        return Decision(disagreement.record.id, labels, note)

    def _ask_target(self, disagreement: Disagreement, target: Target) -> str | Command:
        """A label ("unrelated" included) or a command; asks again until it is one."""
        said = given_labels(disagreement.record, target.id)
        out.print(f"\n{target.title}: {target.proposition}", style="bold", markup=False)
        for number, outcome in enumerate(target.outcomes):
            who = ", ".join(name for name, label in said.items() if (label or UNRELATED) == outcome)
            out.print(f"  {number} {outcome}{f'   ({who})' if who else ''}", markup=False)
        while True:
            typed = self._read(f"{target.id} [{KEYS}]: ")
            if typed is None:
                return Command.QUIT
            if typed.isdecimal() and int(typed) < len(target.outcomes):
                return target.outcomes[int(typed)]
            # A class may be called like a command; its number always works.
            if typed in [command.value for command in Command]:
                return Command(typed)
            if typed in target.outcomes:
                return typed
            out.print(f"'{typed}' is neither a label nor a command", markup=False)

    def _show(self, disagreement: Disagreement) -> None:
        record = disagreement.record
        out.rule(escape(record.id))
        out.print(self._text(disagreement), style="bold", markup=False)
        table = Table(box=None, padding=(0, 2))
        table.add_column("")
        for annotation in record.annotations:
            table.add_column(escape(annotation.annotator))
        for target in self._taxonomy:
            said = given_labels(record, target.id)
            if not said:
                continue
            cells = [escape(said[a.annotator] or UNRELATED) if a.annotator in said else "–" for a in record.annotations]
            differs = target.id in disagreement.targets
            table.add_row(target.id + (" *" if differs else ""), *cells, style="bold" if differs else "dim")
        for name in ("holder", "note"):
            given = [getattr(annotation, name) for annotation in record.annotations]
            if any(given):
                table.add_row(name, *(escape(visible(value or "–")) for value in given), style="dim")
        out.print(table)

    def _text(self, disagreement: Disagreement) -> str:
        record = disagreement.record
        if record.id in self._texts:
            return visible(self._texts[record.id])
        place = f"document {record.ref.doc}, characters {record.ref.start} to {record.ref.end}" if record.ref else ""
        return f"(its text is not at hand: {place}; name the corpus with --corpus)"

    def _show_codebook(self, target: Target) -> None:
        self._shown.add(target.id)
        out.rule(f"codebook: {escape(target.title)}", style="dim")
        out.print(Markdown(self._codebook.get(target.id, "It says nothing of this target.")), soft_wrap=False)

    def _read(self, question: str) -> str | None:
        try:
            return input(question).strip()
        except EOFError:
            out.print()
            return None
