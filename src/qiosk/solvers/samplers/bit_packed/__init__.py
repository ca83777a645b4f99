"""Samplers whose replicas are bits of words: one instruction works on 64 or more replicas."""
