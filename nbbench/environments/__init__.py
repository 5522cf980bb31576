"""Interpreters for backends: this one, a given one, or one made from requirements and kept."""

from .build import BuildCancelled, EnvironmentNotReady
from .interpreters import (
    Environment,
    EnvironmentProgress,
    choose,
    create,
    finish,
    labels,
    prepare,
)
from .store import environment_path, list_environments, remove_environment

__all__ = [
    "BuildCancelled",
    "Environment",
    "EnvironmentNotReady",
    "EnvironmentProgress",
    "choose",
    "create",
    "environment_path",
    "finish",
    "labels",
    "list_environments",
    "prepare",
    "remove_environment",
]
