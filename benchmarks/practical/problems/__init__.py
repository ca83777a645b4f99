"""The problems of this comparison: data, checks of answers, and models for every kind of solver."""
