"""The folder of an embedded workspace: its files, its locks, and the start of its supervisor."""
