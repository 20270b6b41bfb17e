"""Data sets, training, evaluation and export of recognisers."""
