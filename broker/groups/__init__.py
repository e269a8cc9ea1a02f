"""Secret groups as people manage them: who may what, in which order store and resource change, what is remembered."""
