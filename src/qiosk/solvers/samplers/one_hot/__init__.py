"""The sampler that keeps one-hot groups: it moves from one configuration that keeps them to another."""
