#!/usr/bin/python3
"""Concurrent histories: sessions at random, recorded, and checked afterwards.

Several sessions work at once on one shared copy and some local ones, all of them on
all copies and entities, at random isolation levels: edits in seven ways,
pushes and pulls by every rule, plans carried out, resolutions, refreshes, prunes,
links that are cut and made again; several of these in a transaction, with savepoints
and transactions rolled back at random.  So there are true conflicts, unlike in
test/stress.  Now and then all pause, and everything is pulled and pushed for as many
rounds as may be needed until all copies are equal.

recorder.py records it, properties.py checks the record.  A record that fails is kept,
and can be checked again:

    concurrent_histories.py --check FILE

--seed repeats what the sessions choose to do; how they interleave does not repeat.
The connection is that of PGHOST, PGPORT, PGUSER and PGDATABASE, to a server with
wal_level = logical; the database has the extension.
"""

import argparse
import collections
import itertools
import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time
import traceback

import psycopg2

sys.dont_write_bytecode = True  # the sources' folder stays clean
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "common"))

import properties
import recorder
from sessions import LEVELS, Rollback, compare_status, connect, linger

SHARED = "P"
ENTITIES = [f"e{number:02}" for number in range(16)]
RULES = ("abort", "skip", "local", "public", "both", "newest")
SETTLING = RULES[2:]
TRIES = 50  # of one transaction, before it is given up
AGAIN = ("40001", "40P01")
NO_CONFLICT_OR_LINK = "55000"  # what was to be resolved or synced is not in that state any more

INSERT = "INSERT INTO {table} (diagram_id, id, doc) SELECT %(copy)s, * FROM unnest(%(ids)s, %(docs)s::jsonb[]) AS n(id, doc)"
GIVEN = "FROM unnest(%(ids)s, %(docs)s::jsonb[]) AS n(id, doc) WHERE t.diagram_id = %(copy)s AND t.id = n.id"
EDITS = {
    "insert": INSERT + " ON CONFLICT DO NOTHING RETURNING id, doc",
    "upsert": INSERT + " ON CONFLICT (diagram_id, id) DO UPDATE SET doc = excluded.doc RETURNING id, doc",
    "update": "UPDATE {table} AS t SET doc = n.doc " + GIVEN + " RETURNING t.id, t.doc",
    "delete": "DELETE FROM {table} WHERE diagram_id = %(copy)s AND id = ANY (%(ids)s) RETURNING id, NULL::jsonb",
    # Deleted and inserted by one command.
    "replace": "WITH gone AS (DELETE FROM {table} AS t USING unnest(%(ids)s, %(docs)s::jsonb[]) AS n(id, doc)"
               " WHERE t.diagram_id = %(copy)s AND t.id = n.id RETURNING n.id, n.doc)"
               " INSERT INTO {table} (diagram_id, id, doc) SELECT %(copy)s, id, doc FROM gone RETURNING id, doc",
    "put": "SELECT diagsync.put(%(copy)s, to_jsonb(%(docs)s::jsonb[]))",
}


class Session(threading.Thread):
    """A connection that does one random transaction after the other."""

    def __init__(self, run, name):
        super().__init__(name=name, daemon=True)
        self.run_of = run
        self.dice = random.Random(f"{run.options.seed} {name}")
        self.connection = connect(f"concurrent {name}")
        self.numbers = itertools.count(1)
        # Of the transaction under way:
        self.cursor = None
        self.level = None
        self.done = []  # numbers of its operations
        self.undone = []  # of those that were rolled back to a savepoint
        self.statuses = []

    def run(self):
        try:
            for operations in self.run_of.epochs:
                until = self.run_of.counts_of[self.name] + operations
                while self.run_of.counts_of[self.name] < until:
                    self.once()
                self.run_of.barrier.wait()  # all have stopped
                self.run_of.barrier.wait()  # everything is synced
        except threading.BrokenBarrierError:
            pass
        except Exception:
            self.run_of.fail(f"{self.name}: {traceback.format_exc()}")

    # ---- Transactions ------------------------------------------------------------

    def once(self):
        if self.dice.random() < 0.005:
            self.link_again(self.dice.choice(self.run_of.locals))
        else:
            self.transaction(self.dice.choice(list(LEVELS)), self.operations)

    def transaction(self, level, body):
        """Runs it, again after serialization failures and deadlocks; was it committed?"""
        seed = self.dice.random()
        for attempt in range(TRIES):
            dice = random.Random(seed)
            self.level = level
            self.connection.set_session(isolation_level=LEVELS[level])
            self.done, self.undone, self.statuses = [], [], []
            try:
                with self.connection.cursor() as self.cursor:
                    body(dice)
                    linger(dice)
                    if dice.random() < 0.05:
                        raise Rollback()
                self.connection.commit()
                self.note(True)
                return True
            except Rollback:
                self.connection.rollback()
                self.note(False)
                self.run_of.count("transactions rolled back")
                return False
            except psycopg2.Error as error:
                self.connection.rollback()
                self.note(False)
                if error.pgcode in AGAIN:
                    self.run_of.count(f"transactions tried again after {error.pgcode}")
                elif error.pgcode == NO_CONFLICT_OR_LINK:
                    self.run_of.count("transactions refused: no conflict, or no link, any more")
                    return False
                else:
                    raise
            time.sleep(dice.random() * 0.002 * attempt)
        self.run_of.count("transactions given up")
        return False

    def note(self, committed):
        """Records how a transaction ended."""
        record = self.run_of.recorder.write
        if committed and self.done:
            record({"acknowledged": self.done})
        abandoned = self.undone if committed else self.undone + self.done
        if abandoned:
            record({"abandoned": abandoned})
        for status in self.statuses:
            record({"status": status})
        with self.run_of.lock:
            if committed:
                self.run_of.counts_of[self.name] += len(self.done) + len(self.statuses)
                self.run_of.counts["transactions committed"] += 1
                self.run_of.counts[f"transactions committed at {self.level}"] += 1

    def operations(self, dice):
        for _ in range(dice.choice((1, 1, 1, 2, 3, 4))):
            if dice.random() < 0.8:
                self.operation(dice)
                continue
            done = len(self.done)
            self.cursor.execute("SAVEPOINT s")
            self.operation(dice)
            if dice.random() < 0.5:
                self.cursor.execute("RELEASE SAVEPOINT s")
            else:
                self.cursor.execute("ROLLBACK TO SAVEPOINT s")
                self.undone += self.done[done:]
                del self.done[done:]

    def operation(self, dice):
        choices = {self.edit: 52, self.sync: 30, self.resolve: 4, self.resolve_all: 2, self.discard: 3, self.compare: 6, self.settle: 4,
                   self.refresh: 1, self.prune: 1}
        dice.choices(list(choices), choices.values())[0](dice)

    def mark(self, kind, copy, **rest):
        """Records an operation that has just been done."""
        number = f"{self.name}-{next(self.numbers)}"
        recorder.mark(self.cursor, {"number": number, "kind": kind, "copy": copy, "level": self.level, **rest})
        self.done.append(number)

    def ask(self, sql, *values):
        self.cursor.execute(sql, values)
        return self.cursor.fetchone()

    # ---- Operations ----------------------------------------------------------------

    def choose_copy(self, dice):
        return dice.choice([SHARED] + self.run_of.locals)

    def choose_local(self, dice):
        return dice.choice(self.run_of.locals)

    def document(self, entity):
        return {"id": entity, "token": f"{self.name}-{next(self.numbers)}"}

    def edit(self, dice):
        copy = self.choose_copy(dice)
        table = table_of(copy)
        ids = dice.sample(ENTITIES, dice.choice((1, 1, 1, 1, 2, 5)))
        if dice.random() < 0.2:  # what "both" made, too
            found = self.ask(f"SELECT array_agg(id ORDER BY id) FROM {table} WHERE diagram_id = %s", copy)[0]
            ids = [dice.choice(found)] if found else ids
        what = dice.choice(("upsert", "upsert", "update", "update", "delete", "insert", "replace", "put"))
        documents = [self.document(entity) for entity in ids]
        self.cursor.execute(EDITS[what].format(table=table),
                            {"copy": copy, "ids": ids, "docs": [json.dumps(doc) for doc in documents]})
        if what == "put":
            edits = list(zip(ids, documents))
        else:
            edits = self.cursor.fetchall()
        self.mark("edit", copy, edits=edits, by=what)

    def sync(self, dice):
        local = self.choose_local(dice)
        self.ask("SELECT set_config('diagsync.batch_size', %s, true)", str(dice.choice((1000, 1000, 10, 3))))
        kind, rule = dice.choice(("push", "pull")), dice.choice(RULES)
        plan = None
        entities = dice.sample(ENTITIES, dice.choice((1, 2, 5))) if dice.random() < 0.3 else None
        if dice.random() < 0.1:
            plan = self.call(kind, local, rule, dry_run=True, entities=entities)["plan"]
            linger(dice)
        self.push_or_pull(kind, local, rule, plan=plan, entities=entities)
        if self.level != "READ COMMITTED" and dice.random() < 0.3:
            self.push_or_pull(kind, local, rule, nothing="idempotence", entities=entities)

    def discard(self, dice):
        local = self.choose_local(dice)
        entities = dice.sample(ENTITIES, dice.choice((1, 2, 5)))
        names = ("snapshot", "success", "inserted", "updated", "deleted", "resolved", "conflicts", "refused")
        result = dict(zip(names, self.ask(
            "SELECT pg_current_snapshot()::text, success, inserted, updated, deleted, resolved, conflicts, refused_deletions"
            " FROM diagsync.discard(%s, %s)", local, entities)))
        self.mark("discard", local, rule=None, entities=entities, **result)

    def call(self, kind, local, rule, dry_run=False, plan=None, entities=None):
        names = ("snapshot", "success", "documents", "inserted", "updated", "deleted", "resolved", "conflicts", "refused", "plan")
        return dict(zip(names, self.ask(
            "SELECT pg_current_snapshot()::text, success, documents_updated, inserted, updated, deleted, resolved,"
            f" conflicts, refused_deletions, plan FROM diagsync.{kind}(%s, on_conflict => %s, dry_run => %s, expected_plan => %s, entities => %s)",
            local, rule, dry_run, plan, entities)))

    def push_or_pull(self, kind, local, rule, plan=None, entities=None, **rest):
        result = self.call(kind, local, rule, plan=plan, entities=entities)
        if plan is not None and result["plan"] != plan:
            self.run_of.count("plans overtaken")
            rest["overtaken"] = True
        self.mark(kind, local, rule=rule, entities=entities, **result, **rest)
        if plan is None and result["refused"]:
            # More deletions than are done unasked: so it is asked for.
            self.run_of.count("syncs with many deletions")
            plan = self.call(kind, local, rule, dry_run=True, entities=entities)["plan"]
            return self.push_or_pull(kind, local, rule, plan=plan, entities=entities, **rest)
        return result

    def settle(self, dice):
        """Both directions under one snapshot; then there is nothing left to do."""
        local = self.choose_local(dice)
        if self.level == "READ COMMITTED":
            return
        for kind in dice.sample(("push", "pull"), 2):
            self.push_or_pull(kind, local, dice.choice(SETTLING))
        if self.compare_one(local) == (0, 0, 0):
            for kind in dice.sample(("push", "pull"), 2):
                self.push_or_pull(kind, local, dice.choice(RULES), nothing="empty status")

    def resolve(self, dice):
        local = self.choose_local(dice)
        self.cursor.execute("SELECT entity_id, version FROM diagsync.conflicts(%s)", (local,))
        conflicts = self.cursor.fetchall()
        if not conflicts:
            return
        entity, version = dice.choice(conflicts)
        rule = dice.choice(SETTLING + ("merged",))
        doc = self.document(entity) if rule == "merged" else None
        expected = version if dice.random() < 0.5 else None
        linger(dice)
        snapshot, = self.ask("SELECT pg_current_snapshot()::text FROM diagsync.resolve(%s, %s, %s, %s, %s)",
                             local, entity, rule, doc and json.dumps(doc), expected)
        self.mark("resolve", local, rule=rule, doc=doc, entity=entity, snapshot=snapshot)

    def resolve_all(self, dice):
        local = self.choose_local(dice)
        rule = dice.choice(SETTLING)
        snapshot, resolved, refused = self.ask(
            "SELECT pg_current_snapshot()::text, count(*) FILTER (WHERE outcome = 'resolved'), coalesce(max(refused_deletions), 0)"
            " FROM diagsync.resolve_all(%s, %s)", local, rule)
        self.mark("resolve", local, rule=rule, snapshot=snapshot, resolved=resolved, refused=refused)

    def compare(self, dice):
        self.compare_one(self.choose_local(dice))

    def compare_one(self, local):
        """What status() and changes() say, beside a full comparison."""
        found = compare_status(self.cursor, local, SHARED)
        if found.state == "unlinked":
            return None
        if found.torn and self.done and self.level != "READ COMMITTED":
            return None
        state = "conflict" if found.truth[2] else "pending" if any(found.truth) else "in_sync"
        self.statuses.append({
            "copy": local, "level": self.level, "snapshot": found.snapshot, "seen": found.seen, "after": list(self.done),
            "said": [*found.said, found.state, found.listed],
            "truth": [*found.truth, "torn" if found.torn else state, found.differing],
        })
        return found.said

    def refresh(self, dice):
        local = self.choose_local(dice)
        snapshot, = self.ask("SELECT pg_current_snapshot()::text FROM diagsync.refresh(%s)", local)
        self.mark("refresh", local, snapshot=snapshot)

    def prune(self, dice):
        # With an interval also what only idle links hold back: they then compare in full.
        self.ask("SELECT diagsync.prune(%s::interval)", dice.choice((None, None, "50 ms", "0")))
        self.mark("prune", SHARED)

    def link_again(self, local):
        """Cuts a link and makes it again; writers in between record no changes."""
        def unlink(_):
            self.ask("SELECT diagsync.unlink(%s)", local)
            self.mark("unlink", local)

        def link(_):
            snapshot, _ = self.ask("SELECT pg_current_snapshot()::text, diagsync.link(%s, %s)", local, SHARED)
            self.mark("link", local, snapshot=snapshot)

        if self.transaction(self.dice.choice(list(LEVELS)), unlink):
            linger(self.dice)
            while not self.transaction("READ COMMITTED", link):  # at higher levels it is refused
                pass
            self.run_of.count("links cut and made again")


class Run:
    """All sessions, their pauses, and the record."""

    def __init__(self, options):
        self.options = options
        self.lock = threading.Lock()
        self.counts = collections.Counter()
        self.counts_of = collections.Counter()  # operations committed by each session
        self.failures = []
        self.locals = [f"L{number}" for number in range(1, options.locals + 1)]
        self.barrier = threading.Barrier(options.sessions + 1)
        each = -(-options.operations // options.sessions)
        epochs = max(1, round(each / options.pause))
        self.epochs = [each // epochs + (number < each % epochs) for number in range(epochs)]
        self.recorder = recorder.Recorder(options.history, connect("concurrent recorder"))

    def count(self, what, by=1):
        with self.lock:
            self.counts[what] += by

    def fail(self, text):
        with self.lock:
            self.failures.append(text)
        self.barrier.abort()

    def make(self):
        self.recorder.start(f"concurrent_{os.getpid()}")
        self.recorder.write({"links": {local: SHARED for local in self.locals}})
        self.main = Session(self, "main")
        with self.main.connection.cursor() as cursor:
            cursor.execute("SELECT diagsync.create_diagram('Concurrent', 'public', %s)", (SHARED,))
            for local in self.locals:
                cursor.execute("SELECT diagsync.clone(%s, %s)", (SHARED, local))
        self.main.connection.commit()
        self.sessions = [Session(self, f"s{number}") for number in range(1, self.options.sessions + 1)]

    def go(self):
        for session in self.sessions:
            session.start()
        try:
            for _ in self.epochs:
                self.barrier.wait()
                self.converge()
                self.recorder.read()
                self.barrier.wait()
        except threading.BrokenBarrierError:
            self.recorder.read()
        except Exception:
            self.fail(f"main: {traceback.format_exc()}")
        for session in self.sessions:
            session.join()

    # ---- Convergence ----------------------------------------------------------------

    def commit(self, body):
        """A transaction of the main session that nobody disturbs."""
        main = self.main
        main.done, main.undone, main.statuses, main.level = [], [], [], "READ COMMITTED"
        with main.connection.cursor() as main.cursor:
            body()
        main.connection.commit()
        main.note(True)

    def converge(self):
        """Each link in turn pulls and pushes, with rules that settle every conflict.

        After its turn a local copy equals the shared one.  So after one round
        nobody has anything left to push, and in the second there are only
        changes to be pulled: two rounds, however many links there are and
        whatever the rules.  Then nothing is left to do.
        """
        dice = self.main.dice
        for number in range(1, properties.ROUNDS + 1):
            for local in dice.sample(self.locals, len(self.locals)):
                for kind in dice.sample(("push", "pull"), 2):
                    self.commit(lambda: self.main.push_or_pull(kind, local, dice.choice(SETTLING), round=number))
        self.recorder.read()
        contents, statuses = {}, {}
        with self.main.connection.cursor() as cursor:
            for copy in [SHARED] + self.locals:
                cursor.execute(f"SELECT id, doc FROM {table_of(copy)} WHERE diagram_id = %s", (copy,))
                contents[copy] = dict(cursor.fetchall())
            for local in self.locals:
                cursor.execute("SELECT state, local_changes, public_changes, conflicts FROM diagsync.status(%s)", (local,))
                statuses[local] = cursor.fetchone()
        self.main.connection.commit()
        self.recorder.write({"contents": contents, "statuses": statuses, "round": properties.ROUNDS})
        for local in self.locals:
            for kind in ("push", "pull"):
                self.commit(lambda: self.main.push_or_pull(kind, local, dice.choice(RULES), nothing="empty status"))
        self.commit(self.sweep)

    def sweep(self):
        """Removes what "both" made, so that it does not grow for ever."""
        self.main.cursor.execute(
            f"DELETE FROM {table_of(SHARED)} WHERE diagram_id = %s AND id <> ALL (%s) RETURNING id, NULL::jsonb",
            (SHARED, ENTITIES))
        self.main.mark("edit", SHARED, edits=self.main.cursor.fetchall(), by="sweep")


def table_of(copy):
    return "diagsync_public.entity" if copy == SHARED else "diagsync_local.entity"


def check(path):
    """Checks a record and says what it found; is all well?"""
    began = time.monotonic()
    checker = properties.check(recorder.read_history(path))
    for what, number in sorted(checker.counts.items()):
        print(f"  {number:9}  {what}")
    for violation in checker.violations[:10]:
        print(f"VIOLATED: {violation[:2000]}")
    print(f"  checked in {time.monotonic() - began:.0f} s: {len(checker.violations)} violations", flush=True)
    return not checker.violations


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=5000, help="that are committed, in all (default 5000)")
    parser.add_argument("--sessions", type=int, default=5, help="default 5")
    parser.add_argument("--locals", type=int, default=3, help="local copies (default 3)")
    parser.add_argument("--pause", type=int, default=300, help="operations of a session between pauses (default 300)")
    parser.add_argument("--seed", type=int, help="of all random choices (default: another each time)")
    parser.add_argument("--history", metavar="FILE", help="where to record it (default: a temporary file, kept if it fails)")
    parser.add_argument("--check", metavar="FILE", help="only check a record")
    options = parser.parse_args()
    if options.check:
        sys.exit(0 if check(options.check) else 1)
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1000000)
    keep = options.history is not None
    if not keep:
        options.history = os.path.join(tempfile.gettempdir(), f"diagsync-history-{options.seed}-{os.getpid()}.jsonl.gz")
    print(f"seed {options.seed}", flush=True)

    began = time.monotonic()
    run = Run(options)
    try:
        run.make()
        run.go()
    finally:
        run.recorder.close()  # a slot that is left would keep the server from starting without them
    run.counts["operations committed"] = sum(run.counts_of.values())
    for what, number in sorted(run.counts.items()):
        print(f"  {number:9}  {what}")
    print(f"  recorded in {time.monotonic() - began:.0f} s", flush=True)
    for failure in run.failures:
        print(f"FAILED: {failure}")
    good = False
    try:
        good = check(options.history) and not run.failures
    finally:
        if good and not keep:
            os.remove(options.history)
        else:
            if not keep and "DIAGSYNC_BESIDE" in os.environ:
                # The temporary folder of tools/lib/throwaway disappears; beside it, it is kept.
                options.history = shutil.move(options.history, os.environ["DIAGSYNC_BESIDE"])
            print(f"history: {options.history}")
    print("concurrent histories: " + ("all properties hold" if good else "FAILED"), flush=True)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
