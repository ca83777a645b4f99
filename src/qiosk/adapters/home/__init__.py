"""The folder of an embedded workspace: its files, its lock, and the start of its supervisor."""
