"""Endurance: thousands of jobs on several servers while everything that they need fails, one part after the other.

``PYTHONPATH=tests python -m endurance`` is the program, ``make endurance`` runs it at length. It starts a PostgreSQL
cluster, an object store and servers of its own, so that it can harm all of them; see ``world``. A seeded plan brings
one fault of ``faults`` after the other, while the jobs of ``workload`` are submitted, cancelled and run. At the end
``checks`` replays what the database saw of every job and reads every result. ``report`` says how long it took after
each fault until jobs were finished again.
"""
