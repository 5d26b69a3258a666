"""The stages of training, one module each; ``storybook.train`` runs them in order."""
