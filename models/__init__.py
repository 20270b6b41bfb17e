"""The recognisers, one file each, in torch."""
