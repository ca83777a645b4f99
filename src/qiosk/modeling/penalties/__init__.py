"""What constraints of a model become: penalties, their weights, and the terms of a problem."""
