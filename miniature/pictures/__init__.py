"""What the miniature is taught on."""
