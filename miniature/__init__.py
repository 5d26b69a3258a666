"""The workshop of the miniature: a storybook world, drawn from nothing but numbers."""
