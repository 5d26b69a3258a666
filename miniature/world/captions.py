"""The words for a picture: a description of somebody, then what the scene shows.

``caption`` draws a wording at random: synonyms, order, length. It says only what shows, and leaves
things out as people do. Every caption has the two-part form that a story's prompt has:
"a young woman with long red hair and freckles" + "smiling on a beach at sunset, in a green shirt".
"""

from __future__ import annotations

import numpy as np

NOUNS = {
    ("man", "child"): ["boy", "boy", "little boy", "young boy"],
    ("woman", "child"): ["girl", "girl", "little girl", "young girl"],
    ("man", "young"): ["young man", "young man", "man"],
    ("woman", "young"): ["young woman", "young woman", "woman"],
    ("man", "middle-aged"): ["middle-aged man", "middle-aged man", "man"],
    ("woman", "middle-aged"): ["middle-aged woman", "middle-aged woman", "woman"],
    ("man", "old"): ["old man", "elderly man", "older man"],
    ("woman", "old"): ["old woman", "elderly woman", "older woman"],
}
ANCESTRY = {"african": "African", "asian": "Asian", "european": "European", "mixed": ""}
SKIN = {
    "light": ["light skin", "fair skin", "pale skin"],
    "brown": ["brown skin", "tan skin", "olive skin"],
    "dark": ["dark skin", "dark skin", "deep brown skin"],
}
HAIR_COLOUR = {
    "black": ["black"], "dark brown": ["dark brown", "dark"], "brown": ["brown"],
    "blond": ["blond", "blonde"], "red": ["red", "ginger"], "gray": ["gray", "grey"],
    "white": ["white"],
}  # fmt: skip
HAIR = {
    "long": ["long {} hair", "long {} hair", "long straight {} hair"],
    "short": ["short {} hair", "short {} hair", "{} hair"],
    "bob": ["a {} bob", "{} bobbed hair", "chin-length {} hair"],
    "ponytail": ["{} hair tied back", "a {} ponytail"],
    "afro": ["a {} afro", "curly {} hair"],
    "curly": ["curly {} hair", "curly {} hair", "{} curls"],
    "buzzed": ["very short {} hair", "a {} buzz cut"],
    "bald": ["a bald head", "no hair", "a shaved head"],
}
BEARD = {
    "stubble": ["stubble", "a stubbly chin"],
    "full": ["a full beard", "a beard", "a thick beard"],
    "moustache": ["a moustache"],
    "goatee": ["a goatee", "a small beard"],
}
GLASSES = {"round": ["round glasses", "glasses"], "rectangular": ["glasses", "rectangular glasses"]}
EYES = {
    "dark": "dark",
    "brown": "brown",
    "blue": "blue",
    "green": "green",
    "hazel": "hazel",
    "gray": "gray",
}
EXPRESSION = {
    "neutral": ["", "", "with a calm face", "looking calm"],
    "smile": ["smiling", "smiling", "with a smile", "happy", "with a gentle smile"],
    "laugh": ["laughing", "laughing", "with a big laugh"],
    "surprise": ["surprised", "surprised", "looking surprised", "astonished"],
    "anger": ["angry", "angry", "looking angry", "frowning"],
    "sadness": ["sad", "sad", "looking sad", "unhappy"],
}
POSE = {
    "stand": ["", "", "standing"], "wave": ["waving", "waving a hand", "greeting"],
    "arms raised": ["with arms raised", "cheering"], "walk": ["walking"], "sit": ["sitting"],
    "lean": ["", "leaning", "leaning to one side"],
}  # fmt: skip
OUTFIT = {
    "t-shirt": ["t-shirt", "shirt", "tee"],
    "long-sleeved shirt": ["shirt", "long-sleeved shirt"],
    "vest": ["vest", "sleeveless top", "top"],
    "dress": ["dress"],
    "suit": ["suit"],
    "overalls": ["overalls"],
    "sportswear": ["sports top", "sports shirt"],
    "sweater": ["sweater", "pullover", "jumper"],
    "striped shirt": ["striped shirt", "striped sweater"],
    "jacket": ["jacket", "coat"],
    "blouse": ["blouse"],
    "work clothes": ["work clothes", "work shirt"],
}
PLACE = {
    "studio": ["in a studio", "in a photo studio", "in front of a plain wall"],
    "beach": ["on a beach", "on the beach", "by the sea"],
    "forest": ["in a forest", "in the forest", "in the woods", "among trees"],
    "kitchen": ["in a kitchen", "in the kitchen"],
    "city street": ["on a city street", "in the city", "in a street", "in town"],
    "library": ["in a library", "in the library", "in front of book shelves"],
    "snowy mountains": ["in snowy mountains", "in the snow", "in the mountains"],
    "meadow": ["in a meadow", "in a field", "in a park", "on the grass"],
    "desert": ["in a desert", "in the desert", "among dunes"],
    "living room": ["in a living room", "at home", "in a room with a window"],
    "harbour": ["at a lighthouse", "near the lighthouse", "at the harbour", "on the pier"],
    "garden": ["in a garden", "in the garden", "by a rose hedge"],
    "cafe": ["in a cafe", "in a coffee shop", "in a restaurant"],
    "office": ["in an office", "at work in an office"],
}
HOUR = {
    "day": ["", "", "by day", "in the daytime", "under a blue sky"],
    "sunset": ["at sunset", "at sunset", "in the evening", "at dusk", "at dawn"],
    "night": ["at night", "at night", "under the stars", "by night"],
}
FRAMING = {
    "portrait": ["a portrait of", "a close-up of", "a close-up photo of", ""],
    "half-body": ["a half-body photo of", "a photo of", "a medium shot of", ""],
    "full-body": ["a full-body photo of", "a wide shot of"],
}
INDOOR_PLACES = frozenset({"studio", "kitchen", "library", "cafe", "office"})


def _one(rng: np.random.Generator, options) -> str:
    return options[int(rng.integers(len(options)))]


def _article(words: str) -> str:
    plural = words.endswith(("clothes", "overalls"))
    return (
        words
        if plural
        else f"{'an' if words[0].lower() in 'aeiou' and not words.startswith('Eur') else 'a'} {words}"
    )


def description(facts: dict, rng: np.random.Generator) -> str:
    """Who it is: "an elderly man with a white beard and glasses"."""
    noun = _one(rng, NOUNS[facts["sex"], facts["age"]])
    front = ANCESTRY[facts["ancestry"]] if rng.random() < 0.35 else ""
    traits = []
    if rng.random() < 0.85:
        colour = "" if facts["hair"] == "bald" else _one(rng, HAIR_COLOUR[facts["hair_colour"]])
        if colour and rng.random() < 0.08:  # sometimes only one of length and colour
            traits.append(f"{colour} hair")
        else:
            traits.append(_one(rng, HAIR[facts["hair"]]).format(colour))
    if facts["beard"] != "none" and rng.random() < 0.9:
        traits.append(_one(rng, BEARD[facts["beard"]]))
    if facts["glasses"] != "none" and rng.random() < 0.92:
        traits.append(_one(rng, GLASSES[facts["glasses"]]))
    if rng.random() < 0.4:
        traits.append(_one(rng, SKIN[facts["skin"]]))
    if facts["freckles"] and rng.random() < 0.5:
        traits.append("freckles")
    if facts["framing"] == "portrait" and rng.random() < 0.2:
        traits.append(f"{EYES[facts['eyes']]} eyes")
    rng.shuffle(traits)
    words = f"{front} {noun}".strip()
    who = _article(words)
    if not traits:
        return who
    listed = traits[0] if len(traits) == 1 else f"{', '.join(traits[:-1])} and {traits[-1]}"
    return f"{who} with {listed}"


def scene(facts: dict, rng: np.random.Generator) -> str:
    """What the picture shows of the moment: "smiling on a beach at sunset, in a green shirt"."""
    outfit = _one(rng, OUTFIT[facts["outfit"]])
    wearing = (
        f"{_one(rng, ['in', 'wearing', 'dressed in'])} {_article(facts['colour'] + ' ' + outfit)}"
    )
    if rng.random() < 0.3:
        wearing = ""
    doing = [_one(rng, EXPRESSION[facts["expression"]])]
    if facts["framing"] != "portrait":
        doing.append(_one(rng, POSE[facts["pose"]]))
    place = _one(rng, PLACE[facts["place"]]) if rng.random() < 0.95 else ""
    hour = "" if facts["place"] in INDOOR_PLACES else _one(rng, HOUR[facts["hour"]])
    action = " and ".join(x for x in doing if x)
    where = " ".join(x for x in (place, hour) if x)
    parts = [" ".join(x for x in (action, where) if x), wearing]
    if rng.random() < 0.35:
        parts = [wearing, " ".join(x for x in (action, where) if x)]
    return ", ".join(x for x in parts if x)


def cast(facts: dict, rng: np.random.Generator) -> str:
    """Who is in the picture: "an old man with a white beard and a girl with brown hair"."""
    everybody = [facts, *({**facts, **other} for other in facts.get("others", ()))]
    return " and ".join(description(person, rng) for person in everybody)


def caption(facts: dict, seed: int) -> str:
    """One wording for a picture's facts, drawn from ``seed``."""
    rng = np.random.default_rng([seed, 6])
    who = cast(facts, rng)
    what = scene(facts, rng)
    text = f"{_one(rng, FRAMING[facts['framing']])} {who} {what}".strip()
    return text if rng.random() < 0.8 else text.replace(f"{who} ", f"{who}, ", 1)


def grammar_words() -> list[str]:
    """Every word that a caption can contain, sorted."""
    tables = [
        NOUNS, SKIN, HAIR_COLOUR, HAIR, BEARD, GLASSES, EXPRESSION, POSE, OUTFIT, PLACE, HOUR, FRAMING,
    ]  # fmt: skip
    phrases = [phrase for table in tables for options in table.values() for phrase in options]
    phrases += [*ANCESTRY.values(), *EYES.values(), "eyes freckles an and with in wearing dressed"]
    from .people import CLOTH_COLOURS

    phrases += CLOTH_COLOURS
    return sorted({w for p in phrases for w in p.lower().replace("{}", " ").split()})
