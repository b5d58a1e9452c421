#!/usr/bin/env python3
"""Compares jobs with nets of full size, random weights, with the reference: a ControlNet of the model's UNet and a full
T2I-Adapter, each alone and both together.

    .build/release/pilot model init --architecture sd15 --output models/sd15
    .venv/bin/python scripts/reference/check_nets.py models/sd15 [--size 128x128] [--only control]

Two steps, of which one is optimised, so the gradient goes through the nets. Exits with 1 when a limit of
compare_dumps.py is passed. Takes some minutes, 4 GB of disk and 20 GB of memory.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import pilot_reference
from check_jobs import ROOT, run_engine
from compare_dumps import compare, passed, table
from diffusers import ControlNetModel, T2IAdapter, UNet2DConditionModel
from model_folder import weight_variant

sys.path.insert(0, str(ROOT / "scripts" / "fixtures"))

from tiny_models import randomise  # noqa: E402

EXAMPLES = ROOT / "examples"
JOB = ["--image", str(EXAMPLES / "coffee.png"), "--mask", str(EXAMPLES / "coffee-mask.png"), "--prompt", "an orange",
       "--steps", "2", "--coherence", "0.5", "--optimize-every", "1", "--gradient-steps", "1"]


def write_nets(model: Path, folder: Path):
    unet = UNet2DConditionModel.from_pretrained(
        model / "unet", variant=weight_variant(model / "unet"), local_files_only=True)
    net = ControlNetModel.from_unet(unet)
    del unet
    randomise(net, "control").save_pretrained(folder / "control")
    del net
    adapter = T2IAdapter(in_channels=3, channels=[320, 640, 1280, 1280], num_res_blocks=2, downscale_factor=8,
                         adapter_type="full_adapter")
    randomise(adapter, "adapter").save_pretrained(folder / "adapter")


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("model", type=Path, help="a diffusers folder of Stable Diffusion 1.x")
    options.add_argument("--size", default="128x128")
    options.add_argument("--pilot", default=str(ROOT / ".build" / "release" / "pilot"))
    options.add_argument("--ranks", type=int, default=1)
    options.add_argument("--only", default="", help="control, adapter, or both (default: all three)")
    options.add_argument("--write-nets", type=Path, metavar="FOLDER", help="write the nets there, and do no more")
    arguments = options.parse_args()
    if arguments.write_nets:
        write_nets(arguments.model, arguments.write_nets)
        return 0
    failures = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_nets(arguments.model, folder)
        control = ["--control", str(folder / "control"), "--control-preprocess", "canny"]
        adapter = ["--t2i-adapter", str(folder / "adapter"), "--t2i-adapter-preprocess", "canny"]
        for name, nets in {"control": control, "adapter": adapter, "both": control + adapter}.items():
            if arguments.only not in ("", name):
                continue
            words = ["--model", str(arguments.model), "--size", arguments.size, *JOB, *nets]
            dump, _ = run_engine(arguments.pilot, arguments.ranks, words, folder)
            rows = compare(dump, pilot_reference.run(pilot_reference.parse(words)))
            print(f"{name}:\n{table(rows)}", flush=True)
            failures += not passed(rows)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
