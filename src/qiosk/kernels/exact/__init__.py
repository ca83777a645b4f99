"""The best configurations of small problems, of all that there are."""
