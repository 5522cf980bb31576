"""Labels of time series: the values to come, a class, or numbers."""

from __future__ import annotations

from ..inputs.tensors import Input
from .head import Head


def future(head: Head) -> tuple[Input, ...]:
    """The values to come, and what is known of the time that they are of."""
    config = head.config
    past = head.input_named("past_values")
    if past is None:
        raise head.unknown()
    horizon = getattr(config, "prediction_length", None) or getattr(config, "horizon_length", 1)
    length = int(horizon or 1)
    labels = [Input("future_values", "noise", (head.batch_size, length, *past.shape[2:]))]
    if "future_time_features" in head.asks and "future_time_features" not in head.tensors:
        features = int(getattr(config, "num_time_features", 0))
        shape = (head.batch_size, length, features)
        labels.append(Input("future_time_features", "noise", shape))
    return tuple(labels)


def actions(head: Head) -> tuple[Input, ...]:
    """As many actions as a robot is to be given at once."""
    config = head.config
    shape = (head.batch_size, int(config.chunk_size), int(config.max_action_dim))
    return (Input("actions", "noise", shape),)


def class_of_series(head: Head) -> tuple[Input, ...]:
    """A class for each series."""
    return (Input("target_values", "ids", (head.batch_size,), _targets(head)),)


def numbers_of_series(head: Head) -> tuple[Input, ...]:
    """Numbers for each series."""
    return (Input("target_values", "noise", (head.batch_size, _targets(head))),)


def _targets(head: Head) -> int:
    return int(getattr(head.config, "num_targets", None) or head.classes)
