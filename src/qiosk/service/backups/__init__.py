"""Backups of all rows and blobs, in a format that does not depend on the database or the storage."""
