"""The words of the captions, by what is to be seen. ``{}`` stands for the hair's colour."""

from __future__ import annotations

NOUNS: dict[tuple[str, str], tuple[str, ...]] = {
    ("man", "child"): ("boy", "boy", "little boy", "young boy"),
    ("woman", "child"): ("girl", "girl", "little girl", "young girl"),
    ("man", "teenager"): ("teenage boy", "teenage boy", "teenager"),
    ("woman", "teenager"): ("teenage girl", "teenage girl", "teenager"),
    ("man", "young"): ("young man", "young man", "man"),
    ("woman", "young"): ("young woman", "young woman", "woman"),
    ("man", "middle-aged"): ("middle-aged man", "middle-aged man", "man"),
    ("woman", "middle-aged"): ("middle-aged woman", "middle-aged woman", "woman"),
    ("man", "old"): ("old man", "old man", "elderly man", "older man"),
    ("woman", "old"): ("old woman", "old woman", "elderly woman", "older woman"),
}
SKIN = {
    "light": ("light skin", "fair skin", "pale skin"),
    "tan": ("tan skin", "olive skin"),
    "brown": ("brown skin",),
    "dark": ("dark skin", "dark skin", "deep brown skin"),
}
HAIR_COLOUR = {
    "black": ("black",), "dark brown": ("dark brown", "dark"), "brown": ("brown",),
    "blond": ("blond", "blonde"), "red": ("red", "red", "ginger"), "gray": ("gray", "grey"),
    "white": ("white",),
}  # fmt: skip
HAIR = {
    "crop": ("short {} hair", "short {} hair", "{} hair cut short"),
    "side part": ("short {} hair", "short {} hair", "{} hair parted at the side"),
    "quiff": ("short {} hair", "a {} quiff", "{} hair combed up"),
    "buzz": ("very short {} hair", "a {} buzz cut"),
    "bald": ("a bald head", "a bald head", "no hair", "a shaved head"),
    "short curls": ("short curly {} hair", "curly {} hair", "short {} curls"),
    "pixie": ("short {} hair", "a {} pixie cut"),
    "bowl": ("short {} hair", "a {} bowl cut", "short {} hair with a fringe"),
    "bob": ("a {} bob", "{} bobbed hair", "chin-length {} hair"),
    "bob with fringe": ("a {} bob with a fringe", "a {} bob", "chin-length {} hair with a fringe"),
    "wavy bob": ("a wavy {} bob", "wavy chin-length {} hair", "chin-length {} hair"),
    "long straight": ("long {} hair", "long {} hair", "long straight {} hair"),
    "long with fringe": ("long {} hair with a fringe", "long {} hair", "long straight {} hair"),
    "long wavy": ("long wavy {} hair", "wavy {} hair", "long {} hair"),
    "long curls": ("long curly {} hair", "curly {} hair", "{} curls", "long {} curls"),
    "locs": ("{} locs", "{} dreadlocks", "long {} locs"),
    "braids": ("two {} braids", "{} braids", "{} hair in two braids"),
    "side braid": ("a {} braid", "a {} braid over the shoulder", "{} hair in a braid"),
    "ponytail": ("a {} ponytail", "{} hair tied back", "{} hair in a ponytail"),
    "pigtails": ("{} pigtails", "two {} pigtails", "{} hair in pigtails"),
    "top bun": ("a {} bun", "a {} top bun", "{} hair in a bun"),
    "low bun": ("{} hair tied back", "{} hair pinned up", "{} hair in a low bun"),
    "afro": ("a {} afro", "a {} afro", "a big {} afro"),
    "afro puffs": ("two {} afro puffs", "{} hair in two puffs"),
    "headscarf": ("a {} headscarf", "a {} headscarf", "a {} hijab"),
}
BEARD = {
    "stubble": ("stubble", "a stubbly chin"),
    "moustache": ("a moustache", "a moustache"),
    "goatee": ("a goatee", "a small beard"),
    "short beard": ("a beard", "a short beard"),
    "full beard": ("a full beard", "a beard", "a thick beard"),
}
GLASSES = {"round": ("round glasses", "glasses"), "square": ("glasses", "square glasses")}
EXPRESSION = {
    "calm": ("", "", "with a calm face", "looking calm", "calm"),
    "smiling": ("smiling", "smiling", "with a smile", "happy", "with a gentle smile"),
    "laughing": ("laughing", "laughing", "with a big laugh"),
    "sad": ("sad", "sad", "looking sad", "unhappy"),
    "surprised": ("surprised", "surprised", "looking surprised", "astonished"),
    "angry": ("angry", "angry", "looking angry", "frowning", "cross"),
}
GESTURE = {
    "none": ("", "", "standing"),
    "waving": ("waving", "waving a hand", "greeting"),
    "cheering": ("cheering", "with arms raised", "with both hands up"),
    "leaning": ("leaning", "leaning to one side"),
    "book": ("holding a book", "reading a book", "with a book"),
    "cup": ("holding a cup", "with a cup of tea", "drinking tea"),
    "flowers": ("holding flowers", "with a bunch of flowers"),
    "apple": ("holding an apple", "with an apple"),
    "cat": ("holding a cat", "with a cat in the arms", "with a cat"),
}
# {c} is the colour, {d} the second one.
OUTFIT = {
    "t-shirt": ("{c} t-shirt", "{c} tee", "{c} t-shirt"),
    "shirt": ("{c} shirt", "{c} shirt", "{c} long-sleeved shirt"),
    "striped shirt": ("{c} and {d} striped shirt", "{c} striped shirt", "{c} striped sweater",
                      "striped {c} shirt"),
    "sweater": ("{c} sweater", "{c} pullover", "{c} jumper"),
    "turtleneck": ("{c} turtleneck", "{c} turtleneck sweater"),
    "hoodie": ("{c} hoodie", "{c} hooded sweater"),
    "jacket": ("{c} jacket", "{c} jacket over a {d} shirt"),
    "coat": ("{c} coat", "{c} coat and a {d} scarf", "{c} coat with a {d} scarf"),
    "suit": ("{c} suit", "{c} suit", "{c} suit with a {d} tie"),
    "cardigan": ("{c} cardigan", "{c} cardigan over a {d} shirt"),
    "dress": ("{c} dress", "{c} dress", "{c} dress with {d} dots"),
    "blouse": ("{c} blouse",),
    "overalls": ("{c} overalls", "{c} overalls over a {d} shirt"),
    "sports top": ("{c} sports top", "{c} sports shirt", "{c} and {d} sports shirt"),
    "vest": ("{c} vest", "{c} sleeveless top", "{c} top"),
    "work shirt": ("{c} work shirt", "{c} work clothes"),
}  # fmt: skip
PLACE = {
    "beach": ("on a beach", "on the beach", "by the sea"),
    "forest": ("in a forest", "in the forest", "in the woods", "among trees"),
    "meadow": ("in a meadow", "in a field", "in a park", "on the grass"),
    "snowy mountains": ("in snowy mountains", "in the snow", "in the mountains"),
    "harbour": ("at the harbour", "at a lighthouse", "near the lighthouse", "on the pier"),
    "garden": ("in a garden", "in the garden", "by a rose hedge"),
    "city street": ("on a city street", "in the city", "in a street", "in town"),
    "desert": ("in a desert", "in the desert", "among dunes"),
    "kitchen": ("in a kitchen", "in the kitchen"),
    "library": ("in a library", "in the library", "in front of book shelves"),
    "cafe": ("in a cafe", "in a café", "in a coffee shop", "in a restaurant"),
    "office": ("in an office", "at work in an office"),
    "living room": ("in a living room", "at home", "in the living room"),
    "bedroom": ("in a bedroom", "in the bedroom"),
    "studio": ("in a studio", "in a photo studio"),
    "art studio": ("in an art studio", "among paintings"),
    "plain wall": ("in front of a plain wall", "in front of a wall"),
}
HOUR = {
    "dawn": ("at dawn", "at sunrise", "early in the morning"),
    "day": ("", "", "by day", "in the daytime"),
    "sunset": ("at sunset", "at sunset", "in the evening", "at dusk"),
    "night": ("at night", "at night", "by night"),
}
OUTDOOR_HOUR = {"day": ("under a blue sky",), "night": ("under the stars",)}
FRAMING = {
    "portrait": ("a portrait of", "a portrait of", "a close-up of", "a close-up photo of", ""),
    "half-body": ("a half-body photo of", "a half-body picture of", "a medium shot of", ""),
    "pair": ("a portrait of", "a picture of", "a photo of", ""),
    "three": ("a portrait of", "a group picture of", "a photo of", ""),
    "nobody": ("a picture of", "a view of", ""),
}
NOBODY = ("nobody in it", "with nobody there", "empty of people", "no people", "nobody there")
# What a place is called where nobody is in it.
VIEW = {
    "beach": ("a beach", "the sea"), "forest": ("a forest", "the woods"),
    "meadow": ("a meadow", "a field", "a park"), "snowy mountains": ("snowy mountains",),
    "harbour": ("a harbour", "a pier"), "garden": ("a garden",),
    "city street": ("a city street", "a street"), "desert": ("a desert",),
    "kitchen": ("a kitchen",), "library": ("a library",), "cafe": ("a cafe", "a coffee shop"),
    "office": ("an office",), "living room": ("a living room",), "bedroom": ("a bedroom",),
    "studio": ("a studio", "a photo studio"), "art studio": ("an art studio",),
    "plain wall": ("a plain wall",),
}  # fmt: skip
# What always stands in a place, and in the evening; said where nobody is in the picture.
FEATURE = {
    "beach": ("a striped parasol", "sailing boats"), "forest": ("tall trees",),
    "meadow": ("flowers", "a little house"), "snowy mountains": ("a hut", "snow", "fir trees"),
    "harbour": ("a lighthouse", "boats"), "garden": ("a white fence", "roses"),
    "city street": ("street lamps", "houses"), "desert": ("a cactus", "a tent"),
    "kitchen": ("a window", "a red teapot", "a plant"), "library": ("book shelves", "a lamp"),
    "cafe": ("a blackboard", "three lamps"), "office": ("a window", "a screen", "a plant"),
    "living room": ("a sofa", "a window", "a painting"), "bedroom": ("a bed", "a window"),
    "studio": ("two bright lights",), "art studio": ("paintings", "easels"), "plain wall": (),
}  # fmt: skip
LIT = {
    "forest": "a lit lamp", "meadow": "a lit window", "snowy mountains": "a lit window",
    "harbour": "lit windows", "garden": "paper lanterns", "city street": "lit windows",
    "desert": "a lit tent", "kitchen": "a lit lamp", "library": "a lit lamp", "cafe": "lit lamps",
    "office": "a lit lamp", "living room": "a lit lamp", "bedroom": "a lit lamp",
    "art studio": "lit lamps", "plain wall": "a lit lamp",
}  # fmt: skip
# Things that stand in the foreground where nobody is (``things.things_of``).
THING = {
    "cat": "a cat", "dog": "a dog", "lantern": "a lantern", "chair": "a chair",
    "flower pot": "a flower pot", "basket": "a basket of apples", "suitcase": "a suitcase",
    "ball": "a red ball", "books": "a stack of books", "teapot": "a teapot on a table",
    "bench": "a bench", "umbrella": "an umbrella",
}  # fmt: skip
JOINING = (
    "a", "an", "the", "with", "and", "of", "in", "wearing", "dressed", "freckles", "eyes",
    "without", "no", "glasses", "beard", "black", "white", "hair",
)  # fmt: skip
