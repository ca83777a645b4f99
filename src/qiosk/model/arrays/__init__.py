"""Pairs and columns of very large problems, in arrays as small as they can be."""
