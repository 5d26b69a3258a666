"""Who is where in a picture: CLIPSeg, Grounding DINO with SAM."""
