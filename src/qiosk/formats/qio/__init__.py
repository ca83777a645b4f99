"""The formats of the retired service: JSON, protobuf and results."""
