"""The plan of painting a story of the studio, as the command line would make it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..protocols import ModelFacts
from ..runs import plan
from ..runs.plan import Plan
from ..runs.request import RunRequest, in_precision
from ..runs.service import Service


def planned(
    service: Service, request: RunRequest, record: Mapping[str, Any] | None
) -> tuple[ModelFacts, Plan]:
    """What the model of ``request`` is, and the plan, with locks whose pictures are there or not."""
    model = service.describe(request.painted_with, request.device, request.dtype)
    model = in_precision(model, request.dtype, request.preset)
    return model, plan.make_plan(request, model, record)
