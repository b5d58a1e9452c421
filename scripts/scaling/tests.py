#!/usr/bin/env python3
"""Tests of the scaling experiments that start no program: `python3 scripts/scaling/tests.py`.

The Swift tests run them where there is a Python.
"""
import argparse
import csv
import json
import math
import pathlib
import random
import shutil
import sys
import tempfile
import unittest
import xml.dom.minidom

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from scaling import figures, layouts, page, pictures, plots, runs, traces  # noqa: E402
from scaling.results import Results  # noqa: E402


class Statistics(unittest.TestCase):
    def test_of_few_values_the_interval_is_all_of_them(self):
        self.assertEqual(figures.interval([3, 1, 2]), (1, 3, 0.75))
        self.assertEqual(figures.interval([5]), (5, 5, 0.0))

    def test_of_many_it_has_the_ranks_of_the_tables(self):
        # The k-th from both ends: tables of the sign test at 5 %.
        for count, place in [(6, 1), (8, 1), (9, 2), (12, 3), (15, 4), (20, 6), (25, 8)]:
            low, high, confidence = figures.interval(range(1, count + 1))
            self.assertEqual((low, high), (place, count + 1 - place), count)
            self.assertGreaterEqual(confidence, 0.95)

    def test_it_covers_the_median_as_often_as_it_says(self):
        generator = random.Random(1)
        for count in (3, 6, 11):
            hits = 0
            for _ in range(4000):
                low, high, confidence = figures.interval([generator.expovariate(1) for _ in range(count)])
                hits += low <= math.log(2) <= high
            self.assertAlmostEqual(hits / 4000, confidence, delta=0.02)

    def test_summaries_leave_out_what_is_not_there(self):
        self.assertIsNone(figures.summary([None]))
        self.assertEqual(figures.summary([4, None, 2])["median"], 3)

    def test_karp_flatt_finds_amdahls_fraction(self):
        for ranks in (2, 8, 100):
            for serial in (0.0, 0.05, 0.5):
                self.assertAlmostEqual(figures.karp_flatt(1 / (serial + (1 - serial) / ranks), ranks), serial)
        self.assertIsNone(figures.karp_flatt(1, 1))

    def test_efficiencies_multiply(self):
        split = figures.efficiencies([3.0, 1.0], 4.0)
        self.assertEqual(split, {"load_balance": 2 / 3, "communication": 0.75, "parallel": 0.5})
        # Speed-up over ranks is the parallel efficiency times the computation's scaling, if the base only computes.
        scaling = figures.computation_scaling([5.0], [3.0, 1.0])
        self.assertAlmostEqual(5.0 / 4.0 / 2, split["parallel"] * scaling)
        self.assertIsNone(figures.efficiencies([0.0], 1.0))


class Layouts(unittest.TestCase):
    KNOWN = ["replicas", "branches", "stages"]

    def test_candidates_are_of_exactly_so_many_ranks(self):
        for known in (self.KNOWN, layouts.DIMENSIONS):
            for ranks in range(1, 33):
                for mode in ("strong", "throughput", "memory"):
                    found = layouts.candidates(ranks, mode, known)
                    self.assertEqual(len(set(found)), len(found))
                    for layout in found:
                        numbers = layouts.parsed(layout)
                        self.assertEqual(math.prod(numbers.values()), ranks)
                        self.assertTrue(mode == "throughput" or "replicas" not in numbers)

    def test_known_candidates(self):
        self.assertEqual(layouts.candidates(1, "strong", self.KNOWN), ["stages=1"])
        self.assertEqual(set(layouts.candidates(4, "strong", self.KNOWN)), {"stages=4", "branches=2,stages=2"})
        self.assertIn("strips=4", layouts.candidates(4, "strong", layouts.DIMENSIONS))
        self.assertEqual(layouts.known_dimensions(lambda layout: layout != "strips=1"), self.KNOWN)

    def test_plans_names_become_shortest(self):
        self.assertEqual(layouts.shortest("replicas=1,branches=2,stages=1"), "branches=2")
        self.assertEqual(layouts.shortest("replicas=1,branches=1,stages=1"), "stages=1")

    def test_the_best_are_few_and_have_each_dimension(self):
        plans = {"branches=2,stages=2": 1.0, "stages=4": 9.0, "replicas=2,stages=2": 2.0, "replicas=4": 8.0}
        self.assertEqual(layouts.best(plans, 3), ["branches=2,stages=2", "replicas=4", "stages=4"])
        self.assertEqual(layouts.best(plans, 1), ["branches=2,stages=2"])
        self.assertEqual(len(layouts.best(plans, 10)), 4)


class Traces(unittest.TestCase):
    def trace(self, events, dropped=0):
        head = '{"displayTimeUnit":"ms","otherData":{"format":"pilot-trace-1","ranks":2,"dropped":%d},"traceEvents":[\n'
        text = head % dropped + ",\n".join(json.dumps(event, separators=(",", ":")) for event in events) + "\n]}\n"
        with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
            file.write(text)
        self.addCleanup(pathlib.Path(file.name).unlink)
        return file.name

    def event(self, kind, rank, start, length, job, **more):
        return {"ph": "X", "pid": rank, "tid": 0, "cat": kind, "name": "down", "ts": start, "dur": length,
                "args": {"job": job} | more}

    def test_only_timed_jobs_count(self):
        events = [
            {"ph": "M", "pid": 0, "name": "process_name", "args": {"name": "rank 0"}},
            self.event("compute", 0, 0, 2e6, 1), self.event("send", 0, 2e6, 10, 1, bytes=1000),
            self.event("compute", 0, 3e6, 1e6, 2), self.event("send", 0, 4e6, 10, 2, bytes=7, to=1),
            self.event("compute", 1, 4.5e6, 0.5e6, 2), self.event("wait", 1, 0, 4e6, 2)]
        found = traces.figures(self.trace(events), 2, 1, 1)
        self.assertEqual(found, {
            "seconds": 2.0, "useful_seconds": [1.0, 0.5], "sent_bytes": [7, 0]})
        self.assertIsNone(traces.figures(self.trace(events, dropped=3), 2, 1, 1))

    def test_jobs_that_cannot_be_told_apart_give_nothing(self):
        self.assertIsNone(traces.figures(self.trace([self.event("compute", 0, 0, 1, 1)]), 1, 1, 1))
        self.assertEqual(traces.first_timed([1, 2, 3, 4], 1, 1), 3)


class Reports(unittest.TestCase):
    def results(self, folder, change=lambda number, run: run):
        options = argparse.Namespace(
            jobs=4, steps=5, output=pathlib.Path(folder), model="m", model_name="m<&>", program="p")
        results = Results(options, ["scripts/scale", "--model", "<&>"], {"processor": "a <b> & c"})
        cases = [runs.Case(mode, ranks, layout) for mode in ("strong", "throughput", "memory")
                 for ranks, layout in ((1, "stages=1"), (2, "branches=2"), (2, "stages=2"))]
        cases.append(runs.Case("throughput", 2, "", threads=2))
        for number, case in enumerate(cases):
            results.add(case)
            results.plans[case] = {"seconds": 2.0 / case.ranks, "limit": "", "largest_node_bytes": 1 << 30}
            for turn in range(6):
                run = {
                    "seconds": (2 + 0.1 * turn) / case.ranks, "most_pss_bytes": None,
                    "pictures": {"0": "the same", "1": "another"},
                    "trace": {"seconds": 2.0, "useful_seconds": [1.0] * case.ranks, "sent_bytes": [100] * case.ranks},
                    "nodes": 1, "ranks": [{"rank": rank, "node": 0, "pss_bytes": 1 << 20, "peak_resident_bytes": 2 << 20}
                                          for rank in range(case.ranks)]}
                results.keep(case, change(number, run))
        results.automatic["strong", 2] = "branches=2"
        return results

    def written(self, results):
        results.write(page.page)
        folder = results.options.output
        text = (folder / "scale.html").read_text()
        xml.dom.minidom.parseString(text.split("\n", 1)[1])
        for plot in folder.glob("*.svg"):
            xml.dom.minidom.parse(str(plot))
        self.assertFalse(list(folder.glob(".*")))
        with open(folder / "scale.csv", newline="") as file:
            return json.loads((folder / "scale.json").read_text()), list(csv.DictReader(file)), text

    @unittest.skipUnless(shutil.which("rsvg-convert"), "no rsvg-convert")
    def test_plots_as_png(self):
        with tempfile.TemporaryDirectory() as folder:
            self.written(self.results(folder))
            self.assertTrue(pictures.write_all(pathlib.Path(folder)))
            found = list(pathlib.Path(folder).glob("*.png"))
            self.assertEqual(len(found), 8)
            self.assertTrue(all(plot.read_bytes().startswith(b"\x89PNG") for plot in found))

    def test_a_whole_report(self):
        with tempfile.TemporaryDirectory() as folder:
            document, rows, text = self.written(self.results(folder))
            self.assertEqual(len(list(pathlib.Path(folder).glob("*.svg"))), 8)
        self.assertEqual(document["verdicts"], {"strong": "equal", "throughput": "equal", "memory": "equal"})
        self.assertEqual(len(rows), 60)
        branches = document["cases"][1]
        self.assertTrue(branches["is_automatic"])
        self.assertAlmostEqual(branches["speed_up"]["median"], 2)
        self.assertAlmostEqual(branches["efficiency"]["median"], 1)
        self.assertAlmostEqual(branches["karp_flatt"], 0)
        self.assertEqual(branches["bytes_per_step"]["median"], 40)
        self.assertEqual(branches["pss_of_all"]["median"], 2 << 20)
        self.assertEqual(document["cases"][4]["pictures_per_hour"], 3600 * 4 / 1.125)
        self.assertIn("m&lt;&amp;&gt;", text)
        self.assertNotIn("seconds", document["cases"][6].keys() - {"runs"})

    def test_no_rate_of_other_pictures(self):
        def change(number, run):
            return run | {"pictures": {"0": "the same", "1": "other"}} if number == 1 else run

        with tempfile.TemporaryDirectory() as folder:
            results = self.results(folder, change)
            document, rows, text = self.written(results)
        self.assertEqual(document["verdicts"]["strong"], "differ")
        self.assertIn("Pictures differ", text)
        case = document["cases"][1]
        self.assertEqual(case["verdict"], "differ")
        for key in ("seconds", "pictures_per_hour", "speed_up", "efficiency", "pop"):
            self.assertNotIn(key, case)
        self.assertTrue(all("seconds" not in run and "trace" not in run for run in case["runs"]))
        self.assertTrue(all(row["seconds"] == row["pictures_per_hour"] == "" for row in rows
                            if row["mode"] == "strong" and row["case"] == "branches=2"))
        self.assertIn("speed_up", document["cases"][2])

    def test_what_was_interrupted_or_failed_can_be_read(self):
        def change(number, run):
            return {"failure": "ended with 70: <no memory>"} if number == 0 else {} if number == 4 else run

        with tempfile.TemporaryDirectory() as folder:
            results = self.results(folder, change)
            results.is_interrupted = True
            document, _, text = self.written(results)
        self.assertTrue(document["is_interrupted"])
        self.assertIn("Interrupted", text)
        self.assertEqual([document["cases"][number]["verdict"] for number in (0, 4)], ["failed", "failed"])
        # Of two ranks, the base of what is left, the quickest counts as two.
        self.assertAlmostEqual(document["cases"][1]["speed_up"]["median"], 2)
        self.assertIsNone(document["cases"][1]["karp_flatt"])

    def test_nothing_is_a_report_too(self):
        with tempfile.TemporaryDirectory() as folder:
            results = self.results(folder)
            for case in results.cases:
                results.runs[case] = []
            document, rows, _ = self.written(results)
        self.assertEqual(rows, [])
        self.assertEqual(document["cases"][0]["verdict"], "not run")

    def test_ticks_are_round(self):
        self.assertEqual(plots.ticks(0, 8), [0, 2, 4, 6, 8])
        self.assertEqual(plots.ticks(0, 0.13), [0, 0.025, 0.05, 0.075, 0.1, 0.125])


if __name__ == "__main__":
    unittest.main()
