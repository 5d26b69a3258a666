"""Writes our 100 sets of 10 prompts: ``python benchmarks/write_stories.py``.

Every person and every scene below was written by hand. What the seed decides is only which scenes of
a theme a set gets, and in which order: 80 sets with one character, 10 with two, 10 with three, in
the sizes of the paper's benchmark. In a scene {P} is the person; A, B and C are those of a group.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from identitystory.story_sets import set_text

TARGET = Path(__file__).parent.parent / "src/identitystory/data/consistory_human.toml"
SCENES_A_SET = 10
HEAD = """\
# 100 sets of 10 prompts to measure story generation on: 80 with one character, 10 with two, 10 with three.
# The text is ours; the sizes are those of ConsiStory-Human. Written by benchmarks/write_stories.py.
"""
STYLES = (
    "photograph, natural light", "cinematic film still", "watercolour illustration",
    "oil painting", "storybook illustration", "ink and pencil drawing", "gouache painting",
    "black-and-white photograph", "digital concept art", "comic book panel",
)  # fmt: skip

THEMES = {
    "harbour": (
        """
        Ines: a middle-aged Portuguese woman with windblown black hair and weathered skin
        Olav: an old Norwegian man with a short white beard and pale blue eyes
        Kofi: a young Ghanaian man with a shaved head and a broad smile
        Maren: a teenage girl with a blonde braid and a sunburnt nose
        """,
        """
        {P} mending a fishing net on the quay at dawn
        {P} rowing a small wooden boat through calm water
        {P} carrying a crate of mackerel past stacked lobster pots
        {P} laughing in a yellow raincoat while waves break over the pier
        {P} drinking coffee from a tin cup beside a mooring post
        {P} painting the hull of a blue boat, brush in hand
        {P} looking out to sea through brass binoculars
        {P} feeding a seagull on the harbour wall
        {P} asleep on a coil of rope in the afternoon sun
        {P} steering a trawler in heavy rain at night
        {P} buying bread at a market stall near the docks
        {P} standing on the lighthouse stairs with a lantern
        {P} wrapped in a wool blanket after a storm
        {P} waving from the bow of a departing ferry
        """,
    ),
    "kitchen": (
        """
        Bruno: a stout Italian man with a grey moustache and rosy cheeks
        Mei: a young Chinese woman with a neat black bob
        Abena: an elderly Ghanaian woman with short silver hair and kind eyes
        Luca: a little boy with messy brown curls and a gap in his teeth
        """,
        """
        {P} kneading dough on a floury wooden table
        {P} tasting soup from a long spoon with closed eyes
        {P} chopping carrots by an open window in the morning
        {P} taking a golden pie out of a brick oven
        {P} reading a stained recipe book under a hanging lamp
        {P} wearing a striped apron and balancing four plates
        {P} washing lettuce in a deep stone sink
        {P} proudly holding a cake with burning candles
        {P} picking tomatoes in a kitchen garden
        {P} surprised by a cloud of steam from a huge pot
        {P} sharing a late supper alone at a candlelit table
        {P} carrying a basket of eggs through the back door
        {P} choosing fish at a busy morning market
        {P} asleep in a chair beside the warm stove
        """,
    ),
    "mountain": (
        """
        Tenzin: a young Tibetan man with long black hair and wind-reddened cheeks
        Greta: an old woman with a white plait and a deeply lined face
        Samir: a middle-aged Moroccan man with a trimmed black beard
        Hanne: a tall young woman with short red hair and freckles
        """,
        """
        {P} climbing a rocky ridge with a rope over {his} shoulder
        {P} resting on a boulder above a sea of clouds
        {P} crossing a swaying rope bridge
        {P} pitching an orange tent in deep snow
        {P} studying a paper map by the light of a head torch
        {P} boiling water on a small camping stove at sunrise
        {P} leading a pack mule along a narrow path
        {P} cheering on a summit beside a cairn
        {P} wearing a thick fur-lined hood in a blizzard
        {P} washing {his} face in a cold mountain stream
        {P} playing a wooden flute outside a stone hut
        {P} pointing at an eagle high above a valley
        {P} warming {his} hands at a campfire under the stars
        {P} sliding down a snowy slope, laughing
        """,
    ),
    "city": (
        """
        Dwayne: a middle-aged Black man with round glasses and a shaved head
        Yuki: a young Japanese woman with a pink streak in her straight hair
        Carmen: a stylish elderly woman with a silver bob and red lipstick
        Felix: a lanky teenage boy with curly ginger hair
        """,
        """
        {P} waiting at a bus stop under a red umbrella
        {P} riding a bicycle past glowing shop windows at night
        {P} reading a newspaper on a crowded tram
        {P} eating noodles at a street stall in the rain
        {P} leaning on a rooftop railing above the skyline
        {P} hailing a taxi in a long grey coat
        {P} looking up from the bottom of an escalator
        {P} feeding pigeons on the steps of a museum
        {P} talking on the phone in front of a mural
        {P} dancing alone on an empty square at dawn
        {P} carrying flowers through a subway station
        {P} sketching strangers in a corner cafe
        {P} running across a zebra crossing with a briefcase
        {P} watching fireworks from a fire escape
        """,
    ),
    "farm": (
        """
        Edith: a sturdy old woman with curly grey hair under a headscarf
        Mateo: a young Mexican man with a thin moustache and dark eyes
        Lindiwe: a middle-aged Zulu woman with braided hair tied in a bun
        Tom: a small boy with straw-blond hair and scraped knees
        """,
        """
        {P} driving an old green tractor across a stubble field
        {P} carrying a newborn lamb through a muddy gate
        {P} feeding hens in front of a red barn
        {P} stacking hay bales under a stormy sky
        {P} picking apples from the top of a ladder
        {P} milking a goat in a dim stable
        {P} mending a fence with a hammer and nails
        {P} eating a sandwich on a stone wall at noon
        {P} splashing through a puddle in rubber boots
        {P} brushing a brown horse in the evening light
        {P} holding a giant pumpkin with both arms
        {P} walking between rows of sunflowers
        {P} asleep in a hammock between two cherry trees
        {P} selling honey at a roadside stand
        """,
    ),
    "science": (
        """
        Priya: a young Indian woman with a long black braid and square glasses
        Anton: an elderly Russian man with wild white hair
        Leila: a middle-aged Iranian woman with shoulder-length dark hair
        Tobias: a heavyset young man with a blond beard
        """,
        """
        {P} looking through a microscope in a white laboratory
        {P} writing equations on a large blackboard
        {P} holding up a flask of glowing blue liquid
        {P} adjusting a telescope in a dark observatory
        {P} collecting water samples at the edge of a lake
        {P} examining a fossil with a magnifying glass
        {P} giving a lecture in front of a projected galaxy
        {P} repairing a small robot with a screwdriver
        {P} asleep at a desk covered with papers
        {P} celebrating with both arms in the air beside a computer
        {P} wearing goggles in a cloud of green smoke
        {P} planting seedlings in a bright greenhouse
        {P} measuring ice on a glacier in a heavy parka
        {P} drinking tea in a library late at night
        """,
    ),
    "theatre": (
        """
        Josephine: a graceful Black woman with cropped curls and high cheekbones
        Marcel: a thin old man with hollow cheeks and slicked grey hair
        Sofia: a young Spanish woman with long wavy brown hair
        Ravi: a middle-aged Indian man with a round face and a thick moustache
        """,
        """
        {P} bowing on a stage in front of a red velvet curtain
        {P} putting on make-up before a mirror framed with bulbs
        {P} rehearsing a speech with a crumpled script
        {P} wearing a paper crown and a long purple cape
        {P} peeking through the curtain at the audience
        {P} crying under a single spotlight
        {P} trying on hats in a crowded wardrobe
        {P} fencing with a wooden sword on the stairs
        {P} catching a bouquet thrown from the balcony
        {P} sewing a sequinned costume backstage
        {P} laughing with a mask in {his} hand
        {P} sitting alone in an empty row of seats
        {P} leaving by the stage door on a snowy night
        {P} playing an upright piano during rehearsal
        """,
    ),
    "music": (
        """
        Otis: an old Black man with a grey goatee and a flat cap
        Hana: a teenage Korean girl with long straight hair and a fringe
        Diego: a young Argentinian man with a ponytail and stubble
        Wilma: a plump middle-aged woman with curly copper hair
        """,
        """
        {P} playing a double bass in a smoky jazz club
        {P} tuning a guitar on the edge of a bed
        {P} singing into an old microphone with closed eyes
        {P} busking with an accordion beneath a bridge
        {P} choosing records in a cluttered shop
        {P} conducting a choir in a stone church
        {P} practising the violin by an attic window
        {P} drumming on upturned buckets in a park
        {P} writing notes on a sheet of music by lamplight
        {P} carrying a cello case through falling snow
        {P} dancing with headphones on in a small kitchen
        {P} resting against an amplifier after a concert
        {P} blowing a trumpet on a balcony at sunset
        {P} listening to a gramophone in a velvet armchair
        """,
    ),
    "sport": (
        """
        Amara: a tall young Nigerian woman with short natural hair
        Viktor: a broad-shouldered man with a broken nose and cropped blond hair
        Noor: a teenage girl with brown skin and her dark hair in a bun
        Ernst: a wiry old man with a bald head and a white moustache
        """,
        """
        {P} sprinting on a red running track
        {P} tying {his} shoes on a wooden bench
        {P} shooting a basketball on an outdoor court at dusk
        {P} swimming in a blue pool, seen from the side
        {P} lifting a gold trophy in the pouring rain
        {P} boxing a heavy bag in an old gym
        {P} pedalling a racing bicycle up a steep road
        {P} stretching on a yoga mat on the beach
        {P} drinking water with a towel around {his} neck
        {P} skating across a frozen lake
        {P} serving a tennis ball on a clay court
        {P} climbing an indoor wall with chalky hands
        {P} sitting disappointed on an empty grandstand
        {P} paddling a kayak through white water
        """,
    ),
    "fantasy": (
        """
        Elowen: a young woman with long silver hair and pale green eyes
        Baldric: a burly middle-aged man with a braided red beard
        Nyx: a mysterious woman with dark brown skin and white dreadlocks
        Perrin: a slight young man with pointed features and black hair
        """,
        """
        {P} holding a glowing lantern in an enchanted forest
        {P} riding a white stag through morning mist
        {P} reading a spell from a book with golden letters
        {P} in polished armour at the gate of a castle
        {P} facing a sleeping dragon in a cave of gems
        {P} drinking from a silver cup in a tavern
        {P} forging a sword amid flying sparks
        {P} standing on a cliff as a red moon rises
        {P} crossing a marsh in a hooded green cloak
        {P} talking to an owl on a mossy branch
        {P} sitting on a throne of roots and flowers
        {P} opening an old chest by candlelight
        {P} sailing a small boat above the clouds
        {P} crowned with leaves at a midsummer feast
        """,
    ),
    "space": (
        """
        Zara: a young Pakistani woman with a sharp jaw and short black hair
        Henrik: a middle-aged man with greying temples and a square chin
        Imani: a young Kenyan woman with a high puff of curls
        Kenji: an old Japanese man with thin white hair and a calm face
        """,
        """
        {P} floating inside a space station beside a round window
        {P} walking across red dunes in a white spacesuit
        {P} repairing a solar panel above the blue Earth
        {P} strapped into a rocket seat before launch
        {P} eating from a pouch in zero gravity
        {P} tending lettuce under violet lamps
        {P} looking at two moons from a glass dome
        {P} pressing buttons on a dim control panel
        {P} removing {his} helmet in an airlock
        {P} asleep in a narrow bunk with a photo on the wall
        {P} driving a rover along the rim of a crater
        {P} waving to a crowd in an orange flight suit
        {P} discovering a strange glowing plant
        {P} writing a diary by the light of the stars
        """,
    ),
    "school": (
        """
        Agnes: an elderly woman with a tight grey bun and half-moon glasses
        Jamal: a cheerful Black boy with a high-top haircut
        Lotte: a girl with two blonde pigtails and freckles
        Mr Chen: a slim middle-aged Chinese man with neatly parted hair
        """,
        """
        {P} writing on a chalkboard in a sunny classroom
        {P} raising a hand at a wooden desk
        {P} carrying a pile of books along a corridor
        {P} pointing at a globe with a ruler
        {P} eating an apple under a chestnut tree
        {P} painting a paper dragon with bright colours
        {P} looking out of the window on a rainy day
        {P} playing chess in the library
        {P} building a volcano for the science fair
        {P} running through the school gate with a satchel
        {P} reading aloud from a fairy tale
        {P} laughing in the middle of a snowball fight
        {P} rehearsing a song beside a piano
        {P} holding a medal in front of a notice board
        """,
    ),
    "detective": (
        """
        Vera: a shrewd middle-aged woman with a dark bob and thin eyebrows
        Cormac: a rugged Irish man with stubble and tired green eyes
        Blessing: a young Nigerian woman with long box braids
        Otto: a portly old man with a monocle and white side whiskers
        """,
        """
        {P} studying a footprint with a magnifying glass
        {P} standing under a street lamp in thick fog
        {P} pinning photographs to a board with red string
        {P} questioning a parrot in an antique shop
        {P} hiding behind a newspaper in a hotel lobby
        {P} climbing a creaking staircase with a torch
        {P} driving through the night in an old car
        {P} opening a safe in a dark study
        {P} drinking black coffee in an all-night diner
        {P} following a shadow along a wet alley
        {P} wearing a trench coat at a railway station
        {P} reading a secret letter beside a fireplace
        {P} surprised behind a heavy green curtain
        {P} smiling in an armchair, the case solved
        """,
    ),
    "garden": (
        """
        Beatrix: a gentle old woman with fluffy white hair and a straw hat
        Youssef: a middle-aged Egyptian man with a bald head and a full beard
        Clara: a freckled young woman with auburn hair in a loose knot
        Hiro: a little Japanese boy with a bowl haircut
        """,
        """
        {P} planting tulips in a bed of dark soil
        {P} watering roses with a copper can
        {P} chasing a white butterfly across the lawn
        {P} drinking lemonade in the shade of a pear tree
        {P} raking red leaves on an autumn morning
        {P} picking raspberries into a bowl
        {P} building a scarecrow from old clothes
        {P} reading on a bench beside a pond with lilies
        {P} looking at a snail on the palm of {his} hand
        {P} standing in a greenhouse full of orchids
        {P} pushing a wheelbarrow of sunflowers
        {P} making a snowman among bare trees
        {P} sleeping in the long grass
        {P} hanging paper lanterns for a party at dusk
        """,
    ),
    "winter": (
        """
        Astrid: a young Sami woman with a round face and dark plaits
        Boris: a huge middle-aged man with a bushy black beard
        Nanuk: an old Inuit man with deep wrinkles and a warm smile
        Freya: a little girl with white-blonde hair and a red nose
        """,
        """
        {P} driving a dog sled through falling snow
        {P} ice fishing beside a round hole in the lake
        {P} chopping firewood in front of a log cabin
        {P} drinking hot chocolate with a knitted hat on
        {P} catching snowflakes with an open mouth
        {P} skiing between tall pine trees
        {P} carrying a Christmas tree over {his} shoulder
        {P} watching the northern lights from a hill
        {P} knitting a red scarf next to the stove
        {P} falling into a snowdrift, laughing
        {P} hugging a husky with blue eyes
        {P} lighting candles in a frosted window
        {P} shovelling a path to the door at sunrise
        {P} skating hand on hip across a village pond
        """,
    ),
    "desert": (
        """
        Amira: a young Bedouin woman with kohl-lined eyes and black hair
        Idris: an old Tuareg man with a lined dark face
        Jack: a sunburnt young man with sandy hair and a chipped tooth
        Rosa: a middle-aged Navajo woman with long grey-streaked hair
        """,
        """
        {P} leading a camel over a high dune
        {P} pouring mint tea from a silver pot
        {P} resting in the shade of a lone acacia
        {P} walking through a sandstorm with a scarf over {his} mouth
        {P} drawing water from a stone well
        {P} sitting by a fire under the Milky Way
        {P} repairing the engine of a dusty jeep
        {P} examining a lizard on a hot rock
        {P} trading spices in a covered bazaar
        {P} looking at ancient carvings in a canyon
        {P} weaving a rug in a striped tent
        {P} dancing at a wedding with a drum
        {P} standing between huge cactuses at sunset
        {P} filling a notebook on the back of a truck
        """,
    ),
    "workshop": (
        """
        Hugo: a bald old man with a leather face and bushy eyebrows
        Renata: a muscular young woman with cropped dark hair
        Elias: a thin young man with long blond hair and a wispy beard
        Sunita: a middle-aged Indian woman with a streak of grey in her hair
        """,
        """
        {P} planing a long board amid curls of wood
        {P} welding a steel frame behind a dark visor pushed up
        {P} throwing a clay bowl on a potter's wheel
        {P} repairing a clock with tiny tweezers
        {P} blowing glass in front of a furnace
        {P} sharpening a chisel at the bench
        {P} lying under a vintage car with a wrench
        {P} painting a rocking horse
        {P} measuring a violin with a brass calliper
        {P} sweeping sawdust in a beam of light
        {P} eating lunch on a toolbox
        {P} carving a bear from a tree trunk
        {P} showing a finished chair with pride
        {P} looking for a screw on a cluttered shelf
        """,
    ),
    "hospital": (
        """
        Grace: a young Filipino woman with a smooth ponytail
        Omar: a middle-aged Somali man with a short beard and gentle eyes
        Ruth: an elderly woman with short white curls and hearing aids
        Daniel: a young man with Down syndrome, brown hair and a wide smile
        """,
        """
        {P} listening to a chest with a stethoscope
        {P} walking along a bright corridor in blue scrubs
        {P} reading to a child in a small bed
        {P} drinking coffee from a paper cup at dawn
        {P} bandaging the paw of a teddy bear
        {P} looking at an X-ray against the light
        {P} pushing a wheelchair in a garden
        {P} washing {his} hands at a steel sink
        {P} comforting a friend in the waiting room
        {P} jumping out of an ambulance in the rain
        {P} asleep on a sofa after a night shift
        {P} receiving flowers at the reception desk
        {P} writing notes beside a window
        {P} laughing with a paper hat on at a birthday party
        """,
    ),
    "history": (
        """
        Livia: a noble Roman woman with braided auburn hair
        Tomoe: a young Japanese woman with a long black ponytail and a stern look
        Kwame: a dignified Ashanti man with a grey-flecked beard
        Godfrey: a round-faced middle-aged man with a bowl haircut
        """,
        """
        {P} writing with a quill at a wooden desk
        {P} riding a brown horse through a city gate
        {P} buying figs at an ancient market
        {P} standing on the deck of a sailing ship
        {P} carrying a torch through a dark passage
        {P} drinking from a clay cup at a feast
        {P} practising archery in a courtyard
        {P} walking through a wheat field in a linen robe
        {P} looking at a map with a compass
        {P} praying in a quiet stone temple
        {P} sheltering from rain beneath an arch
        {P} playing a board game with carved pieces
        {P} greeting a messenger on a marble staircase
        {P} watching the sunset from a city wall
        """,
    ),
    "seaside": (
        """
        Keanu: a young Hawaiian man with shoulder-length black hair
        Margot: an old French woman with tanned wrinkled skin and a white crop
        Fatima: a middle-aged woman with a round face and a flowered headscarf
        Billy: a chubby boy with red hair and a sunburnt face
        """,
        """
        {P} building a sandcastle with a tall tower
        {P} surfing a green wave
        {P} eating ice cream under a striped parasol
        {P} collecting shells in a tin bucket
        {P} floating on a rubber ring with sunglasses on
        {P} flying a kite shaped like a fish
        {P} walking barefoot along the tide line at sunrise
        {P} snorkelling above a coral reef
        {P} reading a thick novel in a deck chair
        {P} running from a crab with a shriek
        {P} playing volleyball on the sand
        {P} wrapped in a towel after a swim
        {P} lighting a lantern beside a beach hut
        {P} watching dolphins from a small boat
        """,
    ),
}

PAIRS = """
    Nora: a young woman with long red hair | Emil: an old man with a white beard
    Aisha: a Somali girl with big curly hair | Marta: an elderly woman with a silver bun
    Leo: a tall young Black man with short hair | Kim: a petite Korean woman with a black bob
    Raj: a stout middle-aged Indian man with a moustache | Finn: a little boy with blond curls
    Lucia: a middle-aged Mexican woman with a dark braid | Pia: a teenage girl with a pink pixie cut
    Walter: a thin old man with round glasses | Bao: a young Vietnamese man with spiky black hair
    Chioma: a young Nigerian woman with long braids | Ewa: a blonde middle-aged woman with freckles
    Said: a young Moroccan man with a short beard | Jonas: a bald middle-aged man with a grey goatee
    Hilda: a large old woman with curly white hair | Mina: a small girl with straight black hair
    Theo: a freckled boy with ginger hair | Kojo: a middle-aged Ghanaian man with a shaved head
"""
PAIR_SCENES = """
    {A} and {B} sharing an umbrella on a rainy street
    {A} and {B} playing chess at a stone table in the park
    {A} teaching {B} to ride a bicycle along a river
    {A} and {B} baking bread in a warm kitchen
    {A} and {B} laughing on a roller coaster
    {B} showing {A} an old photo album on the sofa
    {A} and {B} rowing across a misty lake
    {A} and {B} sitting by a campfire beneath the stars
    {B} and {A} painting a fence in the sunshine
    {A} and {B} waiting for a train with heavy suitcases
    {A} and {B} dancing at a village party
    {A} and {B} looking at a map on a mountain path
    {B} giving {A} a bunch of wild flowers
    {A} and {B} watching a film in an empty cinema
    {A} and {B} arguing over a puzzle at a round table
    {A} and {B} building a snowman in front of a cottage
    {B} reading a newspaper while {A} drinks tea
    {A} and {B} walking a dog on a windy beach
    {A} and {B} picking apples in an orchard
    {A} and {B} repairing a radio on a cluttered desk
    {A} and {B} eating ice cream on a harbour wall
    {A} whispering a secret to {B} in a library
    {A} and {B} waving from the window of a tram
    {A} and {B} planting a tree in the rain
"""
TRIOS = """
    Ida: a young woman with short blonde hair | Sam: a middle-aged Black man with glasses | Gus: a little boy with brown curls
    Elsa: an old woman with white hair | Hugh: an old man with a red nose and a grey beard | Tilda: a teenage girl with a dark braid
    Ana: a Brazilian woman with wavy brown hair | Lin: a young Chinese man with a ponytail | Rob: a bearded man with ginger hair
    Zoe: a girl with two black pigtails | Max: a boy with blond hair and freckles | Nana: an elderly Black woman with grey curls
    Paul: a bald man with a thick moustache | Joy: a young Ugandan woman with cropped hair | Lena: a middle-aged woman with red curls
    Arjun: a young Indian man with a neat beard | Maya: a young Indian woman with long hair | Dada: an old Indian man with white hair
    Sven: a tall man with long blond hair | Kari: a sturdy woman with a grey plait | Liv: a small girl with a red bob
    Ali: a teenage boy with curly black hair | Salma: a middle-aged woman with a blue headscarf | Yusuf: an old man with a white goatee
    Rita: a plump woman with dark curls | Dev: a slim young man with round glasses | June: an elderly woman with a purple rinse
    Kai: a Hawaiian boy with shaggy black hair | Lani: a Hawaiian woman with a flower in her long hair | Pops: a stout old man with a white moustache
"""
TRIO_SCENES = """
    {A}, {B} and {C} having a picnic on a green hill
    {A}, {B} and {C} singing around a piano
    {A}, {B} and {C} standing in front of an old camper van
    {B} telling {A} and {C} a story by the fireplace
    {A}, {B} and {C} eating pizza at a small round table
    {A}, {B} and {C} carrying a canoe to the river
    {C} taking a selfie with {A} and {B} on a bridge
    {A}, {B} and {C} sheltering under a tree in the rain
    {A}, {B} and {C} cooking together in a narrow kitchen
    {A}, {B} and {C} looking up at a rocket in a museum
    {A} and {C} clapping while {B} blows out candles
    {A}, {B} and {C} building a sandcastle by the sea
    {A}, {B} and {C} crowded into a photo booth
    {A}, {B} and {C} skating on a frozen pond
    {B} and {C} pushing {A} on a garden swing
    {A}, {B} and {C} playing cards on a night train
    {A}, {B} and {C} decorating a Christmas tree
    {A}, {B} and {C} watching the sunset from a rooftop
    {A}, {B} and {C} shopping at a flower market
    {C} leading {A} and {B} through a dark cave with a torch
    {A}, {B} and {C} cheering in a football stadium
    {A}, {B} and {C} feeding ducks beside a lake
    {A}, {B} and {C} asleep on a sofa in front of the television
    {A}, {B} and {C} hiking along a ridge in autumn
"""


def lines(text: str) -> list[str]:
    """The lines of a block, without those that are empty."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def people(line: str) -> list[tuple[str, str]]:
    """(name, description) of each person in "Nora: a young woman | Emil: an old man"."""
    pairs = (part.split(":", 1) for part in line.split("|"))
    return [(name.strip(), description.strip()) for name, description in pairs]


def filled(scene: str, cast: list[tuple[str, str]]) -> str:
    """A scene with its people's names in the braces, and "his" or "her" after the first of them."""
    female = re.search(r"\b(?:woman|girl|lady)\b", cast[0][1])
    scene = scene.replace("{his}", "her" if female else "his").replace("{P}", "{A}")
    for letter, (name, _) in zip("ABC", cast, strict=False):
        scene = scene.replace(f"{{{letter}}}", f"{{{name}}}")
    return scene


def sets() -> list[tuple[str, str, list[tuple[str, str]], list[str]]]:
    """(title, style, people, scenes) of all 100 sets."""
    groups = [(t, people(p), lines(s)) for t, (ps, s) in THEMES.items() for p in lines(ps)]
    groups += [("pair", people(p), lines(PAIR_SCENES)) for p in lines(PAIRS)]
    groups += [("trio", people(p), lines(TRIO_SCENES)) for p in lines(TRIOS)]
    made = []
    for number, (theme, cast, scenes) in enumerate(groups):
        rng = np.random.default_rng([100, number])
        chosen = rng.permutation(len(scenes))[:SCENES_A_SET]
        style = STYLES[(number + number // len(STYLES)) % len(STYLES)]
        title = f"{theme}: {', '.join(name for name, _ in cast)}"
        made.append((title, style, cast, [filled(scenes[k], cast) for k in chosen]))
    return made


def toml() -> str:
    """The file's text."""
    return "\n".join(
        [
            HEAD,
            *(set_text(title, cast, scenes, style=style) for title, style, cast, scenes in sets()),
        ]
    )


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(toml(), encoding="utf-8")
