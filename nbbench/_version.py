"""The version, for `nbbench.__version__`, the package's metadata and the rows of environments."""

__version__ = "0.1.0"
