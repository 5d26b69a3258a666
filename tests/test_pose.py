"""Poses: where the points of a turned head are, what is drawn, and what a story may say."""

import base64
import io
import json
import math
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from identitystory.config import ControlConfig
from identitystory.errors import ConfigError, StoryError
from identitystory.pose import Pose
from identitystory.runs.record import story_told
from identitystory.runs.request import story_from_dict, story_to_dict
from identitystory.skeleton import (
    COLOURS,
    HEAD,
    LEFT_EAR,
    LEFT_EYE,
    NOSE,
    RIGHT_EAR,
    RIGHT_EYE,
    control_of,
    drawn,
    half_width,
    packed,
    place,
    points,
    silhouettes,
    turned,
    unpacked,
)
from identitystory.story.file import load_story, make_story
from identitystory.story.poses import taken_over
from identitystory.story.sets import shortened
from identitystory.types import Scene

SIZE = (256, 256)
S = 0.25 * 256  # half a head of the default height, in pixels
MIDDLE = (128.0, (0.07 + 0.7 * 0.5) * 256)


def of(**angles):
    """The points of one person with these angles, relative to the head's middle, in half heads."""
    found = points(Pose("Mara", **angles), 0, 1, SIZE)
    return {j: ((x - MIDDLE[0]) / S, (y - MIDDLE[1]) / S) for j, (x, y) in found.items()}


# --- geometry -------------------------------------------------------------------------------------


@pytest.mark.parametrize("yaw", [-35.0, -10.0, 0.0, 20.0])
def test_eyes_and_ears_under_yaw_are_where_the_closed_form_has_them(yaw):
    """Two points of one depth z at +-x come to lie x cos apart, their middle at z sin; heights stay."""
    c, s = math.cos(math.radians(yaw)), math.sin(math.radians(yaw))
    found = of(yaw=yaw)
    for right, left in ((RIGHT_EYE, LEFT_EYE), (RIGHT_EAR, LEFT_EAR)):
        x, y, z = HEAD[left]
        for joint, sign in ((right, -1), (left, 1)):
            if joint in found:
                assert found[joint] == pytest.approx((sign * x * c + z * s, y))
    assert found[LEFT_EYE][0] - found[RIGHT_EYE][0] == pytest.approx(2 * HEAD[LEFT_EYE][0] * c)
    assert math.copysign(1, found[NOSE][0]) == math.copysign(1, yaw)  # towards the picture's right


def test_a_pitch_lifts_the_nose_and_a_roll_turns_clockwise():
    p, r = math.radians(12), math.radians(15)
    _, y, z = HEAD[NOSE]
    assert of(pitch=12)[NOSE] == pytest.approx((0, y * math.cos(p) - z * math.sin(p)))
    eyes = [of(roll=15)[joint] for joint in (RIGHT_EYE, LEFT_EYE)]
    slope = math.atan2(eyes[1][1] - eyes[0][1], eyes[1][0] - eyes[0][0])
    assert slope == pytest.approx(r)  # the picture's right side sinks


def test_a_turn_keeps_lengths():
    rng = np.random.default_rng(0)
    for spot in rng.normal(size=(5, 3)):
        pose = Pose(yaw=rng.uniform(-90, 90), pitch=rng.uniform(-60, 60), roll=rng.uniform(-60, 60))
        assert np.linalg.norm(turned(*spot, pose)) == pytest.approx(np.linalg.norm(spot))


def test_the_far_ear_goes_first_and_then_the_far_eye():
    """Turned to the picture's right, the person's left (there) is far."""
    assert {RIGHT_EAR, LEFT_EAR} <= of(yaw=20).keys()
    assert LEFT_EAR not in of(yaw=35)
    assert {RIGHT_EAR, RIGHT_EYE, LEFT_EYE} <= of(yaw=35).keys()
    assert LEFT_EYE not in of(yaw=70)
    assert RIGHT_EAR not in of(yaw=-35)


def test_the_place_is_that_of_the_pose_or_even_in_the_order_of_the_cast():
    assert place(Pose(x=0.25, height=0.4), 0, 3, (400, 200)) == pytest.approx((100, 0.35 * 200, 40))
    xs = [place(Pose(), n, 2, (400, 200))[0] / 400 for n in range(2)]
    assert xs == pytest.approx([0.275, 0.725])


# --- what is drawn --------------------------------------------------------------------------------


def test_joints_have_openposes_colours_and_what_is_outside_is_left_out():
    found = points(Pose("Mara", yaw=15), 0, 1, SIZE)
    pixels = np.asarray(drawn([found], SIZE))
    for joint, (x, y) in found.items():
        if 0 <= x < 256 and 0 <= y < 256 and joint not in (LEFT_EAR,):  # close to the left eye
            assert tuple(pixels[int(y), int(x)]) == COLOURS[joint]
    nose, neck = found[NOSE], found[1]
    middle = [round((a + b) / 2) for a, b in zip(nose, neck, strict=True)]
    assert tuple(pixels[middle[1], middle[0]]) == (0, 0, 153)  # the limb from neck to nose, dimmed
    assert not pixels[:20].any()
    assert not np.asarray(drawn([{0: (-5.0, 3.0), 1: (300.0, 300.0)}], SIZE)).any()
    assert [half_width((s, s)) for s in (256, 512, 1024, 2048)] == [4, 8, 12, 16]


def test_a_scene_is_drawn_with_all_of_its_cast(tmp_path):
    """Who has no pose looks ahead; without poses or strength there is no control."""
    scene = Scene("two", ("Mara", "Tom"), pose=(Pose("Tom", yaw=-30),))
    control = control_of(scene, SIZE, ControlConfig(strength=0.7, interval=(0, 0.5)))
    poses = [Pose("Mara"), Pose("Tom", yaw=-30)]
    expected = drawn([points(p, n, 2, SIZE) for n, p in enumerate(poses)], SIZE)
    assert control.image.tobytes() == expected.tobytes()
    assert (control.kind, control.strength, control.interval) == ("openpose", 0.7, (0, 0.5))
    assert [control.strength_at(i, 4) for i in (4, 3, 2, 1)] == [0.7, 0.7, 0, 0]
    assert control_of(scene, SIZE, ControlConfig(strength=0)) is None
    assert control_of(replace(scene, pose=()), SIZE, ControlConfig()) is None
    with pytest.raises(ConfigError, match=r"strength is 3.*at most 2"):
        ControlConfig(strength=3)
    with pytest.raises(ConfigError, match=r"interval is \(1, 0\)"):
        ControlConfig(interval=(1, 0))


def test_masks_become_a_near_plane():
    masks = torch.zeros(2, 8, 8, dtype=torch.bool)
    masks[0, 2:4, 1:3] = masks[1, 5:, 6:] = True
    pixels = np.asarray(silhouettes(masks))
    assert (pixels.max(), pixels.shape) == (255, (8, 8, 3))
    assert ((pixels[..., 0] == 255) == masks.any(0).numpy()).all()
    scene = Scene("one", ("Mara",), pose=(Pose(source=1, kind="depth"),))
    assert control_of(scene, SIZE, ControlConfig(), masks).kind == "depth"
    with pytest.raises(StoryError, match="that of scene 1, which is not painted here"):
        control_of(scene, SIZE, ControlConfig())


# --- what a story says ----------------------------------------------------------------------------

PEOPLE = (
    '[[character]]\nname = "Mara"\ndescription = "a young woman"\n'
    '[[character]]\nname = "Tom"\ndescription = "an old man"\n'
)
BOTH = "{Mara} and {Tom} walk"


@pytest.fixture
def told(tmp_path):
    """Loads a story whose scenes have these poses."""
    noisy = np.random.default_rng(0).integers(0, 255, (900, 700, 3), dtype=np.uint8)
    Image.fromarray(noisy).save(tmp_path / "noise.png")
    Image.new("RGB", (5000, 8)).save(tmp_path / "wide.png")
    os.symlink("/etc/hosts", tmp_path / "link.png")

    def load(*poses, prompt=BOTH):
        scenes = [
            f'[[scene]]\nprompt = "{prompt}"\n' + (f"pose = {p}\n" if p else "") for p in poses
        ]
        (tmp_path / "story.toml").write_text(PEOPLE + "".join(scenes))
        return load_story(tmp_path / "story.toml")

    return load


def test_poses_are_said_by_name_or_of_the_only_one(told):
    story = told("{Mara = {yaw = -30, x = 0.3}, Tom = {}}", "", "{from = 1}", "{from = 2}")
    poses = [scene.pose for scene in story.scenes]
    assert poses[0] == (Pose("Mara", yaw=-30.0, x=0.3), Pose("Tom"))
    assert poses[1:] == [(), poses[0], (Pose(source=2, kind="depth"),)]
    assert told("{roll = 5}", prompt="{Tom} walks").scenes[0].pose == (Pose("Tom", roll=5.0),)
    again = json.loads(json.dumps(story_to_dict(story)))
    assert story_from_dict(story_told(again)) == story
    assert "pose" not in again["scenes"][1]  # as in stories that were written before


def test_who_has_no_pose_in_another_scene_can_take_none_from_it(told):
    scenes = (Scene("a", ("Tom",), pose=(Pose("Tom", yaw=5.0),)), Scene("b", ("Mara",)))
    taking = replace(scenes[1], pose=(Pose(source=1, kind="depth"),))
    with pytest.raises(StoryError, match="scene 2: 'pose': nobody of scene 1's poses is in this"):
        taken_over([scenes[0], taking], "s")
    both = replace(taking, cast=("Mara", "Tom"))
    assert taken_over([scenes[0], both], "s")[1].pose == scenes[0].pose


def test_a_picture_is_kept_small_in_the_story(told):
    (pose,) = told('{file = "noise.png", kind = "depth"}').scenes[0].pose
    assert (pose.kind, len(pose.picture) < 200_000) == ("depth", True)
    image = unpacked(pose.picture)
    assert (image.mode, max(image.size) <= 512) == ("RGB", True)
    assert image.height / image.width == pytest.approx(9 / 7, rel=0.02)
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), (9, 8, 7)).save(buffer, "JPEG")
    assert unpacked(packed(buffer.getvalue())).size == (40, 30)
    for broken in ("%", base64.b64encode(b"no picture").decode()):
        with pytest.raises(StoryError, match="the picture of a pose is broken"):
            unpacked(broken)


@pytest.mark.parametrize(
    ("pose", "error"),
    [
        (
            "{yaw = 3}",
            "must say whose, pose = {Mara = {yaw = 20}}; here is 'Mara', 'Tom'",
        ),
        ("{Mara = {yav = 3}}", "'Mara' has an unknown key 'yav'. Did you mean 'yaw'?"),
        ('{Mara = {yaw = "left"}}', "'yaw' must be a number, not 'left'"),
        ("{Mara = {yaw = 300}}", "'Mara': yaw is 300.0; it must be from -90 to 90"),
        ("{Mara = {yaw = nan}}", "yaw is nan"),
        ('{Mara = {yaw = 3}, "Mara " = {yaw = 4}}', "the name 'Mara' is given twice"),
        ("{Mara = {height = 0}}", "height is 0.0; it must be from 0.02 to 1.5"),
        ("{Anna = {yaw = 2}}", "'Anna' is not in the scene. There are: 'Mara', 'Tom'."),
        ("{Mara = {from = 2}}", "'from' is of a whole scene"),
        ('"left"', "must be a table with 'yaw'"),
        ("{from = 1}", "there is no other scene 1"),
        ('{file = "noise.png", yaw = 3}', "which says all; leave out 'yaw'"),
        ('{file = "noise.png", kind = "../x"}', "kind is '../x'"),
        ('{file = "link.png"}', "'link.png' is no file in the story's folder"),
        ('{file = "none.png"}', "'none.png' cannot be read: No such file or directory"),
        ('{file = "."}', "'.' is no file in the story's folder"),
        ('{file = "noise.png", from = 2}', "has 'file', which says all; leave out 'from'"),
        ('{file = "../story.toml"}', "cannot be read"),
        ('{file = "story.toml"}', "it is no whole picture in PNG or JPEG or WEBP"),
        ('{file = "wide.png"}', "it is larger than 4096 pixels a side"),
    ],
)
def test_a_wrong_pose_is_refused_in_one_line(told, pose, error):
    with pytest.raises(StoryError) as caught:
        told(pose)
    assert error in str(caught.value)
    assert "scene 1: 'pose'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_where_nobody_is_no_pose_is(told):
    with pytest.raises(StoryError, match=r"must say whose, .*; here is nobody$"):
        told("{yaw = 3}", prompt="a pier")
    with pytest.raises(StoryError, match=r"'Mara' is not in the scene\.$"):
        told("{Mara = {yaw = 3}}", prompt="a pier")


def test_a_pose_is_taken_over_from_the_last_scene_by_those_who_are_in_both(told):
    poses = lambda *said: [scene.pose for scene in told(*said).scenes]
    assert poses("{from = 2}", "")[0] == (Pose(source=2, kind="depth"),)
    picture = poses('{file = "noise.png"}', "{from = 1}")
    assert picture[0] == picture[1]
    with pytest.raises(StoryError, match="scene 1: 'pose': scene 2 takes its own from another"):
        told("{from = 2}", "{from = 3}", "")
    with pytest.raises(StoryError, match="scene 1: 'pose': there is no other scene 3"):
        told("{from = 3}", "")
    both = (Pose("Mara", yaw=5.0), Pose("Tom"))
    scenes = [Scene("a", ("Mara", "Tom"), pose=both), Scene("b", ("Tom",), pose=(Pose(source=1),))]
    assert taken_over(scenes, "s")[1].pose == both[1:]


def test_a_story_is_not_cut_before_a_scene_that_a_pose_is_taken_from(told):
    story = told("", "{from = 3}", "")
    assert shortened(story, 1).scenes == story.scenes[:1]
    assert shortened(story, 3).scenes == story.scenes
    with pytest.raises(
        StoryError, match=r"story: scene 2 takes its pose from scene 3, .*; take 3 or more"
    ):
        shortened(story, 2)


def test_a_picture_has_8_mib_at_most(told, tmp_path):
    content = (tmp_path / "noise.png").read_bytes()
    for size, taken in ((2**23, True), (2**23 + 1, False)):
        (tmp_path / "noise.png").write_bytes(content.ljust(size, b"\0"))
        if taken:
            assert told('{file = "noise.png"}').scenes[0].pose[0].picture
            continue
        with pytest.raises(
            StoryError, match=r"noise\.png' cannot be read: it is larger than 8 MiB"
        ):
            told('{file = "noise.png"}')


def test_a_story_that_is_no_file_names_no_picture():
    people = [{"name": "Mara", "description": "a young woman"}]
    data = {"character": people, "scene": [{"prompt": "{Mara}", "pose": {"file": "noise.png"}}]}
    with pytest.raises(
        StoryError, match=r"scene 1: 'pose'.*beside a story's file, and here is none"
    ):
        make_story(data, source="s")


def test_a_strangers_record_cannot_hold_a_pose_that_no_story_may(told):
    values = story_to_dict(told("{Mara = {yaw = 3}}"))
    values["scenes"][0]["pose"][0]["height"] = 1e9
    with pytest.raises(ValueError, match=r"pose.*height is 1000000000"):
        story_told(values)
