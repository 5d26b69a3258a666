"""From a writer's text to a Story."""
