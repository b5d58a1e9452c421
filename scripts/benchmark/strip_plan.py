#!/usr/bin/env python3
"""What `pilot plan` says of one picture on more and more ranks: a table of seconds and of times as fast, as Markdown.

    scripts/benchmark/strip_plan.py --model MODEL

On one machine with memory between ranks, and with a machine for each rank over Ethernet of 10 Gbit/s and InfiniBand of
100 Gbit/s. A prediction by this machine's calibration, where there is one, and not a measurement.
"""
import argparse
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from launching import PROGRAM  # noqa: E402

NETWORKS = [  # name, whether each rank has a machine of its own, latency and bandwidth
    ("memory", False, "50us,1GB"), ("10 Gbit/s Ethernet", True, "50us,1.25GB"),
    ("100 Gbit/s InfiniBand", True, "2us,12.5GB")]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=pathlib.Path, default=PROGRAM)
    parser.add_argument("--model", default="scenes")
    parser.add_argument("--sizes", nargs="+", default=["512x512", "1024x1024"])
    parser.add_argument("--ranks", nargs="+", type=int, default=[1, 2, 4, 8, 16, 32, 64])
    parser.add_argument("--memory-per-node", default="1000", help="gigabytes")
    return parser.parse_args()


def plan(options, size, ranks, has_own_machines, network):
    command = [
        str(options.program), "plan", "--model", options.model, "--size", size, "--ranks", str(ranks), "--nodes",
        str(ranks if has_own_machines else 1), "--network", network, "--memory-per-node", options.memory_per_node,
        "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def dimensions(layout):
    """`branches=2,stages=1,strips=4` as `2 x 1 x 4`, of one replica."""
    numbers = dict(part.split("=") for part in layout.split(","))
    return " x ".join(numbers.get(name, "1") for name in ("branches", "stages", "strips"))


def main():
    options = arguments()
    for size in options.sizes:
        print(f"\n| {size}, ranks | " + " | ".join(name for name, _, _ in NETWORKS) + " |\n|---|" + "---|" * len(NETWORKS))
        base = None
        for ranks in options.ranks:
            cells = []
            for _, has_own_machines, network in NETWORKS:
                figures = plan(options, size, ranks, has_own_machines, network)
                seconds = figures["picture_seconds"]
                base = base or seconds
                cells.append(f"{seconds:.0f} s, {base / seconds:.1f} ({dimensions(figures['layout'])})")
            print(f"| {ranks} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
