"""Rules that take spins out of quadratic problems without a change of the minimum. Plain loops: their own reference."""
