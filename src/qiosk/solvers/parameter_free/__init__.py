"""Targets that choose their own parameters, in rounds of growing effort."""
