"""Runs of jobs on a Ray cluster.

Three kinds of processes take part. The supervisor has a **gateway** as its child (``gateway``), which alone talks to
Ray: Ray may end the processes that use it, and the supervisor outlives that. On each node an **agent** (``agent``), a
Ray actor, forks the processes of jobs and relays their messages. For each job a **holder** (``holder``), a Ray task,
holds the CPUs and memory that the job needs: Ray chooses its node, and the agent of that node runs the job.

Ray is asked to place and to supervise, and to remember nothing. The bytes of problems and results go through the blob
store, never through Ray.
"""
