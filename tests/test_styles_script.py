"""benchmarks/styles.py: pictures of one scene are not compared, and people are told apart across styles."""

from pathlib import Path

import torch

from benchmarks.styles import table
from identitystory.metrics.evidence import Evidence, MeasuredStory, Picture


def seen(*faces, who=("mara", "tom", "mara")):
    pictures = [Picture(Path(f"{n}.png"), "", (), torch.zeros(0, 1, 1)) for n in range(len(who))]
    story = MeasuredStory("run", tuple(pictures), 2, origin="one story")
    found = Evidence(story, faces=torch.tensor(faces), face_who=list(who))
    found.face_frame, found.wanted = [0, 1, 2], {"mara": 2, "tom": 1}
    return [found]


def test_people_are_compared_across_styles_and_scenes_alone():
    plain = seen([1.0, 0.0], [0.0, 1.0], [0.6, 0.8])
    ink = seen([0.0, 1.0], [0.0, 1.0], [1.0, 0.0])
    rows = [line.split(" | ") for line in table({"plain": plain, "ink": ink}, 0.5).splitlines()]
    assert [row[0] for row in rows[2:5]] == ["| plain, plain", "| plain, ink", "| ink, ink"]
    # Mara in scenes 1 and 3; plain with ink: 1 and 3 are one person, of 3 and 1 the cosine is .8
    assert [row[1:3] for row in rows[2:5]] == [
        ["0.600", "100%"],
        ["0.900", "100%"],
        ["0.000", "0%"],
    ]
    # Mara with Tom: plain 0 and .8; ink 1 and 0; plain Mara with ink Tom 0 and .8, the other way 1 and 0
    assert [row[3] for row in rows[2:5]] == ["0.400", "0.450", "0.500"]
    assert rows[-1] == ["ink: 3 of 3 faces found"]
