"""The storybook world: people, places and the words that say what a picture shows.

``sampling.draw_person`` and ``sampling.draw_record`` decide what there is to see, ``picture.paint`` draws it,
``captions.caption`` says it. Nothing is loaded from disk, and the same seed gives the same picture.
"""
