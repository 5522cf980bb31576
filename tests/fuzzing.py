"""Inputs that nobody should give, and what is asked of every answer to them.

Each test tries a few of them. ``NBBENCH_FUZZED=5000 pytest tests/test_fuzzed_arguments.py`` tries
that many in each test, and lets none take more than half a minute.
"""

from __future__ import annotations

import decimal
import fractions
import itertools
import os
import pathlib
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

import nbbench
from nbbench.text import one_line

pytest.importorskip("hypothesis")
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ASKED = int(os.environ.get("NBBENCH_FUZZED", "0"))

LONGEST_SENTENCE = 1000


def fuzzed(*strategies, examples, **named):
    """Try a test with ``examples`` inputs, or with as many as NBBENCH_FUZZED asks for."""

    def decorate(test):
        tried = settings(
            max_examples=ASKED or examples,
            derandomize=not ASKED,  # the fast tests try the same inputs each time
            deadline=timedelta(seconds=30) if ASKED else None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        )(given(*strategies, **named)(test))
        return pytest.mark.timeout(3600 if ASKED else 300)(tried)

    return decorate


def is_one_sentence(text):
    """Whether an error's text is one line that any terminal can show, and short enough to read."""
    text.encode()
    return 0 < len(text) < LONGEST_SENTENCE and one_line(text) == text


def answer_or_sentence(act):
    """What ``act`` returns; None where it is refused, which one sentence has to say."""
    try:
        return act()
    except nbbench.NbbenchError as error:
        sentence = str(error)
    assert is_one_sentence(sentence), sentence
    return None


class Given:
    """What was drawn for a test, which hypothesis can print whatever it is."""

    def __init__(self, value):
        self.value = value

    def __repr__(self):
        try:
            return repr(self.value)[:2000]
        except Exception as error:
            return f"<unprintable: {error!r}> {_outline(self.value)}"


def _outline(value, depth=4):
    if not depth:
        return "…"
    if type(value) is dict:
        return {str(key): _outline(part, depth - 1) for key, part in value.items()}
    if type(value) in (list, tuple):
        return [_outline(part, depth - 1) for part in value]
    return type(value).__mro__[:2], sorted(set(vars(type(value))) & set(_METHODS))


def _raising(error):
    def method(self, *more):
        raise error

    return method


def _returning(value):
    return lambda self, *more: value


_METHODS = (
    "__repr__", "__str__", "__eq__", "__hash__", "__len__", "__iter__", "__bool__", "__fspath__",
    "__index__", "__int__", "__float__", "__lt__", "__getattr__", "__getitem__", "__contains__",
    "__dir__", "__format__", "__array__", "to_dict", "keys", "items", "get", "tolist",
)  # fmt: skip
_ERRORS = (
    RuntimeError("two\nlines"), ValueError("\ud800"), TypeError(), KeyError("k"), OSError(5, "I/O"),
    RecursionError("deep"), AssertionError(), AttributeError("no"), StopIteration(), MemoryError(),
)  # fmt: skip
_WRONG = (None, 0, "", "x", b"\xff", [], {}, float("nan"), NotImplemented)


@st.composite
def hostile_objects(draw):
    """An object of which some methods raise or return what they should not."""
    methods = {}
    for name in draw(st.lists(st.sampled_from(_METHODS), max_size=4)):
        methods[name] = draw(
            st.sampled_from(_ERRORS).map(_raising) | st.sampled_from(_WRONG).map(_returning)
        )
    base = draw(st.sampled_from([object, object, str, int, float, list, dict, tuple, pathlib.Path]))
    kind = type(draw(st.sampled_from(["Hostile", "Löwe", "a b"])), (base,), methods)
    try:
        return draw(st.sampled_from([kind, kind()]))
    except Exception:  # one that cannot even be made
        return kind


TEXTS = (
    st.text(max_size=12)
    | st.text("-+./~\\:@=[](){}'\"\n\t\0\x1b\u202e\ud800é0 ", max_size=6)
    | st.sampled_from(["", " ", "a" * 5000, "../" * 2000, "\0", "\ud800", "~nouser", "1" * 5000])
    | st.sampled_from(["auto", "cpu", "cuda:0", "gpt2", "float32", "1", "true", "None", "nan"])
)

NUMBERS = st.one_of(
    st.integers(-2, 3),
    st.sampled_from([2**31, 2**63, -(2**63) - 1, 10**400, 1e308, -0.0, 5e-324]),
    st.just(5000).map(lambda digits: -(10**digits)),  # which Python does not print
    st.floats(),
    st.sampled_from(
        [
            np.int64(3), np.float32("nan"), np.float64("inf"), np.bool_(True), np.array(3),
            np.datetime64("NaT"), pd.NA, pd.NaT, pd.Timestamp(0), decimal.Decimal("sNaN"),
            decimal.Decimal("1e400"), fractions.Fraction(1, 3), 1j, True,
        ]
    ),
)  # fmt: skip


def _endless():
    return st.sampled_from([itertools.count, lambda: itertools.repeat("x"), lambda: range(10**12)])


def _deep(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def _round(kind):
    value = kind()
    if kind is list:
        value.append(value)
    else:
        value["model_type"], value["x"] = "bert", value
    return value


OBJECTS = st.one_of(
    st.none(),
    st.binary(max_size=4),
    st.sampled_from(
        [
            object(), int, len, ..., NotImplemented, pathlib.Path("x\0"), pathlib.Path("."),
            np.zeros((2, 2)), np.array([]), np.array(["a", None], dtype=object), np.zeros(0, "S1"),
            pd.Series([1, None]), pd.DataFrame({"a": [1]}), pd.Index(["a", "b"]), slice(1),
            bytearray(b"x"), memoryview(b"x"), lambda: 1, ValueError("x"), range(3),
            pd.Series(["a", pd.NA]), pd.array([1, None]), iter(()), st, nbbench.Report,
        ]
    ),
    hostile_objects(),
    hostile_objects(),
    _endless().map(lambda make: make()),
    st.sampled_from([(_round, list), (_round, dict), (_deep, 300), (_deep, 5000)]).map(
        lambda made: made[0](made[1])
    ),
)  # fmt: skip

KEYS = st.text(max_size=4) | st.integers() | st.none() | st.tuples(st.integers())


ANYTHING = st.recursive(
    TEXTS | NUMBERS | OBJECTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(KEYS, inner, max_size=3)
        | st.frozensets(TEXTS | st.integers(), max_size=3)
        | inner.map(lambda value: iter([value]))
    ),
    max_leaves=5,
)
"""A value of any kind."""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
"""A value that a file of JSON, as Python reads it, can hold."""
