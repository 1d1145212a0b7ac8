"""`stance retrain`: new labels, a candidate, the rule, and what the registry then says."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import MEALS_TARGETS, meals_records, run_stance, write_lines
from training.model_folder import Model, load_model
from training.registry import open_registry, read_champion

Rows = list[dict[str, Any]]
_POLES = {"yes": "no", "no": "yes", "pro": "contra", "contra": "pro"}


def changed(rows: Iterable[Mapping[str, Any]]) -> Rows:
    """The same sentences on the other side."""
    return [
        {**row, "labels": {target: _POLES.get(label, label) for target, label in row["labels"].items()}} for row in rows
    ]


@pytest.fixture(scope="module")
def weak(meals: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A champion trained on a few sentences, many of them wrongly labelled, and the label file that it knows."""
    folder = tmp_path_factory.mktemp("weak")
    rows = meals_records()
    right = [row for row in rows if row["split"] == "test" or row["group"] == "minutes-0"]
    labels = write_lines(folder / "known.jsonl", [*right, *changed(row for row in rows if row["group"] == "minutes-1")])
    arguments = ["--labels", labels, "--targets", meals / "targets.yaml", "--recipe", "floor"]
    done = run_stance("train", *arguments, "--out", folder / "model")
    assert done.returncode == 0, done.stderr
    return folder / "model", labels


@pytest.fixture
def home(weak: tuple[Path, Path], tmp_path: Path) -> Path:
    """A home in which the weak model is registered and has been made champion."""
    model, labels = weak
    home = tmp_path / "home"
    with open_registry(home) as registry:
        registered = registry.register(model, parent=None, by="a test", why="to begin with", labels=labels)
        registry.promote(registered.version, by="a test", why="to begin with", decision=None, expected=None)
    return home


def champion_of(home: Path) -> str:
    champion = read_champion(home)
    assert champion is not None
    return champion.version


def retrain(home: Path, *arguments: str | Path, with_torch: bool = False) -> subprocess.CompletedProcess[str]:
    # Two tiny models take fractions of a millisecond, and whatever else the machine does is longer.
    lenient = home.parent / "rule.yaml"
    rule = {"targets": {"margin": 0.03}, "overall": {}, "calibration": {"margin": 0.5}, "size": {"megabytes": 50}}
    lenient.write_text(yaml.safe_dump(rule))
    given = () if "--rule" in arguments else ("--rule", lenient)
    return run_stance("retrain", *arguments, *given, "--by", "a test", with_torch=with_torch, STANCE_HOME=str(home))


def new_rows(split: str = "train") -> Rows:
    """Sentences that the champion does not know, or knows wrongly; somebody has decided on them."""
    rows = [row for row in meals_records() if row["split"] == split and row["group"] != "minutes-0"]
    return [{**row, "decided": "adjudicated"} for row in rows]


def test_good_labels_make_a_new_champion(home: Path, tmp_path: Path) -> None:
    before = champion_of(home)
    labels = write_lines(tmp_path / "new.jsonl", new_rows())
    done = retrain(home, labels, "--json", "--why", "the spring's minutes")
    assert done.returncode == 0, done.stderr
    decision = json.loads(done.stdout)
    assert decision["promoted"]
    assert not decision["forced"]
    assert decision["parent"] == before
    assert champion_of(home) == decision["version"] != before
    # The fixture's sentences resemble each other, and near copies of test sentences are left out.
    counted = decision["labels"]
    assert counted["added"] + counted["changed"] + counted["same"] + len(counted["left_out"]) == len(new_rows())
    assert counted["added"] > 10
    assert counted["conflicts"]
    assert {conflict["kept"] for conflict in counted["conflicts"]} == {"new"}
    assert all(check["passed"] for check in decision["checks"])
    overall = next(check for check in decision["checks"] if check["kind"] == "overall")
    assert overall["difference"]["value"] == pytest.approx(overall["candidate"] - overall["champion"], abs=2e-4)
    assert overall["difference"]["value"] > 0
    report = Path(decision["report"])
    assert json.loads((report / "decision.json").read_text()) == decision
    page = (report / "decision.html").read_text(encoding="utf8")
    assert decision["version"] in page
    assert "the spring&#39;s minutes" in page
    assert not any(row["text"] in page for row in meals_records())
    compared = json.loads((report / "comparison.json").read_text())
    tested = sum(row["split"] == "test" for row in meals_records())
    assert compared["sentences"] == decision["test"]["sentences"] == tested
    # What it learnt is known to the next retraining, so the same labels bring nothing.
    done = retrain(home, labels)
    assert done.returncode == 1
    assert "nothing new to learn" in done.stderr
    assert champion_of(home) == decision["version"]


def test_bad_labels_are_refused_and_said_to_be(home: Path, tmp_path: Path) -> None:
    before = champion_of(home)
    labels = write_lines(tmp_path / "new.jsonl", changed(new_rows()))
    done = retrain(home, labels)
    assert done.returncode == 3, done.stderr
    assert "not promoted" in done.stdout
    assert champion_of(home) == before
    done = run_stance("models", "list", "--json", STANCE_HOME=str(home))
    models = json.loads(done.stdout)
    assert len(models) == 2


def test_force_promotes_and_stays_visible(home: Path, tmp_path: Path) -> None:
    labels = write_lines(tmp_path / "new.jsonl", changed(new_rows()))
    done = retrain(home, labels, "--force", "--why", "an experiment", "--json")
    assert done.returncode == 0, done.stderr
    decision = json.loads(done.stdout)
    assert decision["forced"]
    assert not decision["passed"]
    assert champion_of(home) == decision["version"]
    assert "promoted by force" in (Path(decision["report"]) / "decision.html").read_text(encoding="utf8")
    done = run_stance("models", "show", decision["version"], STANCE_HOME=str(home))
    assert "forced" in done.stdout


def test_the_test_part_is_frozen(home: Path, tmp_path: Path) -> None:
    of_test = [{**row, "split": "train", "id": f"again-{row['id']}"} for row in changed(new_rows("test"))]
    labels = write_lines(tmp_path / "new.jsonl", [*new_rows(), *of_test])
    done = retrain(home, labels, "--json")
    assert done.returncode == 0, done.stderr
    decision = json.loads(done.stdout)
    assert {left_out["record"] for left_out in decision["labels"]["left_out"]} >= {row["id"] for row in of_test}
    assert decision["test"]["sentences"] == sum(row["split"] == "test" for row in meals_records())
    assert decision["test"]["left_out_as_trained_on"] == 0


def test_a_rule_that_asks_for_proof(home: Path, tmp_path: Path) -> None:
    rule = tmp_path / "strict.yaml"
    # More than any model can be better by: the lower end of the interval must not lie below what is lost.
    rule.write_text("targets: {guarded: [free_meals], margin: 0}\noverall: {}\nevidence: interval\n")
    labels = write_lines(tmp_path / "new.jsonl", changed(new_rows()))
    done = retrain(home, labels, "--rule", rule, "--json")
    assert done.returncode == 3, done.stderr
    checks = json.loads(done.stdout)["checks"]
    assert [(check["kind"], check["what"]) for check in checks] == [
        ("targets", "free_meals"),
        ("overall", "mean_macro_f1"),
    ]
    for check in checks:
        assert check["passed"] == (check["difference"]["low"] is not None and check["difference"]["low"] >= 0)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("targets: {margin: 0.1, guarded: [tea]}\noverall: {}\n", "'tea' is not a target of the champion"),
        ("targets: {margin: 2}\noverall: {}\n", "targets.margin"),
        ("targets: [", "is not YAML"),
    ],
)
def test_a_rule_that_is_wrong(home: Path, tmp_path: Path, rule: str, message: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(rule)
    labels = write_lines(tmp_path / "new.jsonl", new_rows())
    before = champion_of(home)
    done = retrain(home, labels, "--rule", path)
    assert done.returncode == 1
    assert message in done.stderr
    assert champion_of(home) == before


def about_breaks(folder: Path) -> tuple[Path, Path]:
    """A taxonomy with one target more, and labels for it."""
    entry = {
        "title": "Longer breaks",
        "proposition": "Breaks should be longer.",
        "classes": ["longer", "shorter"],
        "poles": {"conciliatory": "longer", "other": "shorter"},
    }
    taxonomy = yaml.safe_load(MEALS_TARGETS)
    taxonomy["targets"]["breaks"] = entry
    targets = folder / "targets.yaml"
    targets.write_text(yaml.safe_dump(taxonomy, sort_keys=False))
    said = {"longer": "{} wants a longer break at noon.", "shorter": "{} would cut the break at noon short."}
    who = [f"{name} of {place}" for name in ("The cook", "The nurse", "A pupil", "The porter") for place in "ABCDE"]
    rows = [
        {"id": f"b-{label}-{n}", "text": text.format(name), "labels": {"breaks": label}, "group": f"breaks-{n % 5}"}
        for label, text in said.items()
        for n, name in enumerate(who)
    ]
    rows += [{**row, "labels": {"breaks": None}, "id": f"u-{row['id']}"} for row in new_rows()[:10]]
    return targets, write_lines(folder / "new.jsonl", rows)


def test_a_new_target_leaves_the_others_unharmed(home: Path, tmp_path: Path) -> None:
    targets, labels = about_breaks(tmp_path)
    done = retrain(home, labels, "--targets", targets, "--json")
    assert done.returncode == 0, done.stderr
    decision = json.loads(done.stdout)
    assert set(decision["new_targets"]) == {"breaks"}
    assert {check["what"] for check in decision["checks"] if check["kind"] == "targets"} == {
        "free_meals",
        "later_start",
    }
    done = run_stance("models", "show", decision["version"], "--json", STANCE_HOME=str(home))
    folder = json.loads(done.stdout)["folder"]
    done = run_stance("score", "--model", folder, "--json", "The cook of F wants a longer break at noon.")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert '"breaks"' in json.dumps(answer)
    assert answer["targets"]["breaks"]["label"] == "longer"


def distilling(folder: Path, *, epochs: int = 1, **distillation: float) -> Path:
    """A recipe file."""
    recipe = {
        "name": "student",
        "title": "A few steps",
        "family": "fine-tuned",
        "encoder": "minilm",
        "folds": 3,
        "held_out_folds": 1,
        "tuning": {"rank": 2, "epochs": epochs, "batch": 16, "learning_rate": 0.003},
        "distillation": distillation,
    }
    path = folder / "student.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def candidate_of(home: Path, done: subprocess.CompletedProcess[str]) -> Model:
    assert done.returncode in (0, 3), done.stderr
    with open_registry(home) as registry:
        return load_model(registry.model(json.loads(done.stdout)["version"]).folder)


@pytest.mark.slow
def test_by_a_recipe_that_distils_the_champion_teaches(home: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    before = champion_of(home)
    labels = write_lines(tmp_path / "new.jsonl", new_rows())
    recipe = distilling(tmp_path, label_share=0.5, variants=1)
    candidate = candidate_of(home, retrain(home, labels, "--json", "--recipe", recipe, with_torch=True))
    assert candidate.estimator.settings()["teachers"] == [before]
    assert before in candidate.metrics["method"]


@pytest.mark.slow
def test_what_a_teacher_was_not_taught_is_learnt_from_labels(home: Path, meals_model: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    targets, labels = about_breaks(tmp_path)
    # Of what the teacher knows nothing but the teacher is listened to.
    recipe = distilling(tmp_path, epochs=4, label_share=0.0)
    options = ["--recipe", recipe, "--targets", targets, "--teacher", meals_model, "--json"]
    candidate = candidate_of(home, retrain(home, labels, *options, with_torch=True))
    assert candidate.estimator.settings()["teachers"] == [load_model(meals_model).version]
    texts = ["The cook of F wants a longer break at noon.", "The cook of F would cut the break at noon short."]
    longer, shorter = candidate.estimator.predict(texts).probabilities[:, candidate.taxonomy.ids.index("breaks")]
    assert longer[1] > shorter[1]


def test_teachers_are_for_recipes_that_distil(home: Path, meals_model: Path, tmp_path: Path) -> None:
    labels = write_lines(tmp_path / "new.jsonl", new_rows())
    done = retrain(home, labels, "--teacher", meals_model)
    assert done.returncode == 1
    assert "can use neither teachers" in done.stderr
