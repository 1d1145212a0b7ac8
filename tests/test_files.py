"""Files and folders that appear whole or not at all, whatever goes wrong on the way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from labels.errors import StanceError
from labels.files import replacing_folder, write_whole, writing_whole

MARKS = ("about.json",)


def _folder(path: Path, content: str) -> Path:
    path.mkdir()
    (path / "about.json").write_text(content)
    return path


def _only(folder: Path, *names: str) -> bool:
    return sorted(each.name for each in folder.iterdir()) == sorted(names)


def test_a_file_that_breaks_off_leaves_the_old_one_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text("old")

    def breaks_off() -> None:
        with writing_whole(path) as fresh:
            fresh.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        breaks_off()
    assert path.read_text() == "old"
    assert _only(tmp_path, "labels.jsonl")


def test_a_file_keeps_its_mode_and_a_link_its_place(tmp_path: Path) -> None:
    path, link = tmp_path / "keys.json", tmp_path / "link"
    path.write_text("old")
    path.chmod(0o600)
    link.symlink_to(path)
    write_whole(link, "new")
    assert link.is_symlink()
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("place", ["nowhere/file", "folder"])
def test_a_place_where_no_file_can_be_is_an_error(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(StanceError, match="cannot be written"):
        write_whole(tmp_path / place, "text")
    assert _only(tmp_path, "folder")


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "labels.jsonl"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StanceError, match="No space left"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert _only(tmp_path, "labels.jsonl")


def test_a_folder_takes_the_place_of_one_of_its_kind_whole(tmp_path: Path) -> None:
    path = _folder(tmp_path / "model", "old")
    (path / "left.bin").write_text("of the old one")
    with replacing_folder(path, MARKS, "a model") as fresh:
        (fresh / "about.json").write_text("new")
    assert _only(path, "about.json")
    assert (path / "about.json").read_text() == "new"
    assert _only(tmp_path, "model")


def test_something_else_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_text("")
    (tmp_path / "file").write_text("")
    for name in ("photos", "file"):
        with (
            pytest.raises(StanceError, match="exists and is not a model"),
            replacing_folder(tmp_path / name, MARKS, "a model"),
        ):
            pytest.fail("it was begun")
    assert _only(tmp_path, "photos", "file")


def test_a_folder_that_breaks_off_leaves_the_old_one(tmp_path: Path) -> None:
    path = _folder(tmp_path / "model", "old")

    def breaks_off() -> None:
        with replacing_folder(path, MARKS, "a model") as fresh:
            (fresh / "about.json").write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        breaks_off()
    assert (path / "about.json").read_text() == "old"
    assert _only(tmp_path, "model")


def test_the_old_folder_comes_back_where_the_new_one_cannot_be_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, put = _folder(tmp_path / "model", "old"), os.replace

    def fails_once_the_old_is_away(source: Path, target: Path) -> None:
        if Path(target) == path and not path.exists() and Path(source).name == "model":
            raise OSError(5, "Input/output error")
        put(source, target)

    monkeypatch.setattr(os, "replace", fails_once_the_old_is_away)
    with pytest.raises(StanceError, match="Input/output error"), replacing_folder(path, MARKS, "a model") as fresh:
        (fresh / "about.json").write_text("new")
    assert (path / "about.json").read_text() == "old"
    assert _only(tmp_path, "model")
