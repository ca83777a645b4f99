"""HTTP plumbing: routing, middleware, errors, replies, OpenAPI, logs and metrics."""
