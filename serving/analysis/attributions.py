"""Who is said to speak or to act in a sentence, by verbs and a few phrases: "X said", "said X", "according to X".

No parser: from each verb that reports speech or an act, the words beside it are walked along until the phrase ends that
can name somebody. What stands in quotation marks is hidden before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from serving.analysis.cues import (
    ACTS,
    ADVERBS,
    AUXILIARIES,
    DETERMINERS,
    NOT_A_NAME,
    PEOPLE,
    PRONOUNS,
    SPEECH,
    WEEKDAYS,
)
from serving.analysis.quotations import BLOT
from training.holder_words import word_set

SourceKind = Literal["speaker", "subject"]

_TOKEN = re.compile(
    rf"(?:[A-Z]\.){{2,}}|(?:Mr|Mrs|Ms|Dr|Gen|Sen|Rep|Lt|Col|Adm|Gov|Maj|St)\.|{BLOT}+"
    r"|\w+(?:[-’'.]\w+)*(?:(?<=s)[’'](?=\s))?|[^\w\s]"
)
_APOSTROPHE = re.compile("[’']")
_NO_NAMES = NOT_A_NAME | PRONOUNS
_ADVERB = re.compile(r"\w{3,}ly")
_PASSIVE = word_set("is are was were be been being 's")
_JOINING = word_set("of for from in at to on with by")
_JOINING_RIGHT = frozenset(("of", "for"))
_CLAUSE = word_set(
    "that but and or while as when if because after before since whether which who whom whose what how why though"
    " although until unless than so yet where against about into over under between during without within through"
    " toward towards amid despite like there then not outside inside near across along upon"
)
_BASE_PLURAL = word_set("i we they you")
_PAST = word_set(
    "said told wrote thought knew spoke sought withdrew froze began held kept sent made took gave put set cut"
)
_NEVER_INVERTED = word_set("tell tells told call calls called urge urges urged")
_BEFORE_INVERSION = frozenset((BLOT, "—", "–", "-", ".", "?", "!"))
_AFTER_PARTICIPLE = word_set("by from are is were was")
_MODIFIERS = word_set("former senior top deputy acting late then incoming outgoing chief other")
_LONGEST_NAME = 14
_LONGEST_INSERTION = 25


@dataclass(frozen=True)
class Attribution:
    """Somebody named as the source of a sentence or a quotation.

    Attributes:
        start: of the name, in characters of the document.
        end: of the name, exclusive.
        cue_start: of the verb or phrase that says so.
        cue_end: of the verb or phrase, exclusive.
        kind: speaker of words, or subject of a demand or an act.
    """

    start: int
    end: int
    cue_start: int
    cue_end: int
    kind: SourceKind


@dataclass(frozen=True)
class _Token:
    text: str
    start: int
    end: int

    @property
    def lower(self) -> str:
        return self.text.lower().replace("’", "'")

    @property
    def is_word(self) -> bool:
        return self.text[0].isalnum()

    @property
    def is_name(self) -> bool:
        return self.text[0].isupper() and _APOSTROPHE.split(self.text)[0] not in _NO_NAMES

    @property
    def is_filler(self) -> bool:
        small = self.lower in ADVERBS or self.lower in AUXILIARIES or _ADVERB.fullmatch(self.lower) is not None
        return small and not self.is_noun

    @property
    def is_determiner(self) -> bool:
        return self.lower in DETERMINERS

    @property
    def is_noun(self) -> bool:
        return self.is_name or self.lower in PEOPLE

    @property
    def is_plain(self) -> bool:
        """A word in lower case that neither names anybody nor belongs before a name."""
        small = self.lower in DETERMINERS or self.lower in _JOINING or self.lower in _MODIFIERS
        return self.text[0].islower() and not self.is_noun and not small

    @property
    def can_be_in_a_name(self) -> bool:
        if not self.is_word or _APOSTROPHE.split(self.text)[0] in _NO_NAMES:
            return False
        if self.is_noun:
            return True
        other = self.lower in _CLAUSE or self.lower in _JOINING or self.lower in SPEECH or self.lower in ACTS
        return not (other or self.is_filler or self.is_determiner)


def attributions(hidden: str, start: int, end: int) -> list[Attribution]:
    """All that a sentence names as a source, in the order in which the verbs stand.

    Args:
        hidden: the document with quotations blotted out, see `quotations.masked`.
        start: where the sentence begins in it.
        end: where it ends.
    """
    tokens = [_Token(match[0], match.start(), match.end()) for match in _TOKEN.finditer(hidden, start, end)]
    return list(_attributions(tokens))


def _attributions(tokens: list[_Token]) -> Iterator[Attribution]:
    for place, (token, following) in enumerate(pairwise([*tokens, _Token(".", 0, 0)])):
        if token.lower == "according" and following.lower == "to":
            yield from _found(_right(tokens, place + 2), token.start, following.end, "speaker")
        elif token.lower in SPEECH or token.lower in ACTS:
            yield from _of_verb(tokens, place)


def _of_verb(tokens: list[_Token], place: int) -> Iterator[Attribution]:
    verb = tokens[place]
    kind: SourceKind = "speaker" if verb.lower in SPEECH else "subject"
    before = tokens[place - 1].text[0] if place else ""
    if verb.lower.endswith("ing") and before == ",":
        yield from _found(_right(tokens, 0), verb.start, verb.end, kind)
        return
    inverts = kind == "speaker" and verb.lower not in _NEVER_INVERTED
    # Behind a comma it may also end an insertion: "Wang Yi, the foreign minister, said".
    if inverts and (not before or before in _BEFORE_INVERSION) and (name := _right(tokens, place + 1)):
        yield from _found(name, verb.start, verb.end, kind)
        return
    following = tokens[place + 1].lower if place + 1 < len(tokens) else ""
    name, fillers = _left(tokens, place)
    if not fillers and verb.lower.endswith("ed") and following in _AFTER_PARTICIPLE:
        return
    if name and _agrees(verb, kind, name, fillers):
        yield from _found(name, verb.start, verb.end, kind)
    elif inverts and before == ",":
        yield from _found(_right(tokens, place + 1), verb.start, verb.end, kind)


def _found(name: list[_Token], cue_start: int, cue_end: int, kind: SourceKind) -> Iterator[Attribution]:
    if name and (len(name) > 1 or not name[0].is_determiner or name[0].lower in PEOPLE):
        end = name[-1].end
        yield Attribution(name[0].start, end, cue_start, cue_end, kind)


def _agrees(verb: _Token, kind: SourceKind, name: list[_Token], fillers: frozenset[str]) -> bool:
    """Whether the verb can have that subject: not in the passive, not a noun that looks like a verb."""
    head, word = name[-1], verb.lower
    if head.lower.endswith("'s"):
        return False
    if fillers & _PASSIVE and not word.endswith("ing"):
        return False
    if "to" in fillers or (word.endswith("ing") and not fillers & _PASSIVE):
        return False
    known = head.is_noun or head.text in PRONOUNS
    past = word.endswith("ed") or word in _PAST
    if not (past or word.endswith(("s", "ing"))) and not (fillers - _PASSIVE):
        return known and (head.lower in _BASE_PLURAL or head.lower.endswith("s") or head.lower in ("people", "some"))
    return known or (kind == "speaker" and past and name[0].is_determiner)


def _left(tokens: list[_Token], verb: int) -> tuple[list[_Token], frozenset[str]]:
    """The name that ends before a verb, and the small words between them."""
    place, fillers = verb - 1, set()
    while place >= 0 and (tokens[place].is_filler or _is_on_a_day(tokens, place)):
        fillers.add(tokens[place].lower)
        place -= 1
    # Twice: "the agency (KCNA), a mouthpiece, said".
    place = _over_insertion(tokens, _over_insertion(tokens, place))
    if place >= 0 and tokens[place].text in PRONOUNS:
        return [tokens[place]], frozenset(fillers)
    end = place + 1
    while place >= 0 and end - place <= _LONGEST_NAME:
        token = tokens[place]
        if place + 1 < end and tokens[place + 1].is_name and token.is_plain:
            # "the last thing North Korea wants": a name begins behind a noun that is nobody.
            break
        if token.can_be_in_a_name:
            place -= 1
        elif token.is_determiner and place + 1 < end:
            place -= 1
            if place >= 0 and tokens[place].is_determiner and tokens[place].lower not in _CLAUSE:
                continue
            if not (place > 0 and tokens[place].lower in _JOINING and tokens[place - 1].can_be_in_a_name):
                break
        elif token.text in _JOINING and place > 0 and tokens[place - 1].can_be_in_a_name and place + 1 < end:
            place -= 1
        else:
            break
    return _without_lead(tokens[place + 1 : end]), frozenset(fillers)


def _without_lead(name: list[_Token]) -> list[_Token]:
    """A name without the words of the clause before that no article sets apart from it."""
    while name and not (name[0].is_noun or name[0].is_determiner or name[0].lower in _MODIFIERS):
        name = name[1:]
    return name


def _is_on_a_day(tokens: list[_Token], place: int) -> bool:
    return tokens[place].lower == "on" and tokens[place + 1].lower in WEEKDAYS


def _over_insertion(tokens: list[_Token], place: int) -> int:
    """Where the name ends that an insertion follows: "Wang Yi, the foreign minister, said"."""
    marks = {",": ",", "—": "—", "–": "–", ")": "("}
    closing = tokens[place].text if place >= 0 else ""
    if closing not in marks:
        return place
    for other in range(place - 1, max(-1, place - _LONGEST_INSERTION), -1):
        if tokens[other].text[0] == BLOT:
            return -1
        if tokens[other].text == marks[closing]:
            return other - 1 if other else -1
    return -1


def _right(tokens: list[_Token], place: int) -> list[_Token]:
    """The name that begins at a place."""
    begin = place
    if place < len(tokens) and tokens[place].text in PRONOUNS:
        return [tokens[place]]
    while place < len(tokens) and place - begin <= _LONGEST_NAME and _goes_on(tokens, place, begin):
        place += 1
    name = tokens[begin:place]
    while name and name[-1].lower in _JOINING_RIGHT:
        name = name[:-1]
    known = any(token.is_noun for token in name) or (len(name) > 1 and name[0].is_determiner)
    return name if known else []


def _goes_on(tokens: list[_Token], place: int, begin: int) -> bool:
    """Whether a name that begins at one place still goes on at another."""
    token = tokens[place]
    if token.is_determiner:
        leading = place == begin or tokens[place - 1].lower in _JOINING_RIGHT or tokens[place - 1].is_determiner
        return token.lower not in _CLAUSE and leading
    if token.lower in _JOINING_RIGHT:
        return place > begin and place + 1 < len(tokens) and tokens[place + 1].is_word
    return token.can_be_in_a_name
