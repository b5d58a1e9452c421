"""One measurement: the program on its ranks, warmed up, then timed while it makes pictures."""
import dataclasses
import hashlib
import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from launching import environment, job_line, launcher

from . import traces

WARM_UP_SEED = 1_000_000


class Failed(Exception):
    """The program ended before it had made its pictures."""


@dataclasses.dataclass(frozen=True)
class Case:
    """What is measured, in every round once."""
    mode: str
    ranks: int
    layout: str
    # One rank of so many threads, or so many programs that know nothing of each other: what layouts are held against.
    threads: int = 1
    programs: int = 1

    @property
    def is_reference(self):
        return self.programs > 1 or self.layout == ""

    @property
    def name(self):
        if self.programs > 1:
            return f"{self.programs} programs of one rank"
        return self.layout or f"one rank of {self.threads} threads"


def subject(options):
    """What is computed, and how: as `pilot plan` and `pilot batch` both want it."""
    return ["--model", options.model, "--size", options.size, "--dtype", options.dtype]


def course(options):
    return ["--steps", str(options.steps), "--coherence", "0.5", "--optimize-every", "1", "--gradient-steps", "2"]


def launch(options, ranks):
    """The words before the program. What the user gives has {ranks} in the place of their number."""
    if options.launch:
        return [word.replace("{ranks}", str(ranks)) for word in shlex.split(options.launch)]
    if "SLURM_JOB_ID" in os.environ and shutil.which("srun") and not shutil.which("mpirun"):
        return ["srun", "--mpi=pmix", "--kill-on-bad-exit=1", "-n", str(ranks)]
    return launcher(ranks)


class Program:
    """A batch that reads its lines from a pipe, so that the clock can start when the weights are there and warm."""

    def __init__(self, options, case, folder, ranks):
        folder.mkdir(parents=True)
        self.folder, self.ranks = folder, ranks
        command = launch(options, ranks) + [
            str(options.program), "batch", "-", "--output", str(folder / "out"), "--json", "--progress", "none",
            "--trace", str(folder / "trace.json"), "--rank-report", str(folder / "ranks.json"),
            "--threads", str(case.threads * options.threads)] + subject(options) + course(options)
        if case.layout:
            command += ["--layout", case.layout]
        if case.mode == "strong":
            command += ["--jobs-in-flight", "1"]
        self.command = command
        self.errors = tempfile.TemporaryFile("w+")
        # A group of its own: Ctrl-C is for the script, which then ends it.
        self.process = subprocess.Popen(
            command, env=environment(XDG_CACHE_HOME=str(options.output / "cache")), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self.errors, text=True, start_new_session=True)

    def make(self, seeds, **others):
        """Gives lines and waits for their pictures; returns when the first was given and the last was there."""
        begin = time.monotonic()
        try:
            self.process.stdin.write("".join(
                job_line(f"{seed}.png", "a blue ball", seed, **others) for seed in seeds))
            self.process.stdin.flush()
        except BrokenPipeError:
            self.fail()
        for _ in seeds:
            line = self.process.stdout.readline()
            if not line:
                self.fail()
            result = json.loads(line)
            if result["status"] != "done":
                raise Failed(f"{result.get('output')}: {result.get('error', result['status'])}")
        return begin, time.monotonic()

    def close(self):
        self.process.stdin.close()
        if self.process.wait() != 0:
            self.fail()

    def fail(self):
        self.process.wait()
        self.errors.seek(0)
        said = [line for line in self.errors.read().splitlines() if line.strip()]
        # The program's own word, if it had one; mpirun says more, and less.
        own = [line for line in said if line.startswith("pilot: ")]
        reason = next((line for line in own if "error" in line), (own or said or ["it said nothing"])[-1])
        raise Failed(f"ended with {self.process.returncode}: {reason}")

    def end(self):
        """Ends it if it is there still, with all ranks that were started here."""
        if self.process.poll() is not None:
            return
        for wanted in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, wanted)
                self.process.wait(timeout=15)
                return
            except subprocess.TimeoutExpired:
                continue
            except ProcessLookupError:
                return

    def pictures(self, seeds):
        """The hash of each picture's file, by its seed."""
        return {
            str(seed): hashlib.sha256((self.folder / "out" / f"{seed}.png").read_bytes()).hexdigest()
            for seed in seeds}


class PSSWatch(threading.Thread):
    """The greatest proportional set size that a program's processes here had together, looked at four times a second."""

    def __init__(self, programs):
        super().__init__(daemon=True)
        self.programs, self.done, self.most_bytes = programs, threading.Event(), 0

    def run(self):
        while not self.done.wait(0.25):
            processes = [process for program in self.programs for process in descendants(program.process.pid)]
            self.most_bytes = max(self.most_bytes, sum(pss_bytes(process) for process in processes))

    def finish(self):
        self.done.set()
        self.join()
        return self.most_bytes


def descendants(process):
    found = [process]
    for task in pathlib.Path(f"/proc/{process}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue
        for child in children:
            found += descendants(int(child))
    return found


def pss_bytes(process):
    try:
        text = pathlib.Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), 0)


def measure(options, case, folder):
    """Runs a case once.

    Returns seconds, the pictures' hashes, what each rank did, and memory. Raises Failed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    pictures = 1 if case.mode == "strong" else options.jobs
    shares = [range(pictures)[number::case.programs] for number in range(case.programs)]
    warm_up = range(WARM_UP_SEED, WARM_UP_SEED + 2 * parsed_replicas(case.layout))
    programs, watch = [], None
    try:
        for number in range(case.programs):
            ranks = 1 if case.programs > 1 else case.ranks if case.layout else 1
            programs.append(Program(options, case, folder / str(number), ranks))
        # Both kinds of step, so that all weights are laid out.
        for program in programs:
            program.make(warm_up, steps=2, coherence=1.0)
        if case.mode == "memory":
            watch = PSSWatch(programs)
            watch.start()
        spans = together([lambda p=program, s=share: p.make(s) for program, share in zip(programs, shares)])
        most_pss = watch.finish() if watch else None
        watch = None
        for program in programs:
            program.close()
        hashes = {}
        for program, share in zip(programs, shares):
            hashes |= program.pictures(share)
        result = {"seconds": max(end for _, end in spans) - min(begin for begin, _ in spans), "pictures": hashes,
                  "most_pss_bytes": most_pss}
        if case.programs == 1:
            result |= reports(programs[0], len(warm_up), pictures)
        return result
    finally:
        if watch:
            watch.finish()
        for program in programs:
            program.end()
        shutil.rmtree(folder, ignore_errors=True)


def parsed_replicas(layout):
    numbers = dict(part.split("=") for part in layout.split(",") if part)
    return int(numbers.get("replicas", 1))


def together(calls):
    """Calls all at once; raises what the first of them raised."""
    results, errors = [None] * len(calls), []

    def call(number):
        try:
            results[number] = calls[number]()
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    if len(calls) == 1:
        return [calls[0]()]
    threads = [threading.Thread(target=call, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def reports(program, warm_up, pictures):
    """What the program's ranks did, by its trace and their report; hosts by number."""
    ranks = json.loads((program.folder / "ranks.json").read_text())["ranks"]
    hosts = list(dict.fromkeys(rank["host_name"] for rank in ranks))
    return {
        "trace": traces.figures(program.folder / "trace.json", program.ranks, warm_up, pictures),
        "nodes": len(hosts),
        "ranks": [{
            "rank": rank["rank"], "node": hosts.index(rank["host_name"]),
            "pss_bytes": rank["memory"].get("proportional_byte_count"),
            "peak_resident_bytes": rank["memory"]["peak_resident_byte_count"],
        } for rank in ranks]}
