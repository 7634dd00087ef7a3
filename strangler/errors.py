"""What the kit refuses, and the exit code that each refusal ends with.

StranglerError            1  something failed
├── UsageError            2  the request itself is wrong: a word, a file, a value
│   └── ConfigError       2  strangler.toml can't be read as it is
├── Unfinished            1  begun, and not to be taken back: done again, it goes on
├── ChangesPending        3  asked with --check, and there is something to do
└── Held                  4  a gate holds the advance

Every message is a sentence or two: what is wrong, what stayed as it was, what to do next.
"""

from __future__ import annotations


class StranglerError(Exception):
    """Root of everything that the kit raises on purpose; the command line prints it without a traceback."""

    exit_code = 1


class UsageError(StranglerError):
    """The request is wrong; nothing was done."""

    exit_code = 2


class ConfigError(UsageError):
    """strangler.toml can't be used.

    Arguments: the file's path as the user knows it, the sentence, and the 1-based line and column.
    """

    def __init__(self, path: str, sentence: str, line: int = 0, column: int = 0) -> None:
        where = f"{path}:{line}:{column}" if line else path
        super().__init__(f"{where}: {sentence}")
        self.line, self.column = line, column


class Unfinished(StranglerError):
    """It has passed the point from which no way leads back; done again, it does what is left."""


class ChangesPending(StranglerError):
    """There are changes to apply, and --check was asked."""

    exit_code = 3


class Held(StranglerError):
    """A gate holds the advance; nothing was changed."""

    exit_code = 4
