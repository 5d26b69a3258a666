"""What all stages of training share."""
