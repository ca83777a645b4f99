"""The mathematics of a problem: what it is, what a configuration costs, and the arrays that solvers work on."""
