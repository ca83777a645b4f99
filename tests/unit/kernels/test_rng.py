"""Random words do not depend on how many are drawn at once."""

from __future__ import annotations

from unittest import mock

import numpy as np
import numpy.testing as npt
import pytest

from qiosk.kernels import rng
from qiosk.kernels.aligned import is_aligned


@pytest.mark.parametrize(("seed", "stream", "first"), [(0, 0, 0), (-77, 1, 12_345), (2**64 - 1, 0, 2**40)])
def test_many_words_are_those_that_numpy_draws(seed, stream, first):
    wanted = rng.random_words(seed, 1000, stream, first)
    with mock.patch.object(rng, "MANY_WORDS", 0):
        found = rng.random_words(seed, 1000, stream, first)
    assert found.dtype == np.uint64
    npt.assert_array_equal(found, wanted)
    assert is_aligned(found)
