"""The codebook: how a sentence is to be labelled, in a section for each target."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

NAME = "codebook.md"
"""The codebook of a taxonomy stands beside its file, under this name."""

_HEADING = re.compile(r"(#{1,6})\s+(?:`([^`]+)`)?.*")


def codebook_sections(targets: Path, target_ids: Iterable[str]) -> dict[str, str]:
    """Target id → the text of its section, without the heading; targets without a section are left out.

    A section is headed by the target's id in backquotes, as in "### `target_id`", and ends before the next heading of
    the same rank or a higher one.

    Args:
        targets: the taxonomy file. Where no codebook stands beside it, there are no sections.
    """
    path, wanted = targets.parent / NAME, set(target_ids)
    if not path.is_file():
        return {}
    sections: dict[str, list[str]] = {}
    current, rank = "", 0
    for line in path.read_text(encoding="utf8", errors="replace").splitlines():
        heading = _HEADING.fullmatch(line)
        if heading and heading[2] in wanted:
            current, rank = heading[2], len(heading[1])
            sections[current] = []
        elif heading and len(heading[1]) <= rank:
            current = ""
        elif current:
            sections[current].append(line)
    return {target_id: "\n".join(lines).strip() for target_id, lines in sections.items()}
