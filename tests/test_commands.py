"""Help of every command: complete, the same words for the same option, with an example that is right."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest
from typer._click.exceptions import UsageError

from tests.command_line import check_call, command_tree, commands, stance_calls
from tests.conftest import PROJECT, run_stance

ALL = dict(commands())
SAME = (
    "--json",
    "--corpus",
    "--labels",
    "--targets",
    "--fast",
    "--folder",
    "--state",
    "--allow-private",
    "--by",
    "--why",
)
"""Options that mean the same wherever they stand."""
DIFFERENT = {
    ("--labels", "stance retrain"): "those of the champion are known",
    ("--labels", "stance explain"): "beside the project's, not instead of them",
    ("--labels", "stance bench runtimes"): "changes what is measured",
    ("--labels", "stance benchmark score"): "one file, of public data",
    ("--labels", "stance benchmark cross-validate"): "one file, of public data",
    ("--targets", "stance retrain"): "those of the champion are known",
    ("--targets", "stance benchmark cross-validate"): "of public data",
    ("--corpus", "stance bench"): "what is measured on, so no variable sets it",
    ("--corpus", "stance bench runtimes"): "what is measured on, so no variable sets it",
    ("--why", "stance retrain"): "may be left out",
    ("--json", "stance feeds query"): "an object for each row",
}


def _options(command: object) -> list[object]:
    return [each for each in command.params if each.param_type_name == "option"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ALL)
def test_help_is_complete(name: str) -> None:
    command = ALL[name]
    assert command.help, "says what it does"
    assert command.help.split("\n")[0].rstrip()[-1] in ".?"
    for given in command.params:
        if given.name not in ("install_completion", "show_completion"):
            assert given.help, f"{given.opts} says what it is"
            assert given.help[0].isupper() or given.help[0] in ".(", given.help


@pytest.mark.parametrize("name", ALL)
def test_the_example_is_of_this_command_and_is_right(name: str) -> None:
    lines = re.findall(r"^  (.*\bstance .*)$", ALL[name].epilog or "", re.M)
    assert lines, f"`{name} --help` has no example"
    for line in lines:
        for call in stance_calls(line):
            assert check_call(call.arguments) == name


def test_what_is_wrong_in_an_example_is_seen() -> None:
    for line in (
        "stance scroe x",
        "stance score --fill x",
        "stance labels",
        "stance serve --port many",
        "stance train",
    ):
        with pytest.raises(UsageError):
            check_call(stance_calls(line)[0].arguments)


def test_an_option_means_the_same_everywhere() -> None:
    said: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name, command in ALL.items():
        for given in _options(command):
            for option in given.opts:  # type: ignore[attr-defined]
                if option in SAME and (option, name) not in DIFFERENT:
                    said[option][given.help].append(name)  # type: ignore[attr-defined]
    assert set(said) == set(SAME)
    for option, helps in said.items():
        assert len(helps) == 1, f"{option}: {dict(helps)}"


OTHER_MODELS = {"stance serve", "stance holders evaluate", "stance propositions evaluate", "stance learning-curve"}
"""Their --model is of another kind, or needs more words."""


def test_without_a_model_it_is_the_champion_or_the_one_that_ships() -> None:
    said = {
        given.help  # type: ignore[attr-defined]
        for name, command in ALL.items()
        for given in _options(command)
        if "--model" in given.opts and name not in OTHER_MODELS  # type: ignore[attr-defined]
    }
    assert said == {"Model folder. Default: the champion.", "Model folder. Default: the one that ships."}


def test_exceptions_are_of_options_that_are_there() -> None:
    for option, name in DIFFERENT:
        assert option in [o for given in _options(ALL[name]) for o in given.opts]  # type: ignore[attr-defined]


def test_exit_codes_are_those_of_the_page() -> None:
    page = (PROJECT / "docs" / "commands.md").read_text(encoding="utf8")
    listed = re.findall(r"^\| (\d+) \|", page, re.M)
    told = re.findall(r"^  (\d+) ", command_tree().epilog, re.M)
    assert listed == told
    used = {"1", "2", "130"}
    for path in (PROJECT / "serving" / "commands").glob("*.py"):
        for name in re.findall(r"raise typer\.Exit\((\w+)\)", text := path.read_text(encoding="utf8")):
            used.add(re.search(rf"^{name} = (\d+)$", text, re.M)[1])  # type: ignore[index]
    assert set(listed) == used | {"0"}


def test_what_most_people_need_is_listed_first() -> None:
    done = run_stance("--help")
    listed = re.findall(r"^  ([a-z-]+)  +\S", done.stdout.split("Commands:")[1].split("Exit codes:")[0], re.M)
    assert listed[0] == "score"
    assert listed.index("serve") < listed.index("train") < listed.index("bench")
    assert sorted(listed) == sorted(command_tree().commands)


def test_every_group_of_commands_stands_on_the_page() -> None:
    page = (PROJECT / "docs" / "commands.md").read_text(encoding="utf8")
    for name in command_tree().commands:
        assert f"`stance {name}" in page


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes(shell: str) -> None:
    done = run_stance("--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert done.returncode == 0, done.stderr
    assert "COMPLETE" in done.stdout
