"""What outlets put under a text that is not part of it: where to read on, who may, where it appeared."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LONGEST = 250
"""Characters of a paragraph that may be a notice."""

_LAST = 3
"""How many paragraphs from the end one is looked for."""

_SYNDICATED = re.compile(r"the post .+ (?:first )?appeared (?:first )?(?:on|in) .+", re.IGNORECASE | re.DOTALL)
_READ_ON = re.compile(
    r"\W*(?:continue reading|keep reading|read more|read on|read the (?:full|whole|rest|original|entire)"
    r"|click here (?:to|for)|view (?:the )?(?:full|original|entire))\b.{0,120}",
    re.IGNORECASE | re.DOTALL,
)
_READ_ON_BEHIND = re.compile(
    r"(?<=[.!?…\]\"”’»])\s*(?:continue reading|read more|read the (?:full|whole|rest))\b[^.!?\n]{0,80}$", re.IGNORECASE
)
_CUT = re.compile(r"\s*[\[(]\s*(?:…|\.{3})\s*[\])]\s*$")
_PAYWALL = re.compile(
    r"already (?:a |an )?(?:subscriber|subscribed|member)\b|subscribe (?:now |today )?(?:to|for) (?:continue|keep|read"
    r"|unlock|get|gain|access|full|unlimited)|(?:available|reserved|only|exclusive(?:ly)?) (?:to|for) (?:our |paying "
    r"|paid |premium )?(?:subscribers|members)|(?:sign|log) ?in to (?:continue|keep|read)|to (?:continue|keep) reading"
    r"|become a (?:paid )?(?:subscriber|member)|unlock (?:this|the full|full) |reached your (?:monthly )?(?:free )?"
    r"(?:article )?limit|free articles? (?:left|remaining)|subscribers[ -]only",
    re.IGNORECASE,
)
_WALL = re.compile(
    r"enable javascript|checking your browser|verify (?:that )?you are (?:a )?human|are you a robot|unusual traffic"
    r"|access (?:to this page has been )?denied|403 forbidden|404 not found|page not found|disable your ad ?blocker",
    re.IGNORECASE,
)
_LONGEST_WALL = 800


@dataclass(frozen=True)
class Trimmed:
    """A text without the notices under it.

    Attributes:
        cut: whether it says, or shows by "[…]", that there is more of it elsewhere.
        paywall: whether a notice said that the rest has to be paid for.
    """

    text: str
    cut: bool
    paywall: bool


def trimmed(text: str) -> Trimmed:
    """A text without the notices among its last paragraphs; empty where it is but a wall before the page."""
    if len(text) <= _LONGEST_WALL and _WALL.search(text):
        return Trimmed("", cut=True, paywall=False)
    paragraphs = text.split("\n\n")
    cut = paywall = False
    kept = []
    for paragraph in paragraphs[-_LAST:]:
        behind = len(paragraph) <= _LONGEST
        if behind and _PAYWALL.search(paragraph):
            cut = paywall = True
        elif behind and _READ_ON.fullmatch(paragraph):
            cut = True
        elif not (behind and _SYNDICATED.fullmatch(paragraph)):
            kept.append(paragraph)
    text = "\n\n".join(paragraphs[:-_LAST] + kept)
    whole = _CUT.sub("", _READ_ON_BEHIND.sub("", text))
    return Trimmed(whole.strip(), cut or whole != text or whole.endswith(("…", "...")), paywall)
