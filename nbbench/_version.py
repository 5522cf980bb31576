"""The version: `nbbench.__version__`, the package's metadata and the environment's row come from it."""

__version__ = "0.1.0"
