"""Conversion of problems from and to other libraries, one module per library; each is an extra of the same name."""
