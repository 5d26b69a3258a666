import dataclasses
import math
from fractions import Fraction

import pytest

from identitystory.config import (
    DiscoveryConfig,
    InjectionConfig,
    Preset,
    survivors,
)
from identitystory.errors import ConfigError
from identitystory.models.files.suited import preset
from identitystory.presets import PRESETS, with_guidance, with_search_steps, with_steps
from identitystory.settings import preset_from_dict, to_dict


@pytest.mark.parametrize(
    ("rounding", "rows"),
    [("floor", (64, 38, 22, 13)), ("round", (64, 38, 23, 14)), ("ceil", (64, 39, 24, 15))],
)
def test_the_papers_64_portraits_shrink_as_the_rounding_says(rounding, rows):
    assert DiscoveryConfig(rounding=rounding).rows == rows


@pytest.mark.parametrize("ratio", ["0.6", "0.29", "0.7", "1"])
def test_survivors_agree_with_exact_fractions(ratio):
    for n in range(1, 300):
        exact = n * Fraction(ratio)
        assert survivors(n, float(ratio), "floor") == max(1, math.floor(exact))
        assert survivors(n, float(ratio), "ceil") == max(1, math.ceil(exact))
        half_up = math.floor(exact + Fraction(1, 2))
        assert survivors(n, float(ratio), "round") == max(1, half_up)


def test_presets_differ_where_paper_and_release_do():
    paper, release, recommended = (preset(n) for n in ("paper", "release", "recommended"))
    assert (paper.sampler, paper.num_steps, paper.injection.start) == ("ddim", 50, 40)
    assert (paper.discovery.num_portraits, paper.discovery.keep_ratio) == (64, 0.6)
    assert (release.sampler, release.injection.start, release.seed_per_frame) == (
        "euler",
        41,
        False,
    )
    assert (release.injection.refuse_every_step, release.discovery.rows[-1]) == (True, 13)
    assert not recommended.injection.refuse_every_step
    assert recommended.seed_per_frame
    words = [p.injection.identity_words for p in (paper, release, recommended)]
    assert words == ["description", "release", "scene"]
    assert recommended.discovery.search_prompt == "a portrait of {description}"


def test_the_radius_follows_the_picture_and_is_the_papers_at_1024():
    config = InjectionConfig()
    assert [config.k_max_at(s) for s in (1024, 512, 128)] == [50, 25, 6.25]
    assert InjectionConfig(margin=10).margin_at(1024) == 10


@pytest.mark.parametrize("name", list(PRESETS))
def test_a_preset_survives_the_run_record(name):
    assert preset_from_dict(to_dict(preset(name))) == preset(name)


def test_a_wrong_name_says_which_was_meant():
    with pytest.raises(ConfigError, match=r"'recomended'.*Did you mean 'recommended'"):
        preset("recomended")
    with pytest.raises(ConfigError, match=r"no field 'rnk'.*Did you mean 'rank'"):
        preset_from_dict({"name": "mine", "discovery": {"rnk": 3}})


@pytest.mark.parametrize(
    "values",
    [
        {"num_portraits": 0},
        {"num_portraits": 6.5},
        {"keep_ratio": 0.0},
        {"keep_ratio": 1.5},
        {"keep_ratio": math.nan},
        {"iterations": -1},
        {"rank": 0},
        {"rank": True},
        {"rounding": "up"},
        {"selection": "best"},
        {"search_prompt": "a portrait"},
        {"guidance": 0.5},
    ],
)
def test_discovery_refuses_with_the_field_and_its_value(values):
    ((name, value),) = values.items()
    with pytest.raises(ConfigError, match=name) as raised:
        DiscoveryConfig(**values)
    assert repr(value) in str(raised.value)


@pytest.mark.parametrize(
    "values",
    [{"start": -1}, {"k_max": -1.0}, {"downsample": "cubic"}, {"guidance_identity": 0}],
)
def test_injection_refuses_with_the_field(values):
    with pytest.raises(ConfigError, match=next(iter(values))):
        InjectionConfig(**values)


def test_a_rank_that_could_not_filter_is_refused_before_anything_is_painted():
    DiscoveryConfig(rank=21)  # the last of the default rounds filters 22 rows
    with pytest.raises(ConfigError, match=r"rank is 22.*22 rows.*at most 21"):
        DiscoveryConfig(rank=22)
    with pytest.raises(ConfigError, match="at most 20"):
        DiscoveryConfig(rank=21, center=True)  # centring takes one direction away
    DiscoveryConfig(rank=22, selection="trim")
    DiscoveryConfig(rank=22, iterations=0)


def test_more_re_denoised_steps_than_steps_are_refused():
    with pytest.raises(ConfigError, match=r"start is 41.*40 steps"):
        Preset("mine", num_steps=40, injection=InjectionConfig(start=41))


def test_configurations_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        preset("paper").num_steps = 3


@pytest.mark.parametrize("name", PRESETS)
def test_presets_that_the_paper_does_not_fix_suit_the_model(name):
    scales = lambda p: (
        p.discovery.guidance,
        p.injection.guidance_template,
        p.injection.guidance_identity,
    )
    small, large = preset(name), preset(name, "sdxl")
    if name in ("paper", "release"):
        assert small == large
    else:
        assert (scales(small), scales(large)) == ((3.0,) * 3, (5.0,) * 3)
        assert (small.sampler, large.sampler) == ("ancestral", "ddim")
        steps = [p.discovery.search_steps for p in (small, large)]
        assert steps == [8, 8 if name == "fast" else None]
        assert [(p.num_steps, p.injection.start) for p in (small, large)] == [(20, 16), (50, 40)]
        alike = with_steps(with_search_steps(with_guidance(large, 3.0), 8), 20)
        words = {"negative": "", "identity_words": "scene"}
        alike = dataclasses.replace(
            alike,
            sampler="ancestral",
            discovery=dataclasses.replace(alike.discovery, negative=""),
            injection=dataclasses.replace(alike.injection, **words),
        )
        assert alike == small
