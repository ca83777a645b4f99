"""What the pages of one job show: read, selected and put into words, without HTTP."""
