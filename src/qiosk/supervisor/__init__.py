"""The supervisor: claims waiting jobs and runs each in its own process."""
