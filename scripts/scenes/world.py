"""The world of the drawn scenes: what can be in one, how one is drawn by lot, and what its caption says.

A scene knows its whole truth (objects, places, horizon, time of day, light), so whatever a model makes of it can be
scored. Lengths are shares of the picture's side; x runs to the right and y downwards, both from 0 to 1.
"""

from dataclasses import dataclass, field

import numpy as np

TIMES = ("day", "sunset", "night")
GROUNDS = ("grass", "sand", "snow", "water")
OBJECTS = ("ball", "cube", "house", "tree", "tent", "flower", "boat")
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "white", "black")

TIME_PHRASES = {
    "day": ("by day", "on a sunny day", "in daylight"),
    "sunset": ("at sunset", "in the evening light", "at dusk"),
    "night": ("at night", "by night", "under a night sky"),
}
GROUND_PHRASES = {
    "grass": ("on the grass", "on grass", "in a meadow"),
    "sand": ("on the sand", "on sand", "on a beach"),
    "snow": ("on the snow", "on snow", "in the snow"),
    "water": ("on the water", "on water", "on a lake"),
}
GROUND_NOUNS = {"grass": "grass", "sand": "sand", "snow": "snow", "water": "water"}


@dataclass(frozen=True)
class Thing:
    """An object: (x, y) is the middle of its foot, `size` its larger extent."""

    kind: str
    colour: str
    x: float
    y: float
    size: float
    turn: float  # 0...1, whatever the object's kind does with it: how much of a cube's side shows, ...


@dataclass(frozen=True)
class Cloud:
    x: float
    y: float
    width: float
    lumps: tuple  # of (offset in widths, height in widths)


@dataclass(frozen=True)
class Scene:
    time: str
    ground: str
    horizon: float
    light: int  # -1: from the left, 1: from the right
    things: tuple  # of Thing, farthest first
    luminary: tuple  # (x, y, radius) of sun or moon, or () when it is out of sight
    mountains: tuple = ()  # of (x, width, height)
    clouds: tuple = ()  # of Cloud
    stars: tuple = ()  # of (x, y, brightness)
    tint: tuple = field(default=(0.0, 0.0, 0.0))  # the day's own shift of every colour


def scene_by_lot(rng: np.random.Generator, things: int | None = None) -> Scene:
    """A scene; `things` fixes how many objects are in it (0 to 2)."""
    time = TIMES[rng.integers(len(TIMES))]
    ground = GROUNDS[rng.integers(len(GROUNDS))]
    light = int(rng.choice((-1, 1)))
    horizon = float(rng.uniform(0.42, 0.6))
    if things is None:
        things = int(rng.choice((0, 1, 2), p=(0.08, 0.67, 0.25)))
    luminary = ()
    if rng.random() < 0.6:
        side = 0.5 + light * rng.uniform(0.15, 0.4)
        height = horizon - rng.uniform(0.02, 0.1) if time == "sunset" else horizon * rng.uniform(0.2, 0.6)
        luminary = (side, float(height), float(rng.uniform(0.05, 0.08)))
    return Scene(
        time=time,
        ground=ground,
        horizon=horizon,
        light=light,
        things=_things_by_lot(rng, things, horizon),
        luminary=luminary,
        mountains=_mountains_by_lot(rng) if rng.random() < 0.45 else (),
        clouds=_clouds_by_lot(rng, horizon) if time != "night" and rng.random() < 0.6 else (),
        stars=_stars_by_lot(rng, horizon) if time == "night" else (),
        tint=tuple(float(v) for v in rng.normal(0, 0.015, 3)),
    )


def thing_by_lot(rng, horizon, x=None, size=None) -> Thing:
    """An object on the ground."""
    size = rng.uniform(0.28, 0.5) if size is None else size
    half = size / 2
    return Thing(
        kind=OBJECTS[rng.integers(len(OBJECTS))],
        colour=COLOURS[rng.integers(len(COLOURS))],
        x=float(rng.uniform(half + 0.02, 0.98 - half) if x is None else x),
        y=float(rng.uniform(max(horizon + 0.14, 0.68), 0.93)),
        size=float(size),
        turn=float(rng.random()),
    )


def _things_by_lot(rng, count, horizon):
    if count < 2:
        return tuple(thing_by_lot(rng, horizon) for _ in range(count))
    split = rng.uniform(0.44, 0.56)
    pair = []
    for left, right in ((0.02, split - 0.02), (split + 0.02, 0.98)):
        size = rng.uniform(0.28, min(0.42, right - left))
        pair.append(thing_by_lot(rng, horizon, rng.uniform(left + size / 2, right - size / 2), size))
    return tuple(sorted(pair, key=lambda thing: thing.y))


def _mountains_by_lot(rng):
    return tuple(
        (float(rng.uniform(0, 1)), float(rng.uniform(0.25, 0.5)), float(rng.uniform(0.1, 0.26)))
        for _ in range(rng.integers(1, 4))
    )


def _clouds_by_lot(rng, horizon):
    return tuple(
        Cloud(
            x=float(rng.uniform(0.05, 0.95)),
            y=float(horizon * rng.uniform(0.15, 0.65)),
            width=float(rng.uniform(0.16, 0.32)),
            lumps=tuple((float(o), float(rng.uniform(0.16, 0.26))) for o in (-0.28, 0.0, 0.28)),
        )
        for _ in range(rng.integers(1, 3))
    )


def _stars_by_lot(rng, horizon):
    return tuple(
        (float(rng.uniform(0, 1)), float(rng.uniform(0, horizon * 0.85)), float(rng.uniform(0.4, 0.9)))
        for _ in range(rng.integers(4, 10))
    )


def with_article(words: str) -> str:
    return ("an " if words[0] in "aeiou" else "a ") + words


def name(thing: Thing) -> str:
    """The object as a prompt names it: "a red ball"."""
    return with_article(f"{thing.colour} {thing.kind}")


def caption(scene: Scene, rng: np.random.Generator) -> str:
    """A caption: the objects always, the ground and the time most of the time, in changing words and order."""
    ground = GROUND_PHRASES[scene.ground][rng.integers(3)]
    time = TIME_PHRASES[scene.time][rng.integers(3)]
    says_ground, says_time = rng.random() < 0.75, rng.random() < 0.7
    if not scene.things:
        return f"{GROUND_NOUNS[scene.ground]} {time}" if says_time else GROUND_NOUNS[scene.ground]
    things = list(scene.things)
    if rng.random() < 0.5:
        things.reverse()
    parts = [" and ".join(name(thing) for thing in things)]
    if says_ground:
        parts.append(ground)
    if says_time:
        parts.append(time)
    if scene.mountains and rng.random() < 0.3:
        parts.append("with mountains")
    words = " ".join(parts)
    return f"a picture of {words}" if rng.random() < 0.15 else words


def every_caption_word() -> list[str]:
    """All the words that captions are made of, for the tokenizer to learn from."""
    words = "a an and the of picture with mountains".split()
    for phrases in (*TIME_PHRASES.values(), *GROUND_PHRASES.values()):
        words += [word for phrase in phrases for word in phrase.split()]
    return sorted({*words, *TIMES, *GROUNDS, *OBJECTS, *COLOURS})
