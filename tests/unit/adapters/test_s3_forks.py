"""A child of a process that has used s3:// storage gets an error instead of hanging."""

from __future__ import annotations

import pytest

from forking import Child
from qiosk.adapters.blobs.s3_objects import translating_errors
from qiosk.errors import Conflict


def use_storage():
    with translating_errors():
        pass


def refused():
    with pytest.raises(Conflict, match="start processes by `spawn` or `forkserver`"):
        use_storage()
    return True


def test_a_forked_child_does_not_use_the_storage_of_its_parent():
    use_storage()
    assert Child(refused).result()
