"""The parts that know a model: the only package here that imports diffusers or transformers.

``backend.load_backend`` opens a checkpoint. ``diffusion`` and ``sdxl`` are the general generator G,
``photomaker`` is the identity generator G_id on the same U-Net, ``clipseg`` and ``grounded_sam`` find
the characters. ``catalogue`` says what there is, ``hub`` fetches it, ``folder`` finds it. Nothing is imported here, so that ``import identitystory`` stays light.
"""
