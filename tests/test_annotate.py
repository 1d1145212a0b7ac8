"""Labelling by hand, through a terminal as a person has it."""

from __future__ import annotations

import io
import os
import re
import signal
import string
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pexpect
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from labels.annotate import ENTER, ESCAPE, Sitting
from labels.errors import StanceError
from labels.keymap import COMMANDS, UNTOUCHED, keymap
from labels.screen import frame
from labels.store import Label, open_store, read_store
from labels.taxonomy import Target, Taxonomy, load_taxonomy
from labels.worklist import sentences_of_file
from tests.conftest import MEALS_TARGETS, PROJECT, run_stance, write_lines

TONE = """\
  tone:
    title: Tone
    proposition: The sentence is friendly.
    scope: overall
    classes: [friendly, plain, unfriendly]
    poles: {conciliatory: friendly, other: unfriendly}
"""
TARGETS = MEALS_TARGETS.replace("targets:\n", "targets:\n" + TONE)
SENTENCES = [
    "The cook wants the canteen to cost nothing.",
    "The bus was late.",
    "Lessons should begin at nine, a parent urged.",
    "The choir sang on Monday.",
]
UNTOUCHED_ALL = {"tone": None, "free_meals": None, "later_start": None}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder with `targets.yaml` and `sentences.txt`."""
    (tmp_path / "targets.yaml").write_text(TARGETS)
    (tmp_path / "sentences.txt").write_text("".join(f"{sentence}\n" for sentence in SENTENCES))
    return tmp_path


@contextmanager
def annotating(work: Path, *more: str) -> Iterator[pexpect.spawn]:
    arguments = ["--store", work / "store", "--targets", work / "targets.yaml", "--annotator", "alpha", *more]
    if "--source" not in more:
        arguments += ["--source", work / "sentences.txt"]
    command = ["-m", "serving.cli", "labels", "annotate", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "TERM": "xterm-256color"}
    environment = {name: value for name, value in environment.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    child = pexpect.spawn(
        sys.executable, command, dimensions=(24, 80), encoding="utf8", env=environment, cwd=str(PROJECT), timeout=60
    )
    try:
        yield child
    finally:
        child.close(force=True)


def said(work: Path) -> dict[str, dict[str, str | None]]:
    return {label.text or "": dict(label.labels) for label in read_store(work / "store")}


def test_a_sitting_from_its_beginning_to_its_end(work: Path) -> None:
    cook, bus, lessons, choir = SENTENCES
    with annotating(work, "--codebook", "7") as child:
        child.expect_exact("0 of 4 labelled, 4 to come")
        child.expect_exact(cook)
        child.send("f2y")
        child.expect_exact("[friendly]")
        child.expect_exact("[yes]")
        child.send("\r")
        child.expect_exact("1 of 4 labelled, 3 to come")
        child.send("\r")  # Nothing is touched: one key.
        child.expect_exact("2 of 4 labelled, 2 to come")
        child.send("3")
        child.expect_exact("School should start later.")  # The proposition, while a class is asked for.
        child.send("cwa fathe\x7fer\rtis it?\r")
        child.expect_exact("whose: a father   note: is it?")
        child.send("\r")
        child.expect_exact("3 of 4 labelled, 1 to come")
        child.send("u")
        child.expect_exact("taken back")
        child.send("3p\r")
        child.expect_exact("3 of 4 labelled, 1 to come")
        child.send("s")
        child.expect_exact("3 of 4 labelled, 1 skipped, 0 to come")
        child.expect_exact("All done")
        child.send("q")
        child.expect_exact("3 labelled by alpha, 1 skipped, 0 left")
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == 0
    expected = {
        cook: {"tone": "friendly", "free_meals": "yes", "later_start": None},
        bus: UNTOUCHED_ALL,
        lessons: UNTOUCHED_ALL | {"later_start": "pro"},
    }
    assert said(work) == expected
    father = read_store(work / "store")[-1]
    assert (father.holder, father.note, father.codebook, father.annotator) == ("a father", "is it?", "7", "alpha")

    # The next sitting begins with what was skipped; the last label of the one before can still be taken back.
    with annotating(work) as child:
        child.expect_exact("3 of 4 labelled, 1 to come")
        child.expect_exact(choir)
        child.send("u")
        child.expect_exact("2 of 4 labelled, 2 to come")
        child.expect_exact(lessons)
        child.expect_exact("[pro]")
        child.send("\x1b")
        child.expect_exact(" pro ")
        child.send("\rp\r")
        child.expect_exact("All done")
        child.send("\r")
        child.expect_exact("4 labelled by alpha, 0 left")
    assert said(work) == expected | {lessons: UNTOUCHED_ALL, choir: UNTOUCHED_ALL | {"tone": "plain"}}

    out = work / "labels.jsonl"
    done = run_stance("labels", "export", "--store", work / "store", "--out", out, "--targets", work / "targets.yaml")
    assert done.stdout == f"wrote {out}: 4 records (4 single)\n"


@pytest.mark.parametrize("how", ["ctrl-c", "SIGTERM"])
def test_leaving_gives_the_terminal_back(how: str, work: Path) -> None:
    with annotating(work) as child:
        before = termios.tcgetattr(child.child_fd)
        child.expect_exact("4 to come")
        assert termios.tcgetattr(child.child_fd) != before
        child.send("\r")
        child.expect_exact("1 of 4 labelled")
        child.send("f")
        if how == "ctrl-c":
            child.sendintr()
            child.expect_exact("\x1b[?1049l")
            child.expect_exact("1 labelled by alpha, 3 left")
        else:
            child.kill(signal.SIGTERM)
            child.expect_exact("\x1b[?1049l")
        rest = child.read()
        child.wait()
        assert termios.tcgetattr(child.child_fd) == before
        assert child.exitstatus == {"ctrl-c": 0, "SIGTERM": 128 + signal.SIGTERM}[how]
        assert "Traceback" not in rest
    assert said(work) == {SENTENCES[0]: UNTOUCHED_ALL}


def test_a_terminal_that_is_closed_ends_it_and_keeps_what_was_saved(work: Path) -> None:
    with annotating(work) as child:
        child.expect_exact("4 to come")
        child.send("\r")
        child.expect_exact("1 of 4 labelled")
        child.ptyproc.fileobj.close()
        child.wait()
        assert child.exitstatus == 128 + signal.SIGHUP
    assert said(work) == {SENTENCES[0]: UNTOUCHED_ALL}


def test_places_in_a_corpus_are_labelled_without_keeping_their_text(work: Path) -> None:
    (work / "corpus").mkdir()
    (work / "corpus" / "minutes.txt").write_text("The roof of the gym leaks again.")
    with annotating(work, "--source", "corpus", "--corpus", str(work / "corpus")) as child:
        child.expect_exact("The roof of the gym leaks again.")
        child.send("\x1b[200~q\r\r\x1b[201~\x1b[Au\r")  # Neither what is pasted nor an arrow is a command.
        child.expect_exact("All done")
        child.send("q")
        child.expect_exact("1 labelled by alpha")
    [label] = read_store(work / "store")
    assert label.ref is not None
    assert (label.ref.doc, label.ref.start, label.ref.end) == ("minutes", 0, 32)
    assert not any(b"roof" in path.read_bytes() for path in work.glob("store*"))


def test_without_a_terminal_it_says_so(work: Path) -> None:
    options = ["--source", work / "sentences.txt", "--store", work / "store", "--annotator", "alpha"]
    done = run_stance("labels", "annotate", *options, stdin="f\n")
    assert done.returncode == 1
    assert done.stderr.startswith("error: labelling by hand needs a terminal")
    assert not (work / "store").exists()


@contextmanager
def sitting(work: Path, annotator: str = "alpha") -> Iterator[Sitting]:
    sentences = sentences_of_file(work / "sentences.txt", {}).sentences
    taxonomy = load_taxonomy(work / "targets.yaml")
    with open_store(work / "store") as store:
        yield Sitting(sentences, store, taxonomy, annotator, lambda: datetime(2026, 3, 1, tzinfo=UTC))


def test_each_annotator_sees_every_sentence(work: Path) -> None:
    for annotator in ("alpha", "beta"):
        with sitting(work, annotator) as own:
            own.press(ENTER)
            assert (own.labelled, own.left) == (1, 3)
    assert [label.annotator for label in read_store(work / "store")] == ["alpha", "beta"]


def test_a_class_is_taken_back_by_its_key_and_by_the_key_for_not_touched(work: Path) -> None:
    with sitting(work) as own:
        for keys, labels in (
            ("f", {"tone": "friendly"}),
            ("p", {"tone": "plain"}),
            ("p", {}),
            ("2n", {"free_meals": "no"}),
            ("3p", {"free_meals": "no", "later_start": "pro"}),
            ("2x", {"later_start": "pro"}),
            ("23c", {"later_start": "contra"}),
            ("33C", {"later_start": "contra", "tone": None}),
        ):
            for key in keys:
                own.press(key)
            assert own.draft.labels == {name: label for name, label in labels.items() if label}
        own.press("2")
        own.press(ENTER)
        assert own.labelled == 0
        own.press(ESCAPE)
        assert own.draft.labels == {}


def test_an_id_that_is_another_sentence_in_the_store_is_refused(work: Path) -> None:
    write_lines(work / "sentences.txt", [{"id": "a", "text": "The bus was late."}])
    with open_store(work / "store") as store:
        store.add(Label("1", "a", {"tone": None}, "beta", datetime.now(UTC), text="Another."))
    with pytest.raises(StanceError, match="record 'a' is in the store with another text"), sitting(work):
        pass


_NAME = st.text(st.sampled_from("aAsuwtqxé0 -x字İß"), min_size=1, max_size=4)
_TARGETS = st.lists(
    st.tuples(st.lists(_NAME, min_size=2, max_size=6, unique=True), st.sampled_from(["issue", "overall"])),
    min_size=1,
    max_size=14,
)


@given(_TARGETS)
def test_every_class_of_every_taxonomy_can_be_given(targets: list[tuple[list[str], str]]) -> None:
    taxonomy = Taxonomy(
        tuple(
            Target(f"t{i}", f"T{i}", "P.", tuple(classes), classes[0], classes[1], scope)
            for i, (classes, scope) in enumerate(targets)
        )
    )
    keys = keymap(taxonomy)
    assert sorted(keys.targets.values()) == sorted(taxonomy.ids)
    assert not set(keys.targets) & set(keys.direct)
    assert not {*keys.targets, *keys.direct} & set(COMMANDS)
    for target in taxonomy:
        assert sorted(keys.classes[target.id].values()) == sorted(target.classes)
        assert UNTOUCHED not in keys.classes[target.id]
    typed = {*keys.targets, *keys.direct, *(key for classes in keys.classes.values() for key in classes)}
    assert all(len(key) == 1 and key.isalnum() for key in typed)
    assert len(keys.direct) <= sum(len(t.classes) for t in taxonomy if t.scope == "overall")


def test_more_targets_than_keys_is_said() -> None:
    many = tuple(Target(f"t{i}", "T", "P.", ("a", "b"), "a", "b") for i in range(len(string.printable)))
    with pytest.raises(StanceError, match="too many to label by hand"):
        keymap(Taxonomy(many))


@settings(max_examples=60)
@given(
    text=st.text(max_size=1500),
    keys=st.text(st.sampled_from("fp23ycwt x"), max_size=6),
)
def test_any_text_leaves_the_keys_in_sight(text: str, keys: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    work = tmp_path_factory.mktemp("screen")
    (work / "targets.yaml").write_text(TARGETS)
    write_lines(work / "sentences.txt", [{"text": f"A{text}"}])
    console = Console(file=io.StringIO(), width=80, height=24, force_terminal=True, _environ={})
    with sitting(work) as own:
        for key in keys:
            own.press(key)
        console.print(frame(own, console))
    shown = re.sub("\x1b\\[[0-9;]*m", "", console.file.getvalue())  # type: ignore[attr-defined]
    lines = shown.split("\n")
    assert len(lines) <= 25
    assert "Enter save" in shown
    assert all(character.isprintable() for line in lines for character in line)
