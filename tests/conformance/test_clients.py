"""Microsoft's clients, unmodified, against a real server: every suite in the environment of its client."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from conformance.environments import CLIENTS, Client, NoIndex, python_of
from patience import TEST_S
from served import certificate, served

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "src"
KEY = "conformance-key-0123456789"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(4 * TEST_S)]


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Variables that name the servers to the suites."""
    folder = tmp_path_factory.mktemp("conformance")
    pair = certificate(folder)
    with ExitStack() as running:
        plain = running.enter_context(served(folder / "home", admin_key=KEY, concurrent_jobs="2"))
        found = {"QIOSK_CONFORMANCE_URL": plain.url, "QIOSK_CONFORMANCE_KEY": KEY}
        if pair is not None:
            chain, key = map(str, pair)
            options = ("--certfile", chain, "--keyfile", key)
            secure = running.enter_context(served(folder / "tls", *options, admin_key=KEY))
            found |= {"QIOSK_CONFORMANCE_TLS_URL": secure.url, "QIOSK_CONFORMANCE_CA": chain}
        yield found


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_the_client_works_unmodified(client: Client, environ: dict[str, str]) -> None:
    try:
        python = python_of(client)
    except NoIndex as error:
        if os.environ.get("QIOSK_TEST_CONFORMANCE") == "require":
            raise
        pytest.skip(f"no package index: {error}")
    suite = HERE / "clients" / f"{client.suite}.py"
    options = ["-c", HERE / "clients" / "pytest.ini", "--confcutdir", HERE / "clients", "--rootdir", HERE / "clients"]
    done = subprocess.run(
        [python, "-m", "pytest", "-o", f"timeout={TEST_S}", *options, suite],
        env={**os.environ, **environ, "PYTHONPATH": os.pathsep.join(map(str, (SOURCE, HERE.parent)))},
        capture_output=True,
        text=True,
        cwd=HERE,
    )
    print(done.stdout[-200:])
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
