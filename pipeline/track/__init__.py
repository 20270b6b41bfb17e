"""Following people from frame to frame."""
