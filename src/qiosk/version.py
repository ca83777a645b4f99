"""The version of Qiosk, in a module that imports nothing: clients and servers send it."""

__version__ = "0.1.0.dev0"
