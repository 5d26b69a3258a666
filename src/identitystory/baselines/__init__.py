"""The methods that IdentityStory is compared with (Table 1), each in one small file.

``method`` says what a method is, ``catalogue`` finds it by name. Nothing is imported here.
"""
