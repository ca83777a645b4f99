"""In-memory implementations of the service's ports, for tests of programs that use Qiosk."""
