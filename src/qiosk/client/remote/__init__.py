"""A workspace on a server, over HTTP: the same interface as the embedded one."""
