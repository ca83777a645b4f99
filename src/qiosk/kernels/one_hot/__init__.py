"""Kernels whose moves keep one-hot groups."""
