"""What the stages share: loop, optimizer, noise."""
