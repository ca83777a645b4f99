"""The commands of `qiosk`, a module for each group of them."""
