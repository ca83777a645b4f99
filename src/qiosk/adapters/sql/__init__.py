"""Jobs, sessions, keys and quotas in SQLite or PostgreSQL."""
