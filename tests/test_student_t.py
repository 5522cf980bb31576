"""The quantiles of Student's t leave on their right what they claim, by integration."""

import math

import pytest

from nbbench.worker.student_t import t_quantile


def part_above(t, degrees, steps=4000):
    """P(T > t): the density's integral over angles, T being sqrt(degrees) * tan(angle)."""
    begin, end = math.atan(t / math.sqrt(degrees)), math.pi / 2
    width = (end - begin) / steps
    area = width * sum(
        math.cos(begin + (step + 0.5) * width) ** (degrees - 1) for step in range(steps)
    )
    return (
        area
        * math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2))
        / math.sqrt(math.pi)
    )


@pytest.mark.parametrize("level", [0.975, 0.995])
@pytest.mark.parametrize("degrees", [*range(1, 41), 100, 999])
def test_a_quantile_leaves_its_part_on_the_right(degrees, level):
    assert part_above(t_quantile(degrees, level), degrees) == pytest.approx(1 - level, rel=3e-3)
