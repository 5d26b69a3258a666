"""Writes our 100 sets of 10 prompts: ``python benchmarks/write_stories.py``.

Every person and every scene below was written by hand: any scene suits every person of its theme and
leaves the face to be seen. What the seed decides is only which scenes of a theme a set gets, and in
which order, those that fewest sets have had before the others: 80 sets with one character, 10 with
two, 10 with three, in the sizes of the paper's benchmark. In a scene {P} is the person; A, B and C
are those of a group.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np

from identitystory.story.sets import set_text

TARGET = Path(__file__).parent.parent / "src/identitystory/data/consistory_human.toml"
SCENES_A_SET = 10
HEAD = """\
# 100 sets of 10 prompts to measure story generation on: 80 with one character, 10 with two, 10 with three.
# The text is ours; the sizes are those of ConsiStory-Human. Written by benchmarks/write_stories.py.
"""
MONOCHROME = "black-and-white photograph"  # whose people and scenes are told without colours
COLOURS = re.compile(
    r"\b(?:black|white|gr[ea]y|red|orange|yellow|green|blue|violet|purple|pink|brown|blonde?|ginger"
    r"|auburn|copper|silver|gold(?:en)?|colour(?:s|ed|ful)?)\b"
)
STYLES = (
    "photograph, natural light", "cinematic film still", "watercolour illustration",
    "oil painting", "storybook illustration", "coloured pencil drawing", "gouache painting",
    MONOCHROME, "digital concept art", "comic book panel",
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
        {P} holding a tin cup of coffee beside a mooring post
        {P} painting the hull of a blue boat, brush in hand
        {P} standing on the breakwater while gulls wheel overhead
        {P} feeding a seagull on the harbour wall
        {P} asleep on a coil of rope in the afternoon sun
        {P} steering a trawler in heavy rain at night
        {P} buying bread at a market stall near the docks
        {P} standing on the lighthouse stairs with a lantern
        {P} wrapped in a wool blanket after a storm
        {P} waving from the bow of a departing ferry
        {P} sorting herring into wooden boxes
        {P} tying a knot in a thick rope at noon
        {P} selling oysters from a barrow on the cobbles
        {P} eating fried fish out of a paper cone on a bench
        {P} playing a concertina on an upturned dinghy
        {P} unrolling a sea chart on a cabin table
        {P} scrubbing a wooden deck with a long brush
        {P} hoisting a patched red sail in a fresh breeze
        {P} holding up a crab on the mudflats at low tide
        {P} ringing a brass bell on a misty morning
        {P} warming {his} hands at a brazier on a winter evening
        {P} sitting among painted floats in a net loft
        {P} writing a postcard at a cafe table beside the boats
        {P} reeling in a cod at the end of the jetty
        {P} hanging bunting between two masts before a regatta
        {P} walking a shaggy dog along the frosty pier
        """,
    ),
    "kitchen": (
        """
        Bruno: a stout Italian man with a grey moustache and rosy cheeks
        Mei: a young Chinese woman with a neat black bob
        Abena: an elderly Ghanaian woman with short silver hair and kind eyes
        Luca: a little boy with messy curls and a gap in his teeth
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
        {P} surprised by a pot of milk boiling over
        {P} eating a late supper alone at a candlelit table
        {P} carrying a basket of eggs through the back door
        {P} choosing fish at a busy morning market
        {P} asleep in a chair beside the warm stove
        {P} rolling out fresh pasta with flour on {his} nose
        {P} whisking egg whites in a copper bowl
        {P} tossing a pancake high above the pan
        {P} squeezing lemons into a glass jug
        {P} filling jars with plum jam at the end of summer
        {P} drying plates beside a rainy window
        {P} grinding spices in a stone mortar
        {P} weighing sugar on an old pair of scales
        {P} shelling peas on the back step in the sun
        {P} grating cheese over a dish of macaroni
        {P} hanging bunches of herbs from a beam
        {P} icing gingerbread hearts on a winter night
        {P} standing in the light of the open refrigerator at midnight
        {P} laying a long table under a walnut tree
        {P} stirring stew in an iron pot over a garden fire
        {P} sweeping crumbs from a tiled floor
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
        {P} unfolding a paper map beside a lantern
        {P} boiling water on a small camping stove at sunrise
        {P} leading a pack mule along a narrow path
        {P} cheering on a summit beside a cairn
        {P} smiling in a thick wool hat while snow blows past
        {P} filling a bottle at a cold mountain stream
        {P} playing a wooden flute outside a stone hut
        {P} pointing at an eagle high above a valley
        {P} warming {his} hands at a campfire under the stars
        {P} sliding down a snowy slope, laughing
        {P} lacing {his} boots on the steps of a wooden chalet
        {P} picking blueberries on a sunny slope
        {P} feeding salt to a goat on an alpine meadow
        {P} writing a diary inside a small tent at dusk
        {P} wading across a shallow river, boots in hand
        {P} eating soup at the long table of a mountain hut
        {P} tying a string of bright flags across a windy pass
        {P} sheltering under a rock during a thunderstorm
        {P} riding a chairlift above snowy firs
        {P} carrying a bundle of hay down a steep meadow
        {P} sitting at the mouth of an ice cave
        {P} gathering wild flowers beside a waterfall
        {P} stacking firewood outside a shepherd's hut in autumn
        {P} building a wall of snow around a tent
        {P} hanging from a rope on a sheer rock face, smiling
        {P} soaking {his} feet in a clear mountain lake
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
        {P} folding a newspaper on a crowded tram
        {P} eating noodles at a street stall in the rain
        {P} leaning against a rooftop railing with the skyline beyond
        {P} hailing a taxi in a long grey coat
        {P} looking up from the bottom of an escalator
        {P} feeding pigeons on the steps of a museum
        {P} talking on the phone in front of a mural
        {P} dancing alone on an empty square at dawn
        {P} carrying flowers through a subway station
        {P} sketching in a corner cafe
        {P} running across a zebra crossing with a briefcase
        {P} smiling on a fire escape as fireworks light up the night
        {P} choosing a hat at a flea market
        {P} buying roasted chestnuts from a cart in winter
        {P} watering plants on a tiny balcony
        {P} sitting on the rim of a fountain at noon
        {P} pushing a trolley through a bright supermarket
        {P} playing cards at a stone table in the park
        {P} sitting in a barber's chair with a cape around {his} shoulders
        {P} eating popcorn in the glow of a cinema
        {P} unlocking a bicycle beneath a railway bridge
        {P} reading on a bench in an all-night launderette
        {P} walking three small dogs along a canal
        {P} riding a lift with a tall potted palm
        {P} browsing at a bookstall beside the river
        {P} roller-skating through a park full of blossom
        {P} waiting in a doorway during a sudden downpour
        {P} sitting at the counter of a diner late at night
        """,
    ),
    "farm": (
        """
        Edith: a sturdy old woman with curly hair under a headscarf
        Mateo: a young Mexican man with a thin moustache and dark eyes
        Lindiwe: a middle-aged Zulu woman with braided hair tied in a bun
        Tom: a small boy with straw-blond hair and scraped knees
        """,
        """
        {P} sitting on an old green tractor in a stubble field
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
        {P} gathering eggs in a wicker basket
        {P} feeding a calf from a bottle in the straw
        {P} pulling carrots out of the wet earth
        {P} riding on a cart full of cabbages
        {P} calling a sheepdog across a hillside
        {P} carrying two pails of milk at daybreak
        {P} sheltering from hail in an open barn
        {P} digging potatoes in an autumn field
        {P} winding wool on the doorstep
        {P} showing a prize rooster at a village fair
        {P} pumping water into a stone trough
        {P} leading a donkey down a lane of poplars
        {P} scattering seed over a ploughed field
        {P} sitting on a wooden gate at sunset
        {P} kneeling beside newborn piglets by lantern light
        {P} bringing hay to the sheep in the snow
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
        {P} sitting beside a microscope in a white laboratory
        {P} smiling at a large blackboard full of equations, chalk in hand
        {P} holding up a flask of glowing blue liquid
        {P} standing beside a large telescope in a dark observatory
        {P} collecting water samples at the edge of a lake
        {P} brushing sand from a fossil in a quarry
        {P} giving a lecture in front of a projected galaxy
        {P} repairing a small robot with a screwdriver
        {P} asleep at a desk covered with papers
        {P} celebrating with both arms in the air beside a computer
        {P} surprised by foam rising out of a tall beaker
        {P} planting seedlings in a bright greenhouse
        {P} kneeling on a glacier beside a core of ice
        {P} holding a cup of tea in a library late at night
        {P} launching a weather balloon from a snowy field
        {P} holding a small ringed bird beside a reed bed
        {P} sorting butterflies in a museum drawer
        {P} building a model of a molecule from coloured balls
        {P} holding a circuit board under a lamp
        {P} pointing at a chart in a seminar room
        {P} sitting on a stony beach among penguins with a notebook
        {P} reading a barometer on the wall of a weather station
        {P} pushing a trolley of old books through an archive
        {P} flying a small drone over a wheat field
        {P} weighing crystals on a fine balance
        {P} noting the height of the tide on a rocky shore at dawn
        {P} smiling inside the glass cabin of a small submarine
        {P} presenting a poster at a crowded conference
        {P} holding a model of a human heart in an anatomy room
        {P} eating lunch on the steps of a university
        """,
    ),
    "theatre": (
        """
        Josephine: a graceful Black woman with cropped curls and high cheekbones
        Marcel: a thin old man with hollow cheeks and slicked-back hair
        Sofia: a young Spanish woman with long wavy brown hair
        Ravi: a middle-aged Indian man with a round face and a thick moustache
        """,
        """
        {P} taking applause on a stage in front of a red velvet curtain
        {P} sitting at a dressing table with a powder brush in hand
        {P} rehearsing a speech with a crumpled script
        {P} wearing a paper crown and a long purple cape
        {P} stepping out between the curtains with a smile
        {P} crying under a single spotlight
        {P} holding a feathered hat in a crowded wardrobe
        {P} fencing with a wooden sword on the stairs
        {P} catching a bouquet thrown from the balcony
        {P} sewing a sequinned costume backstage
        {P} laughing with a stuffed parrot on one shoulder
        {P} sitting alone in an empty row of seats
        {P} leaving by the stage door on a snowy night
        {P} playing an upright piano during rehearsal
        {P} painting a canvas forest for the scenery
        {P} adjusting a lamp at the top of a ladder
        {P} selling tickets in a small box office
        {P} stretching on the bare stage in the morning
        {P} working a puppet on strings beside a painted backdrop
        {P} pulling a rope to raise the scenery
        {P} eating a sandwich on a throne backstage
        {P} singing with one hand on {his} heart
        {P} leaning over a balcony of painted wood
        {P} holding a lantern in a garden of paper trees
        {P} signing programmes in the foyer
        {P} dancing in a sailor's jacket beneath strings of bulbs
        {P} reading the reviews at breakfast in a small hotel
        {P} sweeping confetti from the stage after the show
        {P} loading trunks into a van on a rainy morning
        {P} performing on a wooden cart in a village square
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
        {P} playing a double bass in a small jazz club
        {P} tuning a guitar on the edge of a bed
        {P} singing into an old microphone with closed eyes
        {P} busking with an accordion beneath a bridge
        {P} choosing records in a cluttered shop
        {P} conducting with a slender baton in a stone church
        {P} practising the violin by an attic window
        {P} drumming on upturned buckets in a park
        {P} writing notes on a sheet of music by lamplight
        {P} carrying a cello case through falling snow
        {P} dancing with headphones on in a small kitchen
        {P} resting against an amplifier after a concert
        {P} holding a trumpet on a balcony at sunset
        {P} listening to a gramophone in a velvet armchair
        {P} plucking a harp in a garden pavilion
        {P} playing the piano in the hall of a railway station
        {P} shaking a tambourine at a summer festival
        {P} recording a song in a padded studio
        {P} repairing a banjo on a workbench
        {P} strumming a ukulele in a rowing boat
        {P} beating a huge drum in a street parade
        {P} singing scales beside a metronome
        {P} waiting in the wings with a clarinet
        {P} polishing a saxophone on a doorstep
        {P} playing the xylophone in a sunny classroom
        {P} sitting at a church organ among tall pipes
        {P} humming a tune on a night bus
        {P} carrying a tuba through a village at noon
        {P} cheering on an open-air stage in the rain
        {P} playing the mandolin by a campfire on the beach
        """,
    ),
    "sport": (
        """
        Amara: a tall young Nigerian woman with short natural hair
        Viktor: a broad-shouldered man with a broken nose and cropped blond hair
        Noor: a teenage Syrian girl with thick eyebrows and her dark hair in a bun
        Ernst: a wiry old man with a bald head and a white moustache
        """,
        """
        {P} sprinting on a red running track
        {P} tying {his} shoes on a wooden bench
        {P} shooting a basketball on an outdoor court at dusk
        {P} resting at the edge of a blue pool, arms on the tiles
        {P} lifting a gold trophy in the pouring rain
        {P} boxing a heavy bag in an old gym
        {P} pedalling a racing bicycle up a steep road
        {P} stretching on a yoga mat on the beach
        {P} resting with a towel around {his} neck and a bottle of water in hand
        {P} skating across a frozen lake
        {P} serving a tennis ball on a clay court
        {P} sitting below a climbing wall with chalk on {his} hands
        {P} sitting disappointed on an empty grandstand
        {P} paddling a kayak through white water
        {P} jumping over a hurdle on a sunny morning
        {P} juggling a football in a narrow street
        {P} playing table tennis in a bright hall
        {P} rowing a slender boat on a foggy river
        {P} catching a ball on a village cricket field
        {P} skipping with a rope in a courtyard
        {P} crossing the finish line of a marathon, arms raised
        {P} kneeling on a judo mat in a white jacket
        {P} balancing on a beam in a quiet gym
        {P} throwing a javelin on a windy field
        {P} playing badminton in a school hall
        {P} drawing a bow at an archery range
        {P} skiing between birches on a cold morning
        {P} riding a galloping horse along a beach
        {P} wearing a medal on a podium
        {P} warming up in a tunnel under the stadium
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
        {P} in polished armour, bareheaded, at the gate of a castle
        {P} sitting beside a sleeping dragon in a cave of gems
        {P} raising a silver cup in a tavern
        {P} forging a sword amid flying sparks
        {P} standing on a cliff as a red moon rises
        {P} crossing a marsh in a green cloak, staff in hand
        {P} talking to an owl on a mossy branch
        {P} sitting on a throne of roots and flowers
        {P} opening an old chest by candlelight
        {P} sailing a small boat above the clouds
        {P} crowned with leaves at a midsummer feast
        {P} brewing a potion in an iron cauldron
        {P} playing a lute for a circle of foxes
        {P} planting a glowing seed in a barren field
        {P} bargaining for a crystal at a night market
        {P} resting on a staircase of floating stones
        {P} feeding a baby griffin from a wooden bowl
        {P} weaving moonlight on a tall loom
        {P} carving runes into a standing stone
        {P} kneeling at a spring that mirrors the stars
        {P} standing in the light of a giant mushroom
        {P} riding a giant tortoise across a plain
        {P} holding a dragon's egg wrapped in cloth
        {P} mending the wing of a mechanical bird
        {P} lighting a beacon on a snowy tower
        {P} baking bread in the kitchen of a giant
        {P} dancing with fireflies in a ruined temple
        """,
    ),
    "space": (
        """
        Zara: a young Pakistani woman with a sharp jaw and short black hair
        Henrik: a middle-aged man with greying temples and a square chin
        Imani: a young Kenyan woman with a high puff of curls
        Kenji: an old Japanese man with thinning hair and a calm, lined face
        """,
        """
        {P} floating inside a space station beside a round window
        {P} sorting samples of red dust in a small laboratory
        {P} repairing a solar panel in a bright orbital workshop
        {P} sitting in a rocket's cabin before launch, checklist in hand
        {P} eating from a pouch in zero gravity
        {P} tending lettuce under violet lamps
        {P} smiling beneath a glass dome with two moons above
        {P} pressing buttons on a dim control panel
        {P} standing in a narrow airlock in a knitted jumper
        {P} asleep in a narrow bunk with a book on {his} chest
        {P} sitting at the wheel of a rover in a hangar
        {P} waving to a crowd in an orange flight suit
        {P} holding a strange glowing plant in a glass jar
        {P} writing a diary by the light of the stars
        {P} running on a treadmill in a ship's narrow gym
        {P} chasing a floating drop of water
        {P} playing a guitar in weightlessness
        {P} holding a cup of tea as the Earth rises in the window
        {P} trimming a tiny pine tree in a spaceship garden
        {P} celebrating a birthday with a floating cake
        {P} studying a glowing map of the stars
        {P} opening a letter from home in the cargo bay
        {P} tightening a bolt beside a huge rocket engine
        {P} resting in the seat of a training centrifuge
        {P} talking to a round robot in a long corridor
        {P} weighing a moon rock on a balance
        {P} speaking into a headset in mission control
        {P} cooking noodles in the tiny galley of a spaceship
        {P} standing on the launch tower at sunrise
        {P} sewing a patch onto a jacket
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
        {P} standing at a chalkboard in a sunny classroom, chalk in hand
        {P} raising a hand at a wooden desk
        {P} carrying a pile of books along a corridor
        {P} pointing at a globe with a ruler
        {P} eating an apple under a chestnut tree
        {P} painting a paper dragon with bright colours
        {P} sitting at the window on a rainy day, chin in hand
        {P} playing chess in the library
        {P} building a volcano for the science fair
        {P} hurrying through the school gate with a satchel
        {P} reading aloud from a fairy tale
        {P} laughing in the middle of a snowball fight
        {P} rehearsing a song beside a piano
        {P} holding a medal in front of a notice board
        {P} counting on an abacus with wooden beads
        {P} planting beans in jars on a windowsill
        {P} cutting paper stars at a round table
        {P} waiting for the school bus in the fog
        {P} feeding a guinea pig in the science room
        {P} folding a paper aeroplane in the back row
        {P} kicking a ball across the playground
        {P} washing paint brushes at a row of small sinks
        {P} queueing for lunch with a tray
        {P} ringing a hand bell in the yard
        {P} acting in a play beneath a cardboard moon
        {P} drawing a chalk whale on the pavement
        {P} standing under a dinosaur skeleton on a museum trip
        {P} hanging drawings on a long string
        {P} eating a packed lunch on the steps
        {P} waving goodbye from the window of the school bus
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
        {P} kneeling beside a footprint, magnifying glass in hand
        {P} standing under a street lamp on a foggy night
        {P} pinning a map to a board with red string
        {P} questioning a parrot in an antique shop
        {P} sitting in a hotel lobby with a folded newspaper
        {P} standing on a creaking staircase with a torch
        {P} driving through the night in an old car
        {P} opening a safe in a dark study
        {P} stirring black coffee in an all-night diner
        {P} turning round in a wet alley at night
        {P} wearing a trench coat at a railway station
        {P} reading a secret letter beside a fireplace
        {P} surprised beside a heavy green curtain
        {P} smiling in an armchair, the case solved
        {P} dusting a teacup for fingerprints
        {P} talking on an old telephone in a cramped office
        {P} comparing two signatures under a desk lamp
        {P} sitting in a train compartment with a mysterious parcel
        {P} searching a drawer full of keys
        {P} waiting on a bench in a museum hall
        {P} holding up a lost button in a moonlit garden
        {P} opening an umbrella on the steps of a courthouse
        {P} feeding a stray cat in a back yard
        {P} examining a muddy boot at the kitchen table
        {P} leaning against the railing of a bridge in the rain
        {P} pointing at a stopped clock in a parlour
        {P} typing a report on an old typewriter
        {P} boarding a river steamer with a small suitcase
        {P} stepping out of a secret door behind a bookcase
        {P} raising a hand in a crowded auction room
        """,
    ),
    "garden": (
        """
        Beatrix: a gentle old woman with fluffy hair and a straw hat
        Youssef: a middle-aged Egyptian man with a bald head and a full beard
        Clara: a freckled young woman with auburn hair in a loose knot
        Hiro: a little Japanese boy with a bowl haircut
        """,
        """
        {P} planting tulips in a bed of dark soil
        {P} watering roses with a copper can
        {P} chasing a white butterfly across the lawn
        {P} holding a glass of lemonade in the shade of a pear tree
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
        {P} trimming a hedge into the shape of a swan
        {P} sowing seeds in little clay pots
        {P} sitting on a rope swing under an oak
        {P} feeding carp from a small wooden bridge
        {P} sheltering from a shower beneath a giant leaf
        {P} filling a bird table on a frosty morning
        {P} digging up a huge beetroot
        {P} picking pears from a ladder
        {P} painting a bird house on the terrace
        {P} gathering lavender in a flat basket
        {P} splashing with a garden hose on a hot day
        {P} playing draughts at a mossy stone table
        {P} tying peas to bamboo canes
        {P} eating cake beneath an arch of roses
        {P} listening to a blackbird at daybreak
        {P} roasting apples over a small bonfire in November
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
        {P} carrying firewood to a log cabin
        {P} holding a mug of hot chocolate, a knitted hat on {his} head
        {P} catching snowflakes with an open mouth
        {P} skiing between tall pine trees
        {P} carrying a Christmas tree over {his} shoulder
        {P} dancing on a hill beneath the northern lights
        {P} knitting a red scarf next to the stove
        {P} falling into a snowdrift, laughing
        {P} hugging a husky with blue eyes
        {P} lighting candles beside a frosted window
        {P} shovelling a path to the door at sunrise
        {P} skating hand on hip across a village pond
        {P} riding a wooden sledge down a hill
        {P} feeding reindeer beside a fence
        {P} building a lantern out of snowballs
        {P} sitting in thick socks in front of an open fire
        {P} scattering crumbs for robins
        {P} ladling soup from an iron pot in a log cabin
        {P} waiting for a bus at a snowy crossroads
        {P} carving a star from a block of ice
        {P} pulling a sledge loaded with parcels
        {P} buying gingerbread at a Christmas market
        {P} playing cards by lamplight during a blizzard
        {P} walking on snowshoes across a white field
        {P} brushing snow off a parked car
        {P} roasting chestnuts over glowing coals
        {P} opening the shutters on the first snow
        {P} making a snow angel beside a church
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
        {P} walking along a ridge of sand in a hot wind
        {P} drawing water from a stone well
        {P} sitting by a fire under the Milky Way
        {P} repairing the engine of a dusty truck
        {P} crouching beside a lizard on a hot rock
        {P} trading spices in a covered bazaar
        {P} standing beside ancient carvings in a canyon
        {P} weaving a rug in a striped tent
        {P} playing a drum at a wedding
        {P} standing between huge cactuses at sunset
        {P} writing in a notebook on the tailgate of a truck
        {P} peeling an orange under a date palm
        {P} washing {his} hands in a desert spring
        {P} sleeping on a carpet in a shady courtyard
        {P} baking flat bread on a hot stone
        {P} riding a horse past red cliffs
        {P} sifting sand at an archaeological dig
        {P} lighting oil lamps on a flat roof at dusk
        {P} carrying a young goat across a dry riverbed
        {P} running barefoot down a dune, laughing
        {P} sorting dates into baskets
        {P} sketching a tower of mud bricks
        {P} shaking sand out of a boot
        {P} sitting on a suitcase beside an empty road
        {P} dancing in the first rain of the year
        {P} playing a lute beneath an archway
        {P} holding a large crystal in a dry gorge
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
        {P} resting beside a welded steel frame, gloves in hand
        {P} throwing a clay bowl on a potter's wheel
        {P} repairing a clock with tiny tweezers
        {P} holding a glowing bulb of glass in front of a furnace
        {P} sharpening a chisel at the bench
        {P} standing beside a vintage car with a wrench
        {P} painting a rocking horse
        {P} measuring a violin with a brass calliper
        {P} sweeping sawdust in a beam of light
        {P} eating lunch on a toolbox
        {P} carving a bear from a tree trunk
        {P} proudly showing a finished chair
        {P} holding up a tiny screw beside a cluttered shelf
        {P} stitching a leather saddle by the window
        {P} hammering a copper pan
        {P} mixing a pot of bright blue paint
        {P} weaving a basket from willow rods
        {P} printing posters on an old press
        {P} binding a book with linen thread
        {P} drawing plans at a tilted desk late at night
        {P} holding a huge kite of silk and bamboo in the doorway
        {P} dipping candles in a vat of wax
        {P} stringing a guitar under a skylight
        {P} gluing the wing of a model aeroplane
        {P} hanging dyed wool over a line in the yard
        {P} lifting a sheet of handmade paper from a tub
        {P} wheeling a restored bicycle into the sun
        {P} pouring plaster into a mould
        {P} holding a mug of tea beside a glowing forge
        """,
    ),
    "hospital": (
        """
        Grace: a young Filipino woman with a smooth ponytail
        Omar: a middle-aged Somali man with a short beard and gentle eyes
        Ruth: an elderly woman with short curls and hearing aids
        Daniel: a young man with Down syndrome, brown hair and a wide smile
        """,
        """
        {P} standing in a ward with a stethoscope around {his} neck
        {P} walking along a bright corridor in blue scrubs
        {P} reading a picture book aloud beside a small bed
        {P} holding a paper cup of coffee at dawn
        {P} bandaging the paw of a teddy bear
        {P} pointing at an X-ray on a light box
        {P} pushing an empty wheelchair through a garden
        {P} washing {his} hands at a steel sink
        {P} sitting in the waiting room with folded hands
        {P} jumping out of an ambulance in the rain
        {P} asleep on a sofa after a night shift
        {P} receiving flowers at the reception desk
        {P} writing notes beside a window
        {P} laughing with a paper hat on at a birthday party
        {P} making a bed with fresh sheets
        {P} eating soup in the canteen
        {P} watering a fern on the windowsill
        {P} pushing a trolley of library books between the beds
        {P} playing dominoes in the day room
        {P} waiting for the lift with a bunch of balloons
        {P} practising steps between parallel bars
        {P} filling a tray with medicines in a bright pharmacy
        {P} rolling up {his} sleeve beside a blood pressure gauge
        {P} sitting under a magnolia tree at the entrance
        {P} talking on the phone at the night desk
        {P} playing a guitar at the end of a ward
        {P} knitting a tiny hat in an armchair
        {P} arranging tulips in a vase beside a bed
        {P} decorating a ward with paper stars
        {P} stepping out into the morning sun with a small suitcase
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
        {P} writing on a scroll at a wooden desk
        {P} riding a brown horse through a city gate
        {P} buying figs at an ancient market
        {P} standing on the deck of a sailing ship
        {P} carrying a torch through a dark passage
        {P} raising a clay cup at a feast
        {P} practising archery in a courtyard
        {P} walking through a wheat field in a linen robe
        {P} unrolling a map on a stone table
        {P} praying in a quiet stone temple
        {P} sheltering from rain beneath an arch
        {P} playing a board game with carved pieces
        {P} standing on a marble staircase in a long cloak
        {P} sitting on a city wall in the light of the setting sun
        {P} grinding grain between two stones
        {P} spinning thread with a wooden spindle
        {P} feeding doves in an inner courtyard
        {P} warming {his} hands at an iron brazier on a snowy night
        {P} sitting in a carved chair draped with furs
        {P} crossing a river on a raft of logs
        {P} carrying a water jar from a fountain
        {P} playing a small harp in a torchlit hall
        {P} weighing coins on a bronze scale
        {P} painting a vase with a fine brush
        {P} holding a falcon on a leather glove
        {P} picking plums in a walled orchard
        {P} travelling in an ox cart on a dusty road
        {P} fastening a heavy cloak with a bronze pin
        {P} speaking to a crowd from stone steps
        {P} carrying an oil lamp along a narrow street
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
        {P} floating on a rubber ring in a calm bay
        {P} flying a kite shaped like a fish
        {P} walking barefoot along the tide line at sunrise
        {P} wading among starfish in a clear rock pool
        {P} resting with a thick novel in a deck chair
        {P} running from a crab with a shriek
        {P} playing volleyball on the sand
        {P} wrapped in a towel after a swim
        {P} lighting a lantern beside a beach hut
        {P} pointing at dolphins from a small boat
        {P} riding a donkey along the promenade
        {P} paddling a canoe through gentle surf
        {P} buying candyfloss on a pier
        {P} skipping stones on a grey morning
        {P} toasting marshmallows over a driftwood fire
        {P} drawing a spiral in the sand with a stick
        {P} sitting behind a windbreak with a flask of tea
        {P} riding a painted horse on a carousel
        {P} peeling a boiled egg on a picnic rug
        {P} carrying an inflatable whale down to the water
        {P} jumping over a small wave
        {P} asleep on a striped towel in the shade
        {P} throwing rings at a fairground stall
        {P} sitting on a rock while a storm gathers
        {P} digging a deep hole with a small spade
        {P} dancing on the boardwalk in the evening
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
    Theo: a freckled boy with tousled hair | Kojo: a middle-aged Ghanaian man with a shaved head
"""
PAIR_SCENES = """
    {A} and {B} sharing an umbrella on a rainy street
    {A} and {B} playing chess at a stone table in the park
    {A} teaching {B} to ride a bicycle along a river
    {A} and {B} baking bread in a warm kitchen
    {A} and {B} laughing on a roller coaster
    {B} and {A} leafing through a photo album on the sofa
    {A} and {B} rowing across a misty lake
    {A} and {B} sitting by a campfire beneath the stars
    {B} and {A} painting a fence in the sunshine
    {A} and {B} waiting for a train with heavy suitcases
    {A} and {B} dancing at a village party
    {A} and {B} looking at a map on a mountain path
    {B} giving a bunch of wild flowers to {A}
    {A} and {B} eating popcorn in an empty cinema
    {A} and {B} arguing over a puzzle at a round table
    {A} and {B} building a snowman in front of a cottage
    {B} pouring tea for {A} at a kitchen table
    {A} and {B} walking a dog on a windy beach
    {A} and {B} picking apples in an orchard
    {A} and {B} repairing a radio on a cluttered desk
    {A} and {B} eating ice cream on a harbour wall
    {A} telling a secret to {B} in a library
    {A} and {B} waving from the window of a tram
    {A} and {B} planting a tree in the rain
    {A} and {B} flying a kite on a windy hill
    {A} playing the guitar while {B} sings on a doorstep
    {B} and {A} washing a dog in a tin tub
    {A} and {B} carrying baskets through a street market
    {A} and {B} playing table tennis in a garage
    {B} helping {A} into a warm coat in the hallway
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
    Rita: a plump woman with dark curls | Dev: a slim young man with round glasses | June: an elderly woman with a neat perm
    Kai: a Hawaiian boy with shaggy black hair | Lani: a Hawaiian woman with a flower in her long hair | Pops: a stout old man with a white moustache
"""
TRIO_SCENES = """
    {A}, {B} and {C} having a picnic on a green hill
    {A}, {B} and {C} singing around a piano
    {A}, {B} and {C} standing in front of an old camper van
    {B} telling a story to {A} and {C} by the fireplace
    {A}, {B} and {C} eating pizza at a small round table
    {A}, {B} and {C} paddling a canoe on a calm river
    {C} taking a selfie with {A} and {B} on a bridge
    {A}, {B} and {C} sheltering under a tree in the rain
    {A}, {B} and {C} cooking together in a narrow kitchen
    {A}, {B} and {C} standing in front of a rocket in a museum
    {A} and {C} clapping while {B} blows out candles
    {A}, {B} and {C} building a sandcastle by the sea
    {A}, {B} and {C} crowded into a photo booth
    {A}, {B} and {C} skating on a frozen pond
    {B} and {C} pushing {A} on a garden swing
    {A}, {B} and {C} playing cards on a night train
    {A}, {B} and {C} decorating a Christmas tree
    {A}, {B} and {C} smiling on a rooftop at sunset
    {A}, {B} and {C} shopping at a flower market
    {C} holding a lantern for {A} and {B} in a dark cave
    {A}, {B} and {C} cheering in a football stadium
    {A}, {B} and {C} feeding ducks beside a lake
    {A}, {B} and {C} asleep on a sofa in front of the television
    {A}, {B} and {C} hiking along a ridge in autumn
    {A}, {B} and {C} baking biscuits on a rainy afternoon
    {A}, {B} and {C} riding in a small cable car
    {B} showing a card trick to {A} and {C}
    {A}, {B} and {C} waiting at a snowy bus stop
    {A}, {B} and {C} painting a garden shed
    {A}, {B} and {C} dancing at a wedding under strings of lights
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
    made, used = [], Counter[str]()
    for number, (theme, cast, scenes) in enumerate(groups):
        style = STYLES[(number + number // len(STYLES)) % len(STYLES)]
        fit = [s for s in scenes if style != MONOCHROME or not COLOURS.search(s)]
        shuffled = [fit[k] for k in np.random.default_rng([100, number]).permutation(len(fit))]
        chosen = sorted(shuffled, key=lambda s: used[s])[:SCENES_A_SET]
        used.update(chosen)
        title = f"{theme}: {', '.join(name for name, _ in cast)}"
        made.append((title, style, cast, [filled(scene, cast) for scene in chosen]))
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
