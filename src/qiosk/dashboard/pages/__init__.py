"""The pages, one module each: the routes below a workspace, or below ``/ui``."""
