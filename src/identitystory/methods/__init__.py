"""Every way to paint a story, each in one small file: IdentityStory, and those it is compared with.

``method`` says what a method is, ``registry`` finds it by name. Nothing is imported here.
"""
