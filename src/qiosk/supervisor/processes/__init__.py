"""Processes of jobs: how they start, what runs in them, what limits them, and how they end."""
