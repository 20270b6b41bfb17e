"""Pose backends, one file each, and their registry."""
