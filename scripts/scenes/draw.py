#!/usr/bin/env python3
"""Draws scenes of world.py: smooth shapes with antialiased edges, lit and shadowed from one side.

    .venv/bin/python scripts/scenes/draw.py --count 24 --size 64 --output sheet.png      a sheet of captioned scenes

`draw` gives a scene's picture at any size, and the silhouette of each object. No noise textures: a small autoencoder
spends its few numbers on them.
"""

import argparse
import copy
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
    """A picture being painted. Shapes are signed distances, negative inside, in units of the canvas: shares of the
    picture's side, or of an object's size on a canvas that is `about` it."""

    def __init__(self, size):
        centres = (np.arange(size, dtype=np.float32) + 0.5) / size
        self.x, self.y = np.meshgrid(centres, centres)
        self.unit = float(size)  # in pixels
        self.picture = np.zeros((size, size, 3), np.float32)

    def about(self, thing):
        """The same picture, with the middle of the object's foot as the origin and its size as the unit."""
        view = copy.copy(self)
        view.x, view.y = (self.x - thing.x) / thing.size, (self.y - thing.y) / thing.size
        view.unit = self.unit * thing.size
        return view

    def coverage(self, distance, softness=0.0):
        """0 outside, 1 inside, in between over one pixel or over `softness`."""
        return np.clip(0.5 - distance / max(1 / self.unit, softness), 0, 1)

    def paint(self, coverage, colour):
        self.picture += coverage[..., None] * (np.asarray(colour, np.float32) - self.picture)

    def fill(self, distance, colour):
        self.paint(self.coverage(distance), colour)

    def disc(self, x, y, radius):
        return np.hypot(self.x - x, self.y - y) - radius

    def ellipse(self, x, y, a, b):
        return (np.hypot((self.x - x) / a, (self.y - y) / b) - 1) * min(a, b)

    def box(self, x, y, half_width, half_height):
        return np.maximum(np.abs(self.x - x) - half_width, np.abs(self.y - y) - half_height)

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


def union(*shapes):
    return np.min(shapes, axis=0)


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
        at = canvas.about(thing)
        silhouette = at.coverage(PAINTERS[thing.kind](at, scene, thing))
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
        canvas.fill(canvas.disc(x, y, radius), colour)
    for cloud in scene.clouds:
        lumps = [
            canvas.ellipse(cloud.x + offset * cloud.width, cloud.y, 0.3 * cloud.width, height * cloud.width)
            for offset, height in cloud.lumps
        ]
        canvas.paint(0.8 * canvas.coverage(union(*lumps), 0.03), CLOUD[scene.time])
    if scene.mountains:
        rock = 0.45 * np.asarray(SKY[scene.time][1]) + 0.55 * np.asarray(shaded((0.34, 0.38, 0.5), LIGHT[scene.time]))
        ridges = [
            canvas.polygon(
                (x - width / 2, scene.horizon), (x, scene.horizon - height), (x + width / 2, scene.horizon)
            )
            for x, width, height in scene.mountains
        ]
        canvas.fill(union(*ridges), rock)


def draw_ground(canvas, scene):
    colour = np.asarray(shaded(GROUND[scene.ground], LIGHT[scene.time]), np.float32)
    haze = np.asarray(SKY[scene.time][1], np.float32)
    depth = np.clip((canvas.y - scene.horizon) / (1 - scene.horizon), 0, 1)[..., None]
    far = 0.6 if scene.ground == "water" else 0.25
    toned = colour * (1.05 - 0.2 * depth)
    below = canvas.coverage(scene.horizon - canvas.y)[..., None]
    canvas.picture += below * (toned + (haze - toned) * far * (1 - depth) ** 3 - canvas.picture)


def draw_shadow(canvas, scene, thing):
    at = canvas.about(thing)
    shadow = at.ellipse(-scene.light * 0.28, -0.01 / thing.size, 0.62, 0.1)
    under = at.coverage(shadow, 0.04 / thing.size) * (canvas.y > scene.horizon)
    canvas.picture *= 1 - (0.25 if scene.time == "night" else 0.4) * under[..., None]


def lit(scene, colour, amount=1.0):
    """A surface's colour in the scene's light; nights keep enough of it to tell colours apart."""
    light = 0.3 + 0.7 * np.asarray(LIGHT[scene.time])
    return shaded(colour, light * amount)


def sides(scene):
    """How light a surface looks that faces left, and one that faces right."""
    return (1.0, 0.66) if scene.light < 0 else (0.66, 1.0)


# Objects. Each is painted on a canvas about it, upwards from its foot at the origin, and returns its shape.


def rounded(canvas, scene, colour, y, radius, shades):
    """The colour over a round body with its middle at (0, y): lighter towards the light and above. `shades` are those
    of the middle, of the way to the side and up, and the least."""
    middle, aside, upward, least = shades
    toward = (canvas.x * scene.light * aside - (canvas.y - y) * upward) / radius
    shade = np.clip(middle + toward, least, 1.08)[..., None]
    return np.clip(np.asarray(lit(scene, COLOUR[colour])) * shade, 0, 1)


def ball(canvas, scene, thing):
    radius = 0.46
    body = canvas.disc(0, -radius, radius)
    canvas.fill(body, rounded(canvas, scene, thing.colour, -radius, radius, (0.78, 0.216, 0.288, 0.4)))
    glint = canvas.disc(scene.light * 0.36 * radius, -1.42 * radius, 0) / (0.2 * radius)
    canvas.paint(canvas.coverage(body) * 0.55 * np.exp(-(glint**2)), lit(scene, (1, 1, 1)))
    return body


def cube(canvas, scene, thing):
    side, lean = 0.7, 0.26 if thing.turn < 0.5 else -0.26
    rise = 0.7 * abs(lean)
    left, right = -side / 2 - lean / 2, side / 2 - lean / 2
    near = right if lean > 0 else left
    front = canvas.polygon((left, 0), (right, 0), (right, -side), (left, -side))
    lid = canvas.polygon((left, -side), (right, -side), (right + lean, -side - rise), (left + lean, -side - rise))
    flank = canvas.polygon((near, 0), (near + lean, -rise), (near + lean, -side - rise), (near, -side))
    facing = sides(scene)[1 if lean > 0 else 0]
    for shape, shade in ((flank, 0.72 * facing), (lid, 1.06), (front, 0.84)):
        canvas.fill(shape, lit(scene, COLOUR[thing.colour], shade))
    return union(front, lid, flank)


def house(canvas, scene, thing):
    half, eaves = 0.41, -0.56
    body = canvas.box(0, eaves / 2, half, -eaves / 2)
    roof = canvas.polygon((-half - 0.09, eaves), (half + 0.09, eaves), (0, eaves - 0.4))
    canvas.fill(body, lit(scene, COLOUR[thing.colour], 0.95))
    slopes = [lit(scene, BROWN, shade) for shade in sides(scene)]
    canvas.fill(roof, np.where((canvas.x < 0)[..., None], *slopes))
    canvas.fill(canvas.box(-0.18, -0.15, 0.09, 0.15), lit(scene, BROWN, 0.6))
    pane = (1.0, 0.86, 0.45) if scene.time == "night" else lit(scene, (0.62, 0.82, 0.95))
    canvas.fill(canvas.box(0.18, -0.29, 0.09, 0.09), pane)
    return union(body, roof)


def tree(canvas, scene, thing):
    trunk = canvas.box(0, -0.2, 0.06, 0.2)
    canvas.fill(trunk, lit(scene, BROWN))
    crown = union(
        canvas.disc(-0.17, -0.58, 0.23), canvas.disc(0.17, -0.58, 0.23), canvas.disc(0, -0.78, 0.24)
    )
    canvas.fill(crown, rounded(canvas, scene, thing.colour, -0.66, 0.4, (0.82, 0.182, 0.182, 0.5)))
    return union(trunk, crown)


def tent(canvas, scene, thing):
    whole = canvas.polygon((-0.5, 0), (0.5, 0), (0, -0.72))
    halves = [lit(scene, COLOUR[thing.colour], shade) for shade in sides(scene)]
    canvas.fill(whole, np.where((canvas.x < 0)[..., None], *halves))
    canvas.fill(canvas.polygon((-0.15, 0), (0.15, 0), (0, -0.5)), lit(scene, (0.2, 0.17, 0.16)))
    return whole


def flower(canvas, scene, thing):
    head = -0.68
    green = union(canvas.box(0, head / 2, 0.035, -head / 2), canvas.ellipse(0.13, -0.16, 0.14, 0.055))
    canvas.fill(green, lit(scene, STEM))
    angles = 2 * np.pi * (np.arange(5) / 5 + 0.05 + 0.1 * thing.turn)
    petals = union(*[canvas.disc(0.19 * np.cos(a), head + 0.19 * np.sin(a), 0.135) for a in angles])
    canvas.fill(petals, lit(scene, COLOUR[thing.colour]))
    heart = canvas.disc(0, head, 0.095)
    canvas.fill(heart, lit(scene, (0.62, 0.40, 0.10)))
    return union(green, petals, heart)


def boat(canvas, scene, thing):
    deck, lean = -0.24, 1 if thing.turn < 0.5 else -1
    hull = canvas.polygon((-0.5, deck), (0.5, deck), (0.32, 0), (-0.32, 0))
    mast = canvas.box(0, deck - 0.32, 0.025, 0.34)
    sail = canvas.polygon((lean * 0.04, deck - 0.06), (lean * 0.04, deck - 0.62), (lean * 0.38, deck - 0.06))
    canvas.fill(mast, lit(scene, BROWN))
    canvas.fill(sail, lit(scene, SAIL, sides(scene)[0 if lean < 0 else 1] * 0.3 + 0.72))
    slope = np.clip(1 - 0.5 * (canvas.y - deck) / -deck, 0.5, 1)[..., None]
    canvas.fill(hull, np.asarray(lit(scene, COLOUR[thing.colour])) * slope)
    return union(hull, mast, sail)


PAINTERS = {
    "ball": ball,
    "cube": cube,
    "house": house,
    "tree": tree,
    "tent": tent,
    "flower": flower,
    "boat": boat,
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
