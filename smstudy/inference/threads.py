"""One thread for small matrices: on a busy machine many threads make them slower and the last digits unstable."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute inside this block with one thread per numerical library; the setting before returns afterwards.

    Examples
    --------
    >>> with one_thread():
    ...     answer = 1 + 1
    """
    with threadpool_limits(limits=1):
        yield
