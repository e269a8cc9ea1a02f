"""How the container images are put together: `images/build` is the command, `collect` runs inside the build."""
