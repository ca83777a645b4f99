"""The text formats of other programs, one module per format."""
