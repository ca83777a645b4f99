"""Bytes to problems and back, one module a format."""
