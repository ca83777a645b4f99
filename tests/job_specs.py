"""What a job process is told of its job, for tests that run none."""

from __future__ import annotations

from typing import Any

from qiosk.contract.jobs import QIO_INPUT_FORMAT, QIO_OUTPUT_FORMAT
from qiosk.service.jobs.job import BlobRef
from qiosk.service.jobs.runs import JobSpec


def a_spec(**members: Any) -> JobSpec:
    """The first attempt of job ``j`` in a container of its own, with the given members."""
    common = {
        "workspace": "default",
        "id": "j",
        "fence": 1,
        "container": "job-j",
        "input": BlobRef("job-j", "inputData"),
        "target": "t",
        "input_params": None,
        "input_data_format": QIO_INPUT_FORMAT,
        "output_data_format": QIO_OUTPUT_FORMAT,
    }
    return JobSpec(**{**common, **members})
