"""Quantiles of Student's t, for intervals of means."""

from __future__ import annotations

from statistics import NormalDist

_TABLES = {
    0.975: (
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
        2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
        2.052, 2.048, 2.045, 2.042,
    ),
    0.995: (
        63.657, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250, 3.169, 3.106, 3.055, 3.012,
        2.977, 2.947, 2.921, 2.898, 2.878, 2.861, 2.845, 2.831, 2.819, 2.807, 2.797, 2.787, 2.779,
        2.771, 2.763, 2.756, 2.750,
    ),
}  # fmt: skip
"""By the quantile's level, for 1 to 30 degrees of freedom."""


def t_quantile(degrees: int, level: float = 0.975) -> float:
    """The quantile of Student's t at a level of 0.975 or 0.995.

    For more than 30 degrees of freedom it is the expansion around the normal quantile (Abramowitz
    and Stegun, *Handbook of Mathematical Functions*, 26.7.5), right to three decimals.
    """
    table = _TABLES[level]
    if degrees <= len(table):
        return table[degrees - 1]
    z = NormalDist().inv_cdf(level)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / degrees + second / degrees**2
