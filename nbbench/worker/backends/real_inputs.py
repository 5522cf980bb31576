"""Batches as they come: rows of several lengths, and texts by the model's own tokenizer."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Optional

from ..backend import Unsupported
from ..case import Case
from ..inputs.padding import Rows, drawn_rows
from ..inputs.text import longest_sequence, vocabulary_size


def rows_of(config: Any, case: Case) -> Optional[Rows]:
    """The rows of a case's batch; None where all are whole."""
    if case.texts:
        return _tokenized(config, case)
    return drawn_rows(case, config, _pads_left(case))


def with_length(case: Case, rows: Optional[Rows]) -> Case:
    """The case with the length that its batch is padded to."""
    return case if rows is None else replace(case, sequence_length=rows.length)


def with_padding(
    inputs: dict[str, Any],
    rows: Optional[Rows],
    as_lists: Callable[[Any], Any],
    like: Callable[[Any, Any], Any],
) -> dict[str, Any]:
    """The inputs with their rows padded.

    ``as_lists`` makes nested lists of a tensor, ``like(lists, tensor)`` a tensor of lists.
    """
    if rows is None:
        return inputs
    made = dict(inputs)
    for name, tensor in inputs.items():
        if tuple(getattr(tensor, "shape", ())) == (len(rows.lengths), rows.length):
            padded = rows.padded(name, as_lists(tensor))
            made[name] = tensor if padded is None else like(padded, tensor)
    return made


def refuse_padding(case: Case) -> None:
    """Raise `Unsupported` where a case asks for padding of inputs that are the user's own."""
    if case.padding or case.lengths:
        raise Unsupported(
            f"padding and lengths are for models of Transformers; have the function inputs beside "
            f"{case.model} return what is padded"
        )


def refuse_padded_prompts(case: Case) -> None:
    """Raise `Unsupported` where prompts have several lengths: every sequence has the same."""
    if case.padding or case.lengths:
        raise Unsupported("generation begins with prompts of one length; omit padding and lengths")


def _pads_left(case: Case) -> bool:
    """Whether the tokenizer in the model's folder pads at the left."""
    try:
        file = os.path.join(case.source, "tokenizer_config.json")
        with open(file, encoding="utf-8") as opened:
            return bool(json.load(opened).get("padding_side") == "left")
    except (OSError, ValueError, AttributeError):
        return False


def _tokenized(config: Any, case: Case) -> Rows:
    """The case's texts as the model's tokenizer makes ids of them, cut to what the model takes."""
    tokenizer = _tokenizer(case)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    bounds = [each for each in (case.sequence_length, longest_sequence(config)) if each]
    options = {"truncation": True, "max_length": min(bounds)} if bounds else {}
    if tokenizer.pad_token is None:
        raise Unsupported(f"the tokenizer of {case.model} has no token to pad with")
    made = tokenizer(list(case.texts), padding=True, return_attention_mask=True, **options)
    ids, lengths = made["input_ids"], tuple(sum(row) for row in made["attention_mask"])
    if not min(lengths):
        raise Unsupported("a text has no tokens; leave empty ones out")
    if max(map(max, ids)) >= vocabulary_size(config):
        raise Unsupported(
            f"the tokenizer in the folder of {case.model} has more tokens than the model; give the "
            f"tokenizer that belongs to it"
        )
    left = tokenizer.padding_side == "left"
    return Rows(lengths, len(ids[0]), tokenizer.pad_token_id or 0, left, ids)


_OF_TOKENIZERS = ("tokenizer", "vocab", "merges", "spiece", "sentencepiece", "spm")
"""How the names of a tokenizer's files begin."""


def _tokenizer(case: Case) -> Any:
    transformers = sys.modules["transformers"]
    try:
        if case.source and not any(map(_is_of_tokenizer, os.listdir(case.source))):
            raise OSError("no file of a tokenizer")  # Transformers would make an empty one
        return transformers.AutoTokenizer.from_pretrained(
            case.source or case.model,
            local_files_only=True,
            trust_remote_code=case.trust_remote_code,
        )
    except Exception as error:  # each kind of tokenizer has errors of its own
        raise Unsupported(
            f"texts want the model's own tokenizer, and there is none at hand for {case.model}; "
            f"give a folder with the tokenizer's files, or lengths as numbers, like "
            f"'uniform(16,512)'"
        ) from error


def _is_of_tokenizer(file: str) -> bool:
    return file.startswith(_OF_TOKENIZERS) or file.endswith((".model", ".tiktoken"))
