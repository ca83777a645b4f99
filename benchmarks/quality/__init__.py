"""Best cost at equal wall time on one thread: every contender, instance, wall time and seed, kept and compared."""
