"""The terminal in single-key mode, given back as it was whatever happens."""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import termios
import tty
from codecs import getincrementaldecoder
from dataclasses import dataclass
from types import FrameType
from typing import Any

from rich.console import Console, RenderableType
from rich.control import Control
from rich.screen import Screen

from labels.annotate import BACKSPACE, END, ENTER, ERASE, ESCAPE, Sitting
from labels.errors import StanceError
from labels.screen import frame

RESIZED = "resized"

_NAMES = {"\r": ENTER, "\n": ENTER, "\x7f": BACKSPACE, "\b": BACKSPACE, "\x04": END, "\x15": ERASE, "\x1b": ESCAPE}
_PASTED = re.compile("\x1b\\[200~(.*?)\x1b\\[201~", re.DOTALL)
_SEQUENCE = re.compile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|O.)")
_UNFINISHED = re.compile("\x1b(?:\\[200~.*|\\[[0-?]*[ -/]*|O)?", re.DOTALL)
_BRACKET_PASTES, _AS_BEFORE = "\x1b[?2004h", "\x1b[?2004l"


class ClosedError(Exception):
    """The terminal is gone, or the process was asked to end; holds the number of the signal that says so."""


@dataclass(frozen=True)
class Pasted:
    """Text that was pasted, not typed."""

    text: str


class Terminal:
    """Standard input and output, taken over by `with` and given back at its end.

    Raises:
        StanceError: they are not a terminal with a cursor that can be moved.
    """

    def __init__(self) -> None:
        if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
            raise StanceError("labelling by hand needs a terminal", hint="Run the command in one, without pipes.")
        self.console = Console(highlight=False)
        self._in, self._decoder, self._typed = sys.stdin.fileno(), getincrementaldecoder("utf8")("replace"), ""
        self._poll = select.poll()
        self._poll.register(self._in, select.POLLIN)
        self._size = self.console.size
        self._handlers: dict[int, Any] = {}
        self._asked_to_end: int | None = None

    def __enter__(self) -> Terminal:
        self._before = termios.tcgetattr(self._in)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            self._handlers[number] = signal.signal(number, self._ask_to_end)
        tty.setcbreak(self._in)
        mode = termios.tcgetattr(self._in)
        # Ctrl-Z would leave a shell behind in a screen that is not its own.
        mode[6][termios.VSUSP] = b"\0"
        # A signal key throws away what was typed before it; a read that waited for that would wait for ever.
        mode[6][termios.VMIN] = 0
        termios.tcsetattr(self._in, termios.TCSANOW, mode)
        self.console.set_alt_screen(True)
        self.console.show_cursor(False)
        self._write(_BRACKET_PASTES)
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._write(_AS_BEFORE)
            self.console.show_cursor(True)
            self.console.set_alt_screen(False)
            termios.tcsetattr(self._in, termios.TCSAFLUSH, self._before)
        except (OSError, termios.error):
            pass  # There is nothing left that could be given back.
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _ask_to_end(self, number: int, frame: FrameType | None) -> None:
        # Only noted: an exception here could come up in the middle of a label being saved, or where it is swallowed.
        self._asked_to_end = number

    def _write(self, control: str) -> None:
        self.console.file.write(control)
        self.console.file.flush()

    def show(self, screen: RenderableType) -> None:
        """Draw a screen over the last one.

        Raises:
            ClosedError: nobody can see it.
        """
        try:
            self.console.print(Control.home(), Screen(screen), sep="", end="")
        except OSError as error:
            raise ClosedError(signal.SIGHUP) from error

    def read(self) -> str | Pasted:
        """Wait for a key (a character, or one of the names in `labels.annotate`), a paste, or `RESIZED`.

        Raises:
            ClosedError: the terminal is gone, or the process was asked to end.
            KeyboardInterrupt: Ctrl-C.
        """
        while True:
            if self._asked_to_end == signal.SIGINT:
                raise KeyboardInterrupt
            if self._asked_to_end is not None:
                raise ClosedError(self._asked_to_end)
            if _UNFINISHED.fullmatch(self._typed) and self._fill(1.0 if self._typed.startswith("\x1b[2") else 0.05):
                continue
            if pasted := _PASTED.match(self._typed):
                self._typed = self._typed[pasted.end() :]
                return Pasted(pasted[1])
            if other := _SEQUENCE.match(self._typed):
                self._typed = self._typed[other.end() :]
            elif self._typed:
                key, self._typed = self._typed[0], self._typed[1:]
                return _NAMES.get(key, key)
            elif not self._fill(0.25) and self.console.size != self._size:
                self._size = self.console.size
                return RESIZED

    def _fill(self, seconds: float) -> bool:
        """Take what is typed within so many seconds; False where nothing is."""
        events = self._poll.poll(1000 * seconds)
        if not events:
            return False
        try:
            data = os.read(self._in, 4096)
        except OSError as error:
            raise ClosedError(signal.SIGHUP) from error
        if not data and events[0][1] & (select.POLLHUP | select.POLLERR | select.POLLNVAL):
            raise ClosedError(signal.SIGHUP)
        if not data:
            return False
        self._typed += self._decoder.decode(data)
        return True


def label_by_hand(sitting: Sitting, terminal: Terminal) -> None:
    """Show sentence after sentence until the annotator leaves (Ctrl-C is a way to leave too).

    Raises:
        ClosedError: the terminal is gone, or the process was asked to end.
        StanceError: the store cannot be written.
    """
    with terminal:
        try:
            while not sitting.over:
                terminal.show(frame(sitting, terminal.console))
                given = terminal.read()
                if isinstance(given, Pasted):
                    sitting.paste(given.text)
                elif given != RESIZED:
                    sitting.press(given)
        except KeyboardInterrupt:
            sitting.over = True
