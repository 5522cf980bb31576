"""What a framework needs, what this interpreter has of it, and what must be made besides.

A backend's module states its needs as literals: ``REQUIREMENTS``, a tuple of PEP 508
requirements, and ``PYTHON``, the versions of Python that these exist for. They are read from its
source, since the module itself is for the worker's interpreter alone.
"""

from __future__ import annotations

import ast
import json
import platform
import shutil
import site
import sys
import sysconfig
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from ..errors import ArgumentError
from ..frameworks import BackendFile
from ..text import quoted
from .sources import parse_requirement, shown, split_requirements

SAME_AS = {
    "tensorflow": ("tensorflow-cpu", "tensorflow-gpu", "tensorflow-intel", "tf-nightly"),
}
"""Distributions that hold the same package under another name."""

HEAVY = ("torch", "tensorflow", "jax")
"""Hundreds of megabytes, or thousands with CUDA: what this interpreter has of them is used."""


@dataclass(frozen=True)
class Needs:
    """What a backend must find in its interpreter."""

    requirements: tuple[Requirement, ...]
    python: SpecifierSet

    def with_own(self, own: Iterable[Requirement]) -> Needs:
        """The same with requirements of the user's, which replace those for the same package."""
        chosen = {canonicalize_name(r.name): r for r in (*self.requirements, *own)}
        return Needs(tuple(chosen.values()), self.python)


def needs_of(backend: BackendFile) -> Needs:
    """What a backend's class, or else its module, says it needs; nothing where neither does."""
    tree = ast.parse(Path(backend.file).read_text(encoding="utf-8"))
    literals = _literals(tree.body)
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef) and statement.name == backend.class_name:
            literals.update(_literals(statement.body))
    requirements = literals.get("REQUIREMENTS", ())
    python = SpecifierSet(str(literals.get("PYTHON", "")))
    return Needs(tuple(Requirement(text) for text in requirements), python)


def _literals(statements: list[ast.stmt]) -> dict[str, Any]:
    """The values of ``REQUIREMENTS`` and ``PYTHON`` where these statements assign them."""
    return {
        target.id: ast.literal_eval(statement.value)
        for statement in statements
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name) and target.id in ("REQUIREMENTS", "PYTHON")
    }


def parse_requirements(text: str) -> tuple[Requirement, ...]:
    """Requirements with spaces between them, as on a command line of pip."""
    parsed = []
    for word, editable in split_requirements(text):
        parsed.append(parse_requirement(word, editable))
        if not _applies(parsed[-1], word):
            raise ArgumentError(
                f"environments: {quoted(shown(word), 200)} does not apply here, by its marker; "
                f"leave it out"
            )
    return tuple(parsed)


def _applies(requirement: Requirement, word: str) -> bool:
    """Whether a requirement's marker, if it has one, is true on this machine."""
    try:
        return requirement.marker is None or requirement.marker.evaluate()
    except (ValueError, KeyError) as error:  # a comparison of what cannot be compared
        raise ArgumentError(
            f"environments: {quoted(shown(word), 200)} has a marker that says nothing ({error}); "
            f"leave it out"
        ) from None


def installed(*folders: Path | str) -> dict[str, str]:
    """Versions by canonical name of what this interpreter has, or what these folders have.

    What has no version that can be compared (``1.0-unknown``, or none) is left out.
    """
    return _versions(folders or sys.path)


def borrowable() -> dict[str, str]:
    """Versions by canonical name of what a layer over this interpreter finds in it.

    An editable install is found by a ``.pth`` file, which counts in this interpreter alone.
    """
    return _versions(layer_folders(), editable=False)


def layer_folders() -> list[str]:
    """The folders of this interpreter that a layer looks into, in the order of its path."""
    own = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()]
    on_path = [
        path
        for path in sys.path
        if path in own or Path(path).name in ("site-packages", "dist-packages")
    ]
    return [path for path in dict.fromkeys([*on_path, *own]) if Path(path).is_dir()]


def _versions(folders: Iterable[Path | str], editable: bool = True) -> dict[str, str]:
    found: dict[str, str | None] = {}
    for distribution in metadata.distributions(path=[*map(str, folders)]):
        about = distribution.metadata  # read from a file at every look
        if about["Name"]:  # the first on the path is the one that is imported
            usable = editable or not _is_editable(distribution)
            version = about["Version"] if usable else None
            found.setdefault(canonicalize_name(about["Name"]), version)
    return {
        name: version for name, version in found.items() if version and _is_exact(name, version)
    }


def _is_editable(distribution: metadata.Distribution) -> bool:
    """Whether a package lies elsewhere than its record."""
    with suppress(OSError, ValueError, AttributeError):
        source = json.loads(distribution.read_text("direct_url.json") or "{}")
        return bool(source.get("dir_info", {}).get("editable"))
    return False


def _is_exact(name: str, version: str) -> bool:
    """Whether an installer can be given this version of a package."""
    try:
        Requirement(f"{name}=={version}")
    except InvalidRequirement:
        return False
    return True


def names_of(package: str) -> tuple[str, ...]:
    """The distributions that hold a package: the one of its name first."""
    return (package, *SAME_AS.get(package, ()))


def available_version(requirement: Requirement, available: dict[str, str]) -> str | None:
    """The version that satisfies a requirement, by whichever name; None where there is none.

    What is to come from a source of its own is satisfied by nothing that is installed.
    """
    if requirement.url:
        return None
    for candidate in names_of(canonicalize_name(requirement.name)):
        version = available.get(candidate)
        if version is not None and requirement.specifier.contains(version, prereleases=True):
            return version
    return None


def missing_requirements(needs: Needs, available: dict[str, str]) -> list[Requirement]:
    """The requirements that this interpreter does not satisfy."""
    return [r for r in needs.requirements if available_version(r, available) is None]


def available_heavy(needs: Needs, available: dict[str, str]) -> list[Requirement]:
    """The heavy requirements that this interpreter satisfies."""
    return [
        r
        for r in needs.requirements
        if canonicalize_name(r.name) in HEAVY and available_version(r, available) is not None
    ]


def python_for(needs: Needs) -> str:
    """This interpreter's path, or the versions of Python to look for where it will not do."""
    if needs.python.contains(platform.python_version(), prereleases=True):
        return sys.executable
    return str(needs.python)


def for_this_machine(requirement: Requirement) -> Requirement:
    """TensorFlow without CUDA where there is no NVIDIA driver, and with it where there is."""
    if canonicalize_name(requirement.name) != "tensorflow" or requirement.extras or requirement.url:
        return requirement
    if sys.platform == "linux" and shutil.which("nvidia-smi"):
        return Requirement(f"tensorflow[and-cuda]{requirement.specifier}")
    if sys.platform == "linux" and platform.machine() == "x86_64":
        return Requirement(f"tensorflow-cpu{requirement.specifier}")
    return requirement
