"""What papers report, and the network behind every figure: one file a paper."""
