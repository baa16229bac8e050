"""One thread for small matrices: on a busy machine many threads make them slower and the last digits unstable."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import scipy.linalg  # noqa: F401  (loads its numerical library, so that the controller finds it)
from threadpoolctl import ThreadpoolController


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute inside this block with one thread per numerical library; the setting before returns afterwards.

    Examples
    --------
    >>> with one_thread():
    ...     answer = 1 + 1
    """
    with _controller().limit(limits=1):
        yield


@cache
def _controller() -> ThreadpoolController:
    """Looking for the libraries takes some milliseconds, so it is done once."""
    return ThreadpoolController()
