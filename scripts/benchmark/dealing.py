#!/usr/bin/env python3
"""What goes through rank 0, and through the busiest of the other ranks, as there are more and more replicas.

    swift build -c release
    scripts/benchmark/dealing.py --most-ranks 64

Runs `pilot batch` under mpirun on replicas=1, 2, 4 ... of the same shape, each with as many pictures for every replica,
once for each number of steps, and prints the messages and bytes that `--rank-report` counts: those of a rank are what it
sent and received, its start and the comparing of clocks included. A replica that is done early is given more pictures than
the others; how many the busiest one made is told. The pictures of all runs of one number of steps must be the same bytes.
The ranks share this machine's cores, so no time is told. The default model is a tiny one of the tests.
"""
import argparse
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from launching import PROGRAM, ROOT, environment, launcher  # noqa: E402

TINY = ROOT / "Tests/DiffusionModelsTests/Fixtures/models/sd1"
JOB = ROOT / "Tests/pilotTests/Fixtures/jobs/sd1-border"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=pathlib.Path, default=PROGRAM)
    parser.add_argument("--model", default=str(TINY))
    parser.add_argument("--most-ranks", type=int, default=64)
    parser.add_argument("--branches", type=int, default=2, choices=[1, 2])
    parser.add_argument("--stages", type=int, default=1)
    parser.add_argument("--pictures", type=int, default=2, help="for each replica (default: 2)")
    parser.add_argument("--steps", default="10,40", help="numbers of steps, one run each (default: 10,40)")
    parser.add_argument("--timeout", type=float, default=600, help="the most seconds that a run may take")
    return parser.parse_args()


def write_jobs(path, count):
    with open(path, "w") as file:
        for number in range(count):
            file.write(json.dumps({
                "image": str(JOB / "image.png"), "mask": str(JOB / "mask.png"), "prompt": "fox", "seed": number,
                "output": f"{number:04d}.png"}) + "\n")


def run(options, replicas, steps):
    """The report of every rank, and the digests of the pictures by their names."""
    ranks = replicas * options.branches * options.stages
    with tempfile.TemporaryDirectory(prefix="pilot-dealing-") as name:
        folder = pathlib.Path(name)
        write_jobs(folder / "jobs.jsonl", replicas * options.pictures)
        command = launcher(ranks) + [
            str(options.program), "batch", str(folder / "jobs.jsonl"), "--output", str(folder / "out"), "--model",
            options.model, "--layout", f"replicas={replicas},branches={options.branches},stages={options.stages}",
            "--threads", "1", "--steps", str(steps), "--coherence", "0.5", "--optimize-every", "2",
            "--gradient-steps", "2", "--jobs-in-flight", str(replicas), "--rank-report", str(folder / "ranks.json"),
            "--quiet"]
        # Waiting threads had better not keep the cores from those that compute.
        result = subprocess.run(
            command, env=environment(OMP_WAIT_POLICY="passive"), capture_output=True, text=True,
            timeout=options.timeout)
        if result.returncode != 0:
            sys.exit(f"{' '.join(command)} ended with {result.returncode}:\n{result.stderr[-2000:]}")
        digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (folder / "out").glob("*.png")}
        return json.loads((folder / "ranks.json").read_text())["ranks"], digests


def traffic(report):
    """Messages and bytes that a rank sent and received."""
    counts = report["traffic"]
    return (counts["sent_messages"] + counts["received_messages"], counts["sent_bytes"] + counts["received_bytes"])


def row(report, passes):
    messages, size = traffic(report)
    return [f"{messages:,}", f"{size / 1e3:,.0f}", round(report["times"]["forward_count"] / passes)]


def check(digests, known):
    for name, digest in digests.items():
        if known.setdefault(name, digest) != digest:
            sys.exit(f"{name} has other bytes on other ranks")


def main():
    options = arguments()
    print("| replicas | ranks | pictures | steps | rank 0: messages | KB | of its pictures | "
          "busiest other rank: messages | KB | of its pictures |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for steps in map(int, options.steps.split(",")):
        known = {}
        replicas = 1
        while replicas * options.branches * options.stages <= options.most_ranks:
            reports, digests = run(options, replicas, steps)
            check(digests, known)
            if replicas == 1:
                passes = reports[0]["times"]["forward_count"] / options.pictures
            busiest = max(reports[1:] or reports, key=traffic)
            cells = [replicas, len(reports), len(digests), steps] + row(reports[0], passes) + row(busiest, passes)
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)
            replicas *= 2


if __name__ == "__main__":
    main()
