"""One module per revision, named by its number: ``r0002_order.py``."""
