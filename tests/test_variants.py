"""Texts that are made of sentences for teachers to be asked about."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from training.variants import variants

WORDS = st.sampled_from(["the", "mayor", "will", "not", "may", "pay", "for", "lunch,", "said", "Ann", "on", "Monday"])
SENTENCES = st.lists(WORDS, min_size=1, max_size=20).map(" ".join)
GIVEN = st.dictionaries(SENTENCES, st.sampled_from(["minutes-1", "minutes-2", "minutes-3"]), max_size=12)


@given(GIVEN, st.integers(0, 6), st.integers(0, 9))
def test_a_variant_is_new_and_holds_words_of_its_own_group_alone(unit_of: dict[str, str], each: int, seed: int) -> None:
    made = variants(unit_of, each, seed)
    assert len(made) <= each * len(unit_of)
    for text, unit in made.items():
        assert text not in unit_of
        known = {word for sentence, group in unit_of.items() if group == unit for word in sentence.split()}
        assert set(text.split()) <= known | {"not"}


@given(GIVEN, st.integers(1, 6))
def test_what_is_made_of_a_group_does_not_depend_on_others(unit_of: dict[str, str], each: int) -> None:
    together = variants(unit_of, each, 1)
    for group in set(unit_of.values()):
        alone = variants({text: unit for text, unit in unit_of.items() if unit == group}, each, 1)
        # A text of two groups counts for the one that comes first; one that is a sentence of another is none.
        assert {text for text, unit in together.items() if unit == group} <= set(alone)
        assert set(alone) <= set(together) | set(unit_of)


def test_they_are_stretches_negations_joints_and_exchanges() -> None:
    sentence, other = "The mayor will pay for lunch next year.", "Parents asked her to think again."
    one, two, three, four = list(variants({sentence: "minutes-1", other: "minutes-1"}, 4, 1))[:4]
    assert one in sentence
    assert two == "The mayor will not pay for lunch next year."
    assert sentence.startswith(three.split()[0])
    assert len(four.split()) == len(sentence.split())
    (_, back) = variants({two: "minutes-1"}, 2, 1)
    assert back == sentence


def test_a_variant_of_short_sentences_is_none() -> None:
    assert variants({"Ann agreed.": "minutes-1", "She will pay.": "minutes-1"}, 3, 1) == {}
