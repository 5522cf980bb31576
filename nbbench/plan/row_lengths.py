"""The argument ``lengths``: how long the rows of a batch are, drawn from what a user has."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..arguments.schema import BenchmarkArguments
from ..errors import ArgumentError, did_you_mean
from ..paths import read_text
from ..text import error_text, one_line, quoted, shortened
from .folders import file_of

if TYPE_CHECKING:
    import pandas as pd

_UNIFORM = re.compile(r"\s*uniform\s*\(\s*(\d{1,9})\s*,\s*(\d{1,9})\s*\)\s*")

_LONGEST = 2**31 - 1
"""The same is the most for ``sequence_lengths``."""

_FORMS = (
    "give 'uniform(16,512)', a list of lengths or texts, or a file: .txt with a text a line, or "
    ".csv, .tsv, .jsonl or .parquet with its column, like reviews.csv:text"
)


@dataclass(frozen=True)
class RowLengths:
    """What rows are drawn from: lengths, texts, or all lengths from ``low`` to ``high``.

    ``label`` is what a report calls it: no path.
    """

    label: str
    lengths: Sequence[int] = ()
    texts: Sequence[str] = ()
    low: int = 0
    high: int = 0

    @classmethod
    def of(cls, given: str | Sequence[Any]) -> RowLengths:
        """Read what was given; raises `ArgumentError`."""
        if not isinstance(given, str):
            return cls.of_values("given", list(given))
        uniform = _UNIFORM.fullmatch(given)
        if uniform is None:
            return _of_file(given)
        low, high = map(int, uniform.groups())
        if not 0 < low <= high:
            raise ArgumentError(
                f"lengths: {given!r} has no lengths, from 1 on and the smaller one first"
            )
        return cls(f"uniform({low},{high})", low=low, high=high)

    @classmethod
    def of_values(cls, label: str, values: list[Any]) -> RowLengths:
        """Lengths, or texts; raises `ArgumentError` for what is neither."""
        if not values:
            raise ArgumentError(f"lengths: {label} has no lengths and no texts; {_FORMS}")
        numbers = [_whole(value) for value in values]
        known = [number for number in numbers if number is not None]
        if len(known) == len(values):
            wrong = next((each for each in known if not 0 < each <= _LONGEST), None)
            if wrong is not None:
                raise ArgumentError(
                    f"lengths: {quoted(wrong)} is no length; lengths are from 1 to {_LONGEST}"
                )
            return cls(label, lengths=known)
        broken = next(filter(_is_broken, values), None)
        if broken is not None and not any(map(_is_text, values)):
            raise ArgumentError(
                f"lengths: {quoted(broken)} is no whole number that can be a length; {_FORMS}"
            )
        # Halves of characters are in no vocabulary, and cannot be sent to a worker.
        texts = [str(value).encode(errors="replace").decode() for value in values]
        return cls(label, texts=texts)

    def rows(
        self, batch_size: int, seed: int, longest: int | None
    ) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """The lengths of a batch's rows, or its texts: the same for the same seed and size.

        No length is more than ``longest``; texts are cut by the tokenizer.
        """
        draw = random.Random(f"{seed} {batch_size}")
        if self.texts:
            return (), tuple(_some(draw, self.texts, batch_size))
        if self.lengths:
            lengths = _some(draw, self.lengths, batch_size)
        else:
            lengths = [draw.randint(self.low, self.high) for _ in range(batch_size)]
        return tuple(each if longest is None else min(each, longest) for each in lengths), ()


@dataclass(frozen=True)
class Rows:
    """The rows of a batch, as a case has them."""

    length: int | None = None
    padding: float = 0.0
    lengths: tuple[int, ...] = ()
    texts: tuple[str, ...] = ()

    @property
    def are_padded(self) -> bool:
        """Whether a row may be shorter than the batch, and so padded at a side."""
        return bool(self.padding or self.lengths or self.texts)


def rows_of(
    arguments: BenchmarkArguments, drawn_from: RowLengths | None, batch_size: int
) -> list[Rows]:
    """The batches of one size: whole and padded ones of each length, or those that are drawn."""
    if drawn_from is None:
        pairs = itertools.product(arguments.sequence_lengths, arguments.paddings)
        return [Rows(length, padding) for length, padding in pairs]
    found = []
    for longest in arguments.longest_rows:
        lengths, texts = drawn_from.rows(batch_size, arguments.seed, longest)
        found.append(Rows(max(lengths, default=longest), 0.0, lengths, texts))
    return found


def _some(draw: random.Random, values: Sequence[Any], count: int) -> list[Any]:
    """So many of the values: each at most once, if there are enough."""
    return draw.sample(values, count) if count <= len(values) else draw.choices(values, k=count)


def _whole(value: Any) -> int | None:
    if isinstance(value, int):
        return None if isinstance(value, bool) else value
    with suppress(TypeError, ValueError, OverflowError):
        return int(value) if float(value) == int(value) else None
    return None


def _is_broken(value: Any) -> bool:
    """Whether a value is a number, and no whole one, or too large for one."""
    try:
        return not float(value).is_integer()
    except OverflowError:
        return True
    except (TypeError, ValueError):
        return False


def _is_text(value: Any) -> bool:
    """Whether a value is a text that reads as no number."""
    try:
        float(value)
    except OverflowError:
        return False
    except (TypeError, ValueError):
        return True
    return False


def _of_file(given: str) -> RowLengths:
    """The values of a file, or of a column of one."""
    owner, _, column = given.rpartition(":")
    path, name = file_of(given), ""
    if path is None and owner:
        path, name = file_of(owner), column
    if path is None:
        raise ArgumentError(f"lengths: {quoted(given)} is no file and no way to draw; {_FORMS}")
    changed = 0, 0
    with suppress(OSError):
        status = path.stat()
        changed = status.st_mtime_ns, status.st_size
    return _of_column(given, path.absolute(), name, changed)


@lru_cache(maxsize=1)  # a form asks for the same file at every keystroke
def _of_column(given: str, path: Path, name: str, changed: tuple[int, int]) -> RowLengths:
    """The values of a file as it was ``changed`` last, at a time and to a size."""
    return RowLengths.of_values(*_read(given, path, name))


def _read(given: str, path: Path, name: str) -> tuple[str, list[Any]]:
    """The label and the values of a file, or of the column with a name."""
    try:
        if path.suffix.lower() == ".txt" and not name:
            lines = read_text(path).splitlines()
            return path.name, [line for line in lines if line.strip()]
        frame = _frame(path)
    except ArgumentError:
        raise
    except Exception as error:  # each reader of pandas has errors of its own
        raise ArgumentError(
            f"lengths: {quoted(given)} cannot be read ({error_text(error, 200)})"
        ) from None
    columns = [str(each) for each in frame.columns]
    if not name and len(columns) == 1:
        name = columns[0]
    if name not in columns:
        missing = f"has no column {quoted(name)}" if name else "has several columns"
        listed = shortened(one_line(", ".join(columns)), 200)
        raise ArgumentError(
            f"lengths: {quoted(path.name)} {missing}; name one behind a colon, of "
            f"{listed}{did_you_mean(name, columns) if name else ''}"
        )
    values = frame.iloc[:, columns.index(name)].dropna().tolist()
    return f"{path.name}:{name}", [each for each in values if str(each).strip()]


def _frame(path: Path) -> pd.DataFrame:
    import pandas as pd

    ending = path.suffix.lower()
    if ending == ".parquet":
        return pd.read_parquet(path)
    if ending in (".jsonl", ".json", ".ndjson"):
        return pd.read_json(path, lines=ending != ".json")
    if ending in (".csv", ".tsv"):
        return pd.read_csv(path, sep="\t" if ending == ".tsv" else ",")
    raise ArgumentError(f"lengths: {quoted(path.name)} is of no kind that is read; {_FORMS}")
