"""The arithmetic of scaling: medians with their intervals, speed-ups, and what a loss of efficiency is made of."""
import math
import statistics

CONFIDENCE = 0.95


def binomial_tail(count, successes):
    """The chance of at most so many heads of so many coins."""
    return sum(math.comb(count, number) for number in range(successes + 1)) / 2**count


def interval(values):
    """Least and greatest value that the median of what was sampled lies between, and how sure that is.

    Order statistics, which assume nothing of the distribution: the k-th value from below and from above. They cover the
    median with at least 95 % from six values on; of fewer it is the least and the greatest, which cover it with
    1 - 2^(1 - n).
    """
    ordered = sorted(values)
    outside = 0
    while 1 - 2 * binomial_tail(len(ordered), outside) >= CONFIDENCE:
        outside += 1
    outside = max(outside - 1, 0)
    return ordered[outside], ordered[-1 - outside], 1 - 2 * binomial_tail(len(ordered), outside)


def summary(values):
    """Median and interval of what is there; None of nothing."""
    values = [value for value in values if value is not None]
    if not values:
        return None
    low, high, confidence = interval(values)
    return {"median": statistics.median(values), "low": low, "high": high, "confidence": confidence,
            "repeats": len(values)}


def speed_ups(base, seconds):
    """Round by round, since what slows a machine down slows down all that is measured in that round."""
    return [one / other for one, other in zip(base, seconds) if one is not None and other is not None]


def karp_flatt(speed_up, ranks):
    """The serial fraction that explains a speed-up on so many ranks (Karp and Flatt 1990); below 0 for more than ideal."""
    return None if ranks < 2 else (1 / speed_up - 1 / ranks) / (1 - 1 / ranks)


def efficiencies(useful, seconds):
    """POP's split of the parallel efficiency.

    useful: for each rank the seconds in which it computed; seconds: how long all of it took.
    Load balance is the mean over the greatest; communication efficiency, the greatest over the whole time, has what is
    lost to messages and to waiting for each other; their product is the share of time in which ranks compute.
    """
    greatest = max(useful)
    if greatest <= 0 or seconds <= 0:
        return None
    mean = sum(useful) / len(useful)
    return {"load_balance": mean / greatest, "communication": greatest / seconds, "parallel": mean / seconds}


def computation_scaling(base_useful, useful):
    """How much less the ranks computed together on the base: below 1 where kernels are slower beside each other."""
    return sum(base_useful) / sum(useful) if sum(useful) > 0 else None
