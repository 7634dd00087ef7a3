"""A table of strangler.toml that knows where it stands, so that an error can point at line and column.

tomllib keeps no positions, so the text is searched for the key or the header.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from strangler.errors import ConfigError


def parse(path: str, text: str) -> Table:
    """The file's top table; ConfigError where it is no TOML. `path` is its name in errors."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        line, column = (int(found[1]), int(found[2])) if found else (text.count("\n") + 1, 1)
        sentence = re.sub(r"\s*\(at .*\)$", "", str(error))
        raise ConfigError(
            path, f"This is no valid TOML: {sentence}. Nothing was changed.", line, column
        ) from None
    return Table(values, (), Source(path, text))


class Table:
    """A table of the file that knows where it stands, so that an error can point there."""

    def __init__(self, values: Mapping[str, Any], where: tuple[str, ...], source: Source) -> None:
        self.values, self.where, self.source = values, where, source
        self.seen: set[str] = set()

    def get(self, key: str, kind: type | tuple[type, ...], default: Any = ...) -> Any:
        self.seen.add(key)
        if key not in self.values:
            if default is ...:
                self.fail(f"[{'.'.join(self.where)}] needs a value for {key!r}.")
            return default
        value = self.values[key]
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            wanted = " or ".join(_WORDS.get(one, one.__name__) for one in kinds)
            self.fail(f"{key!r} must be {wanted}, not {value!r}.", key)
        return value

    def words(self, key: str, default: Any = ...) -> tuple[str, ...]:
        value = self.get(key, list, default)
        if not all(isinstance(one, str) for one in value):
            self.fail(f"{key!r} must be a list of texts.", key)
        return tuple(value)

    def texts(self, key: str, default: Any = ...) -> dict[str, str]:
        value = self.get(key, dict, default)
        if not all(isinstance(one, str) for one in value.values()):
            self.fail(f"{key!r} must be a table of texts.", key)
        return dict(value)

    def share(self, key: str, default: float) -> float:
        value = float(self.get(key, (int, float), default))
        if not 0 <= value <= 1:
            self.fail(f"{key!r} is a share and must lie between 0 and 1, not {value}.", key)
        return value

    def table(self, key: str, default: Any = ...) -> Table:
        return Table(self.get(key, dict, default), (*self.where, key), self.source)

    def tables(self, key: str) -> Iterator[tuple[str, Table]]:
        parent = self.table(key, {})
        for name in parent.values:
            yield name, parent.table(name)

    def array(self, key: str) -> Iterator[Table]:
        for index, values in enumerate(self.get(key, list, [])):
            if not isinstance(values, dict):
                self.fail(f"{key!r} must be an array of tables.", key)
            yield Table(values, (*self.where, key), self.source.from_nth(".".join((*self.where, key)), index))

    def reference(self, key: str, known: Mapping[str, Any], noun: str, default: Any = ...) -> Any:
        value = self.get(key, str, default)
        if value is not None and value not in known:
            self.fail(f"There is no {noun} {value!r}; declared are: {', '.join(known) or 'none'}.", key)
        return value

    def done(self) -> None:
        """Refuse what nobody asked for: a misspelt key must not be read as its default."""
        for key in self.values:
            if key not in self.seen:
                self.fail(f"Nothing reads {key!r} here; known are: {', '.join(sorted(self.seen))}.", key)

    def fail(self, sentence: str, key: str | None = None) -> NoReturn:
        raise self.source.error(sentence, self.where, key)


_WORDS = {str: "a text", int: "a whole number", float: "a number", list: "a list", dict: "a table"}


@dataclass(frozen=True)
class Source:
    path: str
    text: str
    start: int = 0

    def from_nth(self, array: str, index: int) -> Source:
        headers = [m.start() for m in re.finditer(rf"^\[\[{re.escape(array)}\]\]", self.text, re.M)]
        return Source(self.path, self.text, headers[index] if index < len(headers) else 0)

    def error(self, sentence: str, where: tuple[str, ...], key: str | None) -> ConfigError:
        """Point at the key, else at the table's header."""
        start = self._header(where)
        if key:
            word = rf"(\"?{re.escape(key)}\"?)"
            assignment = re.compile(rf"(?:^|[{{,])[ \t]*{word}\s*=", re.M).search(self.text, start)
            header = re.compile(rf"^\s*\[+[^\]\n]*?{word}[^\]\n]*\]", re.M).search(self.text)
            if found := assignment or header:
                start = found.start(1)
        line = self.text.count("\n", 0, start) + 1
        column = start - (self.text.rfind("\n", 0, start) + 1) + 1
        stayed = "" if "Nothing was" in sentence else " Nothing was changed."
        return ConfigError(self.path, sentence + stayed, line, column)

    def _header(self, where: tuple[str, ...]) -> int:
        """Where the innermost header of this table begins; a table may stand inside its parent's line."""
        for depth in range(len(where), 0, -1):
            spelled = r"\s*\.\s*".join(rf"\"?{re.escape(part)}\"?" for part in where[:depth])
            if found := re.compile(rf"^[ \t]*(\[+\s*{spelled}\s*\]+)", re.M).search(self.text, self.start):
                return found.start(1)
        return self.start
