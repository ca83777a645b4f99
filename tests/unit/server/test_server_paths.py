"""Paths are understood however clients spell them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qiosk.server.web.paths import canonical_path

ROOT = "/subscriptions/S-1/resourceGroups/G/providers/Microsoft.Quantum/workspaces/My.Ws"


@pytest.mark.parametrize(
    ("sent", "rest"),
    [
        (ROOT + "/jobs", "/jobs"),
        ("/v1.0" + ROOT + "/jobs/ID", "/jobs/ID"),
        ("//v1.0/" + ROOT + "//jobs//ID/", "/jobs/ID"),
        ("/V1.0/Subscriptions/S-1/RESOURCEGROUPS/G/Providers/microsoft.quantum/Workspaces/My.Ws/JOBS", "/jobs"),
        (ROOT + "/Jobs/Ab:Cancel", "/jobs/Ab:cancel"),
        (ROOT + "/jobs/Jobs/Results", "/jobs/Jobs/results"),
        (ROOT + "/sessions/RESULTS:CLOSE", "/sessions/RESULTS:close"),
        (ROOT + "/STORAGE/sasuri", "/storage/sasUri"),
        (ROOT + "/providerstatus", "/providerStatus"),
        (ROOT + "/toplevelitems", "/topLevelItems"),
        (ROOT, ""),
    ],
)
def test_a_path_is_canonical(sent: str, rest: str) -> None:
    assert canonical_path(sent) == ROOT + rest


@pytest.mark.parametrize(
    "path",
    ["/", "", "/qiosk/C//B", "/healthz", "/subscriptions/a/b", "/v2.0" + ROOT, ROOT.replace("Quantum", "Quantums")],
)
def test_other_paths_are_left_alone(path: str) -> None:
    assert canonical_path(path) == path


@given(path=st.text(alphabet="/:.aJjobs", max_size=60).map(lambda rest: ROOT + rest))
def test_canonical_paths_stay_as_they_are(path: str) -> None:
    assert canonical_path(canonical_path(path)) == canonical_path(path)
