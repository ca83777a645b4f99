"""What passes over HTTP: bodies of requests, errors in replies, and how blobs are named and answered."""
