"""Writing files so that no crash, no full disk and no second run leaves half of one."""

from __future__ import annotations

import importlib.util
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ArgumentError, NbbenchError, OutputError
from ..paths import as_path, special_kind
from ..text import quoted
from .dataframes import harmless_cells

if TYPE_CHECKING:
    import pandas as pd


class MissingParquet(NbbenchError, ImportError):
    """Pyarrow is not installed."""


def write_text(file: str | Path, text: str) -> Path:
    """Write a file at once or not at all, its line ends as they are; raises `OutputError`."""
    return write_by(file, lambda path: path.write_text(text, encoding="utf-8", newline="\n"))


def write_by(file: str | Path, write: Callable[[Path], object]) -> Path:
    """Have ``write`` fill a file beside, which then takes the file's name; raises `OutputError`.

    A symbolic link is written through, and the mode of a file that exists is kept. What is no
    regular file (a device, a pipe) is written to as it is.
    """
    file = as_path(file)
    target = Path(os.path.realpath(file))
    try:
        if is_special(file):
            with _opened_pipe(file):
                write(file)
            return file
        descriptor, name = tempfile.mkstemp(prefix=".nbbench-", dir=target.parent)
        os.close(descriptor)
        part = Path(name)
        try:
            write(part)
            part.chmod(_mode_of(target, part))
            part.replace(target)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
    except OSError as error:
        raise cannot_write(file, error) from None
    return file


def is_special(file: Path) -> bool:
    """Whether it is there and no regular file: a pipe, a terminal, another device."""
    return file.exists() and not file.is_file()


@contextmanager
def _opened_pipe(file: Path) -> Iterator[None]:
    """Hold a named pipe open; raises ``OSError`` where nobody reads it, rather than wait."""
    if not file.is_fifo():
        yield
        return
    descriptor = os.open(file, os.O_WRONLY | os.O_NONBLOCK)
    try:
        yield
    finally:
        os.close(descriptor)


def write_csv(folder: str | Path, frames: Mapping[str, pd.DataFrame]) -> list[Path]:
    """Write frames into a folder as CSV, each under its name; raises `OutputError`."""
    return _write_each(folder, frames, ".csv", _csv_writer)


def write_parquet(folder: str | Path, frames: Mapping[str, pd.DataFrame]) -> list[Path]:
    """Write frames into a folder as Parquet; raises `MissingParquet` and `OutputError`."""
    if importlib.util.find_spec("pyarrow") is None:
        raise MissingParquet("Parquet needs pyarrow; pip install pyarrow, or use to_csv")
    return _write_each(folder, frames, ".parquet", _parquet_writer)


def _write_each(
    folder: str | Path,
    frames: Mapping[str, pd.DataFrame],
    ending: str,
    writer: Callable[[str, pd.DataFrame], Callable[[Path], object]],
) -> list[Path]:
    """Write each frame into a folder, made if need be, under its name."""
    folder = as_path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from None
    return [
        write_by(folder / f"{name}{ending}", writer(name, frame)) for name, frame in frames.items()
    ]


def check_writable(path: str | Path, *, folder: bool) -> None:
    """Raise `OutputError` now if a file, or files in a folder, cannot be written there later.

    Nothing is made or removed under that name.
    """
    path = as_path(path)
    target = Path(os.path.realpath(path))
    try:
        with suppress(FileNotFoundError):
            kind = path.stat().st_mode  # a name that is too long fails here
            if stat.S_ISDIR(kind) != folder and (folder or stat.S_ISDIR(kind)):
                what = "Is a directory" if stat.S_ISDIR(kind) else "Not a directory"
                raise NotADirectoryError(20, what)
            if not folder and not stat.S_ISREG(kind):  # opening a pipe would wait for its reader
                if not os.access(path, os.W_OK):
                    raise PermissionError(13, "Permission denied")
                return
        around = target if folder else target.parent
        while folder and not around.exists():
            around = around.parent
        tempfile.TemporaryFile(prefix=".nbbench-", dir=around).close()
    except OSError as error:
        raise cannot_write(path, error) from None


def check_apart(named: Iterable[tuple[str, str]]) -> None:
    """Raise `ArgumentError` where arguments, each with its path, would write over each other."""
    arguments: dict[str, str] = {}
    for argument, path in named:
        real = Path(os.path.realpath(as_path(path)))
        if special_kind(real):
            continue  # a device or a pipe takes whatever comes
        other = arguments.setdefault(str(real), argument)
        if other != argument:
            raise ArgumentError(
                f"{other} and {argument} would both write {quoted(path)}; give each a path of its "
                f"own"
            )


def cannot_write(path: Path, error: OSError) -> OutputError:
    """The error for a path that cannot be written."""
    return OutputError(
        f"{quoted(str(path), 300)} cannot be written: {error.strerror}; give another path"
    )


def _csv_writer(name: str, frame: pd.DataFrame) -> Callable[[Path], object]:
    safe = harmless_cells(frame)
    return lambda path: safe.to_csv(
        path, index=name == "environment", errors="backslashreplace", lineterminator="\n"
    )


def _parquet_writer(name: str, frame: pd.DataFrame) -> Callable[[Path], object]:
    if name == "environment":  # whose columns hold numbers and texts
        frame = frame.map(lambda value: None if value is None else str(value))
    return lambda path: frame.to_parquet(path, engine="pyarrow", index=name == "environment")


def _mode_of(target: Path, part: Path) -> int:
    """The mode of the file that is replaced, or that of a new one beside ``part``.

    A file is made to see it: asking for the umask sets it, for the files of other threads, too.
    """
    with suppress(OSError):
        return stat.S_IMODE(target.stat().st_mode)
    new = part.with_name(f"{part.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        return stat.S_IMODE(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)
        new.unlink()
