"""Costs and rules beside the terms: one-hot groups, squared rows with slack, and hard constraints."""
