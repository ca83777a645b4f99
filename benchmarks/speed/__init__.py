"""Nanoseconds per attempted spin update and replica, for every kernel that a workload allows."""
