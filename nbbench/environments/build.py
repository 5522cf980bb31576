"""Making an environment with uv: resolve, install, prove, record.

Each build has a folder of its own, so that one that was killed (or whose uv goes on without it)
can neither be taken for a finished one nor stand in the way of the next.
"""

from __future__ import annotations

import json
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ..errors import NbbenchError
from ..masked_urls import without_secrets
from ..text import counted
from .locked import download_size, has_own_source, line_with_hashes, name_in, source_of
from .requirements import (
    SAME_AS,
    Needs,
    available_heavy,
    borrowable,
    for_this_machine,
    installed,
    layer_folders,
    names_of,
    python_for,
)
from .sources import has_secret_query, local_path, shown
from .store import Record, python_in, site_packages, store_folder
from .uv_environ import uv_environ
from .uv_output import SHOWN, explained, in_one_line, without_colour

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_NEVER = "; sys_platform == 'never'"
_LOOK_EVERY_S = 0.1


class EnvironmentNotReady(NbbenchError):
    """An environment cannot be made or used; says why and what to do."""


class BuildCancelled(Exception):
    """The user has stopped the build."""


@dataclass(frozen=True)
class BuildPlan:
    """What to make: a layer over this interpreter if ``heavy`` says what that serves, else whole.

    ``available`` are the packages of this interpreter that a layer may borrow, ``own`` the
    requirements that the user has named for an environment of that name.
    """

    name: str
    framework: str
    requirements: tuple[Requirement, ...]
    python: str
    heavy: tuple[Requirement, ...]
    available: dict[str, str]
    own: tuple[Requirement, ...]

    @classmethod
    def of(
        cls, name: str, framework: str, needs: Needs, own: tuple[Requirement, ...] = ()
    ) -> BuildPlan:
        """The plan for a framework's needs on this machine."""
        available = borrowable()
        python = python_for(needs)
        heavy = available_heavy(needs, available) if python == sys.executable else []
        wanted = (r for r in needs.requirements if r not in heavy)
        return cls(
            name,
            framework,
            tuple(r if heavy else for_this_machine(r) for r in wanted),
            python,
            tuple(heavy),
            available if heavy else {},
            own,
        )

    @property
    def is_layer(self) -> bool:
        """Whether packages of this interpreter are used."""
        return bool(self.heavy)

    def heavy_versions(self) -> dict[str, str]:
        """The versions of what the layer lies over, by canonical name as installed."""
        versions = {}
        for requirement in self.heavy:
            for candidate in names_of(canonicalize_name(requirement.name)):
                if candidate in self.available:
                    versions[candidate] = self.available[candidate]
        return versions


@dataclass(frozen=True)
class Resolved:
    """What will be installed, what is borrowed, and about how many bytes the downloads have.

    ``lines`` are the installer's, each with the source that it was resolved from, and the hashes
    of what was found there. A folder's version is not known before it is installed.
    """

    install: dict[str, str]
    borrow: dict[str, str]
    download: int
    lines: tuple[str, ...]
    sources: dict[str, str]

    def sentence(self, plan: BuildPlan) -> str:
        """What is about to happen, for the user."""
        leading = [f"{r.name} {self.install[n]}".rstrip() for r, n in _leading(plan, self.install)]
        what = f" with {', '.join(leading)}" if leading else ""
        size = f" (about {self.download / 1e6:,.0f} MB to download)" if self.download else ""
        over = ""
        if plan.is_layer:
            over = " over this interpreter's " + ", ".join(
                f"{name} {version}" for name, version in plan.heavy_versions().items()
            )
        return f"{counted(len(self.install), 'package')}{what}{size}{over}"


def _leading(plan: BuildPlan, install: dict[str, str]) -> Iterable[tuple[Requirement, str]]:
    for requirement in plan.requirements:
        name = canonicalize_name(requirement.name)
        if name in install:
            yield requirement, name


def build(plan: BuildPlan, key: str, cancelled: Callable[[], bool]) -> Generator[str, None, Record]:
    """Make the environment, and yield how it goes.

    Raises `EnvironmentNotReady`, or `BuildCancelled`.
    """
    folder = store_folder() / f"{key}-{uuid4().hex[:8]}"
    cache = None
    if any(map(has_secret_query, plan.requirements)):  # the installer keeps queries with its files
        cache = folder.with_name(f"{folder.name}-cache")
    uv = _Uv(cancelled, cache)
    try:
        yield "resolving"
        resolved = yield from resolve(plan, uv)
        yield resolved.sentence(plan)
        _refuse_full_disk(resolved)
        yield from uv.run("venv", "--python", plan.python, str(folder))
        python = str(python_in(folder))
        yield from _install(plan, resolved, python, uv)
        if plan.is_layer:
            _lay_over_this_interpreter(folder)
        yield "checking"
        _prove(python, plan)
        found = installed(site_packages(folder))
        size = sum(file.lstat().st_size for file in folder.rglob("*"))
        return Record(
            key=key,
            name=plan.name,
            framework=plan.framework,
            requirements=_texts((*plan.heavy, *plan.requirements)),
            own=_texts(plan.own),
            folder=folder.name,
            installed={name: found[name] for name in resolved.install},
            borrowed=resolved.borrow,
            size=size,
            sources={
                name: f"{found[name]} from {source}" for name, source in resolved.sources.items()
            },
        )
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, (OSError, EnvironmentNotReady)):
            text = shown(explained(str(error)) if isinstance(error, OSError) else str(error))
            raise EnvironmentNotReady(f"environment {plan.name} cannot be made: {text}") from None
        raise
    finally:
        if cache is not None:
            shutil.rmtree(cache, ignore_errors=True)


def _texts(requirements: Iterable[Requirement]) -> tuple[str, ...]:
    return tuple(without_secrets(str(requirement)) for requirement in requirements)


def _install(plan: BuildPlan, resolved: Resolved, python: str, uv: _Uv) -> Iterator[str]:
    """Install what was resolved, each package from its source."""
    folders = (r.name for r in plan.requirements if local_path(r) is not None)
    refresh = [word for name in folders for word in ("--refresh-package", name)]
    with tempfile.TemporaryDirectory() as work:
        lock = Path(work) / "install.txt"
        lock.write_text("\n".join(resolved.lines), encoding="utf-8")
        yield from uv.run(
            "pip", "install", "--no-deps", *refresh, "--python", python, "-r", str(lock)
        )  # a folder's build would else be kept until its pyproject.toml changes
    _mask_sources(Path(python).parents[1])


def _mask_sources(folder: Path) -> None:
    """Take secrets out of the sources that the installer writes beside each package."""
    for file in site_packages(folder).glob("*.dist-info/direct_url.json"):
        source = json.loads(file.read_text(encoding="utf-8"))
        masked = {**source, "url": without_secrets(source["url"])}
        if masked != source:
            file.unlink()  # it may be linked to the installer's cache
            file.write_text(json.dumps(masked), encoding="utf-8")


def resolve(plan: BuildPlan, uv: _Uv) -> Generator[str, None, Resolved]:
    """Every package with its version.

    What a layer lies over is omitted, and of the rest the versions that this interpreter has
    are preferred: those are borrowed, not installed again.
    """
    overrides = [f"{requirement.name}{_NEVER}" for requirement in plan.heavy]
    for requirement in plan.requirements:
        for name, others in SAME_AS.items():
            if requirement.name in others:  # what depends on tensorflow is served by this one
                overrides.append(f"{name}{_NEVER}")
    with tempfile.TemporaryDirectory() as work:
        wanted, override, chosen, sizes = (
            Path(work) / name for name in ("wanted.in", "override.txt", "chosen.txt", "pylock.toml")
        )
        wanted.write_text("\n".join(map(str, plan.requirements)), encoding="utf-8")
        override.write_text("\n".join(overrides), encoding="utf-8")
        preferred = (f"{name}=={version}" for name, version in plan.available.items())
        chosen.write_text("\n".join(preferred), encoding="utf-8")
        for output in (chosen, sizes):
            yield from uv.run(
                "pip", "compile", "--no-annotate", "--no-header", "--python", plan.python,
                "--override", str(override), "--output-file", str(output),
                str(wanted if output is chosen else chosen),
                quiet=True,
            )  # fmt: skip
        packages = tomllib.loads(sizes.read_text(encoding="utf-8")).get("packages", [])
        lines = chosen.read_text(encoding="utf-8").splitlines()
    return _resolved(plan, {canonicalize_name(p["name"]): p for p in packages}, lines)


def _resolved(plan: BuildPlan, packages: dict[str, dict[str, Any]], lines: list[str]) -> Resolved:
    """What is to be done about packages of a lock file, and lines that name the same."""
    versions = {name: str(p.get("version", "")) for name, p in packages.items()}
    borrow = {
        name: version
        for name, version in versions.items()
        if plan.available.get(name) == version and not has_own_source(packages[name])
    }
    install = {name: version for name, version in versions.items() if name not in borrow}
    download = sum(download_size(packages[name]) for name in install)
    wanted = {canonicalize_name(r.name) for r in plan.requirements}
    sources = {name: source_of(packages[name], name in wanted) for name in install}
    return Resolved(
        install,
        {**borrow, **plan.heavy_versions()},
        download,
        tuple(line_with_hashes(line, packages) for line in lines if name_in(line) not in borrow),
        {name: source for name, source in sources.items() if source},
    )


def _refuse_full_disk(resolved: Resolved) -> None:
    free = shutil.disk_usage(store_folder()).free
    if resolved.download > free:
        raise EnvironmentNotReady(
            f"{resolved.download / 1e6:,.0f} MB are to be installed and {free / 1e6:,.0f} MB are "
            f"free; make room, or set NBBENCH_CACHE to a folder on another disk"
        )


def _lay_over_this_interpreter(folder: Path) -> None:
    """Have the environment look for what it lacks where this interpreter does, behind its own."""
    text = "\n".join(layer_folders())
    (site_packages(folder) / "nbbench_layer.pth").write_text(text + "\n", encoding="utf-8")


def _prove(python: str, plan: BuildPlan) -> None:
    """Ask the new interpreter for every package that was wanted."""
    names = [r.name for r in plan.requirements] + list(plan.heavy_versions())
    code = "import sys; from importlib.metadata import version; [version(n) for n in sys.argv[1:]]"
    done = subprocess.run(
        [python, "-I", "-c", code, *names], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise EnvironmentNotReady(f"what was made does not work: {in_one_line(shown(done.stderr))}")


class _Uv:
    """Runs uv, and turns its errors into one message."""

    def __init__(self, cancelled: Callable[[], bool], cache: Path | None) -> None:
        from uv import find_uv_bin

        self._uv, self._cancelled, self._cache = find_uv_bin(), cancelled, cache

    def run(self, *argv: str, quiet: bool = False) -> Iterator[str]:
        """Yield the lines that a waiting user cares for; raises `EnvironmentNotReady`."""
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as work:
            # uv obeys the nearest uv.toml above its folder, which in a shared /tmp anyone may have
            # written; this one ends the search, and those of the user and of the system stay.
            (Path(work) / "uv.toml").touch()
            yield from self._run_in(work, argv, quiet)

    def _run_in(self, work: str, argv: tuple[str, ...], quiet: bool) -> Iterator[str]:
        process = subprocess.Popen(
            [*_guarded(), self._uv, *argv],
            stdin=subprocess.PIPE,  # its guards see by it that this process is gone
            cwd=work,  # builds and probes import nothing from the current folder
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=uv_environ(self._cache),
            start_new_session=True,
        )
        lines: list[str] = []
        try:
            for line in self._lines_of(process):
                lines.append(line.rstrip())
                text = without_colour(line).strip()
                if not quiet and text.startswith(SHOWN):
                    text = shown(text)
                    yield text[0].lower() + text[1:100]
            process.wait()
        except BaseException:
            if sys.platform == "linux":
                process.send_signal(signal.SIGUSR1)  # the guards end all that uv has started
            else:
                process.kill()
            process.wait()
            raise
        if process.returncode:
            raise EnvironmentNotReady(explained("\n".join(lines)))

    def _lines_of(self, process: subprocess.Popen[str]) -> Iterator[str]:
        """What a process prints, until it ends; raises `BuildCancelled`."""
        lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=_read, args=(process, lines), daemon=True).start()
        while True:
            if self._cancelled():
                raise BuildCancelled
            try:
                line = lines.get(timeout=_LOOK_EVERY_S)
            except queue.Empty:
                continue
            if line is None:
                return
            yield line


def _read(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        lines.put(line)
    lines.put(None)


def _guarded() -> list[str]:
    """What goes before a command for it to end with this process, with all that it has started."""
    guard = Path(__file__).parent.parent / "worker" / "guard.py"
    return [sys.executable, "-I", str(guard)] if sys.platform == "linux" else []
