#!/usr/bin/env python3
"""Draws meadow.png, a scene of sky, hills and grass, and meadow-mask.png, white on a part of the grass.

    scripts/python-env && .venv/bin/python examples/draw_meadow.py
"""

from pathlib import Path

from PIL import Image, ImageDraw

HERE = Path(__file__).resolve().parent
SIDE = 256
HORIZON = 130


def mixed(first, second, share):
    return tuple(round(a + (b - a) * share) for a, b in zip(first, second))


scene = Image.new("RGB", (SIDE, SIDE))
draw = ImageDraw.Draw(scene)
for row in range(HORIZON):
    draw.line((0, row, SIDE, row), fill=mixed((90, 155, 225), (205, 228, 245), row / HORIZON))
for row in range(HORIZON, SIDE):
    draw.line((0, row, SIDE, row), fill=mixed((110, 165, 80), (62, 125, 50), (row - HORIZON) / (SIDE - HORIZON)))
draw.polygon([(0, HORIZON), (50, 96), (95, HORIZON), (150, 88), (215, HORIZON)], fill=(120, 130, 145))
draw.ellipse((196, 24, 232, 60), fill=(252, 240, 190))
scene.save(HERE / "meadow.png", optimize=True)

mask = Image.new("L", scene.size, 0)
ImageDraw.Draw(mask).rounded_rectangle((64, 124, 191, 239), radius=24, fill=255)
mask.save(HERE / "meadow-mask.png", optimize=True)
