"""Feasible solutions and proofs by propagation of a model's rows and a search that learns from conflicts."""
