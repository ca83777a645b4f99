"""Scanners that read terms from JSON and protobuf bytes into arrays."""
