"""Jobs: their life cycle, and what clients and supervisors do with them."""
