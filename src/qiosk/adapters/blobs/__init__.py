"""Stores of blobs: folders, S3-compatible buckets and Azure accounts."""
