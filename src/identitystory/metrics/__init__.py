"""The paper's measures (Sec. 4.1) and what keeps them honest.

``scores`` and ``intervals`` are pure functions of tensors; ``evidence``, ``faces`` and ``attributes``
turn pictures into such tensors; ``measures`` puts them together. None of them knows a run folder.
"""
