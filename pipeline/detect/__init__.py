"""Person detectors, one file each."""
