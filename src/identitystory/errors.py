"""What a user can mend.

IdentityStoryError
├── StoryError        the story file or its text
├── ConfigError       an option, a preset, a number out of range
├── PromptError       a prompt that the model cannot take (no class word, too long)
├── ModelError        a checkpoint that is missing, broken or of an unsupported kind
└── RunError          the run folder

Each says what was wrong, with the value; what is accepted; what to do. The command line prints
it as one line and exits 2. Everything else is a bug or a failure of the machine.
"""


class IdentityStoryError(Exception):
    """Base of everything that the user can mend."""


class StoryError(IdentityStoryError):
    """The story file or its text."""


class ConfigError(IdentityStoryError):
    """An option, a preset, or a number out of range."""


class PromptError(IdentityStoryError):
    """A prompt that the model cannot take."""


class ModelError(IdentityStoryError):
    """A checkpoint that is missing, broken or of an unsupported kind."""


class RunError(IdentityStoryError):
    """The run folder."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether ``error`` is the machine's lack of memory, in the words of Python, CUDA, MPS or a CPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    words = ("out of memory", "allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(each in str(error) for each in words)
