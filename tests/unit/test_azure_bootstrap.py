"""What needs none of Microsoft's packages; the rest is tested with them, in ``conformance``."""

from __future__ import annotations

import json
import time

import pytest

from qiosk.azure_bootstrap import ANY_SUBSCRIPTION, environment
from qiosk.contract.workspaces import DEFAULT_KEY, workspace_key


def test_the_environment_holds_the_server_and_a_token_file_that_only_its_owner_reads(tmp_path) -> None:
    file = tmp_path / "token.json"
    file.write_text("old")
    variables = environment("https://q.example:8000", "qk_1_secret", file)
    assert variables["AZURE_QUANTUM_BASEURL"] == "https://q.example:8000/"
    assert variables["AZURE_QUANTUM_TOKEN_FILE"] == str(file)
    assert file.stat().st_mode & 0o777 == 0o600
    token = json.loads(file.read_text())
    assert token["access_token"] == "qk_1_secret"
    assert token["expires_on"] > 1000 * (time.time() + 365 * 24 * 3600)  # milliseconds


def test_a_server_without_tls_cannot_be_named_by_the_environment(tmp_path) -> None:
    with pytest.raises(ValueError, match="over https only, found 'http://q'"):
        environment("http://q", None, tmp_path / "token.json")
    assert not (tmp_path / "token.json").exists()


def test_any_subscription_is_the_default_workspace() -> None:
    assert workspace_key(ANY_SUBSCRIPTION, "default", "Default") == DEFAULT_KEY
    assert workspace_key(ANY_SUBSCRIPTION, "default", "mine") != DEFAULT_KEY
