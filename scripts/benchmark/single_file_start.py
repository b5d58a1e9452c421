#!/usr/bin/env python3
"""Times how long a job takes from a single file and from a folder with the same weights, by turns.

    .build/release/pilot model init --architecture sd15 --output models/sd15
    scripts/benchmark/single_file_start.py models/sd15 [--rounds 5] [--cold] [--keep FILE]

A job of one step at 64x64 pixels is little more than its start: reading and checking all weights, laying them out, one
pass of each branch, one picture encoded and decoded, by one thread. The file is what `pilot model convert` makes of the
folder. Each round has the two in another order; the first round is for warming up and does not count. --cold has the
system forget the files' pages before each run, as after a restart. Beside the seconds there are those of the processor,
which another program disturbs less. Exits with 1 if the file takes more than 1.05 times as long by both, by the medians of
the rounds' ratios.
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from launching import PROGRAM, ROOT, environment  # noqa: E402

MOST = 1.05


def forget(model):
    """Has the system drop a model's pages from memory."""
    for path in [model] if model.is_file() else model.rglob("*.safetensors"):
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def run(model, output):
    """Seconds, seconds of the processor, and the peak of its memory in bytes."""
    command = [
        PROGRAM, "inpaint", "--model", model, "--image", ROOT / "examples/meadow.png", "--mask",
        ROOT / "examples/meadow-mask.png", "--prompt", "a fox", "--size", "64x64", "--steps", "1", "--coherence", "0",
        "--threads", "1", "--quiet", "--overwrite", "--output", output]
    start = time.monotonic()
    process = subprocess.Popen(list(map(str, command)), env=environment())
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{' '.join(map(str, command))} failed")
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path, help="a folder")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cold", action="store_true", help="with no page of the files in memory")
    parser.add_argument("--keep", type=pathlib.Path, help="where the single file is, or is to be kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        single = options.keep or pathlib.Path(folder) / "model.safetensors"
        if not single.exists():
            subprocess.run([PROGRAM, "model", "convert", options.model, "--output", single], check=True)
        subjects = {"folder": options.model, "single file": single}
        runs = {name: [] for name in subjects}
        for turn in range(options.rounds + 1):
            for name in list(subjects)[:: -1 if turn % 2 else 1]:
                if options.cold:
                    forget(subjects[name])
                result = run(subjects[name], f"{folder}/a.png")
                if turn:
                    runs[name].append(result)
    for name, values in runs.items():
        seconds, processor, peaks = zip(*values)
        print(f"{name}: {told(seconds)} s, of the processor {told(processor)} s, peak {max(peaks) / 2**30:.2f} GiB")
    ratios = [[file[place] / folder[place] for file, folder in zip(runs["single file"], runs["folder"])]
              for place in range(2)]
    print(f"single file / folder: {told(ratios[0], 3)}, of the processor {told(ratios[1], 3)}; at most {MOST}")
    return 1 if min(map(statistics.median, ratios)) > MOST else 0


def told(values, digits=2):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


if __name__ == "__main__":
    sys.exit(main())
