#!/usr/bin/env python3
"""Times the merge of a random LoRA, and what it takes of memory: jobs of one step with and without it, by turns.

    .build/release/pilot model init --architecture sd15 --seed 0 --output models/sd15
    .venv/bin/python scripts/benchmark/lora_merge.py models/sd15 [--rank 16] [--rounds 2] [--lora FILE]

The LoRA has kohya's default modules of the UNet, 192 in Stable Diffusion 1.5: projections, attentions and feed-forward
layers of all transformers. For 192 modules of rank 16 the engine keeps to 3 s more, and to 1.1 times the peak (`VmHWM`).
Exits with 1 beyond that.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from launching import PROGRAM, ROOT, environment  # noqa: E402

MOST_SECONDS = 3.0
MOST_MEMORY = 1.1
MODULES = re.compile(r"\.(to_q|to_k|to_v|to_out\.0|ff\.net\.0\.proj|ff\.net\.2|proj_in|proj_out)\.weight$")


def write_lora(model: Path, rank: int, path: Path) -> int:
    """Returns the number of its modules."""
    torch.manual_seed(0)
    tensors = {}
    with safe_open(model / "unet/diffusion_pytorch_model.safetensors", framework="pt") as weights:
        names = [name for name in weights.keys() if ".attentions." in name and MODULES.search(name)]
        for name in names:
            outputs, inputs, *kernel = weights.get_slice(name).get_shape()
            module = "lora_unet_" + name.removesuffix(".weight").replace(".", "_")
            tensors[f"{module}.lora_down.weight"] = (torch.randn(rank, inputs, *kernel) / inputs ** 0.5).half()
            tensors[f"{module}.lora_up.weight"] = (torch.randn(outputs, rank, *kernel) * 0.01).half()
            tensors[f"{module}.alpha"] = torch.tensor(float(rank))
    save_file(tensors, path)
    return len(names)


def run(model: Path, options: list) -> tuple:
    """Seconds, and the peak of its memory in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            PROGRAM, "inpaint", "--model", model, "--image", ROOT / "examples/meadow.png", "--mask",
            ROOT / "examples/meadow-mask.png", "--prompt", "a fox", "--size", "128x128", "--steps", "1", "--coherence",
            "0", "--quiet", "--output", f"{folder}/a.png", *options]
        start = time.monotonic()
        process = subprocess.Popen(list(map(str, command)), env=environment())
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
        assert status == 0, "the job failed"
    return seconds, usage.ru_maxrss * 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--lora", type=Path, help="a LoRA to take in place of a random one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lora, modules = arguments.lora, None
        if lora is None:
            lora = Path(folder) / "random.safetensors"
            modules = write_lora(arguments.model, arguments.rank, lora)
        run(arguments.model, [])  # Brings the model into the system's cache.
        plain, merged = [], []
        for _ in range(arguments.rounds):
            plain.append(run(arguments.model, []))
            merged.append(run(arguments.model, ["--lora", lora]))
    seconds = [statistics.median(result[0] for result in side) for side in (plain, merged)]
    memory = [max(result[1] for result in side) for side in (plain, merged)]
    print(json.dumps({
        "modules": modules, "plain_seconds": seconds[0], "merged_seconds": seconds[1],
        "merge_seconds": seconds[1] - seconds[0], "plain_bytes": memory[0], "merged_bytes": memory[1],
        "memory_ratio": memory[1] / memory[0]}))
    return 0 if seconds[1] - seconds[0] <= MOST_SECONDS and memory[1] <= MOST_MEMORY * memory[0] else 1


if __name__ == "__main__":
    sys.exit(main())
