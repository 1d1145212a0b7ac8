"""Documents read whole: quotations, who speaks them, who that is, and what it adds up to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from labels.errors import StanceError
from labels.taxonomy import load_taxonomy
from serving.analysis.aliases import Aliases, load_aliases
from serving.analysis.holders import Voiced, voice_of, voices
from serving.analysis.quotations import find_quotations
from serving.analysis.speakers import Reading, sources, speakers
from serving.analysis.totals import FEWEST, Point, total, totals_by
from tests.conftest import meals_records, run_stance, write_lines
from training.holder import Holder

ALIASES = load_aliases()

MARKS = "\"'“”‘’„«»`"
_PIECES = st.sampled_from(
    [*MARKS, "``", "''", " ", "\n", "\n\n", ".", ",", ":", "—", "(", ")", "\x1a", "​"]
) | st.sampled_from(
    [
        "He",
        "said",
        "the",
        "minister",
        "Kim’s",
        "U.S.",
        "Mr.",
        "we",
        "It",
        "according",
        "to",
        "North Korea",
        "saying",
        "who",
    ]
)
_ANY = st.lists(_PIECES, max_size=40).map("".join) | st.lists(_PIECES, max_size=40).map(" ".join) | st.text(max_size=80)


@settings(max_examples=400)
@given(_ANY)
@example("“")
@example("'s")
@example("“a “b” c")
def test_whatever_the_text_places_are_right_and_in_order(text: str) -> None:
    reading = Reading.of(text)
    place = 0
    for quotation in reading.quotations:
        assert place <= quotation.start < quotation.inner_start <= quotation.inner_end <= quotation.end <= len(text)
        assert not set("\n\r") & set(text[quotation.start : quotation.end])
        assert text[quotation.start] in MARKS + "「」『』"
        place = quotation.end
    assert len(speakers(reading)) == len(reading.quotations)
    voiced = voices(reading, ALIASES)
    assert len(voiced) == len(reading.sentences)
    for one in voiced:
        assert one is not None
        assert (one.start is None) == (one.end is None)
        if one.start is not None and one.end is not None:
            assert 0 <= one.start < one.end <= len(text)
            assert text[one.start : one.end].strip() == text[one.start : one.end]


QUOTED = [
    ('"Go," he said.', ["Go,"]),
    ("“Go,” he said, “and stay.”", ["Go,", "and stay."]),
    ("„Geht“, sagte er. «Partez», dit-il.", ["Geht", "Partez"]),
    ("``Go,'' she said.", ["Go,"]),
    ("“She told me ‘never again’ and left,” he said.", ["She told me ‘never again’ and left,"]),
    ("He said “they call it “peace” there” and left.", ["they call it “peace” there"]),
    ("It isn't the soldiers' fault, nor the envoys’.", []),
    ("'We won't go,' said the chief.", ["We won't go,"]),
    ("‘The soldiers’ pay is late,’ he said.", ["The soldiers’ pay is late,"]),
    ("“Never closed, he said.\nThe next line is free.", ["Never closed, he said."]),
    ('A 6" gun and no quotation.', []),
    ("Closed” but never opened.", []),
    ('He asked, "Why "now"?"', ['Why "now"?']),
]


@pytest.mark.parametrize(("text", "inside"), QUOTED)
def test_quotations_are_found_with_what_is_nested_in_them(text: str, inside: list[str]) -> None:
    assert [text[q.inner_start : q.inner_end] for q in find_quotations(text)] == inside


def test_a_quotation_goes_on_where_its_next_paragraph_opens_anew() -> None:
    text = "“First part, left open.\n\n“Second part,” the envoy said.\n\n“Another one.”"
    assert [(q.closed, q.continues) for q in find_quotations(text)] == [(False, False), (True, True), (True, False)]


def _said(text: str) -> list[tuple[str, str | None] | None]:
    """Kind and name of each sentence's source."""
    reading = Reading.of(text)
    return [
        source and (source.kind, None if source.start is None else text[source.start : source.end])
        for source in sources(reading)
    ]


SPOKEN = [
    # direct: behind, inverted, before, in the middle
    ("“We will not lift one sanction,” the minister said.", "the minister"),
    ('"We will not lift one sanction," Harlan said.', "Harlan"),
    ("“We will not lift one sanction,” said Foreign Minister Ada Lunt.", "Foreign Minister Ada Lunt"),
    ("“We will not lift one sanction,” warned a spokesman for the army, who gave no name.", "a spokesman for the army"),
    ("The minister said: “We will not lift one sanction.”", "The minister"),
    ("Ada Lunt, the foreign minister, told reporters, “We will not lift one sanction.”", "Ada Lunt"),
    ("“We want talks,” said Ada Lunt, “and we want them soon.”", "Ada Lunt"),
    ("“We want talks,” she added on Monday, “and we want them soon.”", "she"),
    ("“It is over!” shouted the protesters outside the embassy.", "the protesters"),
    ("“Is it over?” he asked.", "he"),
    # indirect
    ("The minister said that the drills would go on.", "The minister"),
    ("On Tuesday the foreign ministry said it would wait.", "the foreign ministry"),
    ("Ada Lunt, the foreign minister, said that talks must resume.", "Ada Lunt"),
    ("The drills will go on, the defence ministry announced.", "the defence ministry"),
    ("The drills will go on, said Ada Lunt.", "Ada Lunt"),
    ("A spokesman for the ministry has repeatedly warned that the North would pay.", "A spokesman for the ministry"),
    ("Analysts say the deal is dead.", "Analysts"),
    ("U.S. officials insist that nothing was promised.", "U.S. officials"),
    ("Mr. Harlan on Friday told parliament that he would not yield.", "Mr. Harlan"),
    ("The envoys met for an hour, he said.", "he"),
    # by phrase
    ("According to the State Department, the drills will go on.", "the State Department"),
    ("The drills will go on, according to a senior administration official.", "a senior administration official"),
    # mixed
    ("Harlan said he “saw no reason at all” to sign.", "Harlan"),
    ("The statement called the drills a “rehearsal for war.”", "The statement"),
]
ACTED = [
    ("North Korea rejected the offer.", "North Korea"),
    ("U.S. officials have repeatedly demanded a full list.", "U.S. officials"),
    ("The government in Seoul wants the drills to stop.", "The government in Seoul"),
    ("Parliament, after a long night, approved the treaty.", "Parliament"),
    ("The two ministers agreed to meet again.", "The two ministers"),
]
NOBODY = [
    "The nuclear test was condemned at once.",
    "The talks broke down after an hour.",
    "Sanctions hurt the poor and nobody else.",
    "This so-called “peace” is a war in slow motion.",
]


@pytest.mark.parametrize(("text", "name"), SPOKEN)
def test_who_speaks(text: str, name: str) -> None:
    assert set(_said(text)) == {("speaker", name)}


@pytest.mark.parametrize(("text", "name"), ACTED)
def test_who_acts(text: str, name: str) -> None:
    assert _said(text) == [("subject", name)]


@pytest.mark.parametrize("text", NOBODY)
def test_where_nobody_is_quoted_or_named_nobody_speaks(text: str) -> None:
    assert _said(text) == [None]


LONGER = [
    (
        "“The talks failed. They failed because of the sanctions,” the envoy told reporters. “We will try again.”",
        ["the envoy"] * 3,
    ),
    ("The envoy was blunt: “We will wait.”", [None]),
    ("The envoy spoke plainly:\n“We will wait for them, and long.”", ["The envoy", "The envoy"]),
    ("“We waited for a year,” Harlan said.\n\n“Then we stopped waiting for them.”", ["Harlan", "Harlan"]),
    (
        "“We waited for a year.\n\n“Then we stopped,” Harlan said.\nThe harbour was empty.",
        [None, "Harlan", None],
    ),
    ("“We want peace,” said Lunt. “They want war,” said Harlan.", ["Lunt", "Harlan"]),
]


@pytest.mark.parametrize(("text", "names"), LONGER)
def test_quotations_over_several_sentences(text: str, names: list[str | None]) -> None:
    assert [None if source is None else source[1] for source in _said(text)] == names


def _parties(text: str, aliases: Aliases = ALIASES) -> list[str | None]:
    return [one and one.party and one.party.name for one in voices(Reading.of(text), aliases)]


RESOLVED = [
    ("The North said no. It wants more.", ["North Korea", "North Korea"]),
    ("Pyongyang said no.", ["North Korea"]),
    ("The State Department rejected the offer. The White House agreed.", ["United States", "United States"]),
    ("Mike Pompeo arrived late. He said he would wait.", [None, "Mike Pompeo"]),
    ("Pompeo met Nikki Haley there. She said he would wait.", [None, "Nikki Haley"]),
    ("Foreign Minister Ada Lunt said no. “We wait,” Lunt added. The minister said it twice.", ["Ada Lunt"] * 3),
    ("Harlan Vance, the new envoy, came early. The envoy said he was tired.", [None, "Harlan Vance"]),
    ("Analysts say no. “They are wrong,” said Mr. Trump.", ["analysts", "Donald Trump"]),
    ("Defence minister says no\n\nThe defence minister said no.", ["defence minister", "defence minister"]),
    ("Moon officials say no.", ["Moon officials"]),
    ("He said nothing was signed.", [None]),
    ("Iran vowed revenge. The regime wants no talks.", ["Iran", "Iran"]),
    ("An aide to Donald Trump said no.", ["aide to Donald Trump"]),
    ("Captain Bo Kim, a sailor, said no. Kim said it again.", ["Bo Kim", "Bo Kim"]),
]


@pytest.mark.parametrize(("text", "names"), RESOLVED)
def test_who_it_is_in_the_document(text: str, names: list[str | None]) -> None:
    assert _parties(text) == names


def test_a_name_that_is_nobodys_alias_keeps_the_state_it_is_of() -> None:
    (voiced,) = voices(Reading.of("A State Department official said no."), ALIASES)
    assert voiced is not None
    assert voiced.party is not None
    assert (voiced.party.name, voiced.party.kind, voiced.party.of) == (
        *("State Department official", "other"),
        "United States",
    )


def test_an_alias_file_of_ones_own_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "names.yaml"
    path.write_text("Ruritania: {kind: state, aliases: [Strelsau]}\nPalace: {kind: office, of: Ruritania}\n")
    text = "Strelsau said no. The Palace agreed. The North wants more."
    assert _parties(text, load_aliases(path)) == ["Ruritania", "Ruritania", "North"]
    monkeypatch.setenv("STANCE_ALIASES", str(path))
    assert load_aliases() == load_aliases(path)


BAD_ALIASES = [
    ("Ruritania: {kind: planet}", "Ruritania.kind"),
    ("Palace: {kind: office, of: Ruritania}", "Palace.of"),
    ("A: {kind: state, aliases: [Z]}\nB: {kind: state, aliases: [Z]}", "B.aliases"),
    ("A: {kind: state, alias: [Z]}", "A.alias"),
    ("[a, b]", None),
    ("{", None),
]


@pytest.mark.parametrize(("content", "field"), BAD_ALIASES)
def test_a_bad_alias_file_is_told_where(tmp_path: Path, content: str, field: str | None) -> None:
    path = tmp_path / "names.yaml"
    path.write_text(content)
    with pytest.raises(StanceError) as caught:
        load_aliases(path)
    assert str(path) in str(caught.value)
    assert field is None or caught.value.field == field


def _tag(text: str, name: str | None = None, kind: str = "named") -> Holder:
    start = None if name is None else text.index(name)
    return Holder(kind, start, None if start is None or name is None else start + len(name), 0.9)  # type: ignore[arg-type]


def _with(text: str, *tagged: Holder) -> list[Voiced | None]:
    return voices(Reading.of(text), ALIASES, tagged)


def test_outside_quotations_the_tagger_decides() -> None:
    text = "The strait was calm. Sanctions must go. Both fleets left. Seoul kept quiet."
    tags = [_tag("", kind=kind) for kind in ("none", "author", "several")] + [_tag("Seoul kept quiet.", "Seoul")]
    found = _with(text, *tags)
    assert [voice_of(one) for one in found] == ["nobody", "author", "others", "others"]
    assert found[0] is None
    assert [one.kind for one in found[1:] if one] == ["author", "several", "subject"]
    last = found[3]
    assert last is not None
    assert last.party is not None
    assert (last.party.name, text[last.start : last.end], last.probability) == ("South Korea", "Seoul", 0.9)


def test_within_a_quotation_the_speaker_holds_it_whatever_the_sentence_looks_like_alone() -> None:
    text = "“Sanctions must go. We want talks. Iran wants war,” Pompeo said."
    read = ["“Sanctions must go.", "We want talks.", "Iran wants war,” Pompeo said."]
    tags = [_tag(read[0], kind="author"), _tag(read[1], "We"), _tag(read[2], "Iran")]
    found = _with(text, *tags)
    assert [one and one.kind for one in found] == ["speaker"] * 3
    assert [one and one.party and one.party.name for one in found] == ["Mike Pompeo"] * 3
    assert [one and text[one.start : one.end] for one in found] == ["Pompeo", "We", "Pompeo"]


def test_we_outside_quotations_is_the_author() -> None:
    assert voice_of(_with("We must talk to them.", _tag("We must talk to them.", "We"))[0]) == "author"


def test_a_tagger_that_names_a_place_outside_its_sentence_is_not_followed() -> None:
    assert _with("Talk to them.", Holder("named", 50, 60, 0.9)) == [Voiced("author", probability=0.9)]


def test_a_total_by_hand() -> None:
    points = [Point(4, 0.7, 0.2, 0.8), Point(7, 0.0, 1.0, 0.2, abstained=True)]
    found = total(points)
    assert found is not None
    assert found.score == pytest.approx((0.5 * 0.8 - 0.2) / 1.0)
    assert (found.sentences, found.unsure, found.evidence) == (2, 1, (4, 7))
    assert (found.low, found.high) == (None, None)
    assert total([]) is None


def test_an_interval_holds_the_mean_and_closes_where_all_agree() -> None:
    same = total([Point(n, 1.0, 0.0, 0.5) for n in range(FEWEST)])
    assert same is not None
    assert (same.score, same.low, same.high) == pytest.approx((1, 1, 1))
    random = np.random.default_rng(3)
    wide = total([Point(n, p, 1 - p, 1.0) for n, p in enumerate(random.uniform(0, 1, 12))])
    narrow = total([Point(n, p, 1 - p, 1.0) for n, p in enumerate(random.uniform(0, 1, 300))])
    assert wide is not None and narrow is not None  # noqa: PT018
    assert wide.low is not None and wide.high is not None  # noqa: PT018
    assert narrow.low is not None and narrow.high is not None  # noqa: PT018
    assert wide.low < wide.score < wide.high
    assert narrow.high - narrow.low < wide.high - wide.low


_POINTS = st.lists(
    st.tuples(st.floats(0, 0.5), st.floats(0.01, 1), st.booleans(), st.sampled_from(["a", "b", None])), max_size=12
)


@settings(max_examples=60)
@given(_POINTS)
def test_totals_apart_never_mix(rows: Sequence[tuple[float, float, bool, str | None]]) -> None:
    keys = [key for *_, key in rows]
    points = [Point(n, toward, 0.5 - toward, weight, unsure) for n, (toward, weight, unsure, _) in enumerate(rows)]
    found = totals_by({"t": points}, keys)
    assert set(found) == {key for key in keys if key is not None}
    for key, by_target in found.items():
        own = [point for point in points if keys[point.sentence] == key]
        assert by_target["t"] == total(own)
        assert by_target["t"].sentences == len(own)
        assert set(by_target["t"].evidence) <= {point.sentence for point in own}


MINUTES = """\
Free lunches for every pupil are right, the mayor said.
The mayor wants the canteen to cost nothing. “Free lunches for every pupil are right,” she told the council.
Parents ought to pay for lunch themselves, the cook said.
The choir sang on Monday.
"""


def test_a_file_is_read_aloud(meals_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "minutes.txt"
    path.write_text(MINUTES, encoding="utf8")
    done = run_stance("analyze", path, "--model", meals_model)
    assert done.returncode == 0, done.stderr
    assert "those quoted or reported" in done.stdout
    assert "mayor" in done.stdout


def test_a_line_is_a_document_and_every_total_has_its_evidence(meals_model: Path) -> None:
    lines = [
        {"text": MINUTES, "title": "Minutes", "date": "2026-03-01", "source": "council", "more": 1},
        {"text": "One."},
    ]
    stdin = "".join(json.dumps(line) + "\n" for line in lines)
    done = run_stance("analyze", "-", "--json", "--model", meals_model, "--target", "free_meals", stdin=stdin)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert (first["title"], first["date"], first["source"]) == ("Minutes", "2026-03-01", "council")
    assert [MINUTES[s["start"] : s["end"]] for s in first["sentences"]] == [s["text"] for s in first["sentences"]]
    assert list(first["totals"]) == list(second["totals"]) == ["free_meals"]
    voices_of = [voice_of(s["holder"] and Voiced(s["holder"]["kind"])) for s in first["sentences"]]
    for voice, summed in first["totals"]["free_meals"].items():
        touching = [
            number
            for number, sentence in enumerate(first["sentences"])
            if voices_of[number] == voice and sentence["targets"]["free_meals"]["label"] != "unrelated"
        ]
        assert bool(summed) == bool(touching)
        if summed:
            assert summed["sentences"] == len(touching)
            assert set(summed["evidence"]) <= set(touching)
    mayor = next(row for row in first["holders"] if row["holder"] == "mayor")
    assert mayor["sentences"] >= 2
    assert mayor["targets"]["free_meals"]["score"] > 0


BAD_FILES = [
    ("", "holds no text"),
    ('{"text": 1}', ":1, field 'text'"),
    ('{"text": "One."}\n{"text": ', ":2"),
    ('{"text": "\\ud800"}', "field 'text'"),
]


@pytest.mark.parametrize(("content", "said"), BAD_FILES)
def test_what_cannot_be_read_is_told(meals_model: Path, content: str, said: str) -> None:
    done = run_stance("analyze", "-", "--model", meals_model, stdin=content)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr


def test_a_target_that_is_not_there_is_a_usage_error(meals_model: Path) -> None:
    done = run_stance("analyze", "-", "--model", meals_model, "--target", "weather", stdin="One.")
    assert done.returncode == 2
    assert "free_meals" in done.stderr


def test_an_interval_knows_that_the_model_may_be_wrong() -> None:
    sure = total([Point(n, 1.0, 0.0, 0.9) for n in range(6)])
    unsure = total([Point(n, 0.6, 0.4, 0.9) for n in range(6)])
    assert sure is not None and unsure is not None  # noqa: PT018
    assert unsure.low is not None and unsure.high is not None  # noqa: PT018
    # All six say the same, and still any of them may be on the other side.
    assert unsure.low < -0.2 < 0.6 < unsure.high
    assert sure.low == sure.high


def test_totals_are_held_against_those_of_the_labels() -> None:
    done = run_stance("documents", "evaluate", "--json")
    assert done.returncode == 0, done.stderr
    compared = json.loads(done.stdout)
    assert list(compared) == list(load_taxonomy().ids)
    most = max(compared.values(), key=lambda one: one["documents"])
    for name in ("correlation", "difference", "floor", "inside"):
        assert most[name]["low"] <= most[name]["value"] <= most[name]["high"]
    assert most["difference"]["high"] < most["floor"]["low"]
    assert most["inside"]["value"] > 0.8
    assert done.stdout == run_stance("documents", "evaluate", "--json").stdout


def test_totals_of_another_part_leave_out_what_was_trained_on(meals: Path, meals_model: Path, tmp_path: Path) -> None:
    """Twelve documents that the model has not seen, each with its own mixture of sides, and one that it has."""
    said = {
        label: [row for row in meals_records() if row["labels"].get("free_meals") == label] for label in ("yes", "no")
    }
    papers = [
        {
            **row,
            "id": f"{paper}-{n}",
            "group": f"paper-{paper}",
            "split": "test",
            "text": f"{row['text']} ({paper}, {n})",
        }
        for paper in range(12)
        for n, row in enumerate(said["yes"][: paper % 5] + said["no"][: 6 - paper % 5])
    ]
    seen = [{**row, "split": "test"} for row in meals_records() if row["group"] == "minutes-0"]
    labels = write_lines(tmp_path / "labels.jsonl", papers + seen)
    arguments = ["documents", "evaluate", "--model", meals_model, "--json", "--labels"]
    done = run_stance(*arguments, labels, "--split", "test")
    assert done.returncode == 0, done.stderr
    compared = json.loads(done.stdout)["free_meals"]
    assert compared["documents"] == 12
    assert compared["difference"]["high"] < compared["floor"]["value"]

    few = write_lines(
        tmp_path / "few.jsonl", [row for row in papers if row["group"] not in ("paper-0", "paper-1", "paper-2")]
    )
    done = run_stance(*arguments, few, "--split", "test")
    compared = json.loads(done.stdout)["free_meals"]
    assert (compared["documents"], compared["difference"]["value"]) == (9, None)

    done = run_stance(*arguments, labels, "--split", "dev")
    assert done.returncode == 1
    assert "dev" in done.stderr


def test_a_service_does_not_begin_with_a_bad_alias_file(tmp_path: Path) -> None:
    path = tmp_path / "names.yaml"
    path.write_text("Ruritania: {kind: planet}")
    done = run_stance("serve", STANCE_ALIASES=str(path))
    assert done.returncode == 1
    assert "Ruritania.kind" in done.stderr
