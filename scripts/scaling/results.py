"""What has been measured so far, and what follows from it. Written after every run, so that it can be read at any time."""
import csv
import json
import os
import statistics

from . import figures

FORMAT = "pilot-scale-1"
COLUMNS = [
    "mode", "ranks", "case", "round", "seconds", "pictures_per_hour", "predicted_seconds", "pictures_equal",
    "load_balance", "communication_efficiency", "parallel_efficiency", "bytes_per_step", "pss_bytes", "most_pss_bytes",
    "failure"]


class Results:
    def __init__(self, options, command, machine):
        self.options, self.command, self.machine = options, command, machine
        self.cases, self.left_out, self.notes = [], [], []
        self.runs = {}
        self.plans = {}
        self.automatic = {}
        self.is_interrupted = False

    def add(self, case):
        self.cases.append(case)
        self.runs[case] = []

    def keep(self, case, run):
        """A run, {} for one that was not begun; they are numbered in their order."""
        self.runs[case].append(run | {"number": sum(map(len, self.runs.values()))})

    def pictures(self, case):
        return 1 if case.mode == "strong" else self.options.jobs

    # Equal pictures.

    def reference(self):
        """The hash of each picture as it was made first."""
        found = {}
        for run in sorted((run for case in self.cases for run in self.runs[case] if "pictures" in run),
                          key=lambda run: run["number"]):
            found = run["pictures"] | found
        return found

    def is_equal(self, run):
        return run["pictures"].items() <= self.reference().items()

    def verdict(self, case):
        """`equal` if each run made the very files that were made first; rates are for these alone."""
        done = [run for run in self.runs[case] if "pictures" in run]
        if not done:
            return "failed" if self.runs[case] else "not run"
        return "equal" if all(self.is_equal(run) for run in done) else "differ"

    def mode_verdict(self, mode):
        verdicts = {self.verdict(case) for case in self.cases if case.mode == mode} - {"not run", "failed"}
        return "equal" if verdicts == {"equal"} else "differ" if "differ" in verdicts else "nothing was made"

    # Figures.

    def base(self, mode):
        """The layout of the fewest ranks, the quickest of these."""
        done = [case for case in self.cases if case.mode == mode and not case.is_reference and self.seconds(case)]
        fewest = [case for case in done if case.ranks == min(other.ranks for other in done)]
        return min(fewest, key=lambda case: statistics.median(self.seconds(case)), default=None)

    def seconds(self, case):
        return [run["seconds"] for run in self.runs[case] if "seconds" in run]

    def by_round(self, case):
        return [run.get("seconds") for run in self.runs[case]]

    def figures(self, case):
        """All that is known of a case; no time and nothing that follows from times unless its pictures are equal."""
        verdict = self.verdict(case)
        done = [run for run in self.runs[case] if "pictures" in run]
        found = {"mode": case.mode, "ranks": case.ranks, "case": case.name, "layout": case.layout,
                 "is_reference": case.is_reference, "is_automatic": self.is_automatic(case), "verdict": verdict,
                 "runs": self.runs[case], "plan": self.plans.get(case)}
        found |= self.memory_figures(done)
        if verdict != "equal":
            # A rate of other pictures is a rate of something else.
            found["runs"] = [{key: value for key, value in run.items() if key not in ("seconds", "trace")}
                             for run in self.runs[case]]
            return found
        found["bytes_per_step"] = figures.summary([self.bytes_per_step(case, run) for run in done])
        if case.mode != "memory":
            found |= self.time_figures(case, done)
        return found

    def is_automatic(self, case):
        return case.layout != "" and self.automatic.get((case.mode, case.ranks)) == case.layout

    def memory_figures(self, done):
        def of_ranks(run, key):
            values = [rank[key] for rank in run.get("ranks", [])]
            return values if values and None not in values else None

        def summary(reduce):
            return figures.summary([reduce(values) for values in (of_ranks(run, "pss_bytes") for run in done) if values])

        return {"pss_of_all": summary(sum), "pss_of_largest_rank": summary(max),
                "most_pss": figures.summary([run.get("most_pss_bytes") for run in done])}

    def bytes_per_step(self, case, run):
        trace = run.get("trace")
        return sum(trace["sent_bytes"]) / (self.options.steps * self.pictures(case)) if trace else None

    def time_figures(self, case, done):
        seconds = figures.summary([run["seconds"] for run in done])
        base = self.base(case.mode)
        fewest = base.ranks if base else 1
        ratios = figures.speed_ups(self.by_round(base), self.by_round(case)) if base else []
        ratios = [fewest * ratio for ratio in ratios]
        speed_up = figures.summary(ratios)
        found = {
            "seconds": seconds, "pictures_per_hour": 3600 * self.pictures(case) / seconds["median"],
            "speed_up": speed_up,
            "efficiency": speed_up and {key: speed_up[key] / case.ranks for key in ("median", "low", "high")},
            "karp_flatt": figures.karp_flatt(speed_up["median"], case.ranks) if speed_up and fewest == 1 else None}
        plan = self.plans.get(case)
        if plan:
            found["predicted_over_measured"] = plan["seconds"] / seconds["median"]
        return found | self.efficiencies(case, base, done)

    def efficiencies(self, case, base, done):
        split = [figures.efficiencies(run["trace"]["useful_seconds"], run["trace"]["seconds"])
                 for run in done if run.get("trace")]
        split = [one for one in split if one]
        if not split:
            return {}
        found = {key: statistics.median(one[key] for one in split) for key in split[0]}
        before = [run["trace"]["useful_seconds"] for run in self.runs[base] if run.get("trace")] if base else []
        after = [run["trace"]["useful_seconds"] for run in done if run.get("trace")]
        if before:
            found["computation"] = statistics.median(
                figures.computation_scaling(one, other) for one, other in zip(before, after))
        return {"pop": found}

    # Files.

    def document(self):
        return {
            "format": FORMAT, "command": self.command, "is_interrupted": self.is_interrupted, "machine": self.machine,
            "notes": self.notes,
            "settings": {name: str(value) for name, value in sorted(vars(self.options).items())
                         if name not in ("program", "output", "model")} | {"model": self.options.model_name},
            "verdicts": {mode: self.mode_verdict(mode) for mode in dict.fromkeys(case.mode for case in self.cases)},
            "cases": [self.figures(case) for case in self.cases], "left_out": self.left_out}

    def rows(self):
        """A row for each run."""
        for case in self.cases:
            is_equal, plan = self.verdict(case) == "equal", self.plans.get(case)
            for number, run in enumerate(self.runs[case]):
                seconds = run.get("seconds") if is_equal and case.mode != "memory" else None
                trace = run.get("trace") if is_equal else None
                split = figures.efficiencies(trace["useful_seconds"], trace["seconds"]) if trace else None
                pss = [rank["pss_bytes"] for rank in run.get("ranks", [])]
                yield [
                    case.mode, case.ranks, case.name, number + 1, seconds,
                    3600 * self.pictures(case) / seconds if seconds else None, plan and plan["seconds"],
                    self.is_equal(run) if "pictures" in run else None,
                    *([split[key] for key in ("load_balance", "communication", "parallel")] if split else [None] * 3),
                    self.bytes_per_step(case, run) if trace else None,
                    sum(pss) if pss and None not in pss else None, run.get("most_pss_bytes"), run.get("failure")]

    def write(self, page):
        """page: makes the HTML of a document."""
        document = self.document()
        folder = self.options.output
        with replacing(folder / "scale.json") as file:
            json.dump(document, file, indent=1)
        with replacing(folder / "scale.csv") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows(self.rows())
        text, plots = page(document)
        with replacing(folder / "scale.html") as file:
            file.write(text)
        for name, plot in plots.items():
            with replacing(folder / f"{name}.svg") as file:
                file.write(plot + "\n")


class replacing:
    """A file that takes its name's place when it is whole."""

    def __init__(self, path):
        self.path, self.part = path, path.with_name(f".{path.name}.part")

    def __enter__(self):
        self.file = open(self.part, "w", encoding="utf-8", newline="")
        return self.file

    def __exit__(self, kind, *_):
        self.file.close()
        if kind is None:
            os.replace(self.part, self.path)
        else:
            self.part.unlink()
