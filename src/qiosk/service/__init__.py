"""Jobs: their life-cycle and the use cases over it. Knows no HTTP, no SQL and no cloud."""
