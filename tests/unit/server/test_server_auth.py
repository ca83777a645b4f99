"""Who may do what."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from patience import HANG_S
from qiosk.contract.jobs import SubmitJob
from qiosk.errors import Forbidden, InvalidValue, ServiceUnavailable, Unauthorized
from qiosk.server.auth.auth import ALL, Gate, TokenVerifier, read_workspaces
from qiosk.server.auth.issuer_keys import KEPT_S, KEYS_S, REFETCH_S, IssuerKeys, in_background
from qiosk.server.run import check_exposure
from qiosk.server.settings import ServerSettings, read_server_settings
from qiosk.service.accounts.keys import Authenticator, KeyService
from servers import WORKSPACE, MemoryParts

KEY = "abc-1/group/mine"
ISSUER = "https://issuer.test"
SIGNING = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def make_key(memory: MemoryParts, **members: Any) -> str:
    return KeyService(memory.keys, memory.clock).create("test", **{"workspace": KEY, **members})[1]


def status(http: httpx.Client, method: str, path: str, **headers: str) -> tuple[int, str]:
    response = http.request(method, WORKSPACE + path, headers=headers)
    return response.status_code, "" if response.is_success else response.json()["error"]["code"]


def test_without_a_key_every_credential_is_accepted(http: httpx.Client) -> None:
    assert status(http, "GET", "/jobs")[0] == 200
    assert status(http, "GET", "/jobs", authorization="Bearer anything")[0] == 200


def test_a_key_is_accepted_in_both_headers(http: httpx.Client, memory: MemoryParts) -> None:
    key = make_key(memory)
    assert status(http, "GET", "/jobs", authorization=f"Bearer {key}")[0] == 200
    assert status(http, "GET", "/jobs", **{"x-ms-quantum-api-key": key})[0] == 200


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer qk_a_b"}, {"authorization": "Basic Zm9v"},
                                     {"x-ms-quantum-api-key": "x"}, {"authorization": "Bearer"}], ids=str)  # fmt: skip
def test_other_credentials_are_not(http: httpx.Client, memory: MemoryParts, headers: dict[str, str]) -> None:
    make_key(memory)
    for call in (("GET", "/jobs"), ("GET", "/jobs/x"), ("POST", "/storage/sasUri"), ("GET", "/quotas")):
        assert status(http, *call, **headers) == (401, "Unauthorized")
    assert http.get("/metrics", headers=headers).status_code == 401
    assert http.get(f"{WORKSPACE}/jobs", headers=headers).headers["www-authenticate"] == "Bearer"
    assert http.get("/healthz", headers=headers).status_code == 200


def test_a_key_opens_its_workspace_only(http: httpx.Client, memory: MemoryParts) -> None:
    headers = {"x-ms-quantum-api-key": make_key(memory, workspace="other/group/mine")}
    assert status(http, "GET", "/jobs", **headers) == (403, "Forbidden")
    assert status(http, "GET", "/jobs/x", **headers) == (403, "Forbidden")
    assert http.get("/metrics", headers=headers).status_code == 403


def test_a_key_for_reading_changes_nothing(http: httpx.Client, memory: MemoryParts) -> None:
    headers = {"x-ms-quantum-api-key": make_key(memory, is_read_only=True)}
    assert status(http, "GET", "/jobs", **headers)[0] == 200
    calls = [
        *(("PUT", "/jobs/x"), ("DELETE", "/jobs/x"), ("PATCH", "/jobs/x"), ("POST", "/jobs/x:cancel")),
        *(("POST", "/jobs/x:purge"), ("PUT", "/sessions/x"), ("POST", "/sessions/x:close")),
    ]
    for call in calls:
        assert status(http, *call, **headers) == (403, "Forbidden"), call


def test_a_key_for_reading_gets_links_that_read(http: httpx.Client, memory: MemoryParts) -> None:
    headers = {"x-ms-quantum-api-key": make_key(memory, is_read_only=True)}
    memory.jobs("abc-1/group/mine").put_blob("job-1", "a", b"data")
    for members in ({"containerName": "job-1"}, {"containerName": "job-1", "blobName": "a"}):
        answer = http.post(f"{WORKSPACE}/storage/sasUri", json=members, headers=headers)
        url, query = answer.json()["sasUri"].split("?")
        container = url.removesuffix("/a")
        blob = f"{container}/a?{query}"
        assert http.get(blob).content == b"data"
        assert http.put(blob, content=b"x", headers={"x-ms-blob-type": "BlockBlob"}).status_code == 403
        assert http.put(f"{blob}&comp=metadata").status_code == 403
        assert http.delete(blob).status_code == 403
        listed = http.get(f"{container}?restype=container&comp=list&{query}")
        assert listed.status_code == (403 if "blobName" in members else 200)
    answer = http.post(f"{WORKSPACE}/storage/sasUri", json={"containerName": "new"}, headers=headers)
    assert http.get(f"{answer.json()['sasUri']}&restype=container").status_code == 404


def test_an_administrator_may_do_everything(http: httpx.Client, memory: MemoryParts) -> None:
    headers = {"x-ms-quantum-api-key": make_key(memory, workspace=None)}
    assert status(http, "GET", "/jobs", **headers)[0] == 200
    assert http.get("/metrics", headers=headers).status_code == 200


def submit(memory: MemoryParts, *workspaces: str) -> None:
    for workspace in workspaces:
        command = SubmitJob(name="n", provider_id="Microsoft", target="microsoft.tabu.cpu", input_data=b"{}")
        memory.jobs(workspace).submit(command)


def listed(http: httpx.Client, **headers: str) -> dict[str, int]:
    response = http.get("/workspaces", headers=headers)
    assert (response.status_code, response.json()["nextLink"]) == (200, None), response.text
    value = response.json()["value"]
    assert [view["workspace"] for view in value] == sorted(view["workspace"] for view in value)
    return {view["workspace"]: view["jobs"] for view in value}


def test_a_list_of_workspaces_contains_those_that_the_key_may_read(http: httpx.Client, memory: MemoryParts) -> None:
    submit(memory, "default", "a/b/c", "a/b/c", KEY)
    own, other, reader, admin, empty = (
        {"authorization": f"Bearer {make_key(memory, **members)}"}
        for members in (
            {},
            {"workspace": "a/b/c"},
            {"is_read_only": True},
            {"workspace": None},
            {"workspace": "x/y/z"},
        )
    )
    assert (listed(http, **own), listed(http, **reader)) == ({KEY: 1}, {KEY: 1})
    assert listed(http, **other) == {"a/b/c": 2}
    assert listed(http, **empty) == {"x/y/z": 0}
    assert listed(http, **admin) == {"default": 1, "a/b/c": 2, KEY: 1}
    for headers in ({}, {"authorization": "Bearer qk_a_b"}):
        assert http.get("/workspaces", headers=headers).status_code == 401
    assert http.post("/workspaces", headers=admin).status_code == 405


def test_without_a_key_all_workspaces_are_listed(http: httpx.Client, memory: MemoryParts) -> None:
    assert listed(http) == {}
    submit(memory, "default", "a/b/c")
    assert listed(http) == {"default": 1, "a/b/c": 1}


def test_a_list_of_workspaces_contains_those_of_the_token(
    http: httpx.Client, memory: MemoryParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(memory, "default", "a/b/c", KEY)
    issuer = Issuer()
    monkeypatch.setattr(http._transport._inner.app.state, "gate", Gate(memory.parts.authenticator, issuer.verifier()))
    for spaces, found in (
        ([KEY, "x/y/z:read", "a\x00", ""], {KEY: 1, "x/y/z": 0}),
        (["*:read"], {"default": 1, "a/b/c": 1, KEY: 1}),
        ([], {}),
        (None, {}),
    ):
        assert listed(http, authorization=f"Bearer {issuer.token(spaces=spaces)}") == found


# Tokens of an issuer.


class Issuer:
    """Signs tokens, and counts how often it is asked for its keys."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.now = 0.0
        self.tasks: list[Callable[[], None]] = []
        self.is_asked = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(SIGNING.public_key()))
        self.documents: dict[str, Mapping[str, Any]] = {
            f"{ISSUER}/.well-known/openid-configuration": {"jwks_uri": f"{ISSUER}/keys"},
            f"{ISSUER}/keys": {"keys": [{**public, "kid": "k1", "use": "sig"}]},
        }

    def fetch(self, url: str) -> Mapping[str, Any]:
        self.asked.append(url)
        self.is_asked.set()
        assert self.may_answer.wait(HANG_S)
        if url not in self.documents:
            raise OSError("not found")
        return self.documents[url]

    def verifier(self) -> TokenVerifier:
        keys = IssuerKeys(
            ISSUER, fetch=self.fetch, monotonic=lambda: self.now, in_background=lambda do: self.tasks.append(do)
        )
        return TokenVerifier(issuer=ISSUER, audience="qiosk", claim="spaces", keys=keys)

    def run_tasks(self) -> int:
        """Do what waits to be done in the background; how much that was."""
        tasks, self.tasks = self.tasks, []
        for do in tasks:
            do()
        return len(tasks)

    def token(self, key_id: str = "k1", key: Any = SIGNING, algorithm: str = "RS256", **claims: Any) -> str:
        given = {"iss": ISSUER, "aud": "qiosk", "sub": "ann", "exp": time.time() + 60, "spaces": [KEY]}
        members = {name: value for name, value in {**given, **claims}.items() if value is not None}
        return jwt.encode(members, key, algorithm=algorithm, headers={"kid": key_id})


def test_a_token_opens_the_workspaces_it_lists() -> None:
    issuer = Issuer()
    holder = issuer.verifier().verify(issuer.token(spaces=["ABC-1/Group/Mine", "a/b/c:read"]))
    assert holder.name == "ann"
    assert holder.may(KEY, write=True)
    assert holder.may("a/b/c", write=False)
    assert not holder.may("a/b/c", write=True)
    assert not holder.may("x/y/z", write=False)
    assert not holder.may(ALL, write=False)
    with pytest.raises(Forbidden, match="reading"):
        holder.require("a/b/c", write=True)
    with pytest.raises(Forbidden, match="another"):
        holder.require("x/y/z", write=True)


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.test"},
        {"aud": "other"},
        {"exp": 1.0},
        {"exp": None},
        {"sub": None},
        {"nbf": 2.0**40},
        {"key_id": "k2"},
        {"key": "a secret that the issuer does not have", "algorithm": "HS256"},
        {"key": rsa.generate_private_key(public_exponent=65537, key_size=2048)},
        {"key": None, "algorithm": "none"},
    ],
    ids=lambda claims: ",".join(claims),
)
def test_other_tokens_open_nothing(claims: dict[str, Any]) -> None:
    issuer = Issuer()
    with pytest.raises(Unauthorized):
        issuer.verifier().verify(issuer.token(**claims))


@pytest.mark.parametrize("token", ["a.b.c", "..", "\u00e9.a.b", "a" * 20_000 + ".b.c"])
def test_what_is_no_token_opens_nothing(token: str) -> None:
    with pytest.raises(Unauthorized):
        Issuer().verifier().verify(token)


def test_keys_are_fetched_rarely() -> None:
    issuer = Issuer()
    verifier = issuer.verifier()
    for _ in range(3):
        verifier.verify(issuer.token())
        with pytest.raises(Unauthorized):
            verifier.verify(issuer.token(key_id="invented"))
    assert issuer.asked.count(f"{ISSUER}/keys") == 1
    issuer.now = 11.0  # keys may have been added meanwhile
    with pytest.raises(Unauthorized):
        verifier.verify(issuer.token(key_id="invented"))
    issuer.now = 4000.0  # and keys may have been taken back
    for _ in range(3):
        verifier.verify(issuer.token())
    assert issuer.run_tasks() == 1
    assert issuer.asked.count(f"{ISSUER}/keys") == 3


def test_an_issuer_that_is_silent_is_no_reason_to_refuse_for_good() -> None:
    issuer = Issuer()
    keys = issuer.documents.pop(f"{ISSUER}/keys")
    verifier = issuer.verifier()
    for _ in range(3):
        with pytest.raises(ServiceUnavailable, match="cannot fetch the keys of the issuer"):
            verifier.verify(issuer.token())
    issuer.documents[f"{ISSUER}/keys"] = keys
    issuer.now = 11.0
    verifier.verify(issuer.token())


def test_keys_that_cannot_be_fetched_again_are_kept_for_a_while() -> None:
    issuer = Issuer()
    verifier = issuer.verifier()
    verifier.verify(issuer.token())
    keys = issuer.documents.pop(f"{ISSUER}/keys")
    for issuer.now in (KEYS_S, KEYS_S + REFETCH_S, KEPT_S - 1):
        verifier.verify(issuer.token())
        assert issuer.run_tasks() == 1
        verifier.verify(issuer.token())
        assert not issuer.tasks, "it was asked just now"
        with pytest.raises(ServiceUnavailable):
            verifier.verify(issuer.token(key_id="k2"))
    issuer.now = KEPT_S + REFETCH_S
    with pytest.raises(ServiceUnavailable):
        verifier.verify(issuer.token())
    issuer.documents[f"{ISSUER}/keys"] = keys
    issuer.now += REFETCH_S
    verifier.verify(issuer.token())


def test_a_key_that_was_taken_back_works_no_longer() -> None:
    issuer = Issuer()
    verifier = issuer.verifier()
    verifier.verify(issuer.token())
    issuer.documents[f"{ISSUER}/keys"] = {
        "keys": [{**key, "kid": "k2"} for key in issuer.documents[f"{ISSUER}/keys"]["keys"]]
    }
    issuer.now = KEYS_S
    verifier.verify(issuer.token())
    issuer.run_tasks()
    verifier.verify(issuer.token(key_id="k2"))
    with pytest.raises(Unauthorized):
        verifier.verify(issuer.token())


def test_nobody_waits_while_the_keys_are_fetched_for_another() -> None:
    issuer = Issuer()
    verifier = issuer.verifier()
    verifier.verify(issuer.token())
    issuer.now = REFETCH_S
    issuer.is_asked.clear()
    issuer.may_answer.clear()
    with ThreadPoolExecutor() as threads:
        first = threads.submit(verifier.verify, issuer.token(key_id="invented"))
        assert issuer.is_asked.wait(HANG_S)
        assert verifier.verify(issuer.token()).name == "ann"
        with pytest.raises(ServiceUnavailable, match="is being asked"):
            verifier.verify(issuer.token(key_id="k2"))
        issuer.may_answer.set()
        with pytest.raises(Unauthorized):
            first.result(HANG_S)
    assert issuer.asked.count(f"{ISSUER}/keys") == 2


def test_a_refresh_that_finds_no_thread_is_tried_again() -> None:
    issuer = Issuer()
    started: list[Callable[[], None]] = []

    def start(do: Callable[[], None]) -> None:
        started.append(do)
        if len(started) == 1:
            raise RuntimeError("can't start new thread")

    keys = IssuerKeys(ISSUER, fetch=issuer.fetch, monotonic=lambda: issuer.now, in_background=start)
    for issuer.now in (0.0, KEYS_S, KEYS_S + REFETCH_S):
        assert keys.find("k1") is not None
    assert len(started) == 2


def test_what_is_done_in_the_background_is_done() -> None:
    done = threading.Event()
    in_background(done.set)
    assert done.wait(HANG_S)


def test_with_an_issuer_somebody_without_token_is_nobody(memory: MemoryParts) -> None:
    issuer = Issuer()
    gate = Gate(Authenticator(memory.keys, memory.clock), issuer.verifier())
    for credential in (None, "anything"):
        with pytest.raises(Unauthorized):
            gate.authenticate(credential)
    assert gate.authenticate(issuer.token()).name == "ann"
    assert gate.authenticate(make_key(memory)).name == "test"


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_claim_can_be_read(claim: object) -> None:
    assert all(isinstance(name, str) for name in read_workspaces(claim))


# Exposure and settings.


def test_others_than_this_machine_need_a_key(memory: MemoryParts) -> None:
    for host in ("127.0.0.1", "::1", "localhost", "127.1.2.3"):
        check_exposure(memory.parts, ServerSettings(host=host))
    for host in ("0.0.0.0", "::", "10.0.0.1", "example.org"):
        with pytest.raises(Forbidden, match="key"):
            check_exposure(memory.parts, ServerSettings(host=host))
    check_exposure(memory.parts, ServerSettings(host="0.0.0.0", insecure=True))
    check_exposure(memory.parts, ServerSettings(host="0.0.0.0", oidc_issuer=ISSUER, oidc_audience="a"))
    make_key(memory)
    check_exposure(memory.parts, ServerSettings(host="0.0.0.0"))


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"port": 70000}, "--port"),
        ({"public_url": "example.org"}, "--public-url"),
        ({"admin_key": "short-secret"}, "--admin-key"),
        ({"certfile": "x.pem"}, "QIOSK_CERTFILE and QIOSK_KEYFILE"),
        ({"oidc_issuer": ISSUER}, "QIOSK_OIDC_AUDIENCE"),
        ({"log_format": "xml"}, "--log-format"),
        ({"max_body_bytes": 1}, "--max-body-bytes"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_wrong_settings_are_named(members: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidValue, match=says) as caught:
        read_server_settings(**members)
    assert "short-secret" not in str(caught.value)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QIOSK_PORT", "81")
    monkeypatch.setenv("QIOSK_PUBLIC_URL", "https://jobs.example.org/")
    monkeypatch.setenv("QIOSK_HOST", "")
    monkeypatch.setenv("QIOSK_CERTFILE", "/etc/Chain.pem")
    settings = read_server_settings(host=None, insecure=True, keyfile=Path("/etc/key.pem"))
    assert (settings.port, settings.public_url, settings.host) == (81, "https://jobs.example.org", "127.0.0.1")
    assert settings.insecure
    assert (settings.certfile, settings.keyfile) == (Path("/etc/Chain.pem"), Path("/etc/key.pem"))


def test_secrets_are_not_shown() -> None:
    assert "a secret of sixteen" not in repr(read_server_settings(admin_key="a secret of sixteen"))
