#!/usr/bin/env python3
"""Compares a job's files, byte for byte, between layouts, threads and neighbours in flight, on a model of full size.

    swift build -c release
    .build/release/pilot model init --architecture sd15 --output models/sd15
    scripts/reference/check_layouts.py --model models/sd15 --size 256x256

Each layout makes two pictures with their dumps; `batch` makes the first of them again among others. Takes some minutes.
"""
import argparse
import filecmp
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from launching import PROGRAM, ROOT, environment, launcher  # noqa: E402

LAYOUTS = [(1, "auto", 2), (2, "branches=2", 1), (2, "stages=2", 1), (2, "replicas=2", 1), (3, "stages=3", 1),
           (4, "branches=2,stages=2", 1), (4, "stages=4", 1), (8, "branches=2,stages=4", 1), (2, "strips=2", 1), (3, "strips=3", 1), (4, "branches=2,strips=2", 1),
           (4, "stages=2,strips=2", 1), (8, "strips=8", 1)]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=pathlib.Path, default=PROGRAM)
    parser.add_argument("--model", required=True)
    parser.add_argument("--size", default="256x256")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--steps", default="2")
    parser.add_argument("--layouts", nargs="*", help="those to try, all if not given")
    return parser.parse_args()


def launch(options, ranks, command):
    done = subprocess.run(
        launcher(ranks) + [str(options.program)] + command, env=environment(OMP_WAIT_POLICY="passive"),
        capture_output=True, text=True, cwd=ROOT)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} on {ranks} ranks ended with {done.returncode}:\n{done.stderr[-2000:]}")


def common(options, threads, layout):
    return ["--model", options.model, "--size", options.size, "--steps", options.steps, "--coherence", "0.5",
            "--gradient-steps", "1", "--optimize-every", "1", "--dtype", options.dtype, "--threads", str(threads),
            "--layout", layout]


def main():
    options = arguments()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pilot-layouts-"))
    inputs = {"image": "examples/meadow.png", "mask": "examples/meadow-mask.png", "prompt": "a blue ball"}
    picture = ["--image", inputs["image"], "--mask", inputs["mask"], "--prompt", inputs["prompt"]]
    launch(options, 1, ["inpaint"] + picture + common(options, 1, "auto") + [
        "--count", "2", "--output", str(folder / "alone.png"), "--dump", str(folder / "alone.safetensors")])
    faults = 0
    for ranks, layout, threads in LAYOUTS:
        if options.layouts and layout not in options.layouts:
            continue
        launch(options, ranks, ["inpaint"] + picture + common(options, threads, layout) + [
            "--count", "2", "--output", str(folder / "many.png"), "--dump", str(folder / "many.safetensors"), "--overwrite"])
        jobs = folder / "jobs.jsonl"
        with open(jobs, "w") as file:
            for seed in range(4):
                file.write(json.dumps(dict(inputs, seed=seed, output=f"{seed}.png")) + "\n")
        launch(options, ranks, ["batch", str(jobs), "--output", str(folder / "batch")] + common(options, threads, layout))
        pairs = [(f"alone-{number}{suffix}", f"many-{number}{suffix}") for number in (1, 2)
                 for suffix in (".png", ".safetensors")]
        pairs += [("alone-1.png", "batch/0.png"), ("alone-2.png", "batch/1.png")]
        different = [other for one, other in pairs if not filecmp.cmp(folder / one, folder / other, shallow=False)]
        faults += len(different)
        print(f"{ranks} ranks, {layout}, {threads} threads: "
              + (f"DIFFERENT: {', '.join(different)}" if different else f"{len(pairs)} files the same"), flush=True)
        shutil.rmtree(folder / "batch")
    shutil.rmtree(folder)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
