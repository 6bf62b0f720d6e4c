#!/usr/bin/python3
"""Stress test of the sync protocol: no edit may be lost, ever.

Three copies: a shared diagram P and two local ones, L and M, linked to it.
Every entity belongs to one agent, which edits it at one end only.  So there
are no true conflicts, and once everything is pushed and pulled all three
copies must hold exactly what each agent committed last; agents remember it.

    one-row writers    edit one entity in a transaction
    multi-row writers  edit several, in any order
    plain syncers      push or pull one link in a transaction
    compound syncers   several syncs of both links, dry runs and own edits at
                       all ends in one transaction
    readers            compare status() and changes() with a full comparison
                       of the contents under the same snapshot
    a cloner           clones P, edits and syncs the clone, drops it, and again
    a sharer           shares a fourth diagram, S, under its writers' hands,
                       pushes, pulls, unlinks it, and again
    one housekeeper    prune(), refresh(), VACUUM

at READ COMMITTED, REPEATABLE READ and SERIALIZABLE, with savepoints and whole
transactions rolled back at random, and prepared transactions where the server
allows them.  Every few seconds all agents pause, everything is synced, and the
copies are compared with what the agents remember.

What fails the run: an edit that is lost or made by nobody, a conflict, a
status that a full comparison does not confirm, an unexpected error, a deadlock
without a multi-row writer or compound syncer in it (those are only counted).
40001 is answered by running the same transaction again.

The connection is that of PGHOST, PGPORT, PGUSER and PGDATABASE.
"""

import argparse
import collections
import json
import os
import random
import re
import sys
import threading
import time
import traceback

import psycopg2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "common"))
sys.dont_write_bytecode = True  # the sources' folder stays clean

from sessions import LEVELS, Failed, Rollback, compare_status, connect, linger

ENDS = ("P", "L", "M")
TABLES = {"P": "diagsync_public.entity", "Q": "diagsync_public.entity"}  # all other ends are local
LOCAL = "diagsync_local.entity"
HISTORY = 12  # remembered per entity, for the account of a lost edit
TRIES = 50  # of one transaction, before it is given up


class Run:
    """What all agents share."""

    def __init__(self, options):
        self.options = options
        # S is shared as Q; C is a clone of P.
        self.names = {end: f"stress-{options.seed}-{end}" for end in ENDS + ("S", "Q", "C")}
        self.counts = collections.Counter()
        self.kinds = {}  # backend pid -> kind of its agent
        self.failures = []
        self.deadlocks = []
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.pause = threading.Event()
        self.resume = threading.Condition(self.lock)
        self.paused = 0
        self.agents = []
        self.prepared = False

    def fail(self, text, go_on=False):
        with self.lock:
            self.failures.append(text)
        if not go_on:
            self.stopping.set()

    def count(self, what, n=1):
        with self.lock:
            self.counts[what] += n

    def rest_if_asked(self):
        if not self.pause.is_set():
            return
        with self.lock:
            self.paused += 1
            self.resume.notify_all()
            while self.pause.is_set():
                self.resume.wait()
            self.paused -= 1


class Agent(threading.Thread):
    """A connection, the entities that it alone edits, and what it committed.

    Subclasses say in `transaction` what one transaction does.  It is run again
    with the same random numbers after a serialization failure.
    """

    kind = ""
    idle = 0.002  # seconds between transactions, at most
    may_prepare = False

    def __init__(self, run, number):
        super().__init__(name=f"{self.kind}-{number}", daemon=True)
        self.run_of = run
        self.dice = random.Random(f"{run.options.seed} {self.name}")
        self.connection = connect(f"stress {self.name}")
        self.pid = self.connection.info.backend_pid
        run.kinds[self.pid] = self.kind
        self.committed = {}  # (end, id) -> document or None
        self.history = collections.defaultdict(lambda: collections.deque(maxlen=HISTORY))
        self.sequence = 0
        # Of the transaction under way:
        self.cursor = None
        self.level = None
        self.pending = {}
        self.done = []

    def own(self, end, count):
        for number in range(count):
            # Ids of all agents mixed in the order of keys, in which syncs lock.
            self.committed[end, f"{number}-{self.dice.randrange(100)}-{end}-{self.name}"] = None

    # ---- One transaction after the other -----------------------------------

    def run(self):
        try:
            while not self.run_of.stopping.is_set():
                self.run_of.rest_if_asked()
                self.run_once()
                time.sleep(self.dice.random() * self.idle)
        except Failed as failure:
            self.run_of.fail(f"{self.name}: {failure}")
        except Exception:
            self.run_of.fail(f"{self.name}: {traceback.format_exc()}")
        finally:
            # Whoever waits for a pause must not wait for the dead.
            with self.run_of.lock:
                self.run_of.agents.remove(self)
                self.run_of.resume.notify_all()
            try:
                self.connection.close()
            except psycopg2.Error:
                pass

    def run_once(self):
        self.once()

    def once(self):
        """One transaction, again after serialization failures; was it committed?"""
        seed = self.dice.random()
        for attempt in range(TRIES):
            dice = random.Random(seed)
            self.level = self.choose_level(dice)
            self.connection.set_session(isolation_level=LEVELS[self.level])
            self.pending, self.done, results = {}, [], collections.Counter()
            prepared = None
            try:
                with self.connection.cursor() as self.cursor:
                    self.transaction(dice, results)
                    if dice.random() < 0.08:
                        raise Rollback()
                    if self.may_prepare and self.run_of.prepared and dice.random() < 0.01:
                        prepared = f"{self.name}-{self.pid}-{seed}"
                        self.cursor.execute("PREPARE TRANSACTION %s", (prepared,))
                        # psycopg2 would begin the next transaction by itself.
                        self.connection.rollback()
                    else:
                        self.connection.commit()
                if prepared is not None:
                    return self.finish_prepared(dice, prepared, results)
                self.note(True, results)
                return True
            except Rollback:
                self.connection.rollback()
                self.note(False, results)
                return False
            except psycopg2.Error as error:
                self.connection.rollback()
                if error.pgcode == "40001":
                    self.run_of.count("serialization failures retried")
                elif error.pgcode == "40P01":
                    self.deadlock(error)
                else:
                    raise Failed(
                        f"unexpected {error.pgcode} at {self.level} after {self.done}:"
                        f" {error.diag.message_primary}\n{error.diag.message_detail or ''}\n"
                        f"{error.diag.context or ''}"
                    ) from error
            time.sleep(dice.random() * 0.002 * attempt)
            if self.run_of.stopping.is_set() and self.run_of.failures:
                return False
        self.run_of.count("transactions given up")
        return False

    def choose_level(self, dice):
        return dice.choice(list(LEVELS))

    def finish_prepared(self, dice, name, results):
        time.sleep(dice.random() * 0.05)
        commit = dice.random() < 0.8
        self.connection.autocommit = True
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(("COMMIT" if commit else "ROLLBACK") + " PREPARED %s", (name,))
        finally:
            self.connection.autocommit = False
        self.run_of.count("transactions prepared")
        self.note(commit, results)
        return commit

    def note(self, committed, results):
        """Keeps account of a transaction that has ended."""
        when = round(time.monotonic() - self.run_of.started, 4)
        for end, entity, what, document, revision in self.done:
            self.history[end, entity].append(
                (when, revision, self.level, what, document, "committed" if committed else "rolled back")
            )
        if committed:
            self.committed.update(self.pending)
        run = self.run_of
        with run.lock:
            run.counts["writes committed" if committed else "writes rolled back"] += len(self.done)
            run.counts["transactions " + ("committed" if committed else "rolled back")] += 1
            if committed:
                run.counts.update(results)
            else:
                run.counts["syncs rolled back"] += results["syncs"]

    def deadlock(self, error):
        """Counts a deadlock; one among those who meet none fails the run."""
        detail = error.diag.message_detail or ""
        pids = {int(pid) for pid in re.findall(r"[Pp]rocess (\d+)", detail)}
        kinds = sorted(self.run_of.kinds.get(pid, "unknown") for pid in pids)
        with self.run_of.lock:
            self.run_of.counts["deadlocks: " + " + ".join(kinds)] += 1
        if not {"multi", "compound", "cloner", "unknown"} & set(kinds):
            # The run goes on: nothing is lost by it.
            self.run_of.fail(
                f"{self.name}: deadlock among {kinds}, where nobody edits several rows, at {self.level}"
                f" after {self.done}: {detail}\n{error.diag.context or ''}", go_on=True)

    # ---- Edits --------------------------------------------------------------

    def now_at(self, key):
        return self.pending.get(key, self.committed[key])

    def edit(self, dice, key):
        """One edit of an own entity, in one of the ways that SQL has."""
        end, entity = key
        before = self.now_at(key)
        self.sequence += 1
        document = {"id": entity, "n": self.sequence, "by": self.name}
        former = [h[4] for h in self.history[key] if h[4] is not None]
        if former and dice.random() < 0.15:
            document = dice.choice(former)  # put back as it was
        values = {
            "table": TABLES.get(end, LOCAL), "diagram": self.run_of.names[end], "id": entity,
            "doc": json.dumps(document), "old": json.dumps(before) if before else None,
        }
        if before is None:
            what = dice.choice(("insert", "insert", "upsert"))
        else:
            what = dice.choice(("update", "update", "upsert", "delete", "replace", "delete, insert"))
        sql = {
            "insert": "INSERT INTO {table} (diagram_id, id, doc) VALUES (%(diagram)s, %(id)s, %(doc)s) RETURNING rev",
            "upsert": "INSERT INTO {table} (diagram_id, id, doc) VALUES (%(diagram)s, %(id)s, %(doc)s)"
                      " ON CONFLICT (diagram_id, id) DO UPDATE SET doc = excluded.doc RETURNING rev",
            "update": "UPDATE {table} SET doc = %(doc)s WHERE diagram_id = %(diagram)s AND id = %(id)s RETURNING rev",
            "delete": "DELETE FROM {table} WHERE diagram_id = %(diagram)s AND id = %(id)s"
                      " RETURNING pg_current_xact_id()::text::bigint",
            # Deleted and inserted by one command.
            "replace": "WITH gone AS (DELETE FROM {table} WHERE diagram_id = %(diagram)s AND id = %(id)s"
                       " RETURNING diagram_id, id)"
                       " INSERT INTO {table} (diagram_id, id, doc)"
                       " SELECT diagram_id, id, %(doc)s FROM gone RETURNING rev",
        }
        for step in what.split(", "):
            if before is not None and step in ("update", "delete", "replace"):
                # The owner must find what they left; syncs leave it alone.
                self.cursor.execute(
                    "SELECT doc FROM {table} WHERE diagram_id = %(diagram)s AND id = %(id)s".format(**values), values
                )
                row = self.cursor.fetchone()
                if row is None or row[0] != before:
                    raise Failed(
                        f"{entity} at {end} was changed behind its owner at {self.level}:"
                        f" they left {before}, found {row and row[0]}" + self.account(key)
                    )
            self.cursor.execute(sql[step].format(**values), values)
            row = self.cursor.fetchone()
            if row is None:
                raise Failed(f"{step} of {entity} at {end} found no row at {self.level}; it was {before}" + self.account(key))
            self.pending[key] = None if step == "delete" else document
            self.done.append((end, entity, step, self.pending[key], row[0]))

    def maybe_in_savepoint(self, dice, action):
        """Does it plainly, in a savepoint, or in one that is rolled back."""
        how = dice.random()
        if how < 0.6:
            action()
            return
        pending, done = dict(self.pending), len(self.done)
        self.cursor.execute("SAVEPOINT s")
        action()
        if how < 0.8:
            self.cursor.execute("RELEASE SAVEPOINT s")
        else:
            self.cursor.execute("ROLLBACK TO SAVEPOINT s")
            self.pending = pending
            self.run_of.count("writes rolled back to a savepoint", len(self.done) - done)
            del self.done[done:]

    def account(self, key):
        """What is known of an entity that went wrong."""
        lines = [f"\n    {key[1]}, edited by {self.name} at {key[0]} only; its last edits"
                 " (second, revision, level, what, document, outcome):"]
        lines += [f"      {entry}" for entry in self.history[key]]
        lines += [f"      under way: {entry}" for entry in self.done if entry[:2] == key]
        return "\n".join(lines)

    # ---- Syncs --------------------------------------------------------------

    def sync(self, dice, results):
        """Pushes or pulls one of the links; conflicts cannot arise."""
        local = self.run_of.names[dice.choice("LM")]
        what = dice.choice(("push", "pull"))
        policy = dice.choice(("skip", "skip", "skip", "abort"))
        # Now and then in many batches.
        self.cursor.execute("SET LOCAL diagsync.batch_size = %s", (dice.choice((1000, 1000, 1000, 10, 3)),))
        call = (f"SELECT success, documents_updated, inserted, updated, deleted, merged, resolved, conflicts, plan"
                f" FROM diagsync.{what}(%s, on_conflict => %s")
        plan = None
        if dice.random() < 0.15:
            self.cursor.execute(call + ", dry_run => true)", (local, policy))
            dry = self.cursor.fetchone()
            self.check(what + " (dry run)", local, dry)
            results["dry runs"] += 1
            plan = dry[8]
            time.sleep(dice.random() * 0.005)
        if plan is None:
            self.cursor.execute(call + ")", (local, policy))
            result = self.cursor.fetchone()
            if not result[0]:
                raise Failed(f"{what} of {local} at {self.level} without success: {result}")
        else:
            self.cursor.execute(call + ", expected_plan => %s)", (local, policy, plan))
            result = self.cursor.fetchone()
            if result[0] and result != dry:
                raise Failed(f"{what} of {local} at {self.level} was to do {dry} and did {result}")
            if not result[0] and result[8] == plan:
                raise Failed(f"{what} of {local} at {self.level} refused its own plan {dry}: {result}")
            if not result[0] and self.level != "READ COMMITTED":
                raise Failed(f"{what} of {local} at {self.level}: the plan changed under one snapshot,"
                             f" from {dry} to {result}")
            results["plans carried out" if result[0] else "plans overtaken"] += 1
        self.check(what, local, result)
        results["syncs"] += 1
        results[f"syncs at {self.level}"] += 1
        if result[0]:
            results["entities synced"] += result[1]
        return local

    def plain_sync(self, what, local, results):
        self.cursor.execute(
            f"SELECT success, documents_updated, inserted, updated, deleted, merged, resolved, conflicts, plan"
            f" FROM diagsync.{what}(%s)", (local,))
        result = self.cursor.fetchone()
        self.check(what, local, result)
        results["syncs"] += 1
        results["entities synced"] += result[1]

    def check(self, what, local, result):
        _, updated, *parts, merged, resolved, conflicts, _ = result
        if conflicts or resolved or merged or updated != sum(parts):
            raise Failed(f"{what} of {local} at {self.level}: {result};"
                         " nobody edits what others do, so there is no conflict")

    def status(self, local, public=None):
        """Compares status() with a full comparison under the same snapshot."""
        found = compare_status(self.cursor, local, public or self.run_of.names["P"])
        said, state, truth, differing, snapshot, seen, torn, listed = found
        if torn:
            if self.level == "READ COMMITTED" or not self.done:
                raise Failed(f"{local}: two bases for an entity at {self.level}; snapshot {snapshot}, seen {seen}")
            self.run_of.count("status passed over (deleted rows inserted again)")
            return
        wrong = []
        if said != truth:
            wrong.append(f"status says (local, public, conflicts) {said}, a full comparison {truth}")
        if state != ("pending" if said[0] or said[1] else "in_sync"):
            wrong.append(f"state is {state} with {said}")
        if said[2]:
            wrong.append("there is a conflict, and nobody edits what others do")
        if listed != differing:
            wrong.append("changes() says otherwise")
        if wrong:
            odd = set(differing or []) ^ set(listed or []) or {d for d in differing if d.endswith(" both")}
            raise Failed(
                f"{local} at {self.level}: {'; '.join(wrong)}; snapshot {snapshot}, seen {seen};"
                f" wrong {sorted(odd)}; own edits under way {self.done}"
                + self.run_of.accounts({name.rpartition(" ")[0] for name in odd}, self.cursor)
            )
        self.run_of.count("status checked")
        return truth


class OneRow(Agent):
    kind = "one-row"
    idle = 0.02
    may_prepare = True

    def transaction(self, dice, results):
        key = dice.choice(sorted(self.committed))
        self.edit(dice, key)
        for _ in range(dice.choice((0, 0, 0, 1, 2))):
            self.maybe_in_savepoint(dice, lambda: self.edit(dice, key))
        linger(dice)


class MultiRow(Agent):
    kind = "multi"
    idle = 0.05
    may_prepare = True

    def transaction(self, dice, results):
        keys = sorted(self.committed)
        for _ in range(dice.randint(1, 6)):
            self.maybe_in_savepoint(dice, lambda: self.edit(dice, dice.choice(keys)))
            linger(dice)


class Syncer(Agent):
    kind = "syncer"

    def transaction(self, dice, results):
        self.sync(dice, results)
        linger(dice)


class Compound(Agent):
    kind = "compound"
    may_prepare = True

    def transaction(self, dice, results):
        synced = []
        for _ in range(dice.randint(2, 5)):
            step = dice.random()
            if step < 0.45:
                counted = collections.Counter(results)
                local = []
                self.maybe_in_savepoint(dice, lambda: local.append(self.sync(dice, counted)))
                results.update(counted - results)
                synced += local
            elif step < 0.9:
                ends = sorted(self.committed)
                self.maybe_in_savepoint(dice, lambda: self.edit(dice, dice.choice(ends)))
            else:
                self.status(self.run_of.names[dice.choice("LM")])
            linger(dice)
        for local in set(synced):
            self.status(local)


class Cycle(Agent):
    """Steps in a fixed order, each a transaction; a round is never left half done."""

    step = 0
    steps = ()
    fresh = ()  # steps that are for READ COMMITTED only

    def run_once(self):
        while True:
            if self.once():
                self.step = (self.step + 1) % len(self.steps)
                if self.step == 0:
                    return
            if self.run_of.stopping.is_set() and self.run_of.failures:
                return

    def choose_level(self, dice):
        return "READ COMMITTED" if self.steps[self.step] in self.fresh else super().choose_level(dice)

    def transaction(self, dice, results):
        getattr(self, self.steps[self.step])(dice, results)


class Cloner(Cycle):
    kind = "cloner"
    steps = ("clone", "edit_clone", "sync_clone", "edit_clone", "check_clone", "push_clone", "check_clone", "drop")

    def clone(self, dice, results):
        self.cursor.execute("SELECT diagsync.clone(%s, %s)", (self.run_of.names["P"], self.run_of.names["C"]))
        if dice.random() < 0.5:
            self.edit(dice, dice.choice(sorted(self.committed)))
        linger(dice)
        results["clones"] += 1

    def edit_clone(self, dice, results):
        for _ in range(dice.randint(1, 3)):
            self.maybe_in_savepoint(dice, lambda: self.edit(dice, dice.choice(sorted(self.committed))))
            linger(dice)

    def sync_clone(self, dice, results):
        self.plain_sync(dice.choice(("push", "pull")), self.run_of.names["C"], results)
        linger(dice)

    def push_clone(self, dice, results):
        self.plain_sync("push", self.run_of.names["C"], results)

    def check_clone(self, dice, results):
        self.status(self.run_of.names["C"])

    def drop(self, dice, results):
        self.plain_sync("push", self.run_of.names["C"], results)
        self.cursor.execute("SELECT count(*) FROM diagsync_local.base b WHERE diagram_id = %s", (self.run_of.names["C"],))
        left = self.cursor.fetchone()[0]
        if left:
            raise Failed(f"a push left {left} bases of the clone, where nobody else edits")
        self.cursor.execute("SELECT diagsync.drop_diagram(%s)", (self.run_of.names["C"],))


class Sharer(Cycle):
    kind = "sharer"
    steps = ("share", "check_share", "push_or_pull", "check_share", "push_or_pull", "check_share", "push_or_pull",
             "push_or_pull", "check_share", "unlink", "drop")
    fresh = ("share",)  # needs a snapshot younger than its lock

    def share(self, dice, results):
        self.cursor.execute("SELECT diagsync.share(%s, %s)", (self.run_of.names["S"], self.run_of.names["Q"]))
        linger(dice)
        results["shares"] += 1

    def push_or_pull(self, dice, results):
        self.plain_sync(dice.choice(("push", "push", "pull")), self.run_of.names["S"], results)
        linger(dice)

    def check_share(self, dice, results):
        truth = self.status(self.run_of.names["S"], self.run_of.names["Q"])
        if truth and truth[1]:
            raise Failed(f"{truth[1]} public changes of what nobody but pushes write: edits without a base")

    def unlink(self, dice, results):
        self.cursor.execute("SELECT diagsync.unlink(%s)", (self.run_of.names["S"],))
        linger(dice)

    def drop(self, dice, results):
        self.cursor.execute("SELECT diagsync.drop_diagram(%s)", (self.run_of.names["Q"],))
        self.cursor.execute("SELECT count(*) FROM diagsync_local.base WHERE diagram_id = %s", (self.run_of.names["S"],))
        if self.cursor.fetchone()[0]:
            raise Failed("an unlinked diagram has bases")


class Reader(Agent):
    kind = "reader"

    def transaction(self, dice, results):
        if dice.random() < 0.5:
            self.cursor.execute("SET TRANSACTION READ ONLY")
        for _ in range(dice.randint(1, 3)):
            self.status(self.run_of.names[dice.choice("LM")])
            time.sleep(dice.random() * 0.02)


class Housekeeper(Agent):
    kind = "housekeeper"
    idle = 0.2

    def transaction(self, dice, results):
        what = dice.random()
        if what < 0.4:
            # Now and then also what only an idle link holds back: it then
            # compares in full.
            idle = dice.choice((None, None, "50 ms", "0"))
            self.cursor.execute("SELECT diagsync.prune(%s::interval)", (idle,))
            results["tombstones pruned"] += self.cursor.fetchone()[0]
        elif what < 0.8:
            local = self.run_of.names[dice.choice("LM")]
            self.cursor.execute("SELECT conflicts, state FROM diagsync.refresh(%s)", (local,))
            row = self.cursor.fetchone()
            if row[0] or row[1] not in ("in_sync", "pending"):
                raise Failed(f"refresh of {local} at {self.level}: {row}")
            results["refreshes"] += 1
            if self.level != "READ COMMITTED" or dice.random() < 0.5:
                self.status(local)
        else:
            self.connection.rollback()
            self.connection.autocommit = True
            try:
                self.cursor.execute("VACUUM " + dice.choice((
                    "diagsync_public.entity", "diagsync_local.entity", "diagsync_local.base",
                    "diagsync_public.tombstone", "diagsync.directory")))
            finally:
                self.connection.autocommit = False
            results["vacuums"] += 1


class Stress(Run):
    def make(self):
        self.started = time.monotonic()
        self.connection = connect("stress main")
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        execute = self.cursor.execute
        execute("CREATE EXTENSION IF NOT EXISTS diagsync")
        self.drop()
        execute("SELECT diagsync.create_diagram('Stress P', 'public', %s)", (self.names["P"],))
        for end in "LM":
            execute("SELECT diagsync.clone(%s, %s, %s)", (self.names["P"], self.names[end], f"Stress {end}"))
        execute("SELECT diagsync.create_diagram('Stress S', 'local', %s)", (self.names["S"],))
        execute("SHOW max_prepared_transactions")
        self.prepared = int(self.cursor.fetchone()[0]) >= self.options.writers + self.options.syncers

        rows = self.options.rows
        for number in range(self.options.writers):
            kind = MultiRow if number % 3 == 2 else OneRow
            agent = kind(self, number)
            agent.own(ENDS[number // 3 % 3 if kind is MultiRow else number % 3], rows)
            self.agents.append(agent)
        for number in range(self.options.syncers):
            agent = (Compound if number % 2 else Syncer)(self, number)
            if number % 2:
                for end in ENDS:
                    agent.own(end, rows // 2 or 1)
            self.agents.append(agent)
        if not self.options.no_links:
            cloner, sharer = Cloner(self, 0), Sharer(self, 0)
            one, several = OneRow(self, "S"), MultiRow(self, "S")
            cloner.own("C", rows)
            one.own("S", rows)
            several.own("S", rows)
            self.agents += [cloner, sharer, one, several]
        for number in range(self.options.readers):
            self.agents.append(Reader(self, number))
        if not self.options.no_housekeeping:
            self.agents.append(Housekeeper(self, 0))
        self.all_agents = list(self.agents)

    def drop(self):
        for end in "CLMPSQ":
            self.cursor.execute(
                "SELECT diagsync.drop_diagram(id) FROM diagsync.directory WHERE id = %s", (self.names[end],))

    def go(self):
        end = time.monotonic() + self.options.seconds
        dice = random.Random(self.options.seed)
        for agent in list(self.agents):
            agent.start()
        while not self.stopping.is_set() and time.monotonic() < end:
            self.stopping.wait(min(self.options.round, max(0, end - time.monotonic())))
            with self.lock:
                self.pause.set()
                deadline = time.monotonic() + 120
                while self.paused < len(self.agents) and time.monotonic() < deadline:
                    self.resume.wait(1)
                stuck = self.paused < len(self.agents)
            if stuck:
                self.fail("agents hang; pg_stat_activity:\n" + self.activity())
            if not self.failures:
                self.compare(dice)
            with self.lock:
                self.pause.clear()
                self.resume.notify_all()
        self.stopping.set()
        for agent in self.all_agents:
            agent.join(70)

    def activity(self):
        self.cursor.execute(
            "SELECT pid, application_name, state, wait_event_type, wait_event, pg_blocking_pids(pid), query"
            " FROM pg_stat_activity WHERE datname = current_database()")
        return "\n".join(f"    {row}" for row in self.cursor.fetchall())

    # ---- The comparison ------------------------------------------------------

    def compare(self, dice):
        """Syncs everything, and compares all copies with what was committed."""
        local = [self.names["L"], self.names["M"]]
        figures = []
        for _ in range(4):
            dice.shuffle(local)
            steps = [(what, name) for what in ("push", "pull") for name in local]
            if dice.random() < 0.5:
                dice.shuffle(steps)
            for what, name in steps:
                self.cursor.execute(
                    f"SELECT success, conflicts, documents_updated FROM diagsync.{what}(%s, on_conflict => 'skip')",
                    (name,))
                row = self.cursor.fetchone()
                if not row[0] or row[1]:
                    self.fail(f"the last {what} of {name}: {row}")
            self.cursor.execute(
                "SELECT local_id, state, local_changes, public_changes, conflicts FROM diagsync.status_all()"
                " WHERE local_id = ANY (%s) ORDER BY 1", (local,))
            figures = self.cursor.fetchall()
            if len(figures) == 2 and all(row[1:] == ("in_sync", 0, 0, 0) for row in figures):
                break
        else:
            self.fail(f"nobody writes, everything was pushed and pulled four times, and yet: {figures}")

        expected = {key[1]: (agent, key) for agent in self.all_agents for key in agent.committed}
        found = {end: self.contents(end) for end in ENDS + ("S",)}
        wrong = []
        for entity in sorted(set(expected).union(*found.values())):
            agent, key = expected.get(entity, (None, None))
            document = agent.committed[key] if agent else None
            for end in found:
                if found[end].get(entity) != (document if key and (end == "S") == (key[0] == "S") else None):
                    wrong.append(entity)
                    break
        if wrong:
            self.fail(f"{len(wrong)} entities are not what their owners committed last"
                      f" ({figures})" + self.accounts(wrong, self.cursor))
            return
        self.cursor.execute(
            "SELECT diagram_id, array_agg(id) FROM diagsync_local.base WHERE diagram_id = ANY (%s) GROUP BY 1", (local,))
        left = self.cursor.fetchall()
        if left:
            self.fail(f"all copies are equal, and yet bases are left: {left}")
        for name in local:
            self.cursor.execute("SELECT state FROM diagsync.refresh(%s)", (name,))
            if self.cursor.fetchone()[0] != "in_sync":
                self.fail(f"{name} is not in sync when compared in full")
        self.counts["comparisons of all copies"] += 1
        self.counts["entities compared"] += len(expected)

    def contents(self, end):
        self.cursor.execute(f"SELECT id, doc FROM {TABLES.get(end, LOCAL)} WHERE diagram_id = %s", (self.names[end],))
        return dict(self.cursor.fetchall())

    def accounts(self, entities, cursor):
        """All that is known of these entities, as the cursor's transaction sees it."""
        lines = []
        for entity in sorted(entities)[:10]:
            for agent in self.all_agents:
                for key in agent.committed:
                    if key[1] == entity:
                        lines.append(agent.account(key))
                        lines.append(f"    committed last: {agent.committed[key]}")
            for end in self.names:
                cursor.execute(f"SELECT doc, rev, modified_at, xmin, xmax FROM {TABLES.get(end, LOCAL)} WHERE diagram_id = %s AND id = %s",
                               (self.names[end], entity))
                lines.append(f"    at {end}: {[tuple(map(str, row)) for row in cursor.fetchall()]}")
            cursor.execute("SELECT diagram_id, doc, xmin, xmax FROM diagsync_local.base WHERE diagram_id = ANY (%s) AND id = %s",
                           (list(self.names.values()), entity))
            lines.append(f"    bases: {cursor.fetchall()}")
            cursor.execute("SELECT rev, deleted_at::text FROM diagsync_public.tombstone WHERE diagram_id = %s AND id = %s",
                           (self.names["P"], entity))
            lines.append(f"    tombstones: {cursor.fetchall()}")
        cursor.execute("SELECT id, seen::text, seen_own, seen_on FROM diagsync.directory WHERE id = ANY (%s)",
                       (list(self.names.values()),))
        lines += [f"    {row}" for row in cursor.fetchall()]
        return "\n" + "\n".join(lines)

    # ---- The report ------------------------------------------------------------

    def report(self):
        counts = self.counts
        seconds = time.monotonic() - self.started
        order = ["writes committed", "writes rolled back", "writes rolled back to a savepoint",
                 "transactions committed", "transactions rolled back", "transactions prepared",
                 "syncs", "syncs rolled back", "entities synced", "dry runs", "status checked",
                 "serialization failures retried", "transactions given up", "comparisons of all copies"]
        names = order + sorted(set(counts) - set(order))
        print(f"seed {self.options.seed}, {seconds:.0f} s, {self.options.writers} writers,"
              f" {self.options.syncers} syncers")
        for name in names:
            if counts[name] or name in order:
                print(f"  {counts[name]:9}  {name}")
        deadlocks = sum(n for name, n in counts.items() if name.startswith("deadlocks"))
        print(f"  {deadlocks:9}  deadlocks in all")
        for text in self.failures:
            print(f"\nFAILED: {text}")
        print("stress: " + (f"{len(self.failures)} failures" if self.failures else "nothing was lost"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30, help="how long (default 30)")
    parser.add_argument("--writers", type=int, default=9, help="a third of them multi-row (default 9)")
    parser.add_argument("--syncers", type=int, default=4, help="half of them compound (default 4)")
    parser.add_argument("--readers", type=int, default=1, help="default 1")
    parser.add_argument("--rows", type=int, default=6, help="entities of each writer (default 6)")
    parser.add_argument("--round", type=float, default=3, help="seconds between comparisons (default 3)")
    parser.add_argument("--seed", type=int, default=None, help="of all random choices (default: another each time)")
    parser.add_argument("--no-links", action="store_true", help="without the cloner and the sharer")
    parser.add_argument("--no-housekeeping", action="store_true", help="without prune, refresh and VACUUM")
    parser.add_argument("--keep", action="store_true", help="keep the diagrams")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1000000)

    stress = Stress(options)
    stress.make()
    try:
        stress.go()
    except Exception:
        stress.fail(traceback.format_exc())
    if not options.keep and not any(agent.is_alive() for agent in stress.all_agents):
        stress.drop()
    stress.report()
    sys.stdout.flush()
    sys.exit(1 if stress.failures else 0)


if __name__ == "__main__":
    main()
