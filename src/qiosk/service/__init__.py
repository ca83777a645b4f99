"""Jobs and sessions: their life cycles, and what clients, supervisors and operators do with them. No HTTP, no SQL."""
