"""Jobs: videos that are worked on in the background, and outlive the process that took them in."""
