"""Converts checkpoints of other implementations into our recognisers' weights: one file a recogniser."""
