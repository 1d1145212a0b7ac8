"""Every block of the pages for users is right: commands are run, or at least read; data is parsed; programs are run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt
from typer._click.exceptions import BadOptionUsage, MissingParameter, NoArgsIsHelpError

from labels.store import Label, open_store
from labels.taxonomy import load_taxonomy
from tests.command_line import check_call, commands, shell_lines, stance_calls
from tests.conftest import PROJECT, meals_records, run_stance, write_lines
from tests.test_serve_process import free_port, serving

PAGES = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").glob("*.md"))]
NAMES = [str(page.relative_to(PROJECT)) for page in PAGES]
SHOWN = "http://127.0.0.1:3000"

NOT_RUN = {
    r"--corpus|\bcorpus --|stance retrain|training\.remaining_errors": "needs the corpus; tests marked so run it",
    r"^(STANCE_\w+=\S+ )?stance serve": "stays up; tests/test_serve_process.py",
    r"^stance bench\b": "measures for minutes; tests/test_bench.py",
    r"^stance benchmark|tweets/|arguments/": "needs public data; tests/test_benchmark.py",
    r"^stance labels annotate": "needs a terminal; tests/test_annotate.py",
    r"^stance labels adjudicate (?!.*--(export|decisions))": "needs a terminal; tests/test_adjudicate.py",
    r"^stance labels next": "embeds the project's labels; tests/test_label_next.py",
    r"^stance feeds (add|run|query|report)": "asks hosts on the network; tests/test_feeds_*.py",
    r"^stance models (show|compare|rollback)": "versions of an example; tests/test_models_command.py",
    r"^stance (documents|holders) evaluate|^stance holders train": "takes minutes; tests/test_holders.py",
    r"^stance evaluate|^stance compare|^stance recipes --models DIR|MODEL_A": "needs a test part; test_evaluate.py",
    r"^stance train --labels (FILE|labels/data|labels\.jsonl)|FILE": "trains for minutes; tests/test_train.py",
    r"^stance propositions (train|evaluate --labels)": "needs issues of one's own; tests/test_propositions.py",
    r"--recipe (fine-tuned|distilled)": "trains for hours; tests/test_fine_tuning.py",
    r"--engine ray": "starts a cluster; tests/test_batch_ray.py",
    r"--install-completion": "changes the settings of a shell; tests/test_commands.py shows what would be written",
    r"^(pip|make|git|docker|bentoml|locust|pre-commit|sqlite3) |^mkdir|^cp ": "installs, or is another program's",
    r"/v1/(retrain|jobs)": "begins a retraining; tests/test_jobs_api.py",
}
"""What is only read, and why."""

OUTPUT = {
    "docs/labelling.md": "the screen of `labels annotate`",
    "docs/scale.md": "a formula",
}
"""Blocks that are neither commands nor data."""


@dataclass(frozen=True)
class Block:
    """A block of a page.

    Args:
        place: page and line.
        kind: shell, python, json, yaml, drawing or output.
        text: without its indentation.
    """

    place: str
    kind: str
    text: str


_SHELL = r"^(\$ |[A-Z_]+=\S+ )?(stance|curl|make|pip|python|locust|bentoml|mkdir|cp|git|docker|pre-commit)\b"


def blocks(name: str) -> Iterator[Block]:
    for token in MarkdownIt().parse((PROJECT / name).read_text(encoding="utf8")):
        if token.type in ("fence", "code_block"):
            assert token.map
            yield Block(f"{name}:{token.map[0] + 1}", _kind(token.info.strip(), token.content), token.content)


def _kind(info: str, text: str) -> str:
    if info in ("mermaid", "text"):
        return "drawing"
    if info == "python" or re.match(r"(from|import) ", text):
        return "python"
    if info == "sh" or re.search(_SHELL, text, re.M):
        return "shell"
    if text.startswith("{"):
        return "json"
    return "yaml" if re.match(r"\w+:\n", text) else "output"


def lines(name: str) -> Iterator[tuple[str, str]]:
    """Place and text of each line for a shell."""
    for block in blocks(name):
        if block.kind == "shell":
            for line in shell_lines(_commands_of(block.text)):
                yield block.place, line


def _commands_of(text: str) -> str:
    """Without what is shown of their output: where nothing has a prompt, paragraphs that begin with no command."""
    if re.search(r"^\$ ", text, re.M):
        return text
    return "\n".join(part for part in re.split(r"\n\n+", text) if re.match(rf"{_SHELL}|#", part))


def reason_not_to_run(line: str) -> str | None:
    return next((reason for pattern, reason in NOT_RUN.items() if re.search(pattern, line)), None)


@pytest.mark.parametrize("name", NAMES)
def test_blocks_are_commands_or_data(name: str) -> None:
    for block in blocks(name):
        if block.kind == "json":
            for line in block.text.splitlines():
                json.loads(line)
        elif block.kind == "yaml":
            assert yaml.safe_load(block.text.replace("…", ""))
        elif block.kind == "output":
            assert name in OUTPUT, f"{block.place}: what is it?"


@pytest.mark.parametrize("name", NAMES)
def test_every_command_is_one_that_there_is(name: str) -> None:
    for place, line in lines(name):
        for call in stance_calls(line):
            try:
                check_call(call.arguments)
            except Exception as error:
                pytest.fail(f"{place}: {line}: {error}")


@pytest.mark.parametrize("name", NAMES)
def test_commands_and_options_within_sentences_are_there(name: str) -> None:
    text = re.sub(r"(?m)^(    |```).*$", "", (PROJECT / name).read_text(encoding="utf8"))
    for code in re.findall(r"`([^`\n]+)`", text):
        for call in stance_calls(code) if re.match(r"stance (?!COMMAND)", code) else []:
            try:
                check_call([word.strip("…") for word in call.arguments if word != "…"])
            except (BadOptionUsage, MissingParameter, NoArgsIsHelpError):  # named, not given
                pass
            except Exception as error:
                pytest.fail(f"{name}: `{code}`: {error}")
        if option := re.match(r"(--[a-z][a-z-]+)", code):
            assert option[1] in OPTIONS, f"{name}: `{code}`"
        for target in re.findall(r"\bmake ([a-z]+)", code):
            assert f"\n{target}:" in MAKEFILE, f"{name}: `{code}`"


OPTIONS = {
    option for _, command in commands() for given in command.params for option in (*given.opts, *given.secondary_opts)
}
# Of locust (docs/load.md).
OPTIONS |= {"--rate", "--bodies", "--figures"}
MAKEFILE = (PROJECT / "Makefile").read_text(encoding="utf8")


def test_whatever_is_not_run_is_on_some_page() -> None:
    every = [line for name in NAMES for _, line in lines(name)]
    for pattern in NOT_RUN:
        assert any(re.search(pattern, line) for line in every), pattern
    for name in OUTPUT:
        assert any(block.kind == "output" for block in blocks(name)), name
    assert sum(reason_not_to_run(line) is None for line in every) > 40


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    page = PROJECT / name
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", page.read_text(encoding="utf8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        other = (page.parent / path).resolve() if path else page
        assert other.exists(), f"{name}: {target}"
        if anchor and other.suffix == ".md":
            assert anchor in _anchors(other), f"{name}: {target}"


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("examples")
    (folder / "metrics").mkdir()
    port = free_port()
    environment = {
        "BENTOML_HOME": str(folder / "home"),
        "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"),
        "PYTHONPATH": str(PROJECT),
    }
    os.environ["KEY"] = run_stance("keys", "create", "pages", BENTOML_HOME=environment["BENTOML_HOME"]).stdout.strip()
    command = [sys.executable, "-m", "serving.cli", "serve", "--port", str(port)]
    with serving(command, port, folder / "log", environment) as served:
        yield served
    del os.environ["KEY"]


SENTENCES = {
    "hawkish": [
        "Not one sanction will go before the last warhead, {} said.",
        "{} demanded more patrols and penalties.",
    ],
    "dovish": ["{} offered to halt the drills for talks.", "Easing the embargo would open the door, {} said."],
    None: ["{} opened a bridge on Monday.", "Rice prices rose again, {} reported."],
}
WHO = ("The senator", "An envoy", "Seoul", "A think tank", "The daily", "A former general", "The ministry")


def _labelled() -> Iterator[tuple[str, str | None, str]]:
    for label, forms in SENTENCES.items():
        for number, form in enumerate(forms):
            yield from ((form.format(who), label, f"article-{(i + number) % 7}") for i, who in enumerate(WHO))


@pytest.fixture(scope="module")
def for_tools(meals: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with files of other tools."""
    folder = tmp_path_factory.mktemp("tools")
    _convert_for_tools(folder, meals / "targets.yaml")
    return folder


@pytest.fixture
def desk(tmp_path: Path, meals: Path, meals_model: Path, for_tools: Path) -> Path:
    """A folder with the files that the pages speak of."""
    taxonomy = load_taxonomy()
    sentences = [text for text, _, _ in _labelled()][:6]
    own = [
        {
            "id": f"n{i}",
            "text": text,
            "group": group,
            "labels": {target.id: None for target in taxonomy} | {"posture": label},
        }
        for i, (text, label, group) in enumerate(_labelled())
    ]
    write_lines(tmp_path / "mine.jsonl", own)
    with open_store(tmp_path / "labels.db") as store:
        for row in own:
            at = datetime(2026, 3, 1, tzinfo=UTC)
            store.add(Label(row["id"], row["id"], row["labels"], "alpha", at=at, text=row["text"], group=row["group"]))
    for annotator, change in (("reader-1", None), ("reader-2", "neutral")):
        rows = [
            row | {"labels": row["labels"] | ({"posture": change} if change and i == 0 else {})}
            for i, row in enumerate(own)
        ]
        write_lines(tmp_path / f"{annotator}.jsonl", rows)
    both = (
        {"annotator": "alpha", "labels": {"posture": "hawkish"}},
        {"annotator": "beta", "labels": {"posture": "dovish"}},
    )
    write_lines(tmp_path / "labels.jsonl", [{"id": "n", "text": sentences[0], "labels": {}, "annotations": both}])

    (tmp_path / "my-targets.yaml").write_text((meals / "targets.yaml").read_text())
    write_lines(tmp_path / "my-labels.jsonl", (row | {"split": "train"} for row in meals_records()))
    with open_store(tmp_path / "store.sqlite") as store:
        at = datetime(2026, 3, 1, tzinfo=UTC)
        store.add(Label("a", "r", {"free_meals": "no"}, "alpha", at=at, text="The bus driver pays for his lunch."))
    shutil.copytree(for_tools, tmp_path, dirs_exist_ok=True)

    (tmp_path / "feed.txt").write_text("\n".join(sentences))
    write_lines(tmp_path / "feed.jsonl", ({"text": text} for text in sentences))
    (tmp_path / "article.txt").write_text(" ".join(sentences))
    about = {"title": "T", "date": "2026-03-01", "source": "wire"}
    rows = [
        {"text": " ".join(some), **about}
        for some in (sentences, sentences[:4], [text for text, _, _ in _labelled()][6:])
    ]
    write_lines(tmp_path / "articles.jsonl", rows)
    (tmp_path / "export.csv").write_text("number,body\n" + "".join(f'{i},"{s}"\n' for i, s in enumerate(sentences)))
    (tmp_path / "articles").mkdir()
    (tmp_path / "articles" / "one.txt").write_text(" ".join(sentences))
    shutil.copy(PROJECT / "serving" / "analysis" / "aliases.yaml", tmp_path / "names.yaml")
    shutil.copytree(PROJECT / "docs" / "examples", tmp_path / "docs" / "examples")
    shutil.copytree(meals_model, tmp_path / "registered")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "data").symlink_to(PROJECT / "labels" / "data")
    return tmp_path


def _convert_for_tools(folder: Path, taxonomy: Path) -> None:
    targets = ("--targets", taxonomy)
    write_lines(
        folder / "t.jsonl",
        [{"id": "t", "text": "The tram is free for whoever eats at school.", "labels": {"free_meals": "yes"}}],
    )
    done = run_stance("labels", "convert", folder / "t.jsonl", folder / "tasks.json", "--to", "label-studio", *targets)
    assert done.returncode == 0, done.stderr
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": [text for text, _, _ in _labelled()][:3]}), folder / "in.parquet")


INSTEAD = {"stance models add DIR": "stance models add registered"}
"""Where a page has a placeholder for what there must be."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name in NAMES if any(reason_not_to_run(line) is None for _, line in lines(name))]
)
def test_commands_do_what_they_are_said_to(name: str, desk: Path, address: str) -> None:
    environment = {"BENTOML_HOME": str(desk / "bentoml"), "HOME": str(desk)}
    for place, line in lines(name):
        if reason_not_to_run(line):
            continue
        for given, instead in INSTEAD.items():
            line = line.replace(given, instead)
        calls = stance_calls(line)
        for call in calls:
            done: Any = run_stance(*call.arguments, cwd=desk, **environment)
            assert done.returncode == 0, f"{place}: {line}\n{done.stderr}"
            if call.output:
                (desk / call.output).write_text(done.stdout)
        if "form.jsonl" in line and "--export" in line:
            _fill_in(desk / "form.jsonl")
        if not calls:
            _by_a_shell(place, line.replace(SHOWN, address), desk)


def _by_a_shell(place: str, line: str, folder: Path) -> None:
    if line.startswith("curl") and not shutil.which("curl"):
        pytest.skip("needs curl")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", line.replace("curl ", "curl --fail-with-body ")],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, f"{place}: {line}\n{done.stdout}{done.stderr}"


def _fill_in(form: Path) -> None:
    rows = [json.loads(line) for line in form.read_text("utf8").splitlines()]
    for row in rows:
        row["decision"] = dict.fromkeys(row["decision"], "neutral")
    write_lines(form, rows)


@pytest.mark.parametrize("name", [name for name in NAMES if any(block.kind == "python" for block in blocks(name))])
def test_programs_run(name: str, address: str, tmp_path: Path) -> None:
    for block in blocks(name):
        if block.kind != "python":
            continue
        done = subprocess.run(
            [sys.executable, "-c", block.text.replace(SHOWN, address)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"{block.place}: {done.stderr}"
        if "print(" in block.text:
            assert done.stdout.strip() == block.text.rsplit("# ", 1)[1].strip(), block.place


def _shown(start: str) -> tuple[str, str]:
    """A command of the README that begins so, and what is shown of its output."""
    for block in blocks("README.md"):
        parts = re.split(r"^\$ ", block.text, flags=re.M)
        for part in parts[1:]:
            command, _, output = part.partition("\n")
            if command.startswith(start) and output:
                return command, output
    raise AssertionError(f"the README shows no output of {start}")


def test_curl_gets_the_answer_that_is_shown(address: str) -> None:
    if not shutil.which("curl"):
        pytest.skip("needs curl")
    command, shown = _shown("curl")
    assert SHOWN in command
    done = subprocess.run(["bash", "-c", command.replace(SHOWN, address)], capture_output=True, check=True, timeout=120)
    answer, expected = json.loads(done.stdout), json.loads(shown)
    assert answer["model"] == expected["model"]
    for given, wanted in zip(answer["results"], expected["results"], strict=True):
        assert given["truncated"] == wanted["truncated"]
        assert list(given["targets"]) == list(wanted["targets"])
        for target_id, target in wanted["targets"].items():
            of = given["targets"][target_id]
            assert (of["label"], of["abstained"]) == (target["label"], target["abstained"])
            # Another processor rounds otherwise.
            assert of["score"] == pytest.approx(target["score"], abs=0.01)
            assert of["probabilities"] == pytest.approx(target["probabilities"], abs=0.01)


def test_score_prints_what_is_shown() -> None:
    command, shown = _shown("stance score ")
    (call,) = stance_calls(command)
    done = run_stance(*call.arguments)
    number = r"[+-]?\d\.\d+"
    assert re.sub(number, "#", done.stdout) == re.sub(number, "#", shown)
    given, wanted = ([float(each) for each in re.findall(number, text)] for text in (done.stdout, shown))
    assert given == pytest.approx(wanted, abs=0.02)


def test_an_article_is_read_as_is_shown() -> None:
    command, shown = _shown("stance analyze ")
    (call,) = stance_calls(command)
    done = run_stance(*call.arguments)
    number = r"[+-]?\d\.\d+"
    table, wanted = ([line.rstrip() for line in text.splitlines()] for text in (done.stdout, shown))
    table = table[next(i for i, line in enumerate(table) if line.startswith("score (sentences)")) :]
    assert wanted[0] == "…"
    assert [re.sub(number, "#", line) for line in table] == [re.sub(number, "#", line) for line in wanted[1:]]
    given, expected = ([float(each) for each in re.findall(number, "\n".join(lines))] for lines in (table, wanted))
    assert given == pytest.approx(expected, abs=0.02)
