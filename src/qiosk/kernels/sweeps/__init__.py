"""Sweeps of Monte Carlo: a proposal for each variable, accepted by Metropolis's rule."""
