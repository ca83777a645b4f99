"""The command line. It parses, calls, prints and exits."""
