"""What crosses a boundary: the words in which clients, services and workers speak to each other."""
