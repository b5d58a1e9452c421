"""What a trace of `pilot` says of the pictures that were timed: how long they took, what ranks computed, what was sent."""
import json


def events(lines):
    """A trace has an event a line."""
    for line in lines:
        if line.startswith('{"ph":"X"'):
            yield json.loads(line.rstrip().rstrip(","))


def first_timed(jobs, warm_up, pictures):
    """The number of the first job that is timed; None where jobs are not so many for each picture.

    jobs: the numbers that the engine has given, in their order; it takes as many for each picture.
    """
    each, rest = divmod(len(jobs), warm_up + pictures)
    return None if rest or not each else jobs[warm_up * each]


def figures(path, ranks, warm_up, pictures):
    """Of the pictures after so many for warming up; None if they can't be told apart, or events found no place in the trace.

    Seconds from their first event to their last, for each rank the seconds in which it computed anything then, and the
    bytes that it sent for them.
    """
    with open(path, encoding="utf-8") as file:
        if json.loads(file.readline().rstrip() + "]}")["otherData"]["dropped"]:
            return None
        found = [event for event in events(file) if event["cat"] in ("compute", "send")]
    jobs = sorted({event["args"]["job"] for event in found if "job" in event["args"]})
    first = first_timed(jobs, warm_up, pictures)
    if first is None:
        return None
    wanted = [event for event in found if event["args"].get("job", -1) >= first]
    begin = min(event["ts"] for event in wanted)
    end = max(event["ts"] + event["dur"] for event in wanted)
    useful, sent = [0.0] * ranks, [0] * ranks
    for event in found:
        if event["cat"] == "compute":
            inside = min(event["ts"] + event["dur"], end) - max(event["ts"], begin)
            useful[event["pid"]] += max(0.0, inside) / 1e6
    for event in wanted:
        if event["cat"] == "send":
            sent[event["pid"]] += event["args"]["bytes"]
    return {"seconds": (end - begin) / 1e6, "useful_seconds": useful, "sent_bytes": sent}
