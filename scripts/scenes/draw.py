#!/usr/bin/env python3
"""Draws scenes of world.py: smooth shapes with antialiased edges, lit and shadowed from one side.

    .venv/bin/python scripts/scenes/draw.py --count 24 --size 64 --output sheet.png      a sheet of captioned scenes

`draw` gives a scene's picture at any size, and the silhouette of each object. No noise textures: a small autoencoder
spends its few numbers on them.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from world import Scene, caption, scene_by_lot

# Sky at the top and at the horizon, and the light that falls on everything else.
SKY = {
    "day": ((0.32, 0.58, 0.92), (0.78, 0.89, 0.98)),
    "sunset": ((0.36, 0.26, 0.52), (0.99, 0.62, 0.32)),
    "night": ((0.02, 0.03, 0.12), (0.10, 0.14, 0.30)),
}
LIGHT = {"day": (1.0, 1.0, 0.98), "sunset": (1.0, 0.80, 0.66), "night": (0.50, 0.54, 0.70)}
LUMINARY = {"day": (1.0, 0.97, 0.75), "sunset": (1.0, 0.85, 0.45), "night": (0.93, 0.94, 0.88)}
CLOUD = {"day": (1.0, 1.0, 1.0), "sunset": (0.98, 0.66, 0.58), "night": (0.3, 0.3, 0.4)}
GROUND = {
    "grass": (0.33, 0.62, 0.22),
    "sand": (0.87, 0.76, 0.52),
    "snow": (0.94, 0.96, 0.99),
    "water": (0.16, 0.42, 0.66),
}
COLOUR = {
    "red": (0.88, 0.10, 0.10),
    "orange": (0.98, 0.52, 0.06),
    "yellow": (0.98, 0.90, 0.12),
    "green": (0.08, 0.52, 0.16),
    "blue": (0.12, 0.22, 0.88),
    "purple": (0.56, 0.16, 0.74),
    "white": (0.97, 0.97, 0.97),
    "black": (0.09, 0.09, 0.10),
}
BROWN = (0.40, 0.26, 0.14)
STEM = (0.20, 0.48, 0.14)
SAIL = (0.93, 0.91, 0.84)


class Canvas:
    """A picture being painted: shapes come as signed distances (negative inside), in shares of the side."""

    def __init__(self, size):
        self.size = size
        centres = (np.arange(size, dtype=np.float32) + 0.5) / size
        self.x, self.y = np.meshgrid(centres, centres)
        self.picture = np.zeros((size, size, 3), np.float32)

    def coverage(self, distance, softness=0.0):
        """0 outside, 1 inside, in between over one pixel or over `softness`."""
        return np.clip(0.5 - distance / max(1 / self.size, softness), 0, 1)

    def paint(self, coverage, colour):
        self.picture += coverage[..., None] * (np.asarray(colour, np.float32) - self.picture)

    def disc(self, x, y, radius):
        return np.hypot(self.x - x, self.y - y) - radius

    def ellipse(self, x, y, a, b):
        return (np.hypot((self.x - x) / a, (self.y - y) / b) - 1) * min(a, b)

    def polygon(self, *points):
        """A convex polygon, corners in either direction."""
        points = np.asarray(points, np.float32)
        middle = points.mean(axis=0)
        distance = np.full_like(self.x, -np.inf)
        for (ax, ay), (bx, by) in zip(points, np.roll(points, -1, axis=0)):
            normal = np.array([by - ay, ax - bx]) / max(np.hypot(bx - ax, by - ay), 1e-6)
            if normal @ (middle - (ax, ay)) > 0:
                normal = -normal
            distance = np.maximum(distance, (self.x - ax) * normal[0] + (self.y - ay) * normal[1])
        return distance


def shaded(colour, amount):
    return tuple(np.clip(np.asarray(colour) * amount, 0, 1))


def draw(scene: Scene, size: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """The picture, uint8 [size, size, 3], and of each of `scene.things` its silhouette, bool [size, size], as far as
    nothing stands in front of it."""
    canvas = Canvas(size)
    draw_sky(canvas, scene)
    draw_ground(canvas, scene)
    silhouettes = []
    for thing in scene.things:
        draw_shadow(canvas, scene, thing)
        silhouette = PAINTERS[thing.kind](canvas, scene, thing)
        silhouettes = [np.minimum(earlier, 1 - silhouette) for earlier in silhouettes] + [silhouette]
    picture = np.clip(canvas.picture + np.asarray(scene.tint, np.float32), 0, 1)
    return np.round(picture * 255).astype(np.uint8), [silhouette >= 0.5 for silhouette in silhouettes]


def draw_sky(canvas, scene):
    top, bottom = (np.asarray(colour, np.float32) for colour in SKY[scene.time])
    height = np.clip(canvas.y / scene.horizon, 0, 1)[..., None]
    canvas.picture[:] = top + (bottom - top) * height**1.3
    for x, y, brightness in scene.stars:
        canvas.paint(brightness * np.exp(-(canvas.disc(x, y, 0) / 0.012) ** 2), (1, 1, 0.95))
    if scene.luminary:
        x, y, radius = scene.luminary
        colour = LUMINARY[scene.time]
        canvas.paint(0.35 * np.exp(-(np.maximum(canvas.disc(x, y, radius), 0) / 0.08)), colour)
        canvas.paint(canvas.coverage(canvas.disc(x, y, radius)), colour)
    for cloud in scene.clouds:
        lumps = [
            canvas.ellipse(cloud.x + offset * cloud.width, cloud.y, 0.3 * cloud.width, height * cloud.width)
            for offset, height in cloud.lumps
        ]
        canvas.paint(0.8 * canvas.coverage(np.min(lumps, axis=0), 0.03), CLOUD[scene.time])
    if scene.mountains:
        rock = 0.45 * np.asarray(SKY[scene.time][1]) + 0.55 * np.asarray(shaded((0.34, 0.38, 0.5), LIGHT[scene.time]))
        ridges = [
            canvas.polygon(
                (x - width / 2, scene.horizon), (x, scene.horizon - height), (x + width / 2, scene.horizon)
            )
            for x, width, height in scene.mountains
        ]
        canvas.paint(canvas.coverage(np.min(ridges, axis=0)), rock)


def draw_ground(canvas, scene):
    colour = np.asarray(shaded(GROUND[scene.ground], LIGHT[scene.time]), np.float32)
    haze = np.asarray(SKY[scene.time][1], np.float32)
    depth = np.clip((canvas.y - scene.horizon) / (1 - scene.horizon), 0, 1)[..., None]
    far = 0.6 if scene.ground == "water" else 0.25
    toned = colour * (1.05 - 0.2 * depth)
    below = canvas.coverage(scene.horizon - canvas.y)[..., None]
    canvas.picture += below * (toned + (haze - toned) * far * (1 - depth) ** 3 - canvas.picture)


def draw_shadow(canvas, scene, thing):
    reach = 0.62 * thing.size
    shadow = canvas.ellipse(thing.x - scene.light * 0.28 * thing.size, thing.y - 0.01, reach, 0.1 * thing.size)
    under = canvas.coverage(shadow, 0.04) * (canvas.y > scene.horizon)
    canvas.picture *= 1 - (0.25 if scene.time == "night" else 0.4) * under[..., None]


def lit(scene, colour, amount=1.0):
    """A surface's colour in the scene's light; nights keep enough of it to tell colours apart."""
    light = 0.3 + 0.7 * np.asarray(LIGHT[scene.time])
    return shaded(colour, light * amount)


def sides(scene):
    """How light a surface looks that faces left, and one that faces right."""
    return (1.0, 0.66) if scene.light < 0 else (0.66, 1.0)


def draw_ball(canvas, scene, thing):
    radius = 0.46 * thing.size
    x, y = thing.x, thing.y - radius
    inside = canvas.coverage(canvas.disc(x, y, radius))
    toward = ((canvas.x - x) * scene.light * 0.6 - (canvas.y - y) * 0.8) / radius
    shade = np.clip(0.78 + 0.36 * toward, 0.4, 1.08)[..., None]
    canvas.paint(inside, np.clip(np.asarray(lit(scene, COLOUR[thing.colour])) * shade, 0, 1))
    glint = canvas.disc(x + scene.light * 0.36 * radius, y - 0.42 * radius, 0) / (0.2 * radius)
    canvas.paint(inside * 0.55 * np.exp(-(glint**2)), lit(scene, (1, 1, 1)))
    return inside


def draw_cube(canvas, scene, thing):
    side, depth = 0.7 * thing.size, 0.26 * thing.size
    lean = depth if thing.turn < 0.5 else -depth
    left, right = thing.x - side / 2 - lean / 2, thing.x + side / 2 - lean / 2
    top, foot = thing.y - side, thing.y
    near = right if lean > 0 else left
    colour = COLOUR[thing.colour]
    front = canvas.polygon((left, foot), (right, foot), (right, top), (left, top))
    lid = canvas.polygon((left, top), (right, top), (right + lean, top - depth * 0.7), (left + lean, top - depth * 0.7))
    flank = canvas.polygon(
        (near, foot), (near + lean, foot - depth * 0.7), (near + lean, top - depth * 0.7), (near, top)
    )
    facing = sides(scene)[1 if lean > 0 else 0]
    for shape, shade in ((flank, 0.72 * facing), (lid, 1.06), (front, 0.84)):
        canvas.paint(canvas.coverage(shape), lit(scene, colour, shade))
    return canvas.coverage(np.minimum(np.minimum(front, lid), flank))


def draw_house(canvas, scene, thing):
    wide, wall = 0.82 * thing.size, 0.56 * thing.size
    left, right, eaves = thing.x - wide / 2, thing.x + wide / 2, thing.y - wall
    body = canvas.polygon((left, thing.y), (right, thing.y), (right, eaves), (left, eaves))
    over = 0.09 * thing.size
    roof = canvas.polygon((left - over, eaves), (right + over, eaves), (thing.x, eaves - 0.4 * thing.size))
    shades = sides(scene)
    canvas.paint(canvas.coverage(body), lit(scene, COLOUR[thing.colour], 0.95))
    canvas.paint(
        canvas.coverage(roof), np.where((canvas.x < thing.x)[..., None], *(lit(scene, BROWN, s) for s in shades))
    )
    door, window = thing.x - 0.18 * thing.size, thing.x + 0.18 * thing.size
    half = 0.09 * thing.size
    canvas.paint(
        canvas.coverage(
            canvas.polygon(
                (door - half, thing.y),
                (door + half, thing.y),
                (door + half, thing.y - 0.3 * thing.size),
                (door - half, thing.y - 0.3 * thing.size),
            )
        ),
        lit(scene, BROWN, 0.6),
    )
    pane = (1.0, 0.86, 0.45) if scene.time == "night" else lit(scene, (0.62, 0.82, 0.95))
    sill = thing.y - 0.2 * thing.size
    canvas.paint(
        canvas.coverage(np.maximum(np.abs(canvas.x - window), np.abs(canvas.y - (sill - half))) - half), pane
    )
    return canvas.coverage(np.minimum(body, roof))


def draw_tree(canvas, scene, thing):
    trunk = np.maximum(np.abs(canvas.x - thing.x) - 0.06 * thing.size, np.abs(canvas.y - thing.y + 0.2 * thing.size) - 0.2 * thing.size)
    canvas.paint(canvas.coverage(trunk), lit(scene, BROWN))
    middle = thing.y - 0.66 * thing.size
    lumps = [
        canvas.disc(thing.x - 0.17 * thing.size, middle + 0.08 * thing.size, 0.23 * thing.size),
        canvas.disc(thing.x + 0.17 * thing.size, middle + 0.08 * thing.size, 0.23 * thing.size),
        canvas.disc(thing.x, middle - 0.12 * thing.size, 0.24 * thing.size),
    ]
    crown = np.min(lumps, axis=0)
    toward = ((canvas.x - thing.x) * scene.light * 0.7 - (canvas.y - middle) * 0.7) / (0.4 * thing.size)
    shade = np.clip(0.82 + 0.26 * toward, 0.5, 1.08)[..., None]
    canvas.paint(canvas.coverage(crown), np.clip(np.asarray(lit(scene, COLOUR[thing.colour])) * shade, 0, 1))
    return canvas.coverage(np.minimum(trunk, crown))


def draw_tent(canvas, scene, thing):
    tall, half = 0.72 * thing.size, 0.5 * thing.size
    peak = (thing.x, thing.y - tall)
    whole = canvas.polygon((thing.x - half, thing.y), (thing.x + half, thing.y), peak)
    opening = canvas.polygon(
        (thing.x - 0.15 * thing.size, thing.y), (thing.x + 0.15 * thing.size, thing.y), (thing.x, thing.y - 0.5 * thing.size)
    )
    left, right = (lit(scene, COLOUR[thing.colour], shade) for shade in sides(scene))
    canvas.paint(canvas.coverage(whole), np.where((canvas.x < thing.x)[..., None], left, right))
    canvas.paint(canvas.coverage(opening), lit(scene, (0.2, 0.17, 0.16)))
    return canvas.coverage(whole)


def draw_flower(canvas, scene, thing):
    head = (thing.x, thing.y - 0.68 * thing.size)
    stem = np.maximum(
        np.abs(canvas.x - thing.x) - 0.035 * thing.size, np.abs(canvas.y - (thing.y + head[1]) / 2) - (thing.y - head[1]) / 2
    )
    leaf = canvas.ellipse(thing.x + 0.13 * thing.size, thing.y - 0.16 * thing.size, 0.14 * thing.size, 0.055 * thing.size)
    canvas.paint(canvas.coverage(np.minimum(stem, leaf)), lit(scene, STEM))
    angles = 2 * np.pi * (np.arange(5) / 5 + 0.05 + 0.1 * thing.turn)
    petals = np.min(
        [
            canvas.disc(head[0] + 0.19 * thing.size * np.cos(a), head[1] + 0.19 * thing.size * np.sin(a), 0.135 * thing.size)
            for a in angles
        ],
        axis=0,
    )
    canvas.paint(canvas.coverage(petals), lit(scene, COLOUR[thing.colour]))
    heart = canvas.disc(*head, 0.095 * thing.size)
    canvas.paint(canvas.coverage(heart), lit(scene, (0.62, 0.40, 0.10)))
    return canvas.coverage(np.min([stem, leaf, petals, heart], axis=0))


def draw_boat(canvas, scene, thing):
    deck = thing.y - 0.24 * thing.size
    hull = canvas.polygon(
        (thing.x - 0.5 * thing.size, deck),
        (thing.x + 0.5 * thing.size, deck),
        (thing.x + 0.32 * thing.size, thing.y),
        (thing.x - 0.32 * thing.size, thing.y),
    )
    mast = np.maximum(np.abs(canvas.x - thing.x) - 0.025 * thing.size, np.abs(canvas.y - deck + 0.32 * thing.size) - 0.34 * thing.size)
    lean = 1 if thing.turn < 0.5 else -1
    sail = canvas.polygon(
        (thing.x + lean * 0.04 * thing.size, deck - 0.06 * thing.size),
        (thing.x + lean * 0.04 * thing.size, deck - 0.62 * thing.size),
        (thing.x + lean * 0.38 * thing.size, deck - 0.06 * thing.size),
    )
    canvas.paint(canvas.coverage(mast), lit(scene, BROWN))
    canvas.paint(canvas.coverage(sail), lit(scene, SAIL, sides(scene)[0 if lean < 0 else 1] * 0.3 + 0.72))
    slope = np.clip(1.0 - 0.5 * (canvas.y - deck) / (0.24 * thing.size), 0.5, 1)[..., None]
    canvas.paint(canvas.coverage(hull), np.asarray(lit(scene, COLOUR[thing.colour])) * slope)
    return canvas.coverage(np.min([hull, mast, sail], axis=0))


PAINTERS = {
    "ball": draw_ball,
    "cube": draw_cube,
    "house": draw_house,
    "tree": draw_tree,
    "tent": draw_tent,
    "flower": draw_flower,
    "boat": draw_boat,
}


def sheet(pictures, words, columns=6, scale=2) -> Image.Image:
    """Pictures with their captions below, for the eye."""
    side = pictures[0].shape[0] * scale
    rows = -(-len(pictures) // columns)
    page = Image.new("RGB", (columns * (side + 6), rows * (side + 30)), "white")
    pen = ImageDraw.Draw(page)
    for index, (picture, line) in enumerate(zip(pictures, words)):
        left, top = index % columns * (side + 6), index // columns * (side + 30)
        page.paste(Image.fromarray(picture).resize((side, side), Image.NEAREST), (left, top))
        half = len(line) // 2
        cut = line.find(" ", half) if len(line) > side // 6 else len(line)
        pen.text((left, top + side + 1), line[:cut] + "\n" + line[cut:].strip(), fill="black")
    return page


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=24, help="how many scenes (default 24)")
    parser.add_argument("--size", type=int, default=64, help="their side in pixels (default 64)")
    parser.add_argument("--seed", type=int, default=0, help="other seeds give other scenes (default 0)")
    parser.add_argument("--output", type=Path, required=True, metavar="PNG", help="the sheet")
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    scenes = [scene_by_lot(rng) for _ in range(arguments.count)]
    pictures = [draw(scene, arguments.size)[0] for scene in scenes]
    sheet(pictures, [caption(scene, rng) for scene in scenes]).save(arguments.output)


if __name__ == "__main__":
    main()
