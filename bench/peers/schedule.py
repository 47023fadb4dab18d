"""The order in which a comparison measures, so that what slows the machine for a while slows all libraries alike."""


def rotated(names, step):
    """The names from the step-th on, then those before it."""
    begin = step % len(names) if names else 0
    return names[begin:] + names[:begin]


def steps_of_round(number, efs, combinations, one_at_a_time):
    """Yields (name, k, thread_count, ef) for everything that one round measures.

    `efs` is {name: {k: [ef...]}}, and `combinations` the pairs (k, thread_count) to measure. At each step of ef the
    libraries take turns, and a different one begins. With `one_at_a_time` each library goes through everything instead,
    because only one can be in memory, and a different one begins each round.
    """
    names = list(efs)
    if one_at_a_time:
        for name in rotated(names, number):
            for k, thread_count in combinations:
                for ef in efs[name].get(k, []):
                    yield name, k, thread_count, ef
        return
    for k, thread_count in combinations:
        for step in range(max((len(of.get(k, [])) for of in efs.values()), default=0)):
            for name in rotated(names, number + step):
                if step < len(efs[name].get(k, [])):
                    yield name, k, thread_count, efs[name][k][step]
