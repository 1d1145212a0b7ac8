"""The names of a field and what else they are called, from a YAML file that users edit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from labels.errors import StanceError
from labels.settings import path_setting
from labels.yaml_file import read_yaml

ALIASES_VARIABLE = "STANCE_ALIASES"
"""Environment variable that names the alias file where `--aliases` does not."""

SHIPPED = Path(__file__).parent / "aliases.yaml"
LONGEST = 7
"""Words of an alias, at most, that are looked for in a text."""

PartyKind = Literal["person", "state", "office", "other"]
Pronoun = Literal["he", "she"]

_LEADING = re.compile(r"^(?:the|an?|some|many|most|several|its|his|her|their|our)\s+", re.IGNORECASE)
_POSSESSIVE = re.compile(r"'s?$")

Name = Annotated[str, Field(min_length=1, max_length=200)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    kind: Literal["person", "state", "office"]
    of: Name | None = None
    aliases: list[Name] = Field(default_factory=list)
    pronoun: Pronoun | None = None


_ENTRIES = TypeAdapter(dict[Name, _Entry] | None)


@dataclass(frozen=True)
class Party:
    """Whoever holds a position, under one name for the whole document.

    Attributes:
        name: canonical; an office that speaks for a state is that state.
        kind: as in the alias file; "other" for what is not in it.
        of: the state or body that a person or a group belongs to, where it is known.
        pronoun: of a person, where it is known.
    """

    name: str
    kind: PartyKind
    of: str | None = None
    pronoun: Pronoun | None = None


@dataclass(frozen=True)
class Aliases:
    """Names to parties.

    Attributes:
        listed: each name and alias of the file.
        surnames: last words of persons' names, where no two share them and nothing is listed under them.
    """

    listed: Mapping[str, Party]
    surnames: Mapping[str, Party]

    def find(self, name: str) -> Party | None:
        """The party of that name, with or without article and possessive."""
        plain = plain_name(name)
        # "North", "south Korea": a capital more or less at the beginning of a sentence says nothing.
        return self.listed.get(plain) or self.listed.get(plain[:1].upper() + plain[1:])


def plain_name(name: str) -> str:
    """A name in one spelling: straight apostrophes, single spaces, no leading article, no possessive."""
    straight = " ".join(name.replace("’", "'").split())
    return _POSSESSIVE.sub("", _LEADING.sub("", straight, count=1))


def load_aliases(path: Path | None = None) -> Aliases:
    """Read an alias file: the one named, else that of STANCE_ALIASES, else the one that ships.

    Raises:
        StanceError: the file cannot be read, is not as described in the shipped one, or gives one name to two.
    """
    path = path or path_setting(ALIASES_VARIABLE) or SHIPPED
    try:
        return _read(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise StanceError(f"cannot be read: {error.strerror}", path=path) from error


@lru_cache(maxsize=2)
def _read(path: Path, changed: int) -> Aliases:
    """What a file holds; read again when it was changed."""
    entries = read_yaml(path, _ENTRIES) or {}
    listed: dict[str, Party] = {}
    for name, party, field in _names(entries, path):
        other = listed.setdefault(plain_name(name), party)
        if other != party:
            raise StanceError(f"'{name}' is also a name of {other.name}", path=path, field=field)
    return Aliases(listed, _surnames(entries, listed))


def _names(entries: Mapping[str, _Entry], path: Path) -> Iterator[tuple[str, Party, str]]:
    for name, entry in entries.items():
        if entry.of is not None and entry.of not in entries:
            raise StanceError(f"'{entry.of}' is not in this file", path=path, field=f"{name}.of")
        party = _party(name, entry)
        yield name, party, name
        for alias in entry.aliases:
            yield alias, party, f"{name}.aliases"


def _party(name: str, entry: _Entry) -> Party:
    if entry.kind == "office" and entry.of is not None:
        return Party(entry.of, "state")
    return Party(name, entry.kind, entry.of, entry.pronoun)


def _surnames(entries: Mapping[str, _Entry], listed: Mapping[str, Party]) -> dict[str, Party]:
    found: dict[str, Party | None] = {}
    for name, entry in entries.items():
        if entry.kind == "person":
            surname = name.split()[-1]
            found[surname] = None if surname in found else _party(name, entry)
    return {surname: party for surname, party in found.items() if party and surname not in listed}
