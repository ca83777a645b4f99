"""The faults of a Ray cluster, on which jobs run."""

from __future__ import annotations

from endurance.faults import Fault
from ray_clusters import RayCluster


class ClusterFault(Fault):
    """One that concerns the cluster, and with it the hosts whose jobs run there."""

    needs = ("ray",)
    is_short = False
    """A node takes seconds to start."""

    @property
    def ray(self) -> RayCluster:
        """The cluster."""
        if self.world.ray is None:
            raise RuntimeError("jobs do not run on a Ray cluster")
        return self.world.ray


class NodeKilled(ClusterFault):
    """All processes of a node are killed; another node is added later."""

    name = "node killed"
    lasts_s = (8.0, 3.0)

    def begin(self) -> str:
        node = self.rng.choice(self.ray.nodes)
        self.ray.nodes.remove(node)
        node.kill()
        return "all of its processes"

    def end(self) -> None:
        self.ray.add_node()


class NodeFrozen(ClusterFault):
    """All processes of a node are stopped beyond the time in which its silence is noticed, and continued."""

    name = "node frozen"
    lasts_s = (25.0, 12.0)

    def begin(self) -> str:
        self.frozen = self.rng.choice(self.ray.nodes)
        self.frozen.freeze()
        return f"{len(self.frozen.processes())} processes"

    def end(self) -> None:
        self.frozen.thaw()


class HeadRestarted(ClusterFault):
    """The head is killed, with which Ray ends the cluster; it and all nodes are started again."""

    name = "head restarted"
    lasts_s = (8.0, 3.0)

    def begin(self) -> str:
        self.ray.head.kill()
        return "and its nodes with it"

    def end(self) -> None:
        lost = list(self.ray.nodes)
        for node in lost:
            node.kill()
        self.ray.nodes.clear()
        self.ray.start_head()
        for _ in lost:
            self.ray.add_node()


CLUSTER_FAULTS: dict[str, type[Fault]] = {kind.name: kind for kind in (NodeKilled, NodeFrozen, HeadRestarted)}
