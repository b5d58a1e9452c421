#!/usr/bin/env python3
"""Times one guidance pair of UNet passes: this engine on two ranks against diffusers on PyTorch with two threads.

    .build/release/pilot model init --architecture sd15 --seed 0 --output models/sd15
    .venv/bin/python scripts/benchmark/against_pytorch.py models/sd15 [--dtype bfloat16] [--output FILE.json]

The two take turns, each in a fresh process, forward alone and forward + backward (the gradient with respect to the
latents). Only ratios within a round count, since a machine's speed drifts from minute to minute; the medians over the
rounds are set against the floors that the engine keeps in float32:

    forward             at least as fast as PyTorch
    forward + backward  at least 1.3 x as fast
    peak memory         of both ranks together at most 0.85 x PyTorch's, with the gradient

Memory is the proportional set size of all processes of a side (a page that n processes share counts for 1/n in each),
read every half second in a run of its own, since looking takes time.

The engine's side is `mpirun -np 2 pilot model benchmark --model DIR --size WxH --passes N [--gradient]`, a line of JSON
per pass: {"forward_seconds": S, "backward_seconds": S, "peak_bytes_per_rank": [B, B]}. Exits with 1 below a floor.
"""

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from launching import PROGRAM, ROOT, environment  # noqa: E402

FLOORS = {"forward": 1.0, "gradient": 1.3}
# Of the engine with the gradient, in PyTorch's.
MEMORY_CEILING = 0.85
ENVIRONMENT = environment()
# The first pass of a process pays for thread pools, code generation and page faults.
WARM_UP_PASSES = 1


def torch_passes(arguments: argparse.Namespace):
    """One side of one round, in this process: prints what the engine's benchmark prints."""
    import torch
    sys.path.insert(0, str(ROOT / "scripts" / "reference"))
    from diffusers import UNet2DConditionModel
    from model_folder import weight_variant

    torch.set_num_threads(arguments.torch_threads)
    dtype = getattr(torch, arguments.dtype)
    folder = Path(arguments.model)
    unet = UNet2DConditionModel.from_pretrained(
        folder / "unet", variant=weight_variant(folder / "unet"), torch_dtype=dtype, local_files_only=True)
    unet = unet.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    height, width = latent_size(folder, arguments.size)
    tokens = json.loads((folder / "text_encoder" / "config.json").read_text())["max_position_embeddings"]
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(shape, generator=generator).to(dtype)

    # Both branches of guidance: one latent, two prompts, as a batch of two.
    embeddings = normal(2, tokens, unet.config.cross_attention_dim)
    channels_last = torch.channels_last
    latents = normal(1, 4, height, width).repeat(2, 1, 1, 1).contiguous(memory_format=channels_last)
    cotangents = normal(2, 4, height, width).contiguous(memory_format=channels_last)
    for _ in range(arguments.passes + WARM_UP_PASSES):
        with torch.set_grad_enabled(arguments.gradient):
            leaf = latents.clone().requires_grad_(arguments.gradient)
            start = time.perf_counter()
            output = unet(leaf, 500, embeddings).sample
            middle = time.perf_counter()
            if arguments.gradient:
                torch.autograd.grad(output, leaf, cotangents)
            end = time.perf_counter()
            del output
        print(json.dumps({"forward_seconds": middle - start, "backward_seconds": end - middle}))


def latent_size(folder: Path, size: str) -> tuple[int, int]:
    """(height, width) of the latent of a picture of `size`, WIDTHxHEIGHT."""
    width, height = (int(side) for side in size.split("x"))
    levels = len(json.loads((folder / "vae" / "config.json").read_text())["block_out_channels"])
    factor = 2 ** (levels - 1)
    return height // factor, width // factor


def measure(command: list[str], gradient: bool) -> dict:
    """Runs one side; the median seconds of a pass after warming up."""
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
    passes = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 or len(passes) <= WARM_UP_PASSES:
        raise SystemExit(f"{shlex.join(command)}: exit code {done.returncode}\n{done.stderr.strip()[-2000:]}")
    timed = passes[WARM_UP_PASSES:]
    return {
        "forward_seconds": statistics.median(p["forward_seconds"] for p in timed),
        "seconds": statistics.median(
            p["forward_seconds"] + (p["backward_seconds"] if gradient else 0) for p in timed),
    }


def peak_memory(command: list[str]) -> int:
    """Runs one side; the most bytes that all its processes held together."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(map(proportional_bytes, family(process.pid))))
        time.sleep(0.5)
    if process.returncode != 0:
        raise SystemExit(f"{shlex.join(command)}: exit code {process.returncode}")
    return peak


def family(ancestor: int) -> list[int]:
    """The process and all that it started, and they."""
    children: dict[int, list[int]] = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            parent = int(Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue
        children.setdefault(parent, []).append(int(entry))
    members = [ancestor]
    for member in members:
        members += children.get(member, [])
    return members


def proportional_bytes(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def commands(arguments: argparse.Namespace, gradient: bool) -> tuple[list[str], list[str]]:
    """(engine's, PyTorch's)"""
    passes = arguments.passes + WARM_UP_PASSES
    flags = ["--gradient"] if gradient else []
    engine = [
        *shlex.split(arguments.launcher), arguments.pilot, "model", "benchmark", "--model", arguments.model,
        "--size", arguments.size, "--passes", str(passes), "--dtype", arguments.dtype,
        "--threads", str(arguments.engine_threads), *flags]
    torch = [
        sys.executable, __file__, arguments.model, "--measure-torch", "--size", arguments.size,
        "--passes", str(arguments.passes), "--dtype", arguments.dtype,
        "--torch-threads", str(arguments.torch_threads), *flags]
    return engine, torch


def processor() -> str:
    """The processor's name where the system tells it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def versions() -> dict:
    from importlib.metadata import version
    return {name: version(name) for name in ("torch", "diffusers")}


def compare(arguments: argparse.Namespace) -> int:
    report = {
        "model": Path(arguments.model).name, "size": arguments.size, "dtype": arguments.dtype,
        "rounds": arguments.rounds, "passes": arguments.passes, "launcher": arguments.launcher,
        "engine_threads": arguments.engine_threads, "torch_threads": arguments.torch_threads,
        "processor": processor(), "cores": os.cpu_count(), "versions": versions(), "results": {},
    }
    for kind, gradient in {"forward": False, "gradient": True}.items():
        engine_command, torch_command = commands(arguments, gradient)
        rounds = []
        for number in range(arguments.rounds):
            sides = {"engine": engine_command, "torch": torch_command}
            # Whoever goes first in one round goes second in the next.
            order = sorted(sides, reverse=number % 2 == 1)
            rounds.append({side: measure(sides[side], gradient) for side in order})
            last = rounds[-1]
            print(f"{kind} round {number + 1}: engine {last['engine']['seconds']:.2f} s, PyTorch "
                  f"{last['torch']['seconds']:.2f} s", flush=True)
        report["results"][kind] = summary(rounds) | {
            "engine_peak_bytes": peak_memory(engine_command), "torch_peak_bytes": peak_memory(torch_command)}
    good = print_verdict(report)
    if arguments.output:
        Path(arguments.output).write_text(json.dumps(report, indent=2) + "\n")
    return 0 if good or arguments.dtype != "float32" else 1


def summary(rounds: list[dict]) -> dict:
    def median(value):
        return statistics.median(value(r) for r in rounds)

    return {
        "engine_seconds": median(lambda r: r["engine"]["seconds"]),
        "torch_seconds": median(lambda r: r["torch"]["seconds"]),
        "speed_ratio": median(lambda r: r["torch"]["seconds"] / r["engine"]["seconds"]),
        "rounds": rounds,
    }


def print_verdict(report: dict) -> bool:
    print(f"\n{report['model']} {report['size']} {report['dtype']}, one guidance pair, {report['processor']}, medians\n")
    print("| | engine | PyTorch | PyTorch / engine | floor |\n|---|---|---|---|---|")
    good = True
    for kind, result in report["results"].items():
        good &= result["speed_ratio"] >= FLOORS[kind]
        print(f"| {kind}, s | {result['engine_seconds']:.2f} | {result['torch_seconds']:.2f} | "
              f"{result['speed_ratio']:.2f} | {FLOORS[kind]} |")
    for kind, result in report["results"].items():
        engine, torch = (result[f"{side}_peak_bytes"] for side in ("engine", "torch"))
        is_bound = kind == "gradient"
        good &= not is_bound or engine <= MEMORY_CEILING * torch
        print(f"| {kind}, peak GB | {engine / 1e9:.2f} | {torch / 1e9:.2f} | {torch / engine:.2f} | "
              f"{f'{1 / MEMORY_CEILING:.2f}' if is_bound else ''} |")
    print(f"\n{'every floor is kept' if good else 'BELOW A FLOOR'}"
          + ("" if report["dtype"] == "float32" else " (the floors are for float32)"))
    return good


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("model", help="a diffusers folder, such as `pilot model init` writes")
    options.add_argument("--size", default="512x512", help="of the picture")
    options.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--passes", type=int, default=2, help="timed passes per process, after one to warm up")
    options.add_argument("--pilot", default=str(PROGRAM))
    options.add_argument("--launcher", default="mpirun --bind-to none -np 2")
    options.add_argument("--engine-threads", type=int, default=1, help="per rank")
    options.add_argument("--torch-threads", type=int, default=2)
    options.add_argument("--output", help="a JSON file for the report")
    options.add_argument("--gradient", action="store_true", help=argparse.SUPPRESS)
    options.add_argument("--measure-torch", action="store_true", help=argparse.SUPPRESS)
    arguments = options.parse_args()
    if arguments.measure_torch:
        torch_passes(arguments)
        return 0
    return compare(arguments)


if __name__ == "__main__":
    sys.exit(main())
