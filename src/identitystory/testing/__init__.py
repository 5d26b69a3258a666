"""Checks that a part keeps its contract: for whoever adds a model, a method or a measure.

Each function takes a part, uses it as a run would, and raises `ContractError` at the first rule that it
breaks; the message begins with the rule. They take seconds on a small model, and belong into the
tests of a package that extends this one (docs/extending.md). Our own parts pass them too.
"""

from .generators import check_generator, check_identity_generator
from .methods import check_measure, check_method
from .parts import check_family, check_segmenter
from .rules import ContractError

__all__ = [
    "ContractError",
    "check_family",
    "check_generator",
    "check_identity_generator",
    "check_measure",
    "check_method",
    "check_segmenter",
]
