"""The report: one HTML file with everything in it."""
import html

from . import plots

STYLE = """
body { font: 15px/1.5 sans-serif; max-width: 1120px; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: 1em 0; font-size: 13px }
th, td { border-bottom: 1px solid #ddd; padding: 3px 9px; text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left }
.plots { display: flex; flex-wrap: wrap; gap: 12px }
.bad { color: #a00; font-weight: bold } .faint { color: #777 }
code { background: #f4f4f4; padding: 1px 3px }
"""

HEADINGS = {
    "strong": "One picture: seconds against ranks",
    "throughput": "A stream of pictures: pictures an hour against ranks",
    "memory": "Memory against ranks",
}
WORDS = """<h2>What the words mean</h2><ul>
<li><b>Seconds</b>: from when the program, warm, was given its pictures until the last was written. Reading weights and
laying them out are not in them. The layouts took turns in every round.</li>
<li><b>Interval</b>: of order statistics, with at least 95 %; of fewer than six rounds the least and the greatest, which
cover the median with 1 - 2<sup>1 - n</sup>. Speed-ups are taken round by round.</li>
<li><b>Efficiency</b>: speed-up over ranks. It is, nearly, load balance x communication x computation, as POP has them:
mean over greatest useful time of the ranks; greatest useful time over the whole; useful time of the base over that of
all ranks together, which is below 1 where kernels are slower beside each other, and above where caches help.</li>
<li><b>Serial fraction</b>: Karp and Flatt's. One that grows with the ranks is overhead and not serial work.</li>
<li><b>Predicted</b>: what <code>pilot plan</code> said beforehand, calibrated on this machine unless that is noted.</li>
<li><b>PSS</b>: memory in which a page that n ranks share counts as one n-th for each; after the last picture, and where
"most" is said the greatest of all ranks together that was seen on this machine, at four looks a second.</li>
</ul>"""


def page(document):
    """The page's text, and its plots by name."""
    found, sections = {}, []
    for mode in dict.fromkeys(case["mode"] for case in document["cases"]):
        cases = [case for case in document["cases"] if case["mode"] == mode]
        drawn = drawings(mode, cases)
        found |= drawn
        sections.append(
            f"<h2>{HEADINGS[mode]}</h2>" + verdict(document["verdicts"][mode])
            + f'<div class="plots">{"".join(drawn.values())}</div>'
            + (memory_table(cases) if mode == "memory" else time_table(cases)))
    warning = '<p class="bad">Interrupted: what had been measured until then.</p>' if document["is_interrupted"] else ""
    text = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/><title>pilot: scaling</title>'
        f"<style>{STYLE}</style></head><body><h1>Scaling of pilot</h1>{warning}"
        f"<p><code>{escape(' '.join(document['command']))}</code></p>{notes(document)}"
        + "".join(sections) + WORDS + details(document) + "</body></html>\n")
    return text, found


def escape(value):
    return html.escape(str(value))


def verdict(found):
    if found == "equal":
        return "<p>All pictures are equal, byte for byte, whatever the layout.</p>"
    words = {"differ": "Pictures differ; no rate is shown of layouts whose pictures are not those that were made first."}
    return f'<p class="bad">{escape(words.get(found, "No picture was made."))}</p>'


def notes(document):
    return "".join(f"<p>{escape(note)}</p>" for note in document["notes"])


# Plots.

def line(cases, key, scale=1.0, choose=max):
    """Of cases at each number of ranks the one with the greatest median, or the least."""
    values = {}
    for case in cases:
        if case.get(key):
            point = tuple(scale * case[key][name] for name in ("median", "low", "high"))
            values.setdefault(case["ranks"], []).append(point)
    return [(ranks, *choose(found)) for ranks, found in sorted(values.items())]


def families(cases):
    """The cases by the dimension that they are cut in, with one rank in each."""
    layouts = [case for case in cases if not case["is_reference"]]
    one = [case for case in layouts if case["ranks"] == 1]
    found = {}
    for case in layouts:
        if case["ranks"] > 1:
            names = [part.split("=")[0] for part in case["layout"].split(",")]
            found.setdefault(" x ".join(names), list(one)).append(case)
    return found or {"one rank": one}


def drawings(mode, cases):
    if mode == "memory":
        return memory_drawings(cases)
    drawn = {}
    series = [(name, line(members, "speed_up")) for name, members in families(cases).items()]
    ranks = sorted({case["ranks"] for case in cases})
    if any(points for _, points in series):
        ideal = [(ranks[0], ranks[0]), (ranks[-1], ranks[-1])]
        drawn[f"{mode}-speed-up"] = plots.lines("Speed-up", "ranks", "times", series, ideal, ranks)
        efficient = [(name, line(members, "efficiency")) for name, members in families(cases).items()]
        drawn[f"{mode}-efficiency"] = plots.lines(
            "Efficiency", "ranks", "speed-up over ranks", efficient, [(ranks[0], 1), (ranks[-1], 1)], ranks)
    compared = [case for case in cases if case.get("seconds") and case.get("plan")]
    if compared:
        found = {}
        for case in compared:
            point = (case["plan"]["seconds"], *(case["seconds"][key] for key in ("median", "low", "high")))
            found.setdefault(f"{case['ranks']} rank{'s' if case['ranks'] > 1 else ''}", []).append(point)
        most = max(max(point) for points in found.values() for point in points)
        drawn[f"{mode}-predicted"] = plots.lines(
            "Predicted and measured", "predicted seconds", "measured seconds", list(found.items()),
            [(0, 0), (most, most)], plots.ticks(0, most), "as predicted", joined=False)
    return drawn


def memory_drawings(cases):
    drawn = {}
    for key, title in (("pss_of_largest_rank", "PSS of the largest rank"), ("pss_of_all", "PSS of all ranks")):
        series = [(name, line(members, key, 1 / 2**30, min)) for name, members in families(cases).items()]
        if any(points for _, points in series):
            ranks = sorted({case["ranks"] for case in cases})
            drawn[f"memory-{key.removeprefix('pss_of_').replace('_', '-')}"] = plots.lines(
                title, "ranks", "GiB", series, places=ranks)
    return drawn


# Tables.

def number(value, form=".2f"):
    return '<span class="faint">-</span>' if value is None else format(value, form)


def with_interval(value, form=".2f"):
    if not value:
        return number(None)
    return f"{value['median']:{form}} <span class=\"faint\">({value['low']:{form}} to {value['high']:{form}})</span>"


def mib(value):
    return number(value and value["median"] / 2**20, ",.0f")


def table(names, rows):
    head = "".join(f"<th>{name}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def name(case):
    marks = [words for words, holds in (
        ("auto", case["is_automatic"]), ("pictures differ", case["verdict"] == "differ"),
        ("failed", case["verdict"] == "failed"), ("not run", case["verdict"] == "not run")) if holds]
    return escape(case["case"]) + (f' <span class="faint">{", ".join(marks)}</span>' if marks else "")


def time_table(cases):
    rows = []
    for case in cases:
        pop, kilobytes = case.get("pop") or {}, case.get("bytes_per_step")
        rows.append([
            name(case), case["ranks"], with_interval(case.get("seconds")), number(case.get("pictures_per_hour"), ",.0f"),
            with_interval(case.get("speed_up")), number((case.get("efficiency") or {}).get("median")),
            number(pop.get("load_balance")), number(pop.get("communication")), number(pop.get("computation")),
            number(case.get("karp_flatt"), ".3f"), number(case.get("predicted_over_measured")),
            number(kilobytes and kilobytes["median"] / 1e3, ",.1f"), mib(case["pss_of_all"])])
    return table(
        ["layout", "ranks", "seconds", "pictures/h", "speed-up", "efficiency", "load balance", "communication",
         "computation", "serial fraction", "predicted / measured", "kB per step", "PSS, MiB"], rows)


def memory_table(cases):
    rows = []
    for case in cases:
        plan = case.get("plan") or {}
        ranks = next((run["ranks"] for run in reversed(case["runs"]) if run.get("ranks")), [])
        each = ", ".join(f"{rank['pss_bytes'] / 2**20:,.0f}" for rank in ranks if rank["pss_bytes"] is not None)
        nodes = {}
        for rank in ranks:
            nodes[rank["node"]] = nodes.get(rank["node"], 0) + (rank["pss_bytes"] or 0)
        rows.append([
            name(case), case["ranks"], mib(case["pss_of_largest_rank"]), mib(case["pss_of_all"]), mib(case["most_pss"]),
            number(plan.get("largest_node_bytes") and plan["largest_node_bytes"] / 2**20, ",.0f"),
            ", ".join(f"{value / 2**20:,.0f}" for _, value in sorted(nodes.items())), each])
    return table(
        ["layout", "ranks", "PSS of the largest rank, MiB", "of all", "of all, most", "counted by the plan, a node's",
         "of each node", "of each rank"], rows)


def details(document):
    def rows(values):
        said = {key: value for key, value in values.items() if value not in (None, {})}
        return table(["", ""], [[escape(key), escape(value)] for key, value in said.items()])

    left_out = [[escape(entry["layout"]), entry["ranks"], entry["mode"], escape(entry["reason"])]
                for entry in document["left_out"]]
    failures = [[escape(case["case"]), case["ranks"], case["mode"], escape(run["failure"])]
                for case in document["cases"] for run in case["runs"] if run.get("failure")]
    return (
        "<h2>Machine</h2>" + rows(document["machine"]) + "<h2>Settings</h2>" + rows(document["settings"])
        + ("<h2>Failed</h2>" + table(["layout", "ranks", "mode", "reason"], failures) if failures else "")
        + ("<h2>Not tried</h2>" + table(["layout", "ranks", "mode", "reason"], left_out) if left_out else ""))
