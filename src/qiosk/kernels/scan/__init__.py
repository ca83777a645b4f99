"""Scanners that read terms from JSON and protobuf bytes into arrays."""

DONE, FULL, STOPPED = 0, 1, 2
"""Outcomes of a scan: everything is read, the columns are full, or there is something that the scanner cannot read."""
