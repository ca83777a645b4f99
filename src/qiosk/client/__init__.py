"""The workspace, its jobs and its solvers, as a program sees them."""
