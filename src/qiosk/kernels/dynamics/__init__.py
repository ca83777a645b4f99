"""Dynamics of walkers, world lines and oscillators."""
