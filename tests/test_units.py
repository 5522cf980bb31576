"""Times, sizes and numbers, as a user writes them and as they are written."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbbench.errors import ArgumentError
from nbbench.text import rounded
from nbbench.units import bytes_of, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("50 ms", 0.05), ("50ms", 0.05), ("0.05 s", 0.05), ("0.05", 0.05), (0.05, 0.05), (2, 2.0),
        (" 1.5 S ", 1.5), ("1e-3 s", 1e-3), ("250 µs", 250e-6), ("250 us", 250e-6), (".5s", 0.5),
        ("100 ns", 1e-7), ("2 min", 120.0), ("3 minutes", 180.0), ("1 h", 3600.0),
        ("2 seconds", 2.0), ("7 milliseconds", 7e-3), (Fraction(1, 4), 0.25),
    ],
)  # fmt: skip
def test_a_time_is_read_in_seconds(text, seconds):
    assert seconds_of(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4 GB", 4 * 10**9), ("4GB", 4 * 10**9), ("4 gb", 4 * 10**9), ("4 GiB", 4 * 2**30),
        ("500 MB", 500 * 10**6), ("500 MiB", 500 * 2**20), ("1.5 GB", 1_500_000_000),
        ("64 kB", 64_000), ("64 KiB", 65_536), ("1 TB", 10**12), ("2 TiB", 2 * 2**40),
        ("100 B", 100), ("100 bytes", 100), ("0.1 GB", 100_000_000),
    ],
)  # fmt: skip
def test_a_size_is_read_in_bytes(text, size):
    assert bytes_of(text) == size
    assert type(bytes_of(text)) is int


@pytest.mark.parametrize(
    "wrong",
    ["", "ms", "fast", "-5 ms", "0 ms", 0, -1, "nan", math.nan, math.inf, "1e999 s", True, None,
     "5 GB", "50 m", "1,5 s", [], "5 ms 3", "٥ s", "9" * 1000, 10**400, "1_0 s"],
)  # fmt: skip
def test_what_is_no_time_is_refused_in_one_sentence(wrong):
    with pytest.raises(ArgumentError, match=r"is no time; give a number with ns.*like '50 ms'"):
        seconds_of(wrong)


@pytest.mark.parametrize(
    "wrong",
    ["", "GB", "4", 4, 4e9, "4 G", "-4 GB", "0 GB", "4 ms", "0.2 B", "1e308 TB", None,
     True, "lots", "4,5 GB", "4 GBs", {}],
)  # fmt: skip
def test_what_is_no_size_is_refused_in_one_sentence(wrong):
    with pytest.raises(ArgumentError, match="is no size of memory; give a number with its unit"):
        bytes_of(wrong)


@given(st.one_of(st.text(max_size=40), st.from_regex(r"[-+.0-9e]{1,8} ?[a-zA-Z]{0,4}")))
def test_any_text_is_a_quantity_or_refused(text):
    for read in (seconds_of, bytes_of):
        try:
            value = read(text)
        except ArgumentError:
            continue
        assert value > 0
        assert math.isfinite(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.00"), (0.09996, "0.100"), (0.9996, "1.00"), (9.996, "10.0"), (99.94, "99.9"),
        (99.95, "100"), (99.96, "100"), (999.6, "1,000"), (-99.96, "-100"), (-1234.5, "-1,234"),
    ],
)  # fmt: skip
def test_a_number_has_three_digits_at_a_carry_too(value, text):
    assert rounded(value) == text
