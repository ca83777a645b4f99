"""Errors cross processes and machines as what they are."""

from __future__ import annotations

import pickle

import pytest

from qiosk import errors
from qiosk.errors import QioskError, QuotaExceeded

ALL = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, QioskError)]


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_every_error_survives_pickle(cls):
    error = pickle.loads(pickle.dumps(cls("job j: must be x, found y", job_id="j")))
    assert type(error) is cls
    assert (error.message, error.details) == ("job j: must be x, found y", {"job_id": "j"})
    assert str(error).endswith("job j: must be x, found y")
    assert error.error_data()["code"] == cls.code


@pytest.mark.parametrize(("details", "expected"), [({}, 60), ({"retry_after_s": 7}, 7)])
def test_an_exceeded_quota_says_when_to_ask_again(details, expected):
    assert QuotaExceeded("queued jobs: at most 5 are allowed, found 5", **details).retry_after_s == expected
