"""The types that clients, servers and job processes exchange, and the interfaces of a workspace."""
