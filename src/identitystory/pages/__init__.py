"""Pages to hand out: a finished run as a comic, a storyboard, a book, a film, a cut for an editor.

`book` reads a run; `comic`, `storyboard` and `contact` set it on pages (`sheet`), which `pdf`, `raster` and
`web` draw; `film` and `cut` know time. `export` is the door, and `finish` the one place files leave by.
"""
