"""Databases as all stores use them: connections, transactions, files, clocks, and rows that may be damaged."""
