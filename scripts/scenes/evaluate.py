#!/usr/bin/env python3
"""How good the model is: the autoencoder on held-out scenes, and text-to-image through the engine, judged.

    .venv/bin/python scripts/scenes/evaluate.py --model DIR --judge models/judge.pt

Text-to-image is an inpainting job whose mask is white everywhere.
"""

import argparse
import itertools
import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "training"))

import judge as judging  # noqa: E402
from autoencoder import peak_signal_to_noise  # noqa: E402
from data import SIZE, drawn_scenes  # noqa: E402
from diffusers import AutoencoderKL  # noqa: E402
from draw import sheet  # noqa: E402
from engine import BUILT, Engine, save_hole, side_by_side  # noqa: E402
from world import COLOURS, GROUND_PHRASES, OBJECTS, TIME_PHRASES, with_article  # noqa: E402


def prompts_by_lot(count, seed):
    """(prompt, object, colour): every pair of object and colour about as often, ground and time in turn or unsaid."""
    rng = np.random.default_rng((seed, 500))
    pairs = list(itertools.product(OBJECTS, COLOURS))
    result = []
    while len(result) < count:
        for index in rng.permutation(len(pairs)):
            kind, colour = pairs[index]
            words = [with_article(f"{colour} {kind}")]
            if rng.random() < 0.7:
                words.append(list(GROUND_PHRASES.values())[rng.integers(4)][rng.integers(3)])
            if rng.random() < 0.7:
                words.append(list(TIME_PHRASES.values())[rng.integers(3)][rng.integers(3)])
            result.append((" ".join(words), kind, colour))
    return result[:count]


def text_to_image(engine, judge, count, seed, work, jobs):
    """Of each prompt, whether object and colour are right, bool [count, 2], and which were asked for."""
    work.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((SIZE, SIZE, 3), 128, np.uint8)).save(work / "grey.png")
    save_hole(np.ones((SIZE, SIZE), bool), work / "white.png")
    prompts = prompts_by_lot(count, seed)

    def paint(task):
        index, (prompt, _, _) = task
        output = work / f"{index:03}.png"
        engine.inpaint(work / "grey.png", work / "white.png", prompt, output, "--seed", str(seed + index))
        return np.asarray(Image.open(output).convert("RGB"))

    pictures = np.stack(list(side_by_side(paint, list(enumerate(prompts)), jobs, "text to image")))
    sheet(list(pictures[:36]), [prompt for prompt, _, _ in prompts[:36]]).save(work / "sheet.png")
    found = judging.verdicts(judge, pictures, np.ones(pictures.shape[:3], bool))
    wanted = np.array([(OBJECTS.index(kind), COLOURS.index(colour)) for _, kind, colour in prompts])
    return found[:, :2] == wanted, wanted


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pilot", type=Path, default=BUILT, help="the program (default: the release build)")
    parser.add_argument("--model", type=Path, required=True, metavar="DIR")
    parser.add_argument("--judge", type=Path, default=Path("models/judge.pt"), metavar="FILE", help="from judge.py")
    parser.add_argument("--prompts", type=int, default=500, help="pictures to make (default 500)")
    parser.add_argument("--scenes", type=int, default=200, help="held-out scenes (default 200)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="jobs at a time (default: the cores)")
    parser.add_argument("--work", type=Path, default=Path("models/evaluation"), help="where the pictures go")
    arguments = parser.parse_args()

    judging.check(arguments.judge)
    held_out, _ = drawn_scenes(arguments.seed, "held out", arguments.scenes, SIZE)
    autoencoder = AutoencoderKL.from_pretrained(arguments.model / "vae").eval()
    quality = peak_signal_to_noise(autoencoder, held_out)
    print(f"autoencoder, {len(quality)} held-out scenes: PSNR {quality.mean():.2f} dB, lowest {quality.min():.2f} dB")

    engine = Engine(arguments.pilot, str(arguments.model))
    judge = judging.load(arguments.judge)
    right, wanted = text_to_image(engine, judge, arguments.prompts, arguments.seed, arguments.work, arguments.jobs)
    both = right.all(axis=1)
    print(f"text to image, {len(right)} prompts: object and colour {100 * both.mean():.1f} %")
    print(f"object {100 * right[:, 0].mean():.1f} %, colour {100 * right[:, 1].mean():.1f} %")
    for column, names in enumerate((OBJECTS, COLOURS)):
        shares = [f"{name} {100 * both[wanted[:, column] == i].mean():.0f}" for i, name in enumerate(names)]
        print("both, in %: " + ", ".join(shares))


if __name__ == "__main__":
    main()
