"""What an annotator sees: one screen, redrawn after every key."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from rich.console import Console, Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from labels.annotate import Sitting
from labels.keymap import COMMANDS, UNTOUCHED
from labels.taxonomy import Target

_FIXED = 10
"""Rows that are neither the sentence's nor a target's; a prompt takes up to three."""


def frame(sitting: Sitting, console: Console) -> RenderableType:
    """The screen for the state that a sitting is in; the sentence gets what room the rest leaves."""
    if sitting.current is None:
        return Group(_heading(sitting, console), Rule(style="dim"), Text(), *_ending(sitting))
    targets = _targets(sitting, console)
    return Group(
        _heading(sitting, console),
        Rule(style="dim"),
        *_sentence(sitting, console, max(3, console.height - _FIXED - targets.row_count)),
        _date(sitting),
        Text(),
        targets,
        _remarks(sitting),
        Rule(style="dim"),
        _help(),
        _prompt(sitting),
    )


def _heading(sitting: Sitting, console: Console) -> Table:
    line = Table.grid(expand=True)
    line.add_column()
    line.add_column(justify="right")
    total = sitting.labelled + sitting.skipped + sitting.left
    skipped = f", {sitting.skipped} skipped" if sitting.skipped else ""
    counts = f"{sitting.labelled} of {total} labelled{skipped}, {sitting.left} to come"
    done = round(12 * (total - sitting.left) / total) if total else 0
    line.add_row(
        Text(sitting.annotator, "bold"), Text(f"{counts}  ").append("━" * done).append("━" * (12 - done), "dim")
    )
    return line


def _ending(sitting: Sitting) -> list[Text]:
    keys = Text("u", "bold").append("  take the last one back", "not bold")
    skipped = "What you skipped comes again next time." if sitting.skipped else ""
    leave = Text("q", "bold").append("  leave", "not bold")
    return [Text(f"All done. {skipped}"), Text(), keys, leave, Text(sitting.message)]


def _sentence(sitting: Sitting, console: Console, rows: int) -> list[Text]:
    """Exactly `rows` lines; a sentence that needs more is turned over with the space bar."""
    text = Text(visible(sitting.current.text) if sitting.current else "", "bold")
    lines = list(text.wrap(console, max(20, console.width - 2)))
    if len(lines) > rows:
        shown = rows - 1
        pages = -(-len(lines) // shown)
        page = sitting.page % pages
        lines = lines[page * shown : (page + 1) * shown]
        lines.append(Text(f"space: more (part {page + 1} of {pages})", "dim"))
    return [*(Text(" ").append_text(line) for line in lines), *[Text()] * (rows - len(lines))]


def visible(text: str) -> str:
    """The text on one line, without characters that would move the cursor or turn the writing's direction."""
    shown = "".join(c if c.isprintable() or c.isspace() else _replaced(c) for c in text)
    return " ".join(shown.split())


def _replaced(character: str) -> str:
    return "" if unicodedata.category(character) == "Cf" else "�"


def _date(sitting: Sitting) -> Text:
    # Not the outlet: who knows it reads a stance into the sentence.
    date = sitting.current.record.date if sitting.current else None
    return Text(f" {visible(date or '')}", "dim", no_wrap=True, overflow="ellipsis")


def _targets(sitting: Sitting, console: Console) -> Table:
    """A row a target with all its classes; where there are more targets than rows, two columns of what is chosen."""
    cells = [(sitting.taxonomy[target_id], key) for key, target_id in sitting.keys.targets.items()]
    if len(cells) <= console.height - _FIXED - 3:
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True, max_width=34, overflow="ellipsis")
        table.add_column(no_wrap=True, overflow="ellipsis")
        for target, key in cells:
            table.add_row(_name(sitting, target, key), _classes(sitting, target))
        return table
    half = -(-len(cells) // 2)
    table = Table.grid(expand=True)
    for _ in range(2):
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    short = [_name(sitting, target, key, sitting.draft.labels.get(target.id)) for target, key in cells]
    for row in range(half):
        table.add_row(*short[row::half])
    return table


def _name(sitting: Sitting, target: Target, key: str, chosen: str | None = None) -> Text:
    style = "reverse" if target == sitting.pending else ""
    mark = f"  [{chosen}]" if chosen else ""
    return Text(f" {key}{mark}", "bold").append(f"  {target.title}", f"not bold {style}")


def _classes(sitting: Sitting, target: Target) -> Text:
    """All classes with the keys that would choose them now, the chosen one in brackets."""
    direct = {label: key for key, (target_id, label) in sitting.keys.direct.items() if target_id == target.id}
    after = {label: key for key, label in sitting.keys.classes[target.id].items()}
    chosen = sitting.draft.labels.get(target.id)
    line = Text()
    for label in target.classes:
        key = after[label] if target == sitting.pending else direct.get(label, "")
        line.append(f"{key or ' '} ", "bold")
        line.append(f"[{label}]", "bold reverse") if label == chosen else line.append(f" {label} ", "dim")
        line.append("  ")
    return line


def _remarks(sitting: Sitting) -> Text:
    said = {"whose": sitting.draft.holder, "note": sitting.draft.note}
    line = "   ".join(f"{name}: {visible(value)}" for name, value in said.items() if value)
    return Text(f" {line}", no_wrap=True, overflow="ellipsis")


def _prompt(sitting: Sitting) -> Text:
    if sitting.typing:
        name = "whose position it is" if sitting.typing.field == "holder" else "note"
        line = Text(f" {name}: ", "bold").append(f"{_tail(sitting.typing.text)}▏", "not bold")
        return line.append("  (Enter keeps it, Esc does not)", "dim not bold")
    if sitting.pending:
        target = sitting.pending
        keys = {**sitting.keys.classes[target.id], UNTOUCHED: "not touched"}
        return Text(f" {target.title}: ").append_text(_keys(keys)).append(f"\n {target.proposition}", "dim")
    if sitting.message:
        return Text(f" {sitting.message}", "italic")
    return Text(f" {_example(sitting)} What you leave alone is not touched.", "dim")


def _example(sitting: Sitting) -> str:
    """How a class is given in two keys, shown with the taxonomy's last target."""
    key, target_id = list(sitting.keys.targets.items())[-1]
    after, label = next(iter(sitting.keys.classes[target_id].items()))
    return f"A number, then a class: {key} {after} is {sitting.taxonomy[target_id].title}, {label}."


def _tail(text: str, width: int = 40) -> str:
    """The last characters of a line that is being typed."""
    return text if len(text) <= width else f"…{text[-width:]}"


def _help() -> Text:
    return Text(" ").append_text(_keys({"Enter": "save", **COMMANDS, "Esc": "clear"}))


def _keys(keys: Mapping[str, str]) -> Text:
    line = Text()
    for key, meaning in keys.items():
        line.append(key, "bold").append(f" {meaning}   ")
    return line
