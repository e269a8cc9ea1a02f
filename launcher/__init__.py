"""Builds the launcher of mode exec, whose source is initcontainer/launcher.c."""
