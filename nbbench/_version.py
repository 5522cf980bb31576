"""The version, which the package's metadata and reports have from here."""

__version__ = "0.1.0"
