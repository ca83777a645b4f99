"""The blob endpoint: a subset of Azure's Blob Storage REST interface."""
