"""Inputs of time series: past values with what is known of their times, and episodes of actions."""

from __future__ import annotations

from ..backend import Unsupported
from .asked import Asked
from .tensors import Input


def time_series(asked: Asked) -> list[Input]:
    """As many past values as the configuration names; nothing for other models."""
    if asked.takes("states", "actions", "returns_to_go"):
        return _episode(asked)
    if asked.takes("trajectories"):
        return _trajectories(asked)
    if not asked.takes("past_values"):
        return []
    config, batch_size = asked.config, asked.batch_size
    length = int(asked.named("context_length") or asked.length)
    lags = getattr(config, "lags_sequence", None)
    if lags:
        return _with_lags(asked, length + max(lags))
    channels = getattr(config, "num_input_channels", None)
    shape = (batch_size, length) if channels is None else (batch_size, length, int(channels))
    made = [Input("past_values", "noise", shape)]
    for name, bound in (("past_values_padding", 1), ("freq", 3)):
        if asked.needs(name):
            size = (batch_size, 1 if name == "freq" else length)
            made.append(Input(name, "ids", size, bound))
    return made


def _with_lags(asked: Asked, length: int) -> list[Input]:
    """The values and the features of the times, of the past and of those to predict."""
    config, batch_size = asked.config, asked.batch_size
    width = () if config.input_size == 1 else (int(config.input_size),)
    if config.prediction_length is None:
        raise Unsupported(
            f"the configuration of {asked.model} names no prediction_length, the number of values "
            f"to predict; add one"
        )
    ahead = int(config.prediction_length)
    made = [
        Input("past_values", "noise", (batch_size, length, *width)),
        Input("past_time_features", "noise", (batch_size, length, config.num_time_features)),
        Input("past_observed_mask", "ones", (batch_size, length, *width)),
        Input("future_values", "noise", (batch_size, ahead, *width)),
        Input("future_time_features", "noise", (batch_size, ahead, config.num_time_features)),
    ]
    categories = int(getattr(config, "num_static_categorical_features", 0) or 0)
    if categories:
        bound = min(config.cardinality)
        made.append(Input("static_categorical_features", "ids", (batch_size, categories), bound))
    numbers = int(getattr(config, "num_static_real_features", 0) or 0)
    if numbers:
        made.append(Input("static_real_features", "noise", (batch_size, numbers)))
    return made


def _trajectories(asked: Asked) -> list[Input]:
    """States, actions and rewards as tokens of one sequence."""
    longest = int(asked.config.block_size)
    if asked.length > longest:
        raise Unsupported(
            f"sequence length {asked.length} is more than {asked.model} takes ({longest}); lower "
            f"sequence_lengths"
        )
    shape = (asked.batch_size, asked.length)
    return [Input("trajectories", "ids", shape, int(asked.config.vocab_size))]


def _episode(asked: Asked) -> list[Input]:
    """States, actions and rewards of as many steps as asked for."""
    config, steps = asked.config, (asked.batch_size, asked.length)
    made = [
        Input("states", "noise", (*steps, config.state_dim)),
        Input("actions", "noise", (*steps, config.act_dim)),
        Input("rewards", "noise", (*steps, 1)),
        Input("returns_to_go", "noise", (*steps, 1)),
        Input("timesteps", "ids", steps, config.max_ep_len),
        Input("attention_mask", "ones", steps),
    ]
    return [tensor for tensor in made if tensor.name in asked.parameters]
