"""A folder of `.txt` files, however deep, each a text; a row's place is its number in the order of names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from labels.errors import StanceError
from serving.batch.rows import LONGEST_ROW, Row, Seen, text_problem


def text_files(folder: Path) -> list[Path]:
    """Its text files, in the order of their paths."""
    return sorted(path for path in folder.rglob("*.txt") if path.is_file())


class TextFolder:
    """A `Source` with the columns `id` (the path within the folder) and that of texts.

    Raises:
        StanceError: there is no text file.
    """

    def __init__(self, path: Path, text_column: str) -> None:
        self.text_column = text_column
        self._folder = path
        self._files = text_files(path)
        self.size = len(self._files)
        if not self._files:
            raise StanceError("holds no .txt file", path=path)
        if text_column == "id":
            raise StanceError("the column 'id' holds the names of files", hint="Name another --text-column.")

    def columns(self) -> tuple[str, ...]:
        return ("id", self.text_column)

    def schema(self) -> None:
        return None

    def survey(self) -> Iterator[Seen]:
        for place, file in enumerate(self._files):
            text, reason = self._text(file)
            named = self._name(file).encode("utf8", "backslashreplace").decode("utf8")
            yield Seen(place, len(text), reason, file=named)

    def read(self, start: int, end: int) -> tuple[list[Row], list[str]]:
        found = [(file, *self._text(file)) for file in self._files[start:end]]
        rows: list[Row] = [
            {"id": self._name(file), self.text_column: text} for file, text, reason in found if not reason
        ]
        return rows, [row[self.text_column] for row in rows]

    def _name(self, file: Path) -> str:
        return file.relative_to(self._folder).as_posix()

    def _text(self, file: Path) -> tuple[str, str | None]:
        """Its text, or nothing and why."""
        if any("\ud800" <= c <= "\udfff" for c in self._name(file)):
            return "", "its name is not UTF-8"
        try:
            if file.stat().st_size > LONGEST_ROW:
                return "", f"is longer than {LONGEST_ROW:,} bytes"
            text = file.read_bytes().decode("utf-8-sig")
        except OSError as error:
            return "", f"cannot be read: {error.strerror}"
        except UnicodeDecodeError as error:
            return "", f"is not UTF-8: {error.reason} at byte {error.start}"
        reason = text_problem(text, self.text_column)
        return ("" if reason else text), reason
