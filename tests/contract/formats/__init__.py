"""Each format against the programs that read it."""
