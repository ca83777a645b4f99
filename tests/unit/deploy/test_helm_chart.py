"""The Helm chart: rendered by helm, checked against the schemas of Kubernetes, and its values against their table."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest
import yaml

from deployed import DEPLOY, missing, need
from qiosk.version import __version__

CHART = DEPLOY / "helm" / "qiosk"
KUBERNETES = ("1.27", "1.35")
SERVERS = {"replicas": 3, "persistence": {"enabled": False}, "storage": "s3://qiosk"}
ALL = {
    **SERVERS,
    "ingress": {"enabled": True, "className": "nginx", "host": "jobs.example.org", "tlsSecretName": "tls",
                "annotations": {"a/b": "c"}},
    "serviceMonitor": {"enabled": True, "labels": {"release": "monitoring"}},
    "networkPolicy": {"from": [{"namespaceSelector": {"matchLabels": {"a": "b"}}}]},
    "podAnnotations": {"a": "b"}, "podLabels": {"c": "d"}, "nodeSelector": {"e": "f"},
    "tolerations": [{"key": "g", "operator": "Exists"}], "imagePullSecrets": [{"name": "registry"}],
    "extraEnv": [{"name": "AWS_REGION", "value": "us-east-1"}],
    "settings": {"QIOSK_RETENTION": "30d", "QIOSK_CONCURRENT_JOBS": 4},
}  # fmt: skip
RAY = {
    **SERVERS,
    "executor": "ray",
    "image": {"repository": "registry.example.org/qiosk-ray"},
    "imagePullSecrets": [{"name": "registry"}],
    "ray": {"worker": {"maxReplicas": 50, "nodeSelector": {"pool": "jobs"}, "tolerations": [{"operator": "Exists"}]}},
}
CASES = {"defaults": {}, "servers": SERVERS, "all": ALL, "ray": RAY}


def helm(command: str, values: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [need("helm"), *command.split(), CHART, "--values", "-"],
        input=json.dumps({"secretName": "secrets", **values}), capture_output=True, text=True, check=False,
    )  # fmt: skip


def render(values: dict[str, Any]) -> list[dict[str, Any]]:
    done = helm("template release", values)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def groups(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    """The groups of nodes of a Ray cluster, the head's first."""
    return [cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]]


def leaves(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        inner = isinstance(value, dict) and value and name not in ("settings", "resources", "podSecurityContext")
        found |= leaves(value, f"{prefix}{name}.") if inner else {prefix + name: value}
    return found


@pytest.mark.parametrize("values", CASES.values(), ids=CASES)
def test_helm_lints(values: dict[str, Any]) -> None:
    done = helm("lint --strict", values)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("values", CASES.values(), ids=CASES)
def test_kubernetes_accepts_what_is_rendered(values: dict[str, Any], version: str) -> None:
    try:
        import kubernetes_validate
    except ImportError:
        missing("the schemas of Kubernetes are not installed: make validators")
    for document in render(values):
        if document["kind"] == "RayCluster":  # of an operator, with no schema here; but pods are pods
            for number, group in enumerate(groups(document)):
                pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"pod{number}"}, **group["template"]}
                kubernetes_validate.validate(pod, version, strict=True)
        elif document["kind"] != "ServiceMonitor":  # of another one
            kubernetes_validate.validate(document, version, strict=True)


def test_kinds_follow_from_the_values() -> None:
    always = {"ConfigMap", "Deployment", "Service", "NetworkPolicy", "PodDisruptionBudget"}
    assert {document["kind"] for document in render({})} == always | {"PersistentVolumeClaim"}
    assert {document["kind"] for document in render(ALL)} == always | {"Ingress", "ServiceMonitor"}


@pytest.mark.parametrize("values", CASES.values(), ids=CASES)
def test_references_lead_to_what_is_rendered(values: dict[str, Any]) -> None:
    by_kind = {document["kind"]: document for document in reversed(render(values))}
    pod = by_kind["Deployment"]["spec"]["template"]
    selector = by_kind["Deployment"]["spec"]["selector"]["matchLabels"]
    assert selector.items() <= pod["metadata"]["labels"].items()
    assert by_kind["Service"]["spec"]["selector"] == selector
    assert by_kind["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == selector
    assert by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == selector
    server = pod["spec"]["containers"][0]
    assert server["envFrom"][0]["configMapRef"]["name"] == by_kind["ConfigMap"]["metadata"]["name"]
    assert server["envFrom"][1]["secretRef"]["name"] == "secrets"
    claim = pod["spec"]["volumes"][0].get("persistentVolumeClaim")
    assert (claim is None) == ("PersistentVolumeClaim" not in by_kind)
    assert {mount["name"] for mount in server["volumeMounts"]} == {volume["name"] for volume in pod["spec"]["volumes"]}
    assert server["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert server["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert server["securityContext"]["readOnlyRootFilesystem"]


def test_servers_head_and_workers_are_one_ray_cluster() -> None:
    found = {(document["kind"], document["metadata"]["name"]): document for document in render(RAY)}
    cluster = found["RayCluster", "release-qiosk-ray"]
    servers = found["Deployment", "release-qiosk"]["spec"]["template"]
    node = servers["spec"]["containers"][1]
    address = "release-qiosk-ray-head-svc:6379"  # KubeRay's name for the service of the head
    assert found["ConfigMap", "release-qiosk"]["data"].items() >= {
        ("QIOSK_EXECUTOR", "ray"), ("QIOSK_RAY_ADDRESS", address)
    }  # fmt: skip
    assert node["command"][:4] == ["ray", "start", "--address", address]
    assert servers["spec"]["shareProcessNamespace"]  # Ray's clients find the node of their machine by its processes
    mounted = {mount["mountPath"]: mount["name"] for mount in servers["spec"]["containers"][0]["volumeMounts"]}
    assert {mount["mountPath"]: mount["name"] for mount in node["volumeMounts"]}.items() <= mounted.items()
    head, workers = groups(cluster)
    assert (head["rayStartParams"]["num-cpus"], cluster["spec"]["enableInTreeAutoscaling"]) == ("0", True)
    assert (workers["minReplicas"], workers["maxReplicas"]) == (1, 50)
    assert workers["template"]["spec"]["nodeSelector"] == {"pool": "jobs"}
    containers = [node, *(group["template"]["spec"]["containers"][0] for group in (head, workers))]
    assert {container["image"] for container in containers} == {servers["spec"]["containers"][0]["image"]}
    for container in (*servers["spec"]["containers"], *containers, cluster["spec"]["autoscalerOptions"]):
        variables = {variable["name"]: variable for variable in container["env"]}
        assert variables["RAY_AUTH_MODE"]["value"] == "token"
        assert variables["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"] == {"name": "secrets", "key": "RAY_AUTH_TOKEN"}
        assert container["securityContext"]["readOnlyRootFilesystem"]
    for container in containers:
        assert "envFrom" not in container  # Ray's nodes have none of the server's secrets but the token


def test_only_nodes_of_the_cluster_reach_ports_of_ray() -> None:
    found = {(document["kind"], document["metadata"]["name"]): document for document in render(RAY)}
    server = found["Deployment", "release-qiosk"]["spec"]["selector"]["matchLabels"]
    rays = [group["template"]["metadata"]["labels"] for group in groups(found["RayCluster", "release-qiosk-ray"])]
    assert rays[0] == rays[1] != server
    assert not server.items() <= rays[0].items()  # so that requests of users do not reach the head
    policy = found["NetworkPolicy", "release-qiosk-ray"]["spec"]
    assert policy["podSelector"]["matchLabels"] == rays[0]
    peers = [peer["podSelector"]["matchLabels"] for rule in policy["ingress"] for peer in rule["from"]]
    assert peers == [rays[0], server]
    http, nodes = found["NetworkPolicy", "release-qiosk"]["spec"]["ingress"]
    assert http == {"ports": [{"port": "http", "protocol": "TCP"}]}
    assert nodes == {"from": [{"podSelector": {"matchLabels": rays[0]}}]}


def test_the_ingress_gives_the_public_url() -> None:
    settings = next(document for document in render(ALL) if document["kind"] == "ConfigMap")["data"]
    assert settings == {
        "QIOSK_CONCURRENT_JOBS": "4",
        "QIOSK_PUBLIC_URL": "https://jobs.example.org",
        "QIOSK_RETENTION": "30d",
        "QIOSK_STORAGE": "s3://qiosk",
    }


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"secretName": ""}, "secretName: name a Secret"),
        ({"replicas": 2}, "set persistence.enabled to false"),
        ({"replicas": 2, "persistence": {"enabled": False}}, "need a storage that they share"),
        ({"ingress": {"enabled": True}}, "ingress.host"),
        ({"settings": {"QIOSK_ADMIN_KEY": "a key that is readable"}}, "QIOSK_ADMIN_KEY"),
        ({"replica": 2}, "replica"),
        ({"storage": "ftp://a"}, "storage"),
        ({"executor": "slurm"}, "executor"),
        ({"executor": "ray"}, "a storage that they reach"),
        ({"executor": "ray", "storage": "file:///data/blobs"}, "a storage that they reach"),
        ({**RAY, "ray": {"worker": {"minReplicas": 9, "maxReplicas": 8}}}, "must not be larger"),
        ({**RAY, "ray": {"worker": {"minReplicas": 0}}}, "minReplicas"),
        ({**RAY, "ray": {"worker": {"resources": {"limits": {"cpu": 2, "memory": None}}}}}, "memory"),
        ({"settings": {"QIOSK_EXECUTOR": "ray"}}, "QIOSK_EXECUTOR"),
    ],
)
def test_values_that_do_not_fit_are_refused(values: dict[str, Any], words: str) -> None:
    done = helm("template release", values)
    assert done.returncode != 0
    assert words in done.stderr


def test_the_table_has_the_values_and_their_defaults() -> None:
    values = leaves(yaml.safe_load((CHART / "values.yaml").read_text()))
    table = dict(re.findall(r"^\| `([\w.]+)` \| (.*?) \|", (CHART / "README.md").read_text(), re.M))
    assert list(table) == list(values)
    for name, shown in table.items():
        if shown != "see `values.yaml`":
            assert yaml.safe_load(shown.strip("`")) == values[name], name


def test_the_chart_is_of_this_version() -> None:
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == __version__
