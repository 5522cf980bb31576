"""Inputs of graphs: nodes, and between each two of them their distance and the edges on the way."""

from __future__ import annotations

from .asked import Asked
from .tensors import Input


def graphs(asked: Asked) -> list[Input]:
    """One graph for each sample, of as many nodes as the length; nothing for other models."""
    if not asked.needs("input_nodes"):
        return []
    config, batch_size, nodes = asked.config, asked.batch_size, asked.length
    each, pairs = (batch_size, nodes), (batch_size, nodes, nodes)
    way = (*pairs, int(config.multi_hop_max_dist), 1)
    return [
        Input("input_nodes", "ids", (*each, 1), int(config.num_atoms)),
        Input("input_edges", "ids", way, int(config.num_edges)),
        Input("attn_bias", "noise", (batch_size, nodes + 1, nodes + 1)),  # one for the whole graph
        Input("in_degree", "ids", each, int(config.num_in_degree)),
        Input("out_degree", "ids", each, int(config.num_out_degree)),
        Input("spatial_pos", "ids", pairs, int(config.num_spatial)),
        Input("attn_edge_type", "ids", (*pairs, 1), int(config.num_edges)),
    ]
