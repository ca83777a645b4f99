"""Practical constrained problems: the path from a model to a feasible answer, beside QUBO solvers, CP-SAT and HiGHS."""
