"""What the page that compares jobs shows: read, compared and drawn, without HTTP."""
