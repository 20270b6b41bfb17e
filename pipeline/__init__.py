"""From video to actions: decode, detect, pose, track, clips, features, recognise, segments. No torch, no web."""
