"""The parts that know a model: the only package here that imports diffusers or transformers.

``family`` says what a checkpoint is made of, ``backend`` opens it, ``files`` finds and fetches it.
``sdxl`` is the general generator G with PhotoMaker, the identity generator G_id, on the same U-Net;
``segment`` finds the characters. Nothing is imported here, so that ``import identitystory`` stays light.
"""
