"""What the miniature is held against."""
