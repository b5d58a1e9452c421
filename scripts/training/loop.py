"""One loop for every network that is trained here: seeded, resumable, logged.

What a step sees depends only on the seed and the step's number, so a run that was cut off and taken up again sees what
an uninterrupted one would have seen.
"""

import copy
import json
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import numpy as np
import torch

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up, then a cosine down to a twentieth of the peak."""

    steps: int
    peak: float
    warmup: int = 100

    def rate(self, step: int) -> float:
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.peak * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))


def step_generators(seed: int, name: str, step: int) -> tuple[np.random.Generator, torch.Generator]:
    """Chance for one step: NumPy's for what is picked, PyTorch's for noise, both on the CPU."""
    rng = np.random.default_rng((seed, *name.encode(), step))
    return rng, torch.Generator().manual_seed(int(rng.integers(2**62)))


def autocast():
    return torch.autocast(DEVICE.type, dtype=torch.bfloat16)


def train(
    name: str,
    modules: torch.nn.ModuleDict,
    loss: Callable[[np.random.Generator, torch.Generator], dict[str, torch.Tensor]],
    schedule: Schedule,
    work: Path,
    seed: int,
    averaging: float = 0.999,
    weight_decay: float = 0.01,
    report_every: int = 50,
    save_every: int = 200,
) -> torch.nn.ModuleDict:
    """Trains `modules` on `loss` (its terms; "loss" is the one that is differentiated) and returns their exponential
    moving average. State is kept in `work`/NAME.training.pt, figures go to `work`/NAME.log as JSON lines."""
    modules.to(DEVICE).train()
    average = copy.deepcopy(modules).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(
        modules.parameters(), lr=schedule.peak, weight_decay=weight_decay, betas=(0.9, 0.99), fused=True
    )
    state_file, log_file = work / f"{name}.training.pt", work / f"{name}.log"
    start = 0
    if state_file.exists():
        state = torch.load(state_file, map_location=DEVICE, weights_only=True)
        modules.load_state_dict(state["modules"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        start = state["step"]
        print(f"{name}: goes on at step {start}", flush=True)

    def save(step):
        partial = state_file.with_suffix(".partial")
        torch.save(
            {
                "modules": modules.state_dict(),
                "average": average.state_dict(),
                "optimizer": optimizer.state_dict(),
                "step": step,
            },
            partial,
        )
        os.replace(partial, state_file)

    sums, since = {}, time.monotonic()
    for step in range(start, schedule.steps):
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate(step)
        terms = loss(*step_generators(seed, name, step))
        terms["loss"].backward()
        torch.nn.utils.clip_grad_norm_(modules.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        decay = min(averaging, (step + 1) / (step + 10))
        with torch.no_grad():
            pairs = zip(average.parameters(), modules.parameters())
            torch._foreach_lerp_(*map(list, zip(*pairs)), 1 - decay)
        for key, value in terms.items():
            sums[key] = sums.get(key, 0.0) + float(value.detach())
        if (step + 1) % report_every == 0 or step + 1 == schedule.steps:
            count = step + 1 - max(start, step // report_every * report_every)
            seconds = (time.monotonic() - since) / count
            figures = {"step": step + 1, "seconds_per_step": round(seconds, 3)}
            figures |= {key: round(value / count, 6) for key, value in sums.items()}
            left = seconds * (schedule.steps - step - 1) / 60
            line = json.dumps(figures)
            print(f"{name}: {line}, {left:.0f} min left", flush=True)
            with log_file.open("a") as log:
                log.write(line + "\n")
            sums, since = {}, time.monotonic()
        if (step + 1) % save_every == 0:
            save(step + 1)
    save(schedule.steps)
    return average
