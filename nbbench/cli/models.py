"""``nbbench models``."""

from __future__ import annotations

from ..errors import ArgumentError, did_you_mean
from ..plan.catalogue import CatalogueEntry, entries
from ..text import quoted

_HELP = """\
usage: nbbench models [WORD …]

List the built-in catalogue: names, types, parameters, layers, and the longest length.
With WORDs, list what has each of them in its name, its id on the Hub or its type.

    nbbench models bert
    nbbench models llama 1b

The parameters are those of the model that nbbench run measures, which may lack a head that
serves pretraining alone (as in BertForMaskedLM); what layers share counts once. They were counted
with Transformers itself, without weights (docs/make_catalogue.py). The longest length is what the
configuration is made for: models that compute their positions take longer ones, too."""

_HEADS = ("model", "type", "parameters", "layers", "longest")


def command(argv: list[str]) -> int:
    """List the catalogue, or what matches."""
    if {"-h", "--help"} & set(argv):
        print(_HELP)
        return 0
    options = [word for word in argv if word.startswith("-")]
    if options:
        raise ArgumentError(
            f"nbbench models has no option {quoted(options[0])}; it takes words, like "
            f"nbbench models bert"
        )
    known = entries()
    found = [entry for entry in known if all(entry.matches(word) for word in argv)]
    if not found:
        raise ArgumentError(
            f"nothing in the catalogue has {' and '.join(map(repr, argv))} in its name or type"
            f"{did_you_mean(' '.join(argv), [entry.name for entry in known])}; a name of the Hub "
            f"or a folder will do all the same"
        )
    rows = [_HEADS, *map(_row, found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADS))]
    for name, model_type, *figures in rows:
        texts = [figure.rjust(width) for figure, width in zip(figures, widths[2:], strict=True)]
        print("  ".join([name.ljust(widths[0]), model_type.ljust(widths[1]), *texts]))
    return 0


def _row(entry: CatalogueEntry) -> tuple[str, ...]:
    layers, longest = ("" if n is None else str(n) for n in (entry.layers, entry.longest))
    return entry.name, entry.model_type, _count(entry.parameters), layers, longest


def _count(parameters: int | None) -> str:
    """A count of parameters as model cards write it: 110 M, 1.24 B."""
    if parameters is None:
        return ""
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if parameters >= size:
            return f"{parameters / size:.3g} {unit}"
    return str(parameters)
