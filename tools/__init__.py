"""Programs for those who work on Qiosk itself: they read its source, and no part of it needs them."""
