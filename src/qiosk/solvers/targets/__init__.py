"""Targets, one module for each family of solvers. Light to import: solvers are loaded when they are set up."""
