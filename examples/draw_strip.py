#!/usr/bin/env python3
"""Puts pictures of one height side by side: draw_strip.py STRIP.png PICTURE.png ...   (needs Pillow)"""

import sys

from PIL import Image

GAP = 8

target, *names = sys.argv[1:]
pictures = [Image.open(name).convert("RGB") for name in names]
width = sum(picture.width for picture in pictures) + GAP * (len(pictures) - 1)
strip = Image.new("RGB", (width, pictures[0].height), "white")
left = 0
for picture in pictures:
    strip.paste(picture, (left, 0))
    left += picture.width + GAP
strip.save(target, optimize=True)
