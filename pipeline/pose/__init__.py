"""Pose backends, one file each: frames in, the people in them out.

A backend is a new file in this folder with a factory that registers itself; nothing else needs to know of it.
"""

from pipeline.pose.registry import BackendOptions, PoseBackend, pose_backend, pose_backend_names, register

__all__ = ["BackendOptions", "PoseBackend", "pose_backend", "pose_backend_names", "register"]
