"""Bases that are trained by flow matching: FLUX.2 klein."""
