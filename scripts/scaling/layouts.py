"""Which layouts are tried on so many ranks: those that the program itself can lay out, the best of them by its plan."""
import itertools

# One after the other; what is not named is 1. The program says which of them it knows.
DIMENSIONS = ["replicas", "branches", "stages", "strips"]
MOST_STAGES = 12


def known_dimensions(accepts):
    """accepts: tells whether `pilot plan` takes a layout, on one rank."""
    return [name for name in DIMENSIONS if accepts(f"{name}=1")]


def factorisations(number, count):
    """All ways to write a number as a product of so many factors, in order."""
    if count == 1:
        return [(number,)]
    return [
        (first, *rest)
        for first in range(1, number + 1) if number % first == 0
        for rest in factorisations(number // first, count - 1)]


def candidates(ranks, mode, known):
    """Layouts of exactly so many ranks, as `--layout` has them.

    One picture is made by one replica; memory is what stages and strips are for; for pictures an hour all counts.
    """
    found = []
    for factors in factorisations(ranks, len(known)):
        numbers = dict(zip(known, factors))
        if numbers.get("branches", 1) > 2 or numbers.get("stages", 1) > MOST_STAGES:
            continue
        if mode in ("strong", "memory") and numbers.get("replicas", 1) > 1:
            continue
        found.append(text(numbers))
    return found


def text(numbers):
    """`branches=2,stages=2`; one rank is `stages=1`."""
    return ",".join(f"{name}={number}" for name, number in numbers.items() if number > 1) or "stages=1"


def parsed(layout):
    return {name: int(number) for name, number in (part.split("=") for part in layout.split(","))}


def shortest(layout):
    """The same without what is 1: `pilot plan` names all dimensions."""
    return text(parsed(layout))


def simple_first(layout):
    """Orders equally quick layouts: fewer dimensions come first."""
    return len(parsed(layout)), layout


def best(plans, most):
    """So many layouts of the plans, quickest first; but each dimension's own is among them where it can be had.

    plans: seconds by layout.
    """
    by_time = sorted(plans, key=lambda layout: (plans[layout], *simple_first(layout)))
    pure = [layout for layout in by_time if len(parsed(layout)) == 1]
    chosen = list(dict.fromkeys(itertools.chain(by_time[:1], pure, by_time)))[:most]
    return sorted(chosen, key=by_time.index)
