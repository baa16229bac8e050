"""Names for segments, in words a reader can check against the profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from smstudy.display.rules import EFFECT

TRAITS = 2


def segment_names(k: int) -> tuple[str, ...]:
    """Give the short names of k segments.

    >>> segment_names(2)
    ('Segment 1', 'Segment 2')
    """
    return tuple(f"Segment {number}" for number in range(1, k + 1))


def describe_segments(
    centers: NDArray[np.float64], variables: Sequence[str], labels: Mapping[str, str]
) -> dict[str, str]:
    """Describe each segment by the two variables on which it differs most from everybody.

    Differences that are negligible by Cohen's rule are not mentioned.

    Parameters
    ----------
    centers : array, shape (k, p)
        Means in standard deviations from everybody's mean.
    variables : sequence of str, length p
    labels : mapping
        Names of variables to words.

    Returns
    -------
    dict
        Short name of each segment to its description.

    Examples
    --------
    >>> describe_segments(np.array([[0.9, -0.4, 0.1]]), ["adoption", "concerns", "tenure"], {"adoption": "Adoption"})
    {'Segment 1': 'Segment 1: high adoption, low concerns'}
    """
    words = [_inside_a_sentence(labels.get(name, name)) for name in variables]
    names = segment_names(len(centers))
    return {name: f"{name}: {_traits(center, words)}" for name, center in zip(names, centers, strict=True)}


def _traits(center: NDArray[np.float64], words: Sequence[str]) -> str:
    order = np.argsort(-np.abs(center), kind="stable")[:TRAITS]
    told = [f"{'high' if center[i] > 0 else 'low'} {words[i]}" for i in order if abs(center[i]) >= EFFECT.cuts[0]]
    return ", ".join(told) or "near the average throughout"


def _inside_a_sentence(label: str) -> str:
    return label[0].lower() + label[1:] if label[1:2].islower() else label
