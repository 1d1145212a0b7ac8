"""Plain text of HTML: paragraphs apart by a blank line, lines by a line break, nothing added."""

from __future__ import annotations

import re
import unicodedata
from itertools import islice

from lxml import etree

_SKIPPED = frozenset(
    re.findall(
        r"\w+",
        """
        script style noscript template head title iframe object embed svg math canvas video audio picture figure
        figcaption form button select textarea nav aside del
        """,
    )
)
"""Elements whose text is not the article's: code, controls, captions, other articles."""

_BLOCKS = frozenset(
    re.findall(
        r"\w+",
        """
        address article blockquote body dd div dl dt fieldset footer h1 h2 h3 h4 h5 h6 header hr html li main ol p pre
        section table tbody td tfoot th thead tr ul cell head item list quote row
        """,
    )
)
_BREAKS = frozenset(("br", "lb"))

_FURNITURE = re.compile(
    r"(?<![\w-])(?:wp-caption|sharedaddy|jp-relatedposts|related-posts|feedflare|social-share|screen-reader-text)(?!\w)"
)
"""Classes that WordPress and FeedBurner give to what stands around an article's text."""

_TAG = re.compile(r"</?(?:p|br|div|span|a|img|em|strong|b|i|ul|ol|li|h[1-6]|blockquote)\b[^<>]*>", re.IGNORECASE)
_LINE_BREAKS = re.compile(r"\r\n|[\r\x0b\x0c\x85\u2028]")
_DROPPED = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff"
    "\ud800-\udfff\ufdd0-\ufdef"
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000))
    + "]"
)
"""Control characters, halves of surrogate pairs, code points that are no characters, and marks that part words unseen.

The joiners U+200C and U+200D stay: Persian and Hindi are spelled with them.
"""


def plain_text(html: str) -> str:
    """The text that a reader of this HTML, whole or in pieces, would see; of any string, however broken.

    Text without a tag keeps its own lines. Text whose tags were escaped twice, as some feeds do, is read once more.
    """
    return _plain_text(html, again=True)


def text_of(root: etree._Element, *, skip: frozenset[str] = _SKIPPED) -> str:
    """The text of a tree, as `plain_text` gives it."""
    pieces: list[str] = []
    walk = etree.iterwalk(root, events=("start", "end"))
    for event, element in walk:
        name = element.tag
        edge = "\n\n" if name in _BLOCKS else "\n" if name in _BREAKS and event == "start" else ""
        if event == "start":
            pieces.append(edge)
            if name in skip or _unseen(element):
                walk.skip_subtree()
            elif element.text:
                pieces.append(_one_spaced(element.text))
        else:
            pieces.append(edge)
            if element.tail and element is not root:
                pieces.append(_one_spaced(element.tail))
    return tidy("".join(pieces))


def tidy(text: str) -> str:
    """Text in NFC, without control characters, with single spaces, lines and paragraphs; tidy text stays as it is."""
    text = _LINE_BREAKS.sub("\n", text.replace("\u2029", "\n\n"))
    text = unicodedata.normalize("NFC", _DROPPED.sub("", text))
    text = re.sub(r"[^\S\n]+", " ", text)
    text = re.sub(r" ?\n ?", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def one_line(html: str | None) -> str | None:
    """What a title or a name says, on one line; None where it says nothing."""
    if not html:
        return None
    text = plain_text(html) if "<" in html or "&" in html else tidy(html)
    return " ".join(text.split()) or None


def has_letters(text: str, fewest: int) -> bool:
    """Whether a text has so many letters."""
    return sum(1 for _ in islice(filter(str.isalpha, text), fewest)) == fewest


def _plain_text(html: str, *, again: bool) -> str:
    if "<" not in html and "&" not in html:
        return tidy(html)
    # The parser takes a string that names an encoding for a mistake, and stops at a NUL.
    raw = _DROPPED.sub("", html).encode("utf8", "ignore")
    parser = etree.HTMLParser(encoding="utf8", remove_comments=True, remove_pis=True, huge_tree=True, no_network=True)
    try:
        root = etree.fromstring(raw, parser)
    except etree.XMLSyntaxError:
        root = None
    if root is None:
        return ""
    if all(element.tag in ("html", "body", "p") for element in root.iter()) and not _TAG.search(html):
        bare = "\n".join(text for text in root.itertext() if isinstance(text, str))
        return _plain_text(bare, again=False) if again and _TAG.search(bare) else tidy(bare)
    return text_of(root)


def _one_spaced(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def _unseen(element: etree._Element) -> bool:
    if not element.attrib:
        return False
    style = element.get("style", "").replace(" ", "").lower()
    return "hidden" in element.attrib or "display:none" in style or bool(_FURNITURE.search(element.get("class", "")))
