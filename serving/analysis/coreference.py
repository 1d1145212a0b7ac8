"""Who a name, an office or a pronoun stands for in its document.

By the alias file and by order: "he" is the last fitting person, and a speaker before one merely named; "it" the last
state or office. A rule that finds nobody says so: the words stand as they are.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from serving.analysis.aliases import Aliases, Party, plain_name
from serving.analysis.cues import PEOPLE
from serving.analysis.mentions import TITLES, Persons, can_be_a_persons, mentions
from training.holder_words import word_set

FIRST_PERSON = word_set("i we us me our my")
"""Whoever speaks, or writes."""

_PERSONS = frozenset(("he", "she", "him", "her"))
_THINGS = frozenset(("it", "they", "them"))
_COUNTRY = word_set("country nation regime government")
_BODIES = word_set(
    """
    administration agency alliance army article commentary committee communique company council country court delegation
    editorial government group institute leadership media military ministry nation newspaper office organisation
    organization paper parliament party regime report resolution senate side state statement team union
    """
)
_BACK = 6
"""Sentences that a pronoun reaches back, at most."""

_JOINING = word_set("of for to from by with at in on the a an and")


@dataclass(frozen=True)
class Named:
    """A holder as the text has it: where the name stands, and in which sentence."""

    start: int
    end: int
    sentence: int


class Resolver:
    """Resolves the holders of one document; to be asked in the document's order, since it remembers who spoke."""

    def __init__(self, text: str, sentences: Sequence[tuple[int, int]], aliases: Aliases) -> None:
        self._text, self._sentences, self._aliases = text, sentences, aliases
        self._mentions = mentions(text, aliases)
        self._starts = [mention.start for mention in self._mentions]
        self._persons = Persons(text, self._mentions)
        self._spoke: dict[int, list[Party]] = {}

    def party(self, named: Named) -> Party | None:
        """Who it is; None for whoever speaks or writes, and for a pronoun that nobody fits."""
        said = self._text[named.start : named.end]
        lower = said.lower().replace("’", "'").split("'")[0]
        if lower in FIRST_PERSON:
            return None
        is_pronoun = lower in _PERSONS | _THINGS
        found = self._pronoun(lower, named) if is_pronoun else self._name(said, named)
        if found is not None:
            self._spoke.setdefault(named.sentence, []).append(found)
        return found

    def _pronoun(self, word: str, named: Named) -> Party | None:
        return next((party for party in self._before(named) if _fits(word, party)), None)

    def _before(self, named: Named) -> Iterator[Party]:
        """Parties before a place, nearest sentence first; within one, who spoke, then who is named first."""
        for sentence in range(named.sentence, max(-1, named.sentence - _BACK), -1):
            yield from self._spoke.get(sentence, ())
            start, end = self._sentences[sentence]
            first, last = bisect_left(self._starts, start), bisect_left(self._starts, min(end, named.start))
            yield from (mention.party for mention in self._mentions[first:last])

    def _name(self, said: str, named: Named) -> Party:
        plain = plain_name(said)
        found = self._known(said, plain, named)
        if found is not None:
            return found
        if plain.lower() in _COUNTRY and plain != said:
            state = next((party for party in self._before(named) if party.kind == "state"), None)
            if state is not None:
                return state
        if 2 <= len(plain.split()) <= 3 and all(can_be_a_persons(word) for word in plain.split()):
            return Party(plain, "person")
        small = plain[:1].lower() + plain[1:]
        is_name = _is_proper(plain) and not self._begins_as(small, named)
        return Party(plain if is_name else small, "other", self._side(plain))

    def _begins_as(self, small: str, named: Named) -> bool:
        """Whether a name has its capital from the sentence that it begins, for the text has it without one too."""
        begins = any(named.start == start for start, _ in self._sentences)
        return begins and re.search(rf"\b{re.escape(small)}\b", self._text) is not None

    def _known(self, said: str, plain: str, named: Named) -> Party | None:
        party = self._aliases.find(plain)
        if party is not None and not (party.kind == "person" and " " not in plain):
            return party
        if party is not None:
            return self._persons.namesake(plain, party) or party
        return self._titled(plain) or self._introduced(said, plain, named)

    def _titled(self, plain: str) -> Party | None:
        """A person behind a title: "Foreign Minister Wang Yi"; not one behind "aide to"."""
        parts = plain.split()
        for first in range(len(parts)):
            before = parts[first - 1].lower() if first else ""
            if before in _JOINING or before.endswith("'s"):
                continue
            # Neither the "Trump" of "aide to Donald Trump".
            if first and first == len(parts) - 1 and before not in PEOPLE | TITLES:
                continue
            party = self._person(" ".join(parts[first:]))
            if party is not None:
                return party
        return None

    def _person(self, name: str) -> Party | None:
        party = self._aliases.listed.get(name)
        if party is not None and party.kind == "person":
            return party
        return self._persons.find(name) or (None if " " in name else self._aliases.surnames.get(name))

    def _introduced(self, said: str, plain: str, named: Named) -> Party | None:
        """The person whom the text has called that before: "the minister"."""
        role = plain.split()[-1].lower() if plain else ""
        if role not in PEOPLE or _is_proper(plain.split()[-1]) or len(plain.split()) > 2:
            return None
        found = self._persons.called(role, named.start)
        if found is not None or role in _BODIES or role.endswith("s") or said.split()[0].lower() != "the":
            return found
        # Who has just spoken, and is not called anything else: "the expert".
        spoke = (p for n in range(named.sentence, max(-1, named.sentence - _BACK), -1) for p in self._spoke.get(n, ()))
        return next((p for p in spoke if self._persons.is_called_nothing(p, named.start)), None)

    def _side(self, plain: str) -> str | None:
        """The state of "a State Department official"."""
        parts = plain.split()
        for length in range(min(4, len(parts)), 0, -1):
            for first in range(len(parts) - length + 1):
                party = self._aliases.listed.get(plain_name(" ".join(parts[first : first + length])))
                if party is not None and party.kind != "person":
                    return party.name
        return None


def _fits(pronoun: str, party: Party) -> bool:
    """Whether a pronoun can stand for a party; of those in no list, by the last word of what they are called."""
    noun = party.name.split()[-1].lower() if party.kind == "other" and party.name else ""
    plural = noun.endswith("s") or noun == "people"
    if pronoun in _PERSONS:
        meant = {"him": "he", "her": "she"}.get(pronoun, pronoun)
        single = bool(noun) and not plural and noun not in _BODIES
        return single or (party.kind == "person" and party.pronoun in (None, meant))
    if pronoun == "it":
        return party.kind in ("state", "office") or noun in _BODIES
    return party.kind in ("state", "office") or plural or noun in _BODIES


def _is_proper(name: str) -> bool:
    first, *rest = name.split() or [""]
    return first[:1].isupper() and (first.lower() not in PEOPLE or (bool(rest) and rest[0][:1].isupper()))
