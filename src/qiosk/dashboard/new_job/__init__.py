"""A new job: the problem that is given, what it is, the parameters of its target, and its submission."""
