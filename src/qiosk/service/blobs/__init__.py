"""Blobs: the store of them, where they lie, and who may read and write them."""
