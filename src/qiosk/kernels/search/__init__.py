"""Moves of searches other than sweeps: descent, tabu, exchanges and clusters."""
