"""The methods that IdentityStory is compared with (Table 1), each in one small file.

``method`` says what a method is, ``registry`` finds it by name. Nothing is imported here.
"""
