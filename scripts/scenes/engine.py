"""Runs the engine on pictures and holes from here."""

import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent.parent
BUILT = ROOT / ".build/release/pilot"
SECONDS = re.compile(r"^total\s+([0-9.]+) s", re.MULTILINE)


@dataclass(frozen=True)
class Engine:
    """The program, the model it is to use (its own when there is none), and options for every job."""

    program: Path = BUILT
    model: str | None = None
    options: tuple = ()

    def inpaint(self, image: Path, mask: Path, prompt: str, output: Path, *options: str) -> float:
        """Runs one job on one rank of one thread and returns its seconds, as the engine sums them up."""
        command = [self.program, "inpaint", "--image", image, "--mask", mask, "--prompt", prompt, "--output", output]
        command += ["--model", self.model] if self.model else []
        command += ["--overwrite", "--threads", "1", *self.options, *options]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(map(str, command))}\nended with {done.returncode}:\n{done.stderr.strip()}")
        total = SECONDS.search(done.stdout + done.stderr)
        if total is None:
            raise SystemExit(f"{self.program}: no line with the total of seconds in its output")
        return float(total[1])


def save_hole(hole: np.ndarray, file: Path):
    Image.fromarray(hole.astype(np.uint8) * 255).save(file)


def side_by_side(work, tasks: list, jobs: int, what: str):
    """Calls work(task) for every task, `jobs` at a time, and yields the results in order; says how far it is."""
    with ThreadPoolExecutor(jobs) as pool:
        for count, result in enumerate(pool.map(work, tasks), 1):
            if count % 50 == 0 or count == len(tasks):
                print(f"{what}: {count} of {len(tasks)}", flush=True)
            yield result
