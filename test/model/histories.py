#!/usr/bin/python3
"""Random histories in the database and in the model (model.py).

Pinned histories (pinned.py) come first.  A mismatch prints the seed, and the
shortest history with it that Hypothesis finds, as a line for pinned.py.

The connection is that of PGHOST, PGPORT, PGUSER and PGDATABASE; the database has
the extension.
"""

import argparse
import json
import multiprocessing
import pathlib
import random
import sys
import time
import traceback

sys.dont_write_bytecode = True  # the sources' folder stays clean
sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "laws"))

import hypothesis
from hypothesis import HealthCheck, Phase, strategies

import pinned
from history import COPIES, LOCALS, RESOLUTIONS, Database, Mismatch, Run
from model import RULES

CHUNK = 100  # histories of one seed
STEPS = 50  # compared in a history
LEAST = 40  # ... or it is drawn again
DRAWN = 90  # for a history; some mean nothing where they stand

DOCUMENTS = [{}] + [{"x": x} for x in (1, 1.0, 2, "a", None)] + [
    {"x": x, "y": y} for x in (1, 2, 3) for y in (1, 2)] + [
    {"x": 1, "at": at} for at in ({}, {"p": 1}, {"p": 2}, {"q": 1}, {"p": 1, "q": 1}, {"p": 1, "q": 2}, {"p": 2, "q": 1}, 5)] + [
    {"y": 1, "list": value} for value in ([], [1], [1, 2], [1, {"x": 1}])] + [
    {"x": 1, "clock": 1}, {"x": 1, "clock": 2}, {"x": 2, "clock": 3}, {"at": {"p": 1, "clock": 1}}]
POLICIES = [None, {"granularity": "property"}, {"ignore": ["/clock"]},
            {"granularity": "property", "ignore": ["/clock", "/at/clock"]},
            {"granularity": "property", "groups": [["/x", "/at/p"]]}]


def steps():
    """One step of a history."""
    from_list = strategies.sampled_from
    copy, local = from_list("PPPAAABBCD"), from_list("AAABBBCD")
    id, document = from_list("abcde"), from_list(DOCUMENTS)
    number = from_list(range(4))
    seldom = from_list((False, False, False, True))
    step = lambda name, *rest: strategies.tuples(strategies.just(name), *rest).map(list)
    sync = lambda name: step(name, local, from_list(RULES), seldom)
    weighted = [
        (5, step("upsert", copy, id, document)),
        (4, step("update", copy, id, document)),
        (3, step("delete", copy, id)),
        (1, step("delete", copy, id, id)),
        (1, step("put", copy, strategies.dictionaries(id, document, min_size=1, max_size=3))),
        (1, step("undo", local, id)),
        (2, step("imitate", copy, copy, id)),
        (4, sync("push")),
        (4, sync("pull")),
        (1, step("carry_out", from_list((0, 0, 1, 2)))),
        (4, step("resolve", local, number, from_list(RESOLUTIONS), document, seldom)),
        (1, step("begin")),
        (1, step("savepoint")),
        (1, step("rollback_to", number)),
        (1, from_list([["commit"], ["commit"], ["rollback"]])),
        (2, strategies.one_of(
            step("link", local), step("clone", local), step("unlink", local), step("drop", from_list("PABCD")),
            step("create", local), step("share", local, from_list(("public", "private"))),
            step("storage", from_list(("public", "private"))),
            step("policy", copy, from_list(POLICIES)), step("policy", local, from_list(POLICIES)),
            step("refresh", local), step("forget", local))),
    ]
    return from_list([strategy for weight, strategy in weighted for _ in range(weight)]).flatmap(lambda strategy: strategy)


def histories():
    """A shared copy with three locals to begin with, linked in the three ways."""
    start = strategies.tuples(
        strategies.dictionaries(strategies.sampled_from("abcde"), strategies.sampled_from(DOCUMENTS), max_size=5),
        strategies.sampled_from(POLICIES)
    ).map(lambda drawn: [["create", "A"], ["put", "A", drawn[0]], ["policy", "A", drawn[1]], ["share", "A", "public"],
                         ["clone", "B"], ["create", "C"], ["link", "C"]])
    return strategies.tuples(start, strategies.lists(steps(), min_size=DRAWN, max_size=DRAWN)).map(
        lambda parts: parts[0] + parts[1])


# ---- Runs --------------------------------------------------------------------------


def failure_of(database, history):
    """What is wrong in a history, None where nothing is; and how many steps
    were compared."""
    run = Run(database)
    try:
        run.run(history, STEPS)
    except Exception as error:  # pylint: disable=broad-except
        text = str(error) if isinstance(error, Mismatch) else traceback.format_exc()
        return f"step {run.step}: {text}", run.done
    return None, run.done


def shortest(database, history):
    """The history without the steps that its failure does not need."""
    size = len(history) // 2
    while size:
        place = 0
        while place < len(history):
            shorter = history[:place] + history[place + size:]
            if failure_of(database, shorter)[0]:
                history = shorter
            else:
                place += size
        size = size // 2
    return history


def run_chunk(arguments):
    """The histories of one seed: how many there were, how many of their steps
    were compared, and the first failure."""
    seed, number = arguments
    database = Database()
    lengths = []
    failure = None

    @hypothesis.seed(seed)
    @hypothesis.settings(max_examples=number, deadline=None, database=None, phases=[Phase.generate],
                         suppress_health_check=list(HealthCheck))
    @hypothesis.given(histories())
    def check(history):
        nonlocal failure
        if failure is None:
            problem, length = failure_of(database, history)
            hypothesis.assume(problem or length >= LEAST)
            lengths.append(length)
            if problem:
                history = shortest(database, history)
                problem = failure_of(database, history)[0] or problem + "\n(but not a second time)"
                failure = f"seed {seed}, history {len(lengths)}: {problem}\npinned.py: {json.dumps(history)}"

    check()
    return lengths, failure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--histories", type=int, default=1000, help="how many (default 1000)")
    parser.add_argument("--seed", type=int, default=None, help=f"of the first {CHUNK}, the next have the next one (default: random)")
    parser.add_argument("--workers", type=int, default=1, help="processes (default 1)")
    parser.add_argument("--history", type=json.loads, help="this one alone, as a failure prints it")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) * 1000 if options.seed is None else options.seed
    started = time.monotonic()
    failures = []

    database = Database()
    first = pinned.HISTORIES if options.history is None else [options.history]
    for history in first:
        problem, _ = failure_of(database, history)
        if problem:
            failures.append(f"pinned history {json.dumps(history)}: {problem}")

    if options.history is not None:
        options.histories = 0
    chunks = [(seed + number, min(CHUNK, options.histories - number * CHUNK))
              for number in range((options.histories + CHUNK - 1) // CHUNK)]
    lengths = []
    with multiprocessing.Pool(options.workers) as pool:
        for compared, failure in pool.imap(run_chunk, chunks):
            lengths += compared
            if failure:
                failures.append(failure)
                break
    for failure in failures:
        print(f"FAILED: {failure}")
    print(f"model: seed {seed}, {len(first)} pinned and {len(lengths)} random histories, {sum(lengths)} steps compared"
          f" ({min(lengths, default=0)} to {max(lengths, default=0)} each), {time.monotonic() - started:.0f} s, {len(failures)} failures")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
