"""Who calls, what the caller may do, and signed links to blobs."""
