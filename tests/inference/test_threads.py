"""Laws of `smstudy.inference.threads`."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from smstudy.inference.threads import one_thread


def counts():
    np.ones((2, 2)) @ np.ones((2, 2))
    return [pool["num_threads"] for pool in threadpool_info()]


def test_one_thread_inside_and_the_setting_before_outside():
    before = counts()
    with one_thread():
        assert set(counts()) <= {1}
    assert counts() == before


def test_the_setting_returns_after_an_error():
    before = counts()
    with pytest.raises(ZeroDivisionError), one_thread():
        1 / 0  # noqa: B018
    assert counts() == before
