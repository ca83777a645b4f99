"""Searches of models in rounds, between which the weights of penalties change."""
