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


@pytest.mark.parametrize(("seed", "first"), [(3, 0), (-1, 2**33 + 7)])
def test_floats_are_the_upper_bits_of_words(seed, first):
    found, spread = np.empty(1000, np.float32), np.float32(0.1)
    rng.draw_floats(found, seed, spread, first)
    words = rng.random_words(seed, 1000, first=first) >> np.uint64(40)
    draws = (words.astype(np.float32) + np.float32(0.5)) * np.float32(2.0**-23) - np.float32(1.0)
    npt.assert_array_equal(found, spread * draws)
