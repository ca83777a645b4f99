"""How close lower bounds come to the best known costs."""
