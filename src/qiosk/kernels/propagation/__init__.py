"""A depth-first search over literals with propagation of rows, and clauses learned from conflicts."""
