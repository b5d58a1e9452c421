#!/usr/bin/env python3
"""Runs whole jobs with the engine and with the reference, and compares the dumps.

    swift build -c release
    .venv/bin/python scripts/reference/check_jobs.py [--ranks 1 2] [--only sd2]

The matrix: each fixture model (the second predicts velocity, the last has nine input channels) x gamma 0, 0.5, 1 x masks inside, at the border, empty
and full; then single jobs for the options that the matrix leaves at their defaults. With more than one rank count,
the pictures must be equal byte for byte. Exits with 1 when a job fails.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pilot_reference
import torch
from compare_dumps import compare, passed, table
from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "fixtures"))

import job_inputs  # noqa: E402

MODELS = ROOT / "Tests" / "DiffusionModelsTests" / "Fixtures" / "models"
SIZES = {"sd1": (64, 48), "sd2": (96, 64), "odd": (52, 36), "inpaint": (52, 36)}
SHORT = ["--steps", "10", "--optimize-every", "2", "--gradient-steps", "3"]
VARIANTS = {
    "preset-fast": ["--preset", "fast"],
    "negative-prompt": [*SHORT, "--negative-prompt", "blurry, low quality", "--guidance-scale", "3"],
    "no-attention-masks": [*SHORT, "--no-cross-attention-mask", "--no-self-attention-mask"],
    "no-self-attention-mask": [*SHORT, "--no-self-attention-mask"],
    "mask-max": [*SHORT, "--mask-downsample", "max"],
    "invert-mask": [*SHORT, "--invert-mask"],
    "lambda-linear": [*SHORT, "--lambda-area", "linear", "--lambda", "40"],
    "lambda-constant": [*SHORT, "--lambda-area", "constant"],
    "optimiser": [*SHORT, "--momentum", "0.3", "--learning-rate", "0.02", "--warmup-learning-rate", "0.01"],
    "seed": [*SHORT, "--seed", "1234567890123"],
    "initial-latent": [*SHORT, "--coherence", "0.5", "--initial-latent", "@initial"],
    "long-prompt": [*SHORT, "--prompt", "a red fox, " * 60],
    "plain-long-prompt": [*SHORT, "--prompt", "a (red) fox, " * 60, "--prompt-syntax", "plain"],
    "weights": [*SHORT, "--prompt", "a (red:1.4) fox BREAK [snow], ((soft)) light", "--negative-prompt", "(blurry:1.2)"],
    "unscaled-weights": [*SHORT, "--prompt", "a (red:0.4) fox", "--no-prompt-rescale", "--clip-skip", "2"],
    "unicode-prompt": [*SHORT, "--prompt", "Ein Füchslein 🦊 im  Schnee\t— 雪の狐"],
}
LORAS = ROOT / "Tests" / "DiffusionModelsTests" / "Fixtures" / "lora"


def lora_options(*names: str) -> list[str]:
    return [*SHORT, *(word for name in names for word in ("--lora", str(LORAS / f"{name}.safetensors")))]


LORA_VARIANTS = {
    "lora": lora_options("kohya_ldm"),
    "lora-several": lora_options("dora_input", "loha", "peft") + [
        "--lora-scale", "0.8", "--lora-scale", "0.5", "--lora-scale", "-0.7", "--lora-text-scale", "0.3"],
    "lora-kinds": lora_options("lokr", "locon", "rslora", "old", "dora_peft"),
}
CONTROL = ROOT / "Tests" / "DiffusionModelsTests" / "Fixtures" / "control"
# "@image" stands for the job's picture.
CONTROL_VARIANTS = {
    "sd1-control": ("sd1", [*SHORT, "--control", str(CONTROL / "sd1"), "--control-preprocess", "canny"]),
    "sd1-control-words": ("sd1", [
        *SHORT, "--control", str(CONTROL / "sd1"), "--control-preprocess", "invert", "--control-range", "0.2:0.8",
        "--prompt", "a (red:1.4) fox BREAK [snow]", "--lora", str(LORAS / "kohya_ldm.safetensors")]),
    "sd1-controls": ("sd1", [
        *SHORT, "--control", str(CONTROL / "sd1"), "--control", str(CONTROL / "sd1-pooled"), "--control-preprocess",
        "tile", "--control-scale", "0.7", "--control-scale", "-0.3", "--control-background", "canny"]),
    "sd2-control": ("sd2", [*SHORT, "--control", str(CONTROL / "sd2"), "--control-mode", "guess"]),
    "odd-control": ("odd", [*SHORT, "--control", str(CONTROL / "odd"), "--control-image", "@image"]),
}

T2I_ADAPTER = ROOT / "Tests" / "DiffusionModelsTests" / "Fixtures" / "t2i_adapter"


def adapters(*names: str) -> list[str]:
    return [*SHORT, *(word for name in names for word in ("--t2i-adapter", str(T2I_ADAPTER / name)))]


T2I_ADAPTER_VARIANTS = {
    "sd1-t2i-adapter": ("sd1", [*adapters("sd1"), "--t2i-adapter-preprocess", "canny"]),
    "sd1-t2i-adapters": ("sd1", [
        *adapters("sd1-light", "sd1-grey"), "--t2i-adapter-scale", "0.7", "--t2i-adapter-scale", "-0.3",
        "--t2i-adapter-range", "0:0.6", "--t2i-adapter-range", "0.3:1", "--t2i-adapter-preprocess", "invert"]),
    "sd1-t2i-adapter-control": ("sd1", [
        *adapters("sd1"), "--control", str(CONTROL / "sd1"), "--control-preprocess", "canny",
        "--prompt", "a (red:1.4) fox BREAK [snow]", "--lora", str(LORAS / "kohya_ldm.safetensors")]),
    "sd2-t2i-adapter": ("sd2", [*adapters("sd2"), "--t2i-adapter-image", "@image"]),
    "inpaint-t2i-adapter": ("inpaint", adapters("inpaint")),
    "inpaint-t2i-adapter-method-inpaint": ("inpaint", [*adapters("inpaint"), "--method", "inpaint"]),
}

IP_ADAPTER = ROOT / "Tests" / "DiffusionModelsTests" / "Fixtures" / "ip_adapter"


def images(*names: str) -> list[str]:
    files = [word for name in names for word in ("--ip-adapter", str(IP_ADAPTER / f"{name}.safetensors"))]
    return [*SHORT, *files, "--ip-adapter-image", "@image"]


IP_ADAPTER_VARIANTS = {
    "sd1-ip-adapter": ("sd1", images("sd1")),
    "sd1-ip-adapter-plus": ("sd1", [*images("sd1-plus"), "--ip-adapter-fit", "squash", "--ip-adapter-scale", "0.6"]),
    "sd1-ip-adapters": ("sd1", [
        *images("sd1", "sd1-full"), "--ip-adapter-scale", "0.7", "--ip-adapter-scale", "-0.3", "--control",
        str(CONTROL / "sd1"), "--t2i-adapter", str(T2I_ADAPTER / "sd1"), "--prompt", "a (red:1.4) fox BREAK [snow]",
        "--lora", str(LORAS / "kohya_ldm.safetensors")]),
    "sd1-ip-adapter-no-mask": ("sd1", [*images("sd1"), "--no-cross-attention-mask"]),
    "sd2-ip-adapter": ("sd2", images("sd2")),
    "odd-ip-adapter-plus": ("odd", images("odd-plus")),
    "inpaint-ip-adapter": ("inpaint", images("inpaint")),
    "inpaint-ip-adapter-method-inpaint": ("inpaint", [*images("inpaint"), "--method", "inpaint"]),
}


def jobs():
    """(name, model, mask, options)"""
    for model in SIZES:
        for mask in ("blob", "border", "empty", "full"):
            for gamma in ("0", "0.5", "1"):
                yield f"{model}-{mask}-gamma{gamma}", model, mask, [*SHORT, "--coherence", gamma]
    for model in ("sd1", "odd", "inpaint"):
        for name, options in VARIANTS.items():
            yield f"{model}-{name}", model, "border", options
    for mask in ("blob", "border", "empty", "full"):
        yield f"inpaint-{mask}-method-inpaint", "inpaint", mask, [*SHORT, "--method", "inpaint"]
    for name, options in VARIANTS.items():
        yield f"inpaint-{name}-method-inpaint", "inpaint", "border", [*options, "--method", "inpaint"]
    for name, options in LORA_VARIANTS.items():
        yield f"sd1-{name}", "sd1", "border", options
    for name, (model, options) in (CONTROL_VARIANTS | T2I_ADAPTER_VARIANTS | IP_ADAPTER_VARIANTS).items():
        yield name, model, "border", options


def run_engine(pilot: str, ranks: int, words: list[str], folder: Path) -> tuple[dict, bytes]:
    output, dump = folder / f"result-{ranks}.png", folder / f"engine-{ranks}.safetensors"
    environment = os.environ | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    launcher = ["mpirun", "--oversubscribe", "--bind-to", "none", "-np", str(ranks)] if ranks > 1 else []
    command = [*launcher, pilot, "inpaint", *words, "--threads", "1", "--output", str(output), "--dump", str(dump)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    if done.returncode != 0:
        raise RuntimeError(f"exit code {done.returncode}: {done.stderr.strip()[-500:]}")
    return load_file(dump), output.read_bytes()


def check(name: str, model: str, mask: str, options: list[str], pilot: str, ranks: list[int], folder: Path) -> str:
    """Runs one job both ways; returns what went wrong, or an empty string."""
    folder.mkdir()
    job_inputs.picture(*SIZES[model]).save(folder / "image.png")
    job_inputs.mask(mask, *SIZES[model]).save(folder / "mask.png")
    words = ["--model", str(MODELS / model), "--image", str(folder / "image.png"), "--mask", str(folder / "mask.png")]
    # Some pictures are far larger than their model's; the engine would compute them at a smaller size.
    words += ["--size", "{}x{}".format(*SIZES[model])]
    if "--prompt" not in options:
        options = [*options, "--prompt", "a red fox in the snow"]
    if "@initial" in options:
        # Any dump of the same model and size will do; this one has another seed.
        earlier = folder / "earlier.safetensors"
        start = pilot_reference.parse([*words, "--prompt", "", "--steps", "1", "--seed", "77"])
        pilot_reference.save_file(pilot_reference.run(start), earlier)
        options = [str(earlier) if word == "@initial" else word for word in options]
    words += [str(folder / "image.png") if word == "@image" else word for word in options]
    reference = pilot_reference.run(pilot_reference.parse(words))
    pictures, problems = set(), []
    for count in ranks:
        dump, picture = run_engine(pilot, count, words, folder)
        pictures.add(picture)
        # With nothing to repaint the engine may return the input without a single step.
        rows = compare(dump, reference, common_only=mask == "empty")
        if not passed(rows):
            failing = [row for row in rows if not passed([row])]
            problems.append(f"{count} rank(s):\n{table(failing[:8])}")
    if len(pictures) > 1:
        problems.append(f"the pictures of {ranks} ranks differ")
    return "\n".join(problems)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--pilot", default=str(ROOT / ".build" / "release" / "pilot"))
    options.add_argument("--ranks", type=int, nargs="+", default=[1])
    options.add_argument("--only", default="", help="run the jobs whose name has this in it")
    arguments = options.parse_args()
    # Models this small gain nothing from more threads.
    torch.set_num_threads(1)
    failures = count = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name, model, mask, words in jobs():
            if arguments.only not in name:
                continue
            count += 1
            start = time.monotonic()
            try:
                problem = check(name, model, mask, words, arguments.pilot, arguments.ranks, Path(scratch) / name)
            except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
                problem = str(error)
            failures += bool(problem)
            print(f"{'FAIL' if problem else 'ok':5} {name} ({time.monotonic() - start:.1f} s)", flush=True)
            if problem:
                print(problem)
    print(f"{count - failures} of {count} jobs agree")
    return 1 if failures or not count else 0


if __name__ == "__main__":
    sys.exit(main())
