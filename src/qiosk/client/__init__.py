"""Workspace, jobs and solvers, as programs use them."""
