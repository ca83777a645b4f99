"""What running a problem as a job costs."""
