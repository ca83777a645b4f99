"""Time until the planted optimum is found with 99 % probability, on problems where it is known by construction."""
