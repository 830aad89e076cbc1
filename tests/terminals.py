"""Commands as programs of their own, on a terminal that a test reads and types on."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time

TRIO_ACTORS = [sys.executable, "-c", "import sys, registry.cli as c; sys.exit(c.main())"]
# Ctrl-C on the terminal is a signal for who has it as its own.
GETS_KEYS = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)"


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, *words: str) -> None:
        self.screen, other = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "30"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"{GETS_KEYS}; {TRIO_ACTORS[2]}", *words],
            stdin=other,
            stdout=other,
            stderr=other,
            env=environment,
            start_new_session=True,
        )
        os.close(other)
        self.seen = ""

    def wait_for(self, text: str) -> None:
        """Read until a text was shown."""
        end = time.monotonic() + 60
        while text not in self.seen:
            ready, _, _ = select.select([self.screen], [], [], end - time.monotonic())
            assert ready, f"{text!r} did not come; what came: {self.seen}"
            self.seen += os.read(self.screen, 65536).decode()

    def rest(self) -> str:
        """Read until the command has ended."""
        try:
            while data := os.read(self.screen, 65536):
                self.seen += data.decode()
        except OSError:  # the other end is closed
            pass
        os.close(self.screen)
        return self.seen
