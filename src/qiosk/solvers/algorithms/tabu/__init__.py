"""Tabu search: walkers, the tables they read, and the searches made of them."""
