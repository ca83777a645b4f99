"""Sessions: their life cycle, and what clients do with them."""
