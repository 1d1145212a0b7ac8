"""Questions in SQL: what the views count, and that nothing else can be reached by a question."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from labels.errors import StanceError
from serving.feeds.query import Scores, open_scores, query
from tests.conftest import PROJECT, run_stance
from tests.feeds_parts import COOK, MAYOR, NOON, Waiting, entry, files_of, run


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory, meals_model: Path) -> Path:
    """A story in two papers, in one of them twice; another story the day before, in one; and one in German."""
    folder = tmp_path_factory.mktemp("feeds")
    waiting = Waiting(folder / "waiting.sqlite")
    wire = entry(1, outlet="The Paper")
    waiting.add(
        wire,
        replace(wire, feed="http://paper.example/world"),
        replace(wire, feed="http://valley.example/feed", outlet="The Valley", url="http://valley.example/1"),
        entry(2, COOK, published=NOON - timedelta(days=1), outlet="The Valley"),
        entry(3, "Die Kantine ist teuer, sagt der Koch.", language="de"),
    )
    run(folder, waiting, meals_model)
    return folder


@pytest.fixture
def scores(scored: Path) -> Iterator[Scores]:
    with open_scores(scored) as opened:
        yield opened


def test_each_view_counts_articles_and_appearances(scores: Scores) -> None:
    def counted(view: str, key: str) -> dict[object, tuple[object, ...]]:
        sql = f"SELECT {key}, articles, appearances, sentences FROM {view} WHERE target = 'free_meals'"
        return {row[0]: row[1:] for row in scores.ask(sql).rows}

    assert counted("by_target", "target") == {"free_meals": (2, 4, 5)}
    assert counted("by_outlet", "outlet") == {"The Paper": (1, 2, 2), "The Valley": (2, 2, 5)}
    days = {NOON.date(): (1, 3, 2), NOON.date() - timedelta(days=1): (1, 1, 3)}
    assert counted("by_day", "date") == days
    assert counted("by_holder", "holder") == {}


def test_means_weigh_sentences_once_or_once_an_appearance(scores: Scores) -> None:
    rows = list(
        scores.ask(
            "SELECT score, appearances FROM latest "
            "WHERE target = 'free_meals' AND label <> 'unrelated' AND NOT abstained"
        ).rows
    )
    assert len({times for _, times in rows}) == 2
    once = sum(score for score, _ in rows) / len(rows)
    often = sum(score * times for score, times in rows) / sum(times for _, times in rows)
    sql = "SELECT touching, score, score_by_appearance FROM by_target WHERE target = 'free_meals'"
    ((touching, score, by_appearance),) = scores.ask(sql).rows
    assert touching == len(rows)
    assert (score, by_appearance) == (pytest.approx(once), pytest.approx(often))
    assert once != pytest.approx(often)


def test_articles_tell_what_was_not_scored(scores: Scores) -> None:
    rows = dict(scores.ask("SELECT url, version IS NULL FROM articles").rows)
    assert rows["http://paper.example/3"] is True
    assert sum(rows.values()) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM articles",
        "CREATE TABLE x (a INT)",
        "SELECT 1; SELECT 2",
        "",
        "SET enable_external_access = true",
        "ATTACH '{folder}/state.sqlite' AS s (TYPE sqlite)",
        "INSTALL httpfs",
        "LOAD httpfs",
        "COPY (SELECT 1) TO '{folder}/out.csv'",
        "PRAGMA database_list",
        "CALL pragma_version()",
    ],
)
def test_only_a_select_is_answered(sql: str, scored: Path, scores: Scores) -> None:
    with pytest.raises(StanceError, match="only one SELECT"):
        scores.ask(sql.format(folder=scored))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('{file}')",
        "SELECT * FROM read_parquet('{file}')",
        "SELECT * FROM '{file}'",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM read_csv('http://127.0.0.1:9/x.csv')",
        "SELECT * FROM sqlite_scan('{folder}/state.sqlite', 'articles')",
        "WITH x AS (COPY (SELECT 1) TO '{folder}/out.csv') SELECT * FROM x",
        "WITH x AS (COPY (SELECT 1) TO '{file}') SELECT * FROM x",
        "WITH x AS (INSERT INTO articles (id) VALUES (7) RETURNING id) SELECT * FROM x",
        "SELECT * FROM secret_of_the_test",
        "SELECT nonsense FROM scores",
        "SELEC 1",
    ],
)
def test_a_question_reaches_nothing_else(sql: str, scored: Path, scores: Scores) -> None:
    import pyarrow as pa

    secret_of_the_test = pa.table({"a": [1]})
    (file, *_) = files_of(scored)
    before = {path: path.read_bytes() for path in [*files_of(scored)]}
    with pytest.raises(StanceError) as caught:
        list(scores.ask(sql.format(file=file, folder=scored)).rows)
    assert "Traceback" not in str(caught.value)
    assert {path: path.read_bytes() for path in files_of(scored)} == before
    assert not (scored / "out.csv").exists()
    assert secret_of_the_test.num_rows == 1
    # The next question is answered all the same.
    assert list(scores.ask("SELECT count(*) FROM articles").rows) == [(3,)]


def test_what_a_killed_run_left_is_not_seen(scored: Path, tmp_path: Path) -> None:
    (file, *_) = files_of(scored)
    stray = file.with_name("stray.parquet")
    before = query(scored, "SELECT count(*) FROM scores").rows
    stray.write_bytes(file.read_bytes())
    try:
        assert query(scored, "SELECT count(*) FROM scores").rows == before
    finally:
        stray.unlink()
    file.rename(tmp_path / "away")
    try:
        with pytest.raises(StanceError, match="1 of 2 files of scores are gone"):
            query(scored, "SELECT 1")
    finally:
        (tmp_path / "away").rename(file)


def test_nothing_scored_yet(tmp_path: Path, meals_model: Path) -> None:
    with pytest.raises(StanceError, match="no feeds have been run here"):
        query(tmp_path / "nowhere", "SELECT 1")
    assert not (tmp_path / "nowhere").exists()
    run(tmp_path, Waiting(tmp_path / "waiting.sqlite"), meals_model)
    for view in ("scores", "latest", "by_target", "by_day", "by_outlet", "by_holder", "articles", "appearances"):
        assert query(tmp_path, f"SELECT * FROM {view}").rows == []


def test_the_command_answers_people_and_programs(scored: Path) -> None:
    shown = run_stance("feeds", "query", "--folder", scored, "SHOW TABLES")
    assert shown.returncode == 0, shown.stderr
    assert {"latest", "scores", "by_outlet"} <= set(shown.stdout.split())
    wrong = run_stance("feeds", "query", "--folder", scored, "SELECT * FROM elsewhere")
    assert wrong.returncode == 1
    assert re.search(r"^error: .*elsewhere", wrong.stderr, re.M)
    both = run_stance("feeds", "query", "--folder", scored, "--json", "--csv", "SELECT 1")
    assert both.returncode == 2


def test_places_lead_to_the_sentence(scored: Path, scores: Scores) -> None:
    sql = """
        SELECT DISTINCT sentence, start, "end", text FROM latest
        WHERE url = 'http://paper.example/1' ORDER BY sentence
    """
    rows = list(scores.ask(sql).rows)
    assert [MAYOR[start:end] for _, start, end, _ in rows] == [text for *_, text in rows]


def _asked_in(page: str) -> list[str]:
    text = (PROJECT / page).read_text(encoding="utf8")
    return re.findall(r'stance feeds query "([^"]+)"', text)


@pytest.mark.parametrize("page", ["README.md", "docs/feeds.md"])
def test_the_questions_of_the_documents_are_answered(page: str, scores: Scores) -> None:
    asked = _asked_in(page)
    assert asked
    for sql in asked:
        if "…" not in sql:
            assert scores.ask(sql).columns
