"""`stance models`: what is shown of the registry, and going back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import run_stance
from training.model_folder import load_model, shipped_version
from training.registry import open_registry, read_champion

_CHECK = {"difference": None, "bound": -0.03, "who": "neither"}
DECISION = {
    "passed": False,
    "checks": [
        {**_CHECK, "kind": "targets", "what": "free_meals", "champion": 0.74, "candidate": 0.7, "passed": False},
        {**_CHECK, "kind": "targets", "what": "later_start", "champion": 0.7, "candidate": 0.7, "passed": True},
    ],
    "report": "/somewhere/reports/floor-1",
}


@pytest.fixture
def versions(home: Path, meals: Path, meals_model: Path, other_model: Path) -> tuple[str, str]:
    """Two models that were champion one after the other, the second by force."""
    with open_registry(home) as registry:
        a = registry.register(other_model, parent=None, by="alpha", why="a start", labels=None)
        labels = meals / "labels.jsonl"
        b = registry.register(meals_model, parent=a.version, by="beta", why="100 more [new] labels", labels=labels)
        registry.promote(a.version, by="alpha", why="the first", decision=None, expected=None)
        registry.promote(b.version, by="beta", why="urgent", decision=DECISION, forced=True, expected=a.version)
    return a.version, b.version


def asked(*arguments: str | Path) -> Any:
    done = run_stance("models", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def told(*arguments: str | Path) -> str:
    done = run_stance("models", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(*arguments: str | Path) -> str:
    done = run_stance("models", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    return done.stderr


def test_where_nothing_is_registered_it_says_what_to_do(home: Path) -> None:
    assert "the one that ships serves. `stance retrain` makes" in told("list")
    assert asked("list") == []
    for arguments in (("show", "floor"), ("compare", "a", "b")):
        assert "`stance models add`" in refused(*arguments)
    assert "nothing to go back to" in refused("rollback", "--why", "?")
    assert not home.exists()


def test_list(versions: tuple[str, str]) -> None:
    a, b = versions
    rows = asked("list")
    assert [(row["version"], row["champion"], row["forced"], row["by"]) for row in rows] == [
        (a, False, False, "alpha"),
        (b, True, True, "beta"),
    ]
    _, first, second = told("list").splitlines()
    assert first.split()[:3] == [a, "floor", "68"]
    assert second.split()[:4] == ["*", b, "floor", "74"]
    assert second.split()[-1] == "forced"
    assert "forced" not in first


def test_show_knows_all(versions: tuple[str, str], meals_model: Path) -> None:
    a, b = versions
    known = asked("show", b[:9])
    assert (known["version"], known["parent"], known["champion"]) == (b, a, True)
    assert known["metrics"] == load_model(meals_model).metrics
    assert [(event["kind"], event["previous"], event["decision"]) for event in known["history"]] == [
        ("registered", None, None),
        ("forced", a, DECISION),
    ]
    shown = told("show", b)
    assert "state      champion, promoted by force" in shown
    assert "state      was champion\n" in told("show", a)
    for part in (a, known["fingerprint"], known["labels"], "100 more [new] labels", "free_meals: 0.700 against"):
        assert part in shown
    assert f"forced, in place of {a}, by beta: urgent" in shown
    assert "at most 0.03 less was asked for: does not hold" in shown
    assert "later_start: 0.700" not in shown
    assert "/somewhere/reports/floor-1/decision.html" in shown


def test_a_beginning_that_several_versions_share_is_refused(versions: tuple[str, str]) -> None:
    said = refused("show", "floor-")
    assert all(version in said for version in versions)
    assert "`stance models list`" in refused("show", "mild-")


def test_compare_is_compare(versions: tuple[str, str], meals: Path, meals_model: Path, other_model: Path) -> None:
    labels = ["--labels", meals / "labels.jsonl"]
    done = run_stance("compare", other_model, meals_model, *labels, "--json")
    assert done.returncode == 0, done.stderr
    assert asked("compare", *versions, *labels) == json.loads(done.stdout)


def test_rollback(versions: tuple[str, str], home: Path) -> None:
    a, b = versions
    assert told("rollback", "--why", "it is worse", "--by", "carla") == f"{a} is champion again, in place of {b}\n"
    champion = read_champion(home)
    assert champion is not None
    assert champion.version == a
    (*_, event) = asked("show", a)["history"]
    assert (event["kind"], event["previous"], event["by"], event["why"]) == ("rolled back", b, "carla", "it is worse")
    assert [row["forced"] for row in asked("list")] == [False, True]
    told("rollback", "--why", "the other was better", "--to", b)
    told("rollback", "--why", "back to the start", "--to", shipped_version())
    assert "no champion before" in refused("rollback", "--why", "further")
    assert asked("list")[-1]["champion"] is True


def test_an_added_model_serves_nobody(versions: tuple[str, str], meals: Path, tmp_path: Path, home: Path) -> None:
    done = run_stance(
        *("train", "--labels", meals / "labels.jsonl", "--targets", meals / "targets.yaml", "--recipe", "floor"),
        *("--error-rate", "0.3", "--out", tmp_path / "mine"),
    )
    assert done.returncode == 0, done.stderr
    version = load_model(tmp_path / "mine").version
    assert version in told("add", tmp_path / "mine", "--why", "to be compared", "--by", "alpha")
    assert "never was champion" in told("show", version)
    assert f"{version} never was champion" in refused("rollback", "--why", "?", "--to", version)
    champion = read_champion(home)
    assert champion is not None
    assert champion.version == versions[1]
    assert "is not a model folder" in refused("add", meals, "--why", "?")


def test_by_is_the_login_name(versions: tuple[str, str], meals_model: Path) -> None:
    done = run_stance("models", "rollback", "--why", "worse", LOGNAME="dora")
    assert done.returncode == 0, done.stderr
    assert asked("show", versions[0])["history"][-1]["by"] == "dora"


def test_what_scores_takes_the_champion_until_another_is_named(
    versions: tuple[str, str], other_model: Path, tmp_path: Path
) -> None:
    before, champion = versions
    (tmp_path / "texts.jsonl").write_text('{"text": "The cook wants the canteen to cost nothing."}\n')
    given: tuple[tuple[tuple[str, ...], str], ...] = ((), champion), (("--model", str(other_model)), before)
    for number, (option, version) in enumerate(given):
        out = tmp_path / f"{number}.jsonl"
        done = run_stance("batch", "score", tmp_path / "texts.jsonl", out, *option)
        assert done.returncode == 0, done.stderr
        assert json.loads(out.read_text())["model"] == version
    (scored,) = run_stance("score", "The cook wants the canteen to cost nothing.", "--json").stdout.splitlines()
    assert "free_meals" in json.loads(scored)["targets"]
    explained = run_stance("explain", "The cook wants the canteen to cost nothing.", "--json")
    assert champion in explained.stdout, explained.stderr
