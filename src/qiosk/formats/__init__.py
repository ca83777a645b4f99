"""Conversion between bytes and problems, one module per format."""
