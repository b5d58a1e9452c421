#!/usr/bin/env python3
"""Compares two dumps of the same job, say the engine's and the reference's.

    .venv/bin/python scripts/reference/compare_dumps.py ENGINE.safetensors REFERENCE.safetensors

Prints a line per tensor and exits with 1 when a limit is passed: losses of the first optimised step within 1e-4 of
their value, every latent within 1 % of its standard deviation, the image latents, the mask and the embeddings, which
come before any chaos, within 1e-4 of the largest value (the mask exactly, maps within 1e-6), features of T2I-Adapters
and tokens of IP-Adapters within 1e-3 of their standard deviation. Noise predictions and the decoded picture
follow the latents and have their limit; later losses are printed only.
"""

import argparse
import re
import sys

import torch
from safetensors.torch import load_file

INPUTS = ("image_latent", "masked_image_latent", "initial_latent", "prompt_embedding", "negative_prompt_embedding")
INPUT_LIMIT = 1e-4         # of the largest value
MAP_LIMIT = 1e-6           # of 1, what a map's white is
LATENT_LIMIT = 0.01        # of the standard deviation
FEATURE_LIMIT = 1e-3       # of the standard deviation, of what is computed once from maps and pictures
FIRST_LOSS_LIMIT = 1e-4    # of each value
# A loss this far below the step's largest is rounding: L_s of two branches that agree, L_bg of a full mask.
NEGLIGIBLE_LOSS = 1e-7


def loss_distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """The largest relative difference between losses that are not negligible."""
    scale = torch.maximum(b.abs(), NEGLIGIBLE_LOSS * b.abs().max()).clamp_min(torch.finfo(torch.float32).tiny)
    return ((a - b).abs() / scale).max().item()


def compare(ours: dict, theirs: dict, common_only: bool = False) -> list[tuple[str, str, float, float | None]]:
    """(tensor, measure, distance, limit or None) for each tensor; a NaN or another shape is an infinite distance."""
    rows = []
    names = sorted(ours.keys() & theirs.keys() if common_only else ours.keys() | theirs.keys())
    optimised = [name for name in names if name.endswith(".loss")]
    for name in names:
        if name not in ours or name not in theirs:
            rows.append((name, "missing in " + ("the first" if name not in ours else "the second"), float("inf"), 0.0))
            continue
        a, b = ours[name].double(), theirs[name].double()
        if a.shape != b.shape:
            rows.append((name, f"shapes {list(a.shape)} and {list(b.shape)}", float("inf"), 0.0))
            continue
        largest, deviation = (a - b).abs().max().item(), b.std().item()
        if not (torch.isfinite(a).all() and torch.isfinite(b).all()):
            rows.append((name, "not finite", float("inf"), 0.0))
        elif name == "latent_mask":
            rows.append((name, "of largest", largest, 0.0))
        elif name in INPUTS:
            rows.append((name, "of largest", largest / b.abs().max().clamp_min(1e-30).item(), INPUT_LIMIT))
        elif re.fullmatch(r"(cut\.\d+\.)?(t2i_adapter\.\d+\.feature\.\d+|ip_adapter\.\d+\.(negative_)?tokens)", name):
            rows.append((name, "of std", largest / max(deviation, 1e-30), FEATURE_LIMIT))
        elif re.fullmatch(r"(cut\.\d+\.)?(control|t2i_adapter)\.\d+\.image", name):
            rows.append((name, "of largest", largest, MAP_LIMIT))
        elif name.endswith(".loss"):
            rows.append((name, "of value", loss_distance(a, b), FIRST_LOSS_LIMIT if name == optimised[0] else None))
        else:
            rows.append((name, "of std", largest / max(deviation, 1e-30), LATENT_LIMIT))
    return rows


def passed(rows) -> bool:
    return all(limit is None or distance <= limit for _, _, distance, limit in rows)


def table(rows) -> str:
    lines = []
    for name, measure, distance, limit in rows:
        verdict = "" if limit is None else "ok" if distance <= limit else f"FAILS (limit {limit:g})"
        lines.append(f"{name:34} {distance:9.2e} {measure:22} {verdict}")
    return "\n".join(lines)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("ours")
    options.add_argument("theirs")
    options.add_argument("--common-only", action="store_true", help="pass over tensors that only one dump has")
    arguments = options.parse_args()
    rows = compare(load_file(arguments.ours), load_file(arguments.theirs), arguments.common_only)
    print(table(rows))
    if not rows:
        print("nothing in common")
    return 0 if rows and passed(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
