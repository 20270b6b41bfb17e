"""Cameras that the service reads by itself: what happens before them is written down and posted on."""
