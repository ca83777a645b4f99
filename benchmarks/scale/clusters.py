"""A Ray cluster for the measurements: the one at an address, or one of this machine that ends with them."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

OBJECT_STORE_BYTES = 80_000_000


@contextmanager
def a_cluster(address: str | None, cpus: Sequence[int]) -> Iterator[str]:
    """The address of a cluster, whose token is in the environment.

    Without an address it is a new one of processes of this machine: ``cpus`` of its head, and of each further node.
    """
    if address is not None:
        yield address
        return
    for name, value in (("RAY_AUTH_MODE", "token"), ("RAY_AUTH_TOKEN", secrets.token_hex(32))):
        os.environ.setdefault(name, value)
    from ray.cluster_utils import Cluster  # reads these

    common = {"object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": cpus[0], **common})
    try:
        for number in cpus[1:]:
            cluster.add_node(num_cpus=number, **common)
        yield cluster.address
    finally:
        cluster.shutdown()
