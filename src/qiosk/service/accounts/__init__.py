"""Keys of the server, and quotas of workspaces."""
