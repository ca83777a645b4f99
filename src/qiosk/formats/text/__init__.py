"""The text formats of other programs for problems without constraints, one module per format."""
