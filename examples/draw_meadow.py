#!/usr/bin/env python3
"""Draws meadow.png, a scene of the shipped model's world, and meadow-mask.png, white on a part of it.

    scripts/python-env && .venv/bin/python examples/draw_meadow.py
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

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
