"""Algorithms: frozen parameters, a state, and steps; one driver runs them all."""
