"""A request goes in, events come out, files lie in a folder."""
