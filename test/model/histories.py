#!/usr/bin/python3
"""Random histories in the database and in the model (model.py).

Pinned histories (pinned.py) come first.  A failure prints the seed, and
the shortest history that still fails, as a line for pinned.py.  Hypothesis draws
the histories; steps are left out of one that failed by shortest() below, since
any part of a history is a history.

The connection is that of PGHOST, PGPORT, PGUSER and PGDATABASE; the database has
the extension.
"""

import argparse
import collections
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
from history import RESOLUTIONS, SYNCS, Database, Mismatch, Run
from model import RULES

IDS = ("a", "b", "c", "d", "e", "a", "b", "c", "d", "e", "a+", "b+")  # a+ is one that `both` derived from a
CHUNK = 250  # histories of one seed
STEPS = 46  # compared in a history
LEAST = 40  # ... or it is drawn again
DRAWN = 80  # for a history; some mean nothing where they stand

DOCUMENTS = [{}] + [{"x": x} for x in (1, 1.0, 2, "a", None)] + [
    {"x": x, "y": y} for x in (1, 2, 3) for y in (1, 2)] + [
    {"x": 1, "at": at} for at in ({}, {"p": 1}, {"p": 2}, {"q": 1}, {"p": 1, "q": 1}, {"p": 1, "q": 2}, {"p": 2, "q": 1}, 5)] + [
    {"y": 1, "list": value} for value in ([], [1], [1, 2], [1, {"x": 1}])] + [
    {"x": 1, "clock": 1}, {"x": 1, "clock": 2}, {"x": 2, "clock": 3}, {"at": {"p": 1, "clock": 1}},
    {"x": 1.25}, {"x": 1.5, "y": 2}]
PROPERTIES = [("x", 1), ("x", 2), ("x", None), ("y", 1), ("y", 2), ("clock", 1), ("clock", 2), ("at", {"p": 1}),
              ("at", {"p": 1, "q": 1}), ("at", {"p": 2, "q": 1})]
POLICIES = [None, {"granularity": "property"}, {"ignore": ["/clock"]},
            {"granularity": "property", "ignore": ["/clock", "/at/clock"]},
            {"granularity": "property", "groups": [["/x", "/at/p"]]}, {"tolerance": 0.5, "granularity": "property"},
            {"latest": ["/clock", "/at"]}, {"granularity": "property", "references": ["/to"]},
            {"granularity": "property", "null": "absent"}]

# What must have come up in so many histories.
ENOUGH = 1000
CLASSES = ["insert_insert", "update_update", "update_delete", "delete_update", "merge", "resolve of what moved on",
           "rollback to a savepoint", "clone", "share", "link", "unlink", "drop", "storage", "policy", "refresh", "forget",
           "unknown", "refused deletions", "discard: inserted", "discard: updated", "discard: deleted"] + [
    f"{sync} of chosen entities" for sync in SYNCS] + [
    f"resolve with {resolution}" for resolution in RESOLUTIONS] + [
    f"{sync} of merged entities" for sync in SYNCS] + [
    f"{sync} that resolved with {rule}" for sync in SYNCS for rule in RULES[2:]] + [
    f"resolve_many: {outcome}" for outcome in ("resolved", "no_conflict", "changed", "no_entity")] + ["resolve_all: resolved"] + [
    f"{kind}, {success}" for kind in ("push with skip", "pull with abort", "expected push", "expected pull")
    for success in ("success", "no success")]


def steps():
    """One step of a history."""
    from_list = strategies.sampled_from
    copy, local = from_list("PPPAAABBCD"), from_list("AAABBBCD")
    id, document = from_list(IDS), from_list(DOCUMENTS)
    number = from_list(range(4))
    seldom = from_list((False, False, False, True))
    step = lambda name, *rest: strategies.tuples(strategies.just(name), *rest).map(list)
    some = strategies.lists(id, max_size=4)
    sync = lambda name: step(name, local, from_list(RULES), seldom, strategies.one_of(strategies.none(), strategies.none(), some))
    weighted = [
        (5, step("upsert", copy, id, document)),
        (2, step("update", copy, id, document)),
        (4, strategies.tuples(copy, id, from_list(PROPERTIES)).map(lambda drawn: ["set", *drawn[:2], *drawn[2]])),
        (3, step("delete", copy, id)),
        (1, step("delete", copy, id, id)),
        (1, step("put", copy, strategies.dictionaries(from_list("abcde"), document, min_size=1, max_size=3))),
        (1, step("undo", local, id)),
        (1, strategies.tuples(copy, id, from_list(([], ["id"], ["_id"], ["id", "_id"]))).map(
            lambda drawn: ["repeat", *drawn[:2], *drawn[2]])),
        (2, step("imitate", copy, copy, id)),
        (4, sync("push")),
        (4, sync("pull")),
        (2, step("discard", local, strategies.one_of(some, some, some, strategies.none()))),
        (2, step("carry_out", from_list((0, 0, 0, 1, 2)))),
        (6, step("resolve", local, number, from_list(RESOLUTIONS), document, from_list(("", "", "now", "first")))),
        (2, step("resolve_all", local, from_list(RULES[2:]), from_list((None, None, ["update_update", "insert_insert"])))),
        (2, step("resolve_many", local, strategies.lists(from_list(RESOLUTIONS), min_size=3, max_size=6), document, from_list(("", "now", "first")))),
        (1, step("begin", from_list(("READ COMMITTED", "REPEATABLE READ")))),
        (1, step("savepoint")),
        (1, step("rollback_to", number)),
        (1, from_list([["commit"], ["commit"], ["rollback"]])),
        (2, strategies.one_of(
            step("link", local), step("clone", local), step("unlink", local), step("drop", from_list("PABCD")),
            step("create", local), step("share", local, from_list(("public", "private"))),
            step("storage", from_list(("public", "private"))),
            step("policy", copy, from_list(POLICIES)), step("policy", local, from_list(POLICIES)),
            step("refresh", local), step("forget", local))),
        (2, step("lose", local, id)),
        (2, step("fill", copy)),
        (2, step("empty", copy)),
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
    """What is wrong in a history, None where nothing is; and the run."""
    run = Run(database)
    try:
        run.run(history, STEPS)
    except Exception as error:  # pylint: disable=broad-except
        text = str(error) if isinstance(error, Mismatch) else traceback.format_exc()
        return f"step {run.step}: {text}", run
    return None, run


def shortest(database, history):
    """The history without the steps that its failure does not need."""
    def to_failure(history):
        problem, run = failure_of(database, history)
        return history[:run.step[0] + 1] if problem else None

    history = to_failure(history) or history
    size = len(history) // 2
    while size:
        place = 0
        while place < len(history):
            shorter = to_failure(history[:place] + history[place + size:])
            if shorter:
                history = shorter
            else:
                place += size
        size = size // 2
    return history


def run_chunk(arguments):
    """The first histories of one seed: how many steps of each were compared, what
    came up, and the first failure."""
    seed, number = arguments
    database = Database()
    lengths = []
    seen = collections.Counter()
    failure = None

    @hypothesis.seed(seed)
    # What Hypothesis draws depends on how many it is to draw.
    @hypothesis.settings(max_examples=CHUNK, deadline=None, database=None, phases=[Phase.generate],
                         suppress_health_check=list(HealthCheck))
    @hypothesis.given(histories())
    def check(history):
        nonlocal failure
        if failure is None and len(lengths) < number:
            problem, run = failure_of(database, history)
            hypothesis.assume(problem or run.done >= LEAST)
            lengths.append(run.done)
            seen.update(run.seen)
            if problem:
                history = shortest(database, history)
                problem = failure_of(database, history)[0] or problem + "\n(but not a second time)"
                failure = f"seed {seed}, history {len(lengths)}: {problem}\npinned.py: {json.dumps(history)}"

    check()
    return lengths, seen, failure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--histories", type=int, default=1000, help="how many (default 1000)")
    parser.add_argument("--seed", type=int, default=None, help=f"of the first {CHUNK}, the next have the next one (default: random)")
    parser.add_argument("--workers", type=int, default=1, help="processes (default 1)")
    parser.add_argument("--history", type=json.loads, help="this one alone, as a failure prints it")
    parser.add_argument("--verbose", action="store_true", help="count what came up")
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
    seen = collections.Counter()
    with multiprocessing.Pool(options.workers) as pool:
        for compared, came_up, failure in pool.imap(run_chunk, chunks):
            lengths += compared
            seen += came_up
            if failure:
                failures.append(failure)
                break
    if options.verbose:
        for what, times in sorted(seen.items()):
            print(f"{times:9} {what}")
    missing = [what for what in CLASSES if not seen[what]]
    if missing and len(lengths) >= ENOUGH:
        failures.append(f"never came up: {', '.join(missing)}")
    for failure in failures:
        print(f"FAILED: {failure}")
    print(f"model: seed {seed}, {len(first)} pinned and {len(lengths)} random histories, {sum(lengths)} steps compared"
          f" ({min(lengths, default=0)} to {max(lengths, default=0)} each), {time.monotonic() - started:.0f} s, {len(failures)} failures")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
