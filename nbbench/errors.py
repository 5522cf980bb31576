"""What nbbench raises. Every message is one sentence: what was wrong, and what to do."""


class NbbenchError(Exception):
    """Whatever nbbench raises itself."""


class ArgumentError(NbbenchError, ValueError):
    """An argument is unknown, or its value is not one that it takes."""


class ModelNotFound(NbbenchError, LookupError):
    """No configuration was found for a model's name."""


class OutputError(NbbenchError, OSError):
    """A report cannot be written where it was to go, or read from where it was said to be."""
