"""Who is named in a document, and where: names of the alias file, and persons whom the document introduces itself."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from serving.analysis.aliases import LONGEST, Aliases, Party, plain_name
from serving.analysis.cues import NOT_A_NAME, PEOPLE, SPEECH
from training.holder_words import word_set

_TOKEN = re.compile(r"(?:[A-Z]\.){2,}|[A-Z]\.|(?:Mr|Mrs|Ms|Dr|Gen|Sen|Rep|Adm|Gov)\.|\w+(?:[-’'.]\w+)*|[^\w\s]|\n")
_NAME_WORD = re.compile(r"[A-Z][\w’'-]*[a-z][\w’'-]*|[A-Z]\.")
_NO_PERSON = word_set("""
    Studies Department Ministry Council University Street House Committee Institute Center Centre Force Forces Army
    Navy News Times Post Party Agency Security State States United Korea Korean North South East West Agreement
    Treaty Summit War National Foreign International Peninsula Sea Ocean Island Islands City Nations Union
    Association Foundation Assembly Parliament Court Act Office Government Administration Republic Democratic People
    Peoples Society Group Corps Command President Minister Secretary Prime Vice Senator Ambassador General Chairman
    Deputy Defense Defence Representative Adviser Spokesman Spokeswoman Director Chief Special Envoy King Supreme
    Leader Marshal Sir Lord Professor Senior Saint New San Los Air Square Hotel Embassy Bank Journal Daily Press
    Radio Reuters Congress Senate Dr Mr Mrs Ms
    """)
_RANKS = word_set(
    """
    Captain Colonel Major Lieutenant Sergeant Admiral Marshal Brigadier Congressman Congresswoman Governor Mayor
    Ayatollah Premier Judge Pope Prince Princess Queen King Sir Lord Justice
    """
)
TITLES = word_set("mr. mrs. ms. dr. gen. sen. rep. adm. gov. mr mrs ms dr chief secretary") | {
    w.lower() for w in _RANKS
}
"""What stands before a name, in lower case, besides the nouns for those who hold positions."""

_PRONOUN_OF_TITLE = {"mr.": "he", "mr": "he", "mrs.": "she", "mrs": "she", "ms.": "she", "ms": "she"}
_APPOSITION = 9
"""Words behind a name and a comma in which its holder's office may stand."""


@dataclass(frozen=True)
class Mention:
    """A party named in the document.

    Attributes:
        start: in characters of the document.
        end: exclusive.
        party: who it is.
        roles: what the text says they are, in lower case: "minister", "envoy".
    """

    start: int
    end: int
    party: Party
    roles: frozenset[str] = field(default_factory=frozenset)


def mentions(text: str, aliases: Aliases) -> list[Mention]:
    """All parties that are named, in order; a longer name counts before a shorter one in it."""
    tokens = list(_TOKEN.finditer(text))
    return list(_mentions(tokens, aliases))


def _mentions(tokens: list[re.Match[str]], aliases: Aliases) -> Iterator[Mention]:
    place = 0
    while place < len(tokens):
        if not tokens[place][0][0].isupper():
            place += 1
            continue
        length, party = _listed(tokens, place, aliases)
        if party is None:
            length, party = _person(tokens, place)
        if party is None:
            place += 1
            continue
        end = place + length
        roles = _roles(tokens, place, end) if party.kind == "person" else frozenset[str]()
        yield Mention(tokens[place].start(), tokens[end - 1].end(), party, roles)
        place = end


def _listed(tokens: list[re.Match[str]], place: int, aliases: Aliases) -> tuple[int, Party | None]:
    here = [token[0] for token in tokens[place : place + LONGEST]]
    # "Kim" is nobody's in "Kim Eui-kyum", nor in "Duyeon Kim".
    before, after = tokens[place - 1][0] if place else "", here[1] if len(here) > 1 else ""
    alone = not (can_be_a_persons(before) or can_be_a_persons(after))
    for length in range(len(here), 0, -1):
        if not here[length - 1][0].isalnum():
            continue
        party = aliases.listed.get(plain_name(" ".join(here[:length])))
        if party is not None and (length > 1 or party.kind != "person" or alone):
            return length, party
    return 1, aliases.surnames.get(plain_name(here[0])) if alone else None


def _person(tokens: list[re.Match[str]], place: int) -> tuple[int, Party | None]:
    """A full name that a title stands before, or a comma or a verb of speech behind."""
    length = 0
    while place + length < len(tokens) and length < 4 and can_be_a_persons(tokens[place + length][0]):
        length += 1
    if not 2 <= length <= 3:
        return 0, None
    before = tokens[place - 1][0].lower() if place else ""
    after = tokens[place + length][0] if place + length < len(tokens) else ""
    if not (before in PEOPLE or before in TITLES or after == "," or after.lower() in SPEECH):
        return 0, None
    name = plain_name(" ".join(token[0] for token in tokens[place : place + length]))
    pronoun = _PRONOUN_OF_TITLE.get(before)
    return length, Party(name, "person", None, pronoun)  # type: ignore[arg-type]


def can_be_a_persons(word: str) -> bool:
    """Whether a word can be part of a person's name, by its looks."""
    return bool(_NAME_WORD.fullmatch(word)) and word not in _NO_PERSON | _RANKS | NOT_A_NAME


def _roles(tokens: list[re.Match[str]], start: int, end: int) -> frozenset[str]:
    """Offices that stand right before a name, or behind it after a comma; also as part of a listed name."""
    found = {token[0].lower() for token in tokens[start:end]} & PEOPLE
    place = start - 1
    inserted = place > 0 and tokens[place][0] == "," and tokens[place - 1][0].lower() in PEOPLE
    if inserted:
        place -= 1
    while place >= max(0, start - 5) and (tokens[place][0][0].isupper() or tokens[place][0] in PEOPLE | {"of"}):
        if tokens[place][0].lower() in PEOPLE:
            found.add(tokens[place][0].lower())
        place -= 1
    if not inserted and end < len(tokens) and tokens[end][0] == ",":
        for token in tokens[end + 1 : end + 1 + _APPOSITION]:
            if not token[0][0].isalnum():
                break
            if token[0].lower() in PEOPLE:
                found.add(token[0].lower())
                break
    return frozenset(found)


class Persons:
    """The persons whom a document names, to be looked up by what else it calls them.

    Args:
        text: the document.
        found: its mentions, in order.
    """

    def __init__(self, text: str, found: Sequence[Mention]) -> None:
        self._by_name: dict[str, Party] = {}
        self._by_end: dict[str, dict[Party, None]] = {}
        self._in_full: set[Party] = set()
        self._roles: dict[str, list[tuple[int, Party]]] = {}
        self._called_from: dict[Party, int] = {}
        for mention in found:
            if mention.party.kind == "person":
                self._add(mention, plain_name(text[mention.start : mention.end]))

    def _add(self, mention: Mention, said: str) -> None:
        party, parts = mention.party, mention.party.name.split()
        self._by_name.setdefault(party.name, party)
        # The family's name stands first in Korea and China.
        for end in (parts[0], parts[-1]):
            self._by_end.setdefault(end, {})[party] = None
        if " " in said:
            self._in_full.add(party)
        for role in mention.roles:
            self._roles.setdefault(role, []).append((mention.start, party))
            self._called_from.setdefault(party, mention.start)

    def find(self, name: str) -> Party | None:
        """The person of that full name, or the first of that first or last name."""
        return self._by_name.get(name) or next(iter(self._by_end.get(name, ())), None)

    def namesake(self, name: str, listed: Party) -> Party | None:
        """Somebody else of that name, where the text never gives the full name of the listed one."""
        if listed in self._in_full:
            return None
        return next((party for party in self._by_end.get(name, ()) if party != listed), None)

    def called(self, role: str, place: int) -> Party | None:
        """The last person before a place who was called that: minister, envoy."""
        given = self._roles.get(role, [])
        before = bisect_left(given, place, key=lambda entry: entry[0])
        return given[before - 1][1] if before else None

    def is_called_nothing(self, party: Party, place: int) -> bool:
        """Whether this is a person whose office was not said before a place."""
        return party.kind == "person" and self._called_from.get(party, place) >= place
