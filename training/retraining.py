"""From new labels to a model that serves, or to a clear no."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from labels.corpus import Document, load_corpus, resolve
from labels.errors import StanceError
from labels.files import replacing_folder
from labels.merging import Merged, merge, read_new_labels, write_records
from labels.records import DEFAULT_LABELS, SCORED_ONLY, default_label_files, read_records
from labels.taxonomy import Taxonomy, load_taxonomy
from training.comparison import compare, shared_targets
from training.dataset import texts_of
from training.families import HelpFrom, check_help
from training.footprint import Footprint, footprints
from training.help_from import settings_of, taught_by
from training.model_folder import DEFAULT_MODEL, Model, load_model, save_model
from training.outcomes import Progress
from training.promotion import DEFAULT_RULE, Check, checks_of, guarded_targets, load_rule
from training.recipes import Recipe, TunedRecipe, load_recipe
from training.registry import Registered, Registry, open_registry
from training.report import write_decision
from training.train import LabelledData, labelled, part_at_hand, read_labelled, train

_ABOUT_THE_TEST = ("sentences", "groups", "fingerprint", "left_out_as_trained_on")

Stage = Callable[[str], None]
"""Told what begins."""


@dataclass(frozen=True)
class Retraining:
    """What is asked for.

    Attributes:
        new: files with new labels, see `labels.merging.read_new_labels`.
        corpus: folder that resolves stand-off records.
        targets: taxonomy file; the champion's taxonomy where None.
        recipe: name or file of a recipe; the champion's where None.
        rule: file of the rule by which the candidate is judged; the project's where None.
        known: label files that the champion was trained on, where the registry does not know them.
        by: who asks.
        why: what for.
        force: promote whatever the rule says.
        teachers: model folders that a recipe that distils learns from; the champion where there is none.
    """

    new: tuple[Path, ...]
    by: str
    why: str
    corpus: Path | None = None
    targets: Path | None = None
    recipe: str | None = None
    rule: Path | None = None
    known: tuple[Path, ...] = ()
    force: bool = False
    teachers: tuple[Path, ...] = ()


def retrain(
    asked: Retraining, home: Path, progress: Progress | None = None, stage: Stage | None = None
) -> dict[str, Any]:
    """Merge new labels with the champion's, train a candidate, compare both, and promote it or not.

    Whoever calls it holds `training.retraining_lock`. The candidate is registered in either case. Until the pointer
    to it is set, in one transaction, the champion is as it was.

    Args:
        asked: what is asked for.
        home: see `training.home`.
        progress: told how far long work is.
        stage: told what begins.

    Returns:
        the decision, fit for JSON; docs/retraining.md describes it.

    Raises:
        StanceError: something in the labels, the recipe or the rule is wrong; there is nothing new to learn; nothing
            is at hand to judge by; or another champion was made meanwhile.
    """
    watch = _Watch(stage)
    rule = load_rule(asked.rule or DEFAULT_RULE)
    with open_registry(home) as registry, ThreadPoolExecutor(1) as beside:
        watch.begin("reading labels")
        pointed_at = registry.champion()
        parent = pointed_at or _shipped(registry, asked.by)
        champion = load_model(parent.folder, cache=True)
        # Its encoder starts while labels are read; nearly all of that is not Python.
        starting = beside.submit(champion.estimator.load)
        guarded = guarded_targets(rule, champion.taxonomy.ids)
        recipe = _recipe(asked, champion)
        taxonomy = load_taxonomy(asked.targets) if asked.targets else champion.taxonomy
        documents = load_corpus(asked.corpus)
        merged = _merged(asked, _labels_of(parent, champion, asked), taxonomy, documents)
        with tempfile.TemporaryDirectory(prefix="stance-candidate-") as scratch:
            labels, folder = Path(scratch) / "labels.jsonl", Path(scratch) / "model"
            write_records(merged.records, labels)
            resolution = resolve(merged.records, documents)
            data = labelled(resolution, [labels], taxonomy)
            _refuse_less(data, champion, asked)
            starting.result()
            watch.begin("training the candidate")
            help_from = _help(recipe, champion, asked, data, labels, progress)
            candidate = _candidate(data, recipe, champion, help_from, folder, progress)
            watch.begin("comparing it with the champion")
            shared = shared_targets([candidate, champion])
            judged = data if shared == taxonomy else labelled(resolution, [labels], shared)
            compared = _compared(candidate, champion, judged, progress)
            costs = _costs(folder, parent.folder, texts_of(part_at_hand(data, "test")))
            checks = checks_of(rule, compared, guarded, costs)
            watch.begin("registering it")
            registered = registry.register(folder, parent=parent.version, by=asked.by, why=asked.why, labels=labels)
        watch.begin("deciding")
        decision = {
            "version": registered.version,
            "parent": parent.version,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "by": asked.by,
            "why": asked.why,
            **_verdict(checks, asked.force),
            "rule": rule.model_dump(),
            "test": {name: compared[name] for name in _ABOUT_THE_TEST},
            "changed_sides": len(compared["changed_sides"]),
            "labels": _about_labels(merged),
            "footprints": {name: cost.as_dict() for name, cost in costs.items()},
            "new_targets": _new_targets(candidate, champion),
            "report": str(_report_folder(home, registered.version)),
            "seconds": watch.seconds(),
        }
        _write(decision, compared, home)
        who: dict[str, Any] = {"by": asked.by, "why": asked.why, "decision": decision}
        if decision["promoted"]:
            expected = pointed_at.version if pointed_at else None
            registry.promote(registered.version, **who, forced=decision["forced"], expected=expected)
        else:
            registry.refuse(registered.version, **who)
    return decision


class _Watch:
    """How long each stage takes."""

    def __init__(self, stage: Stage | None) -> None:
        self._stage, self._began = stage, dict[str, float]()

    def begin(self, what: str) -> None:
        self._began[what] = time.monotonic()
        if self._stage:
            self._stage(what)

    def seconds(self) -> dict[str, float]:
        ends = [*list(self._began.values())[1:], time.monotonic()]
        return {what: round(end - at, 2) for (what, at), end in zip(self._began.items(), ends, strict=True)}


def _shipped(registry: Registry, by: str) -> Registered:
    """What serves while nothing was ever promoted; registered, so that one can go back to it."""
    return registry.register(DEFAULT_MODEL, parent=None, by=by, why="the model that ships", labels=None)


def _labels_of(parent: Registered, champion: Model, asked: Retraining) -> tuple[Path, ...]:
    """The label files that the champion was trained on."""
    if asked.known:
        return asked.known
    if parent.labels:
        return (parent.labels,)
    files = default_label_files()
    names = {file["name"] for file in champion.data["files"]}
    if names != {path.name for path in files}:
        raise StanceError(
            f"the labels that {parent.version} was trained on are not known ({', '.join(sorted(names))})",
            hint="Name them with --labels.",
        )
    return files


def _merged(
    asked: Retraining, known_files: Sequence[Path], taxonomy: Taxonomy, documents: dict[str, Document]
) -> Merged:
    known = read_records(known_files, taxonomy, skip_unknown_targets=True)
    new = [record for path in asked.new for record in read_new_labels(path, taxonomy)]
    if asked.new and not new:
        raise StanceError("holds no label", path=", ".join(map(str, asked.new)))
    texts = {sentence.record.id: sentence.text for sentence in resolve([*known, *new], documents).sentences}
    merged = merge(known, new, texts)
    if not merged.added and not merged.changed and asked.recipe is None:
        raise StanceError(
            f"there is nothing new to learn: {merged.same} labels are known, {len(merged.left_out)} left out",
            hint="`stance labels merge` says why labels are left out.",
        )
    return merged


def _recipe(asked: Retraining, champion: Model) -> Recipe:
    recipe = load_recipe(asked.recipe) if asked.recipe else champion.recipe
    # Where none is named and the recipe needs one, the champion teaches.
    if asked.teachers:
        check_help(recipe, taught=True, started=False)
    return recipe


def _refuse_less(data: LabelledData, champion: Model, asked: Retraining) -> None:
    """A candidate that lacks what its champion knew would lose without anybody having asked for that."""
    at_hand, had = len(data.part("train")), champion.data["sentences"]
    if data.missing and at_hand < had:
        raise StanceError(
            f"only {at_hand} training sentences are at hand, and the champion was trained on {had}: "
            f"{data.missing.total()} records point into {len(data.missing)} documents that are not in the corpus",
            hint=("Name the corpus with --corpus" if asked.corpus is None else "Name a corpus that holds them")
            + ", or begin afresh without them: `stance train`.",
        )


def _help(
    recipe: Recipe,
    champion: Model,
    asked: Retraining,
    data: LabelledData,
    labels: Path,
    progress: Progress | None,
) -> HelpFrom | None:
    if isinstance(recipe, TunedRecipe) and recipe.distillation:
        # Whoever taught the champion may not be at hand; the champion itself is.
        teachers = [load_model(folder) for folder in asked.teachers] or [champion]
        return taught_by(teachers, recipe, data, [labels], asked.corpus, progress)
    # What was chosen for the champion is kept: choosing it again takes most of the time and changes little.
    return settings_of(champion) if recipe == champion.recipe else None


def _candidate(
    data: LabelledData,
    recipe: Recipe,
    champion: Model,
    help_from: HelpFrom | None,
    folder: Path,
    progress: Progress | None,
) -> Model:
    candidate = save_model(train(data, recipe, progress, help_from), folder)
    if candidate.version == champion.version:
        raise StanceError(
            f"the candidate is the champion itself ({champion.version})", hint="Nothing changed for training."
        )
    return candidate


def _compared(candidate: Model, champion: Model, data: LabelledData, progress: Progress | None) -> dict[str, Any]:
    """Candidate (a) and champion (b) on the test part and on the project's contrast sets, which hold their texts."""
    files = [DEFAULT_LABELS / name for name in SCORED_ONLY]
    sets = read_labelled(files, data.taxonomy, None, skip_unknown_targets=True)
    return compare(candidate, champion, data, "test", contrast=sets, progress=progress)


def _costs(candidate: Path, champion: Path, texts: Sequence[str]) -> dict[str, Footprint]:
    # Loaded anew, without the cache of embeddings, as where they serve.
    return footprints(
        {"candidate": (load_model(candidate), candidate), "champion": (load_model(champion), champion)}, texts
    )


def _verdict(checks: Sequence[Check], force: bool) -> dict[str, Any]:
    passed = all(check.passed for check in checks)
    return {
        "passed": passed,
        "promoted": passed or force,
        "forced": force and not passed,
        "checks": [check.as_dict() for check in checks],
    }


def _about_labels(merged: Merged) -> dict[str, Any]:
    return {
        "added": merged.added,
        "changed": merged.changed,
        "same": merged.same,
        "conflicts": [asdict(conflict) for conflict in merged.conflicts],
        "left_out": [asdict(left_out) for left_out in merged.left_out],
    }


def _new_targets(candidate: Model, champion: Model) -> dict[str, Any]:
    """Held-out figures of the targets that the champion does not answer; None where none could be held out."""
    held_out = candidate.metrics.get("targets", {})
    new = [target.id for target in candidate.taxonomy if champion.taxonomy.get(target.id) != target]
    return {target_id: held_out.get(target_id) for target_id in new}


def _report_folder(home: Path, version: str) -> Path:
    return home / "reports" / version


def _write(decision: Mapping[str, Any], compared: Mapping[str, Any], home: Path) -> None:
    folder = _report_folder(home, decision["version"])
    folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing_folder(folder, ("decision.json",), "a decision") as fresh:
        write_decision(decision, compared, fresh)
