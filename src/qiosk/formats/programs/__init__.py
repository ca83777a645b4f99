"""Mathematical programs: objectives over bounded columns, with constraints, in the formats of other programs."""
