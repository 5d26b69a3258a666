"""The stages of training, one module each; ``miniature.train`` runs them in order."""
