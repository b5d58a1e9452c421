"""What `pilot plan` says beforehand: which layouts it takes, and how fast they will be."""
import json
import subprocess

from launching import environment

from . import layouts, runs


# Gigabytes of a node on which everything fits: what is refused there is not known to the program.
ENDLESS = "100000"


class Refused(Exception):
    """The program plans nothing at all with these options."""


class Plans:
    def __init__(self, options):
        self.options = options

        def accepts(layout):
            return isinstance(self.plan(1, 1, layout, 1, "--memory-per-node", ENDLESS), dict)

        self.known = layouts.known_dimensions(accepts)
        if not self.known:
            raise Refused(self.plan(1, 1, "stages=1", 1))

    def call(self, *arguments):
        return subprocess.run(
            [str(self.options.program), "plan", *arguments] + runs.subject(self.options),
            env=environment(XDG_CACHE_HOME=str(self.options.output / "cache")), capture_output=True, text=True)

    def calibrate(self):
        done = self.call("--calibrate", "--threads", str(self.options.threads))
        return None if done.returncode == 0 else last_line(done.stderr)

    def plan(self, ranks, nodes, layout, pictures, *more):
        """The plan's figures, or in a text why there is none."""
        done = self.call(
            "--json", "--ranks", str(ranks), "--nodes", str(min(nodes, ranks)), "--layout", layout, "--jobs",
            str(pictures), "--threads", str(self.options.threads), *runs.course(self.options), *more)
        return json.loads(done.stdout) if done.returncode == 0 else last_line(done.stderr)

    def choose(self, ranks, mode, nodes=1):
        """Layouts to try, the one that `auto` takes, and those left out with their reasons."""
        pictures = 1 if mode == "strong" else self.options.jobs
        seconds, left_out = {}, []
        wanted = layouts.candidates(ranks, mode, self.known)
        if not wanted:
            left_out.append({"mode": mode, "ranks": ranks, "layout": "any", "reason": "none has so many ranks"})
        for layout in wanted:
            plan = self.plan(ranks, nodes, layout, pictures)
            if isinstance(plan, dict):
                seconds[layout] = plan["seconds"]
            else:
                left_out.append({"mode": mode, "ranks": ranks, "layout": layout, "reason": plan})
        automatic = self.plan(ranks, nodes, "auto", pictures)
        # It may leave ranks idle, and is none of these then.
        automatic = layouts.shortest(automatic["layout"]) if isinstance(automatic, dict) else None
        chosen = layouts.best(seconds, self.options.most_layouts)
        if automatic in seconds and automatic not in chosen:
            chosen.append(automatic)
        for layout in seconds:
            if layout not in chosen:
                left_out.append({"mode": mode, "ranks": ranks, "layout": layout, "reason": "slower by the plan"})
        return chosen, automatic, left_out


def last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it said nothing"
