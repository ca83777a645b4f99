"""From one configuration to others: single moves, and descents to local minima."""
