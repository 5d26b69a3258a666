"""A character as one file, a library of such files, and their way into a run."""
