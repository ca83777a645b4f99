"""One module per search algorithm, and the parts that several of them share."""
