"""A Label Studio labelling configuration for the targets of a taxonomy.

Source: https://labelstud.io/tags/choices and https://labelstud.io/tags/textarea
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from labels.errors import StanceError
from labels.exchange.label_studio import ABOUT_AREA, HOLDER, NOTE, TEXT
from labels.taxonomy import Target, Taxonomy

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_VARIABLE = re.compile(r"\$[\w\[\].{}]")


def studio_config(taxonomy: Taxonomy) -> str:
    """The configuration: the sentence, a block of choices for each target, and fields for holder and note.

    Raises:
        StanceError: a title, proposition or class has characters that the configuration cannot hold.
    """
    view = ElementTree.Element("View")
    _add(view, "Text", name=TEXT, value="$text")
    for target in taxonomy:
        _check(target)
        _add(view, "Header", value=_literal(f"{target.title}: {target.proposition}"), size="5")
        block = _add(view, "Choices", name=target.id, toName=TEXT, choice="single", showInLine="true")
        for choice in target.outcomes:
            _add(block, "Choice", value=choice, hint=target.proposition)
    for name, title in ((HOLDER, "Holder: whose position it is"), (NOTE, "Note")):
        _add(view, "Header", value=title, size="5")
        _add(view, "TextArea", name=name, toName=TEXT, rows="1", maxSubmissions="1", editable="true")
    hidden = _add(view, "View", style="display: none")
    _add(hidden, "TextArea", name=ABOUT_AREA, toName=TEXT, maxSubmissions="1")
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def _add(parent: ElementTree.Element, tag: str, **attributes: str) -> ElementTree.Element:
    return ElementTree.SubElement(parent, tag, attributes)


def _literal(text: str) -> str:
    """Label Studio would put a task's field in the place of "$name"; a word joiner (U+2060) keeps the sign as it is."""
    return text.replace("$", "\u2060$\u2060")


def _check(target: Target) -> None:
    for field, texts in {
        "title": [target.title],
        "proposition": [target.proposition],
        "classes": target.classes,
    }.items():
        for text in texts:
            if bad := _NOT_XML.search(text):
                raise StanceError(f"holds {bad[0]!r}, which XML cannot", field=f"targets.{target.id}.{field}")
    for name in target.classes:
        if _VARIABLE.search(name):
            raise StanceError(
                f"Label Studio would take the '$' in '{name}' for a field of the task",
                field=f"targets.{target.id}.classes",
                hint="Rename the class.",
            )
