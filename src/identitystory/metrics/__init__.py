"""The paper's measures (Sec. 4.1) and what keeps them honest.

``scores`` and ``intervals`` are pure functions of tensors; ``crops``, ``faces`` and ``attributes``
turn pictures into such tensors; ``suite`` puts them together. None of them knows a run folder.
"""
