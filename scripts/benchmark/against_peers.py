#!/usr/bin/env python3
"""Times this engine on two ranks against its peers on two threads: diffusers on PyTorch, and OpenVINO.

    .build/release/pilot model init --architecture sd15 --seed 0 --output models/sd15
    .venv/bin/python scripts/benchmark/against_peers.py models/sd15 [--dtype bfloat16] [--openvino] [--job]

What is timed is one guidance pair of UNet passes, forward alone and forward + backward (the gradient with respect to the
latents); OpenVINO has no backward pass. --job adds a whole job, from the start of the process to the picture, against the
Python reference (scripts/reference/pilot_reference.py), which computes in float32 whatever --dtype is. The sides take turns,
each in a fresh process. Only ratios within a round count, since a machine's speed drifts from minute to minute; the medians
over the rounds are set against these floors, in PyTorch's seconds by the engine's:

    float32, forward 1.75, with gradient 1.7, whole job 1.7; memory at most 0.85 x PyTorch's, with the gradient
    bfloat16, forward 1.7, with gradient 1.8, whole job 2.8
    OpenVINO, forward 1.4 in float32 and 1.5 in bfloat16

Memory is the proportional set size of all processes of a side (a page that n processes share counts for 1/n in each),
read every half second in a run of its own, since looking takes time.

The engine's side is `mpirun -np 2 pilot model benchmark --model DIR --size WxH --passes N [--gradient]`, a line of JSON
per pass: {"forward_seconds": S, "backward_seconds": S, "peak_bytes_per_rank": [B, B]}. OpenVINO is `pip install openvino`;
its model is converted once, before the rounds. Exits with 1 below a floor.
"""

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from launching import PROGRAM, ROOT, environment  # noqa: E402

FLOORS = {
    ("float32", "forward", "torch"): 1.75, ("float32", "gradient", "torch"): 1.7, ("float32", "job", "torch"): 1.7,
    ("bfloat16", "forward", "torch"): 1.7, ("bfloat16", "gradient", "torch"): 1.8, ("bfloat16", "job", "torch"): 2.8,
    ("float32", "forward", "openvino"): 1.4, ("bfloat16", "forward", "openvino"): 1.5,
}
# Of the engine with the gradient, in PyTorch's.
MEMORY_CEILING = 0.85
ENVIRONMENT = environment()
# The first pass of a process pays for thread pools, code generation and page faults.
WARM_UP_PASSES = 1


def load_unet(arguments: argparse.Namespace, dtype):
    import torch
    sys.path.insert(0, str(ROOT / "scripts" / "reference"))
    from diffusers import UNet2DConditionModel
    from model_folder import weight_variant

    torch.set_num_threads(arguments.peer_threads)
    folder = Path(arguments.model)
    unet = UNet2DConditionModel.from_pretrained(
        folder / "unet", variant=weight_variant(folder / "unet"), torch_dtype=dtype, local_files_only=True)
    return unet.eval().requires_grad_(False)


def inputs(arguments: argparse.Namespace, width: int, dtype) -> dict:
    """Both branches of guidance, one latent and two prompts, as a batch of two."""
    import torch
    folder = Path(arguments.model)
    latent_height, latent_width = latent_size(folder, arguments.size)
    tokens = json.loads((folder / "text_encoder" / "config.json").read_text())["max_position_embeddings"]
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(shape, generator=generator).to(dtype)

    return {
        "prompts": normal(2, tokens, width),
        "latents": normal(1, 4, latent_height, latent_width).repeat(2, 1, 1, 1),
        "cotangents": normal(2, 4, latent_height, latent_width)}


def torch_passes(arguments: argparse.Namespace):
    """One side of one round, in this process: prints what the engine's benchmark prints."""
    import torch
    dtype = getattr(torch, arguments.dtype)
    channels_last = torch.channels_last
    unet = load_unet(arguments, dtype).to(memory_format=channels_last)
    given = inputs(arguments, unet.config.cross_attention_dim, dtype)
    latents, cotangents = (given[name].contiguous(memory_format=channels_last) for name in ("latents", "cotangents"))
    for _ in range(arguments.passes + WARM_UP_PASSES):
        with torch.set_grad_enabled(arguments.gradient):
            leaf = latents.clone().requires_grad_(arguments.gradient)
            start = time.perf_counter()
            output = unet(leaf, 500, given["prompts"]).sample
            middle = time.perf_counter()
            if arguments.gradient:
                torch.autograd.grad(output, leaf, cotangents)
            end = time.perf_counter()
            del output
        print(json.dumps({"forward_seconds": middle - start, "backward_seconds": end - middle}))


def convert_for_openvino(arguments: argparse.Namespace):
    import openvino
    import torch

    class Noise(torch.nn.Module):
        def __init__(self, unet):
            super().__init__()
            self.unet = unet

        def forward(self, latents, timestep, prompts):
            return self.unet(latents, timestep, prompts).sample

    unet = load_unet(arguments, torch.float32)
    given = inputs(arguments, unet.config.cross_attention_dim, torch.float32)
    example = (given["latents"], torch.tensor(500), given["prompts"])
    with torch.no_grad():
        model = openvino.convert_model(
            Noise(unet), example_input=example, input=[list(value.shape) for value in example])
    openvino.save_model(model, arguments.convert_openvino, compress_to_fp16=False)


def openvino_passes(arguments: argparse.Namespace):
    import openvino
    import torch
    precision = {"float32": "f32", "bfloat16": "bf16"}[arguments.dtype]
    model = openvino.Core().compile_model(arguments.measure_openvino, "CPU", {
        "INFERENCE_NUM_THREADS": arguments.peer_threads, "INFERENCE_PRECISION_HINT": precision, "NUM_STREAMS": 1})
    width = json.loads((Path(arguments.model) / "unet" / "config.json").read_text())["cross_attention_dim"]
    given = inputs(arguments, width, torch.float32)
    values = [given["latents"].numpy(), torch.tensor(500).numpy(), given["prompts"].numpy()]
    for _ in range(arguments.passes + WARM_UP_PASSES):
        start = time.perf_counter()
        model(values)
        print(json.dumps({"forward_seconds": time.perf_counter() - start, "backward_seconds": 0}))


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


def commands(arguments: argparse.Namespace, gradient: bool) -> dict[str, list[str]]:
    """Of each side that can do it."""
    passes = arguments.passes + WARM_UP_PASSES
    flags = ["--gradient"] if gradient else []
    peer = [
        sys.executable, __file__, arguments.model, "--size", arguments.size, "--passes", str(arguments.passes), "--dtype",
        arguments.dtype, "--peer-threads", str(arguments.peer_threads), *flags]
    sides = {
        "engine": [
            *shlex.split(arguments.launcher), arguments.pilot, "model", "benchmark", "--model", arguments.model,
            "--size", arguments.size, "--passes", str(passes), "--dtype", arguments.dtype,
            "--threads", str(arguments.engine_threads), *flags],
        "torch": [*peer, "--measure-torch"]}
    if arguments.openvino and not gradient:
        sides["openvino"] = [*peer, "--measure-openvino", arguments.converted]
    return sides


def job_commands(arguments: argparse.Namespace, folder: Path) -> dict[str, list[str]]:
    """A whole job, by the balanced preset but for its number of steps."""
    examples = ROOT / "examples"
    job = [
        "--model", arguments.model, "--image", str(examples / "coffee.png"), "--mask", str(examples / "coffee-mask.png"),
        "--prompt", "an orange", "--size", arguments.size, "--steps", "6", "--coherence", "0.5", "--optimize-every", "5",
        "--gradient-steps", "10"]
    return {
        "engine": [
            *shlex.split(arguments.launcher), arguments.pilot, "inpaint", *job, "--dtype", arguments.dtype, "--threads",
            str(arguments.engine_threads), "--quiet", "--overwrite", "--output", str(folder / "engine.png")],
        "torch": [
            sys.executable, str(ROOT / "scripts/reference/pilot_reference.py"), *job, "--output",
            str(folder / "reference.png")]}


def measure_job(command: list[str], threads: int) -> dict:
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT | {"OMP_NUM_THREADS": str(threads)})
    if done.returncode != 0:
        raise SystemExit(f"{shlex.join(command)}: exit code {done.returncode}\n{done.stderr.strip()[-2000:]}")
    return {"seconds": time.perf_counter() - start}


def in_turns(kind: str, rounds: int, sides: dict, measured) -> list[dict]:
    """Whoever goes first in one round goes last in the next."""
    found = []
    for number in range(rounds):
        order = sorted(sides, reverse=number % 2 == 1)
        found.append({side: measured(side) for side in order})
        shown = ", ".join(f"{side} {found[-1][side]['seconds']:.2f} s" for side in sides)
        print(f"{kind} round {number + 1}: {shown}", flush=True)
    return found


def processor() -> str:
    """The processor's name where the system tells it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def versions(arguments: argparse.Namespace) -> dict:
    from importlib.metadata import version
    return {name: version(name) for name in ("torch", "diffusers", *(["openvino"] if arguments.openvino else []))}


def compare(arguments: argparse.Namespace, scratch: Path) -> int:
    report = {
        "model": Path(arguments.model).name, "size": arguments.size, "dtype": arguments.dtype,
        "rounds": arguments.rounds, "passes": arguments.passes, "launcher": arguments.launcher,
        "engine_threads": arguments.engine_threads, "peer_threads": arguments.peer_threads,
        "processor": processor(), "cores": os.cpu_count(), "versions": versions(arguments), "results": {},
    }
    results = report["results"]
    for kind, gradient in {"forward": False, "gradient": True}.items():
        sides = commands(arguments, gradient)
        results[kind] = summary(
            in_turns(kind, arguments.rounds, sides, lambda side: measure(sides[side], gradient)))
        if arguments.memory:
            results[kind]["peak_bytes"] = {side: peak_memory(command) for side, command in sides.items()}
    if arguments.job:
        sides = job_commands(arguments, scratch)
        threads = {"engine": arguments.engine_threads, "torch": arguments.peer_threads}
        results["job"] = summary(
            in_turns("job", arguments.job, sides, lambda side: measure_job(sides[side], threads[side])))
    good = print_verdict(report)
    if arguments.output:
        Path(arguments.output).write_text(json.dumps(report, indent=2) + "\n")
    return 0 if good else 1


def summary(rounds: list[dict]) -> dict:
    def median(value):
        return statistics.median(value(r) for r in rounds)

    sides = list(rounds[0])
    return {
        "seconds": {side: median(lambda r: r[side]["seconds"]) for side in sides},
        "speed_ratio": {
            side: median(lambda r: r[side]["seconds"] / r["engine"]["seconds"]) for side in sides if side != "engine"},
        "rounds": rounds,
    }


def print_verdict(report: dict) -> bool:
    print(f"\n{report['model']} {report['size']} {report['dtype']}, one guidance pair, {report['processor']}, medians\n")
    print("| | engine | peer | peer / engine | floor |\n|---|---|---|---|---|")
    good = True
    for kind, result in report["results"].items():
        for side, ratio in result["speed_ratio"].items():
            floor = FLOORS.get((report["dtype"], kind, side), 0)
            good &= ratio >= floor
            print(f"| {kind}, {side}, s | {result['seconds']['engine']:.2f} | {result['seconds'][side]:.2f} | "
                  f"{ratio:.2f} | {floor or ''} |")
    for kind, result in report["results"].items():
        for side, peak in result.get("peak_bytes", {}).items():
            engine = result["peak_bytes"]["engine"]
            if side == "engine":
                continue
            is_bound = (report["dtype"], kind, side) == ("float32", "gradient", "torch")
            good &= not is_bound or engine <= MEMORY_CEILING * peak
            print(f"| {kind}, {side}, peak GB | {engine / 1e9:.2f} | {peak / 1e9:.2f} | {peak / engine:.2f} | "
                  f"{f'{1 / MEMORY_CEILING:.2f}' if is_bound else ''} |")
    print(f"\n{'every floor is kept' if good else 'BELOW A FLOOR'}")
    return good


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("model", help="a diffusers folder, such as `pilot model init` writes")
    options.add_argument("--size", default="512x512", help="of the picture")
    options.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--passes", type=int, default=2, help="timed passes per process, after one to warm up")
    options.add_argument("--openvino", action="store_true", help="OpenVINO, too")
    options.add_argument("--job", type=int, nargs="?", const=1, default=0, metavar="ROUNDS", help="a whole job, too")
    options.add_argument("--no-memory", dest="memory", action="store_false", help="only times")
    options.add_argument("--pilot", default=str(PROGRAM))
    options.add_argument("--launcher", default="mpirun --bind-to none -np 2")
    options.add_argument("--engine-threads", type=int, default=1, help="per rank")
    options.add_argument("--peer-threads", type=int, default=2)
    options.add_argument("--output", help="a JSON file for the report")
    options.add_argument("--gradient", action="store_true", help=argparse.SUPPRESS)
    options.add_argument("--measure-torch", action="store_true", help=argparse.SUPPRESS)
    options.add_argument("--measure-openvino", help=argparse.SUPPRESS)
    options.add_argument("--convert-openvino", help=argparse.SUPPRESS)
    arguments = options.parse_args()
    if arguments.measure_torch:
        torch_passes(arguments)
        return 0
    if arguments.measure_openvino:
        openvino_passes(arguments)
        return 0
    if arguments.convert_openvino:
        convert_for_openvino(arguments)
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        arguments.converted = str(Path(scratch) / "unet.xml")
        if arguments.openvino:
            # In a process of its own, whose memory goes with it.
            subprocess.run([sys.executable, __file__, arguments.model, "--size", arguments.size, "--convert-openvino",
                            arguments.converted], check=True, env=ENVIRONMENT)
        return compare(arguments, Path(scratch))


if __name__ == "__main__":
    sys.exit(main())
