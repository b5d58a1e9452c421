#!/usr/bin/env python3
"""Draws meadow.png, a scene of the shipped model's world, meadow-mask.png, white on a part of it, and
meadow-scribble.png, a house's outline there; and ball.png, another scene.

    scripts/python-env && .venv/bin/python examples/draw_meadow.py
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "scripts/scenes"))

from draw import draw  # noqa: E402
from world import Cloud, Scene, Thing  # noqa: E402

SIDE = 64

meadow = Scene(
    time="sunset",
    ground="grass",
    horizon=0.5,
    light=-1,
    things=(Thing("house", "white", x=0.26, y=0.8, size=0.36, turn=0),),
    luminary=(0.3, 0.42, 0.06),
    mountains=((0.55, 0.5, 0.16), (0.9, 0.45, 0.2)),
    clouds=(Cloud(0.7, 0.16, 0.26, ((-0.28, 0.2), (0, 0.24), (0.28, 0.18))),),
)
picture, _ = draw(meadow, SIDE)
Image.fromarray(picture).save(HERE / "meadow.png", optimize=True)

# The hole crosses the horizon: what fills it has to go on with ridge, horizon and light.
rows, columns = (np.mgrid[:SIDE, :SIDE] + 0.5) / SIDE
hole = ((columns - 0.71) / 0.24) ** 2 + ((rows - 0.62) / 0.27) ** 2 < 1
Image.fromarray(hole.astype(np.uint8) * 255).save(HERE / "meadow-mask.png", optimize=True)

# A house, smaller than what fills the hole, and on its right.
scribble = Image.new("L", (SIDE, SIDE), 0)
pen = ImageDraw.Draw(scribble)
pen.line(((39, 53), (39, 42), (55, 42), (55, 53), (39, 53)), fill=255)
pen.line(((37, 42), (47, 34), (57, 42)), fill=255)
scribble.save(HERE / "meadow-scribble.png", optimize=True)

ball = Scene(
    time="day",
    ground="sand",
    horizon=0.48,
    light=1,
    things=(Thing("ball", "orange", x=0.42, y=0.86, size=0.42, turn=0),),
    luminary=(0.8, 0.16, 0.06),
)
Image.fromarray(draw(ball, SIDE)[0]).save(HERE / "ball.png", optimize=True)
