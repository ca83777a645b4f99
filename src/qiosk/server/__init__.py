"""The job service over HTTP: decode, call, encode. See ``app.create_app``."""
