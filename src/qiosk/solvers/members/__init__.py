"""One solve as members that run by themselves, on as many nodes, and what they find as one result."""
