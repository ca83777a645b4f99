"""How much presolve leaves of a problem, and how long it takes."""
