"""Exact optima and lower bounds."""
