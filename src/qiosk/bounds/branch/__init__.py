"""Branch and bound for quadratic problems: two spins are made equal or opposite, until all that is left is bounded."""
