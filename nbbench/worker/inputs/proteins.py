"""Inputs of models that fold proteins: residues of a chain, and the atoms of each."""

from __future__ import annotations

from typing import Any

from .asked import Asked
from .tensors import Input
from .text import vocabulary_size

_ATOMS = 5
"""How many atoms each residue has: those of the backbone, and the first of the side chain."""


def proteins(asked: Asked) -> list[Input]:
    """One chain of as many residues as asked for in each sample; nothing for other models."""
    if not asked.needs("atom_inputs") or not asked.needs("residue_index"):
        return []
    config, length = asked.config, asked.length
    numbers = tuple(range(length))
    rows = {
        "token_index": numbers,
        "residue_index": numbers,
        "attention_mask": length * (True,),
        **dict.fromkeys(("asym_id", "sym_id", "entity_id", "mol_type"), length * (0,)),
    }
    shape = (asked.batch_size, length)
    unbound = length * (length * ((0.0,),),)
    return [
        Input("input_ids", "ids", shape, vocabulary_size(config)),
        *(_same_in_all(asked, name, row) for name, row in rows.items()),
        Input("res_type", "ids", shape, int(config.num_res_types)),
        Input("token_bonds", "given", (*shape, length, 1), values=asked.batch_size * (unbound,)),
        _atoms(asked),
    ]


def _atoms(asked: Asked) -> Input:
    """Where the atoms are by themselves, what they are, and which residue each is of."""
    config, atoms = asked.config, asked.length * _ATOMS
    shape = (asked.batch_size, atoms)
    residues = tuple(at // _ATOMS for at in range(atoms))
    names = (*shape, int(config.max_chars))
    parts = (
        Input("ref_pos", "noise", (*shape, 3)),
        _same_in_all(asked, "ref_charge", atoms * (0.0,)),
        _same_in_all(asked, "atom_attention_mask", atoms * (True,)),
        Input("ref_element", "ids", shape, int(config.max_atomic_number)),
        Input("ref_atom_name_chars", "ids", names, int(config.char_vocab_size)),
        _same_in_all(asked, "ref_space_uid", residues),
        _same_in_all(asked, "atom_to_token", residues),
    )
    return Input("atom_inputs", "record", (), parts=parts)


def _same_in_all(asked: Asked, name: str, row: tuple[Any, ...]) -> Input:
    return Input(name, "given", (asked.batch_size, len(row)), values=asked.batch_size * (row,))
