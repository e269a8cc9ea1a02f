"""`make demo`: the main job from end to end on one machine, with the real programs. Nothing of it is installed."""
