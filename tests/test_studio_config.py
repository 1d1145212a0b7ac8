"""The Label Studio labelling configuration that a taxonomy gives."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labels.errors import StanceError
from labels.exchange.studio_config import studio_config
from labels.taxonomy import parse_taxonomy
from tests.conftest import run_stance


def test_a_block_of_choices_for_each_target(meals: Path, tmp_path: Path) -> None:
    out = tmp_path / "config.xml"
    done = run_stance("labels", "studio-config", "--targets", meals / "targets.yaml", "--out", out)
    assert done.returncode == 0, done.stderr
    view = ElementTree.fromstring(out.read_text(encoding="utf8"))
    [text] = view.findall("Text")
    assert text.get("value") == "$text"
    blocks = view.findall("Choices")
    assert [block.get("name") for block in blocks] == ["free_meals", "later_start"]
    assert {(block.get("choice"), block.get("toName")) for block in blocks} == {("single", text.get("name"))}
    assert [choice.get("value") for choice in blocks[0]] == ["unrelated", "yes", "unsure", "no"]
    assert {choice.get("hint") for choice in blocks[0]} == {"Schools should serve free meals."}
    # Were a target called like another control, Label Studio would refuse the configuration.
    names = [element.get("name") for element in view.iter() if element.get("name")]
    assert len(names) == len(set(names))
    assert not any(name[0].isalpha() for name in names if name not in ("free_meals", "later_start"))


_SHOWN = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff$"), min_size=1)
_CLASSES = st.lists(_SHOWN.filter(lambda t: t.strip() and t != "unrelated"), min_size=2, max_size=4, unique=True)


@given(title=_SHOWN.filter(str.strip), proposition=_SHOWN.filter(str.strip), classes=_CLASSES)
def test_any_words_stand_in_it_as_they_are(title: str, proposition: str, classes: list[str]) -> None:
    poles = {"conciliatory": classes[0], "other": classes[1]}
    entry = {"title": title, "proposition": proposition, "classes": classes, "poles": poles}
    view = ElementTree.fromstring(studio_config(parse_taxonomy({"targets": {"aid": entry}})))
    [block] = view.findall("Choices")
    assert [choice.get("value") for choice in block] == ["unrelated", *classes]
    assert block[0].get("hint") == proposition.strip()
    assert view.findall("Header")[0].get("value") == f"{title.strip()}: {proposition.strip()}"


@pytest.mark.parametrize(("title", "label", "field"), [("A \x08 bell", "yes", "title"), ("Aid", "$text", "classes")])
def test_what_label_studio_would_misread_is_refused(title: str, label: str, field: str) -> None:
    poles = {"conciliatory": label, "other": "no"}
    entry = {"title": title, "proposition": "Give aid.", "classes": [label, "no"], "poles": poles}
    with pytest.raises(StanceError, match=rf"field 'targets\.aid\.{field}'"):
        studio_config(parse_taxonomy({"targets": {"aid": entry}}))


def test_a_sum_of_money_is_no_field_of_the_task() -> None:
    poles = {"conciliatory": "a", "other": "b"}
    entry = {"title": "Aid", "proposition": "Give $text 5.", "classes": ["a", "b"], "poles": poles}
    header = ElementTree.fromstring(studio_config(parse_taxonomy({"targets": {"aid": entry}}))).find("Header")
    assert header is not None
    assert "$text" not in header.get("value", "")
    assert header.get("value", "").replace("\u2060", "") == "Aid: Give $text 5."
