"""What jobs cost beside their solving, by the number of slots, claimants and waiting jobs, and a model of it."""
