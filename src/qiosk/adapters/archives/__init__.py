"""Where backups are kept: a folder, or a tar file that may be compressed."""
