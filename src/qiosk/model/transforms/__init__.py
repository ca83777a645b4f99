"""Problems made from others: over the other domain, with variables fixed, or numbered in another order."""
