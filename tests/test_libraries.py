"""What opening a checkpoint imports of other libraries, and that they are whole when asked."""

import subprocess
import sys
from pathlib import Path

import pytest

import identitystory

pytestmark = pytest.mark.journey
SRC = Path(identitystory.__file__).parent.parent
OPEN = """
import sys
from identitystory.models.backend import load_backend
load_backend("miniature", device="cpu", num_steps=5)
"""
UNNEEDED = {
    "torch._dynamo.eval_frame",  # the compiler
    "torch._inductor",
    "torch.fx.experimental.symbolic_shapes",
    "sympy",
    "torch.distributed.tensor",
    "torch.distributed.fsdp",
    "torch.distributed.checkpoint",
    "peft.peft_model",
    "scipy.stats.distributions",
    "scipy.optimize._optimize",
    "scipy.integrate._ivp",
    "sklearn",
    "pandas",
    "torchvision",
    "transformers.models.bloom.modeling_bloom",
    "transformers.image_processing_utils",
    "diffusers.models.transformers.transformer_flux",
    "diffusers.models.autoencoders.vq_model",
    "diffusers.models.unets.unet_motion_model",
    "diffusers.hooks.layerwise_casting",
    "diffusers.pipelines.pipeline_utils",
}


def run(code):
    """What a fresh Python prints; it must end well and say nothing on standard error."""
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", code],
        capture_output=True,
        text=True,
        cwd=SRC,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_opening_the_miniature_leaves_out_what_it_does_not_need():
    told = run(OPEN + "print(*sorted(sys.modules))")
    assert "transformers.models.clip.modeling_clip" in told.split()
    assert sorted(UNNEEDED & set(told.split())) == []


def test_the_libraries_are_whole_for_whoever_asks_afterwards():
    run(
        OPEN
        + """
import diffusers.models.transformers, diffusers.hooks, scipy.stats, torch
from diffusers import FluxTransformer2DModel, StableDiffusionXLPipeline
from diffusers.models.transformers import SD3Transformer2DModel
from diffusers.hooks import apply_layerwise_casting
from peft.tuners.tuners_utils import BaseTunerLayer
from scipy.optimize import linear_sum_assignment, minimize
from scipy.integrate import quad
from transformers import AutoImageProcessor, CLIPModel, pipeline
from transformers.processing_utils import ProcessorMixin
import diffusers.loaders.lora_base as lora_base
import transformers.loss.loss_for_object_detection as losses

assert CLIPModel is sys.modules["transformers.models.clip.modeling_clip"].CLIPModel
assert all(isinstance(x, type) for x in (BaseTunerLayer, AutoImageProcessor, ProcessorMixin))
assert scipy.stats.norm.cdf(0) == 0.5 and abs(quad(lambda x: x, 0, 1)[0] - 0.5) < 1e-9
# What was bound before the real thing was there is as good as it.
import peft
tuned = peft.get_peft_model(
    torch.nn.Sequential(torch.nn.Linear(2, 2)), peft.LoraConfig(target_modules=["0"])
).base_model.model[0]
assert isinstance(tuned, BaseTunerLayer) and isinstance(tuned, lora_base.BaseTunerLayer)
assert not isinstance(torch.nn.Linear(2, 2), lora_base.BaseTunerLayer)
assert [list(x) for x in losses.linear_sum_assignment([[1, 0], [0, 1]])] == [[0, 1], [1, 0]]
assert "docstring" not in (CLIPModel.__doc__ or "")
"""
    )


def test_the_compiler_knows_what_was_marked_before_it_came():
    run(
        OPEN
        + """
import torch
from diffusers.models.attention import BasicTransformerBlock
step = torch.compile(lambda x: x * 2 + 1, backend="eager")
assert torch.equal(step(torch.ones(3)), torch.full((3,), 3.0))
import torch._dynamo.trace_rules as rules
assert "torch._dynamo.eval_frame" in sys.modules
from identitystory.models.libraries import _MARKED
marked = [what for how, what in _MARKED if how == "allow_in_graph"]
assert BasicTransformerBlock in marked, marked
assert all(rules.is_callable_allowed(what) for what in marked)

@torch.compiler.disable
def plain(x):
    return x + 1
assert plain(1) == 2
"""
    )


def test_peft_works_where_nothing_else_of_transformers_was_imported():
    """It asks for torch.distributed.tensor, which it leaves to transformers to import."""
    run(
        """
import identitystory.models.libraries
import torch
from peft import LoraConfig, inject_adapter_in_model
model = inject_adapter_in_model(LoraConfig(target_modules=["0"]), torch.nn.Sequential(torch.nn.Linear(2, 2)))
assert any("lora_A" in name for name, _ in model.named_parameters())
"""
    )
