"""Other people's ways to write a story down, one module a format, and the registry that tells them apart."""
