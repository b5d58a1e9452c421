#!/usr/bin/env python3
"""Draws coffee-mask.png: white where the demo repaints coffee.png, the bare table on the right of the saucer.

    scripts/python-env && .venv/bin/python examples/draw_mask.py
"""

from pathlib import Path

from PIL import Image, ImageDraw

HERE = Path(__file__).resolve().parent

with Image.open(HERE / "coffee.png") as photograph:
    mask = Image.new("L", photograph.size, 0)
ImageDraw.Draw(mask).ellipse((462, 36, 590, 164), fill=255)
mask.save(HERE / "coffee-mask.png", optimize=True)
