#!/usr/bin/python3
"""Crash test: what was acknowledged survives SIGKILL, whole, with its records.

A server of its own with the settings that people run (fsync and
synchronous_commit on).  In each round agents work until a number of edits has
been acknowledged; then something is killed: a backend, one of the server's own
processes, the postmaster, or everything at once; at any moment, in the middle
of a chosen operation, during a checkpoint; and now and then once more while the
server recovers.

    writers       edit entities of their own, one to 150 in a statement, in a
                  shared copy P and in two local ones, L and M
    syncers       push and pull L and M
    workers       alone in diagrams of their own: create, share, clone, link,
                  unlink, drop, move between public and private, edit, push,
                  pull, make conflicts and resolve them
    housekeepers  prune(), refresh(), VACUUM, CHECKPOINT

with savepoints, rollbacks and prepared transactions.  After recovery:

    each acknowledged transaction is there, what was not committed is not, and
    what was under way when its COMMIT had been sent is there whole or not at all;
    what an acknowledged push or pull was to bring is at the other end;
    prepared transactions are there, and end as they are told to;
    status() and changes() are what the agents know, and what a full comparison
    says; refresh() changes no figure; the records have no orphans; pg_amcheck;
    everything is synced, and then all copies hold exactly what was committed.

--self-test damages the data, or takes synchronous_commit away, and demands that
each damage is reported.  It runs after the rounds, on what they left.

Runs below tools/lib/throwaway.  --seed replays the choices, though not the moments.
"""

import argparse
import collections
import contextlib
import copy
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time
import traceback

import psycopg2

sys.dont_write_bytecode = True  # the sources' folder stays clean
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "common"))

import selftest
from sessions import LEVELS, STATUS_AND_TRUTH, Failed, Rollback, connect
from world import World

TABLES = {"P": "diagsync_public.entity", "L": "diagsync_local.entity", "M": "diagsync_local.entity"}
ROWS = 150  # entities of each writer
ROWS_OF_WORKERS = 40  # in each copy
RECOVERY = 5  # seconds that it may take, where the machine does nothing else
# The shared copy may be private, too; and it is read by a superuser here.
TRUTH = STATUS_AND_TRUTH.replace("diagsync_public.entity", "diagsync.entity")
OPERATIONS = ("update", "upsert", "insert", "delete", "put", "remove", "push", "pull", "share", "clone", "drop",
              "link", "unlink", "set_storage_type", "resolve", "prune", "commit", "prepare", "commit prepared")
# Of the server: what may be killed beside its backends.
PROCESSES = ("checkpointer", "background writer", "walwriter", "autovacuum launcher")

CAPTURED = {
    "bases of diagrams that are not linked": """
        SELECT b.diagram_id, b.id FROM diagsync_local.base b LEFT JOIN diagsync.directory d ON d.id = b.diagram_id
         WHERE d.public_copy_id IS NULL""",
    # refresh() keeps what a pull has yet to bring, so only one that equals both ends is idle.
    "bases of what is the same at both ends": """
        SELECT b.diagram_id, b.id FROM diagsync_local.base b JOIN diagsync.directory d ON d.id = b.diagram_id
          JOIN diagsync_local.entity l ON l.diagram_id = b.diagram_id AND l.id = b.id
          JOIN diagsync.entity p ON p.diagram_id = d.public_copy_id AND p.id = b.id
         WHERE b.doc = l.doc AND b.doc = p.doc""",
    "entities of no diagram, or in the schema of another storage type": """
        SELECT e.storage_type, e.diagram_id, e.id
          FROM diagsync.entity e LEFT JOIN diagsync.directory d ON d.id = e.diagram_id
         WHERE d.storage_type IS DISTINCT FROM e.storage_type""",
    "tombstones of no diagram, or in the schema of another storage type": """
        SELECT t.storage_type, t.diagram_id, t.id
          FROM (SELECT 'public' AS storage_type, * FROM diagsync_public.tombstone
                UNION ALL SELECT 'private', * FROM diagsync_private.tombstone) t
          LEFT JOIN diagsync.directory d ON d.id = t.diagram_id
         WHERE d.storage_type IS DISTINCT FROM t.storage_type""",
    "links to nothing": """
        SELECT l.id FROM diagsync.directory l LEFT JOIN diagsync.directory p ON p.id = l.public_copy_id
         WHERE l.public_copy_id IS NOT NULL AND coalesce(p.storage_type, 'local') = 'local'""",
    "links that have seen the future, or another cluster": """
        SELECT id, seen, seen_own, seen_on FROM diagsync.directory
         WHERE seen IS NOT NULL
           AND (public_copy_id IS NULL
                OR seen_on IS DISTINCT FROM (SELECT system_identifier FROM pg_control_system()) || '/' || (SELECT timeline_id FROM pg_control_checkpoint())
                OR pg_snapshot_xmax(seen) > pg_snapshot_xmax(pg_current_snapshot())
                OR seen_own >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint
                OR pg_visible_in_snapshot(seen_own::text::xid8, seen))""",
    "revisions of transactions that did not commit": """
        SELECT rev, status
          FROM (SELECT rev, pg_xact_status(rev::text::xid8) AS status
                  FROM (SELECT rev FROM diagsync.entity UNION SELECT rev FROM diagsync_public.tombstone
                        UNION SELECT rev FROM diagsync_private.tombstone) r) s
         WHERE status <> 'committed'""",
}


def document(entity, number):
    """The document that edit NUMBER writes: now and then one that is stored out of line."""
    text = random.Random(f"{entity} {number}").randbytes(2000).hex() if number % 97 == 0 else ""
    return {"id": entity, "n": number, "text": text}


class Lost(Exception):
    """The connection is gone."""


# ---- The server ----------------------------------------------------------------


class Server:
    """A server that may be killed at any time, and is started again."""

    def __init__(self):
        folder = pathlib.Path(os.environ["DIAGSYNC_TMP"])
        logs = pathlib.Path(os.environ["TESTLOGDIR"])  # where tools/test looks for what may not happen
        logs.mkdir(parents=True, exist_ok=True)
        self.data, self.log = folder / "crash", logs / "crash.log"
        conf = folder / "crash.conf"
        # By default recovery begins with an fsync of each of 1,300 files, most of
        # the templates'; that alone took up to 4 s, and redo 0.1 s.
        conf.write_text(
            "max_prepared_transactions = 20\nrecovery_init_sync_method = syncfs\n"
            # Syncs are counted in shared memory, and never refused.
            "shared_preload_libraries = diagsync\ndiagsync.sync_rate_limit = 10000\n")
        os.environ.update(PGPORT=str(int(os.environ["PGPORT"]) + 1), PGDATABASE="crash", PGDATA=str(self.data))
        subprocess.run(
            ["tools/lib/fresh-server"], check=True,
            env={**os.environ, "SETTINGS": "shipped", "TEMP_CONFIG": str(conf), "SERVER_LOG": str(self.log)})
        subprocess.run(["pg_ctl", "stop", "-w"], check=True, stdout=subprocess.DEVNULL)
        self.postmaster = None
        self.wait_until_up()

    def launch(self):
        with open(self.log, "ab") as log:
            self.postmaster = subprocess.Popen(
                ["postgres"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def wait_until_up(self):
        """Starts it as often as need be: it refuses while processes of a former life are about."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.postmaster is None or self.postmaster.poll() is not None:
                self.launch()
            with contextlib.suppress(psycopg2.OperationalError), contextlib.closing(psycopg2.connect("")) as connection:
                connection.cursor().execute("SELECT 1")
                return
            time.sleep(0.01)
        raise Failed("the server does not come up; the end of its log:\n" + self.log.read_text()[-3000:])

    def children(self):
        """pid -> what it calls itself, of the postmaster's children."""
        found = {}
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                if int(stat.read_text().rpartition(")")[2].split()[1]) == self.postmaster.pid:
                    found[int(stat.parent.name)] = (stat.parent / "cmdline").read_text().replace("\0", " ")
        return found

    def process(self, title):
        return next((pid for pid, called in self.children().items() if title in called), None)

    def kill_everything(self):
        # First the one that would notice, and start others.
        pids = [self.postmaster.pid, *self.children()]
        for pid in pids:
            kill(pid)
        self.postmaster.wait()

    def kill_postmaster(self):
        kill(self.postmaster.pid)
        self.postmaster.wait()

    def log_since(self, offset):
        with open(self.log, "rb") as log:
            log.seek(offset)
            return log.read().decode()

    def log_size(self):
        return self.log.stat().st_size

    def wait_for_log(self, text, offset, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if text in self.log_since(offset):
                return True
            time.sleep(0.001)
        return False


def kill(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


# ---- Agents ----------------------------------------------------------------------


class Agent:
    """A connection that does one transaction after the other, until it is lost.

    `pending` is what the transaction under way will have done, `edits` how many
    edits of entities that is; `sent` says whether its COMMIT was sent to the
    server: until then it must not be there afterwards.  Of a prepared one
    `prepared` is the name, and `phase` how far it got.
    """

    prepares = 0.0  # how often
    role = "crash_agent"

    def __init__(self, run, name):
        self.run, self.name = run, name
        self.doing = None
        self.forget()

    def forget(self):
        self.pending, self.edits, self.sent, self.prepared, self.phase = None, 0, False, None, None

    def start(self, number):
        self.dice = random.Random(f"{self.run.options.seed} {self.name} {number}")
        self.connection = connect(self.name)
        with self.connection.cursor() as cursor:
            if self.run.asynchronous:
                cursor.execute("SET synchronous_commit = off")
            cursor.execute(f"SET ROLE {self.role}")
        self.connection.commit()
        self.pid = self.connection.info.backend_pid
        self.thread = threading.Thread(target=self.live, name=self.name, daemon=True)
        self.thread.start()

    def live(self):
        try:
            while not self.run.stopping.is_set():
                self.once()
                time.sleep(self.dice.random() * 0.002)
        except Lost:
            if not self.run.killing:
                self.run.fail(f"{self.name} lost the server, and nothing had been killed")
        except Failed as failure:
            self.run.fail(f"{self.name}: {failure}")
        except Exception:
            self.run.fail(f"{self.name}: {traceback.format_exc()}")
        finally:
            self.doing = None
            with contextlib.suppress(psycopg2.Error):
                self.connection.close()

    def once(self):
        self.forget()
        self.level = self.choose_level()
        try:
            self.connection.set_session(isolation_level=LEVELS[self.level], autocommit=False)
            with self.connection.cursor() as self.cursor:
                self.transaction()
                if self.dice.random() < 0.05:
                    raise Rollback()
                if self.dice.random() < self.prepares:
                    self.prepare()
                else:
                    self.sent = True
                    self.do("commit", self.connection.commit)
            self.acknowledged()
            self.forget()
        except Rollback:
            self.end_without_trace()
        except psycopg2.Error as error:
            if error.pgcode is None or error.pgcode.startswith(("57P", "08")):
                raise Lost() from error
            if error.pgcode not in ("40001", "40P01"):
                raise Failed(f"unexpected {error.pgcode} at {self.level}: {error}") from error
            self.run.count("serialization failures and deadlocks")
            self.end_without_trace()

    def end_without_trace(self):
        try:
            self.connection.rollback()
        except psycopg2.Error as error:
            raise Lost() from error
        self.forget()

    def choose_level(self):
        return self.dice.choice(sorted(LEVELS))

    def do(self, what, action):
        self.doing = what
        try:
            return action()
        finally:
            self.doing = None

    def ask(self, what, sql, *values):
        """One row from the server."""
        self.do(what, lambda: self.cursor.execute(sql, values))
        return self.cursor.fetchone()

    def prepare(self):
        self.prepared, self.phase = f"{self.name}-{self.dice.random()}", "preparing"
        self.do("prepare", lambda: self.cursor.execute("PREPARE TRANSACTION %s", (self.prepared,)))
        self.phase = "prepared"
        # psycopg2 would begin the next transaction by itself.
        self.connection.rollback()
        time.sleep(self.dice.random() * 0.03)
        self.connection.autocommit = True
        commit = self.dice.random() < 0.7
        self.phase = "committing" if commit else "rolling back"
        self.do("commit prepared",
                lambda: self.cursor.execute(("COMMIT" if commit else "ROLLBACK") + " PREPARED %s", (self.prepared,)))
        self.connection.autocommit = False
        self.run.count("prepared transactions ended")
        if not commit:
            raise Rollback()

    # What subclasses say:

    def transaction(self):
        raise NotImplementedError

    def acknowledged(self):
        """The transaction has been committed."""

    def is_there(self, cursor):
        """Is what is pending there, in full?  Fails where part of it is."""
        raise NotImplementedError


class Writer(Agent):
    """Edits entities of its own at one end; nobody else does."""

    prepares = 0.03

    def __init__(self, run, end, number):
        super().__init__(run, f"writer-{end}{number}")
        self.end, self.table, self.diagram = end, TABLES[end], run.names[end]
        # Ids of all writers mixed in the order of keys, in which syncs lock.
        self.ids = [f"{row:03}-{end}-{self.name}" for row in range(ROWS)]
        for entity in self.ids:
            run.owners[entity] = self
            run.history[entity] = [(0, False)]
            for floor in run.floors.values():
                floor[entity] = 0
        self.number = 0
        self.edits = 0

    def forget(self):
        super().forget()
        self.pending = {}

    def now(self, entity):
        """(number of the last edit, is it there)"""
        return self.pending.get(entity) or self.run.history[entity][-1]

    def transaction(self):
        for _ in range(self.dice.choice((1, 1, 2, 3))):
            before = dict(self.pending), self.edits
            savepoint = self.dice.random()
            if savepoint < 0.3:
                self.cursor.execute("SAVEPOINT s")
            self.statement()
            if savepoint < 0.1:
                self.cursor.execute("ROLLBACK TO SAVEPOINT s")
                self.pending, self.edits = before

    def statement(self):
        what = self.dice.choice(("update", "update", "upsert", "insert", "delete", "put", "remove"))
        ids = sorted(self.dice.sample(self.ids, self.dice.choice((1, 5, 20, 60, ROWS))))
        if what in ("update", "delete", "remove"):
            ids = [entity for entity in ids if self.now(entity)[1]]
        elif what == "insert":
            ids = [entity for entity in ids if not self.now(entity)[1]]
        if what in ("delete", "remove"):
            ids = ids[:30]  # or there would soon be nothing left to update
        if not ids:
            return
        there = what not in ("delete", "remove")
        documents = []
        for entity in ids:
            self.number += 1
            self.pending[entity] = (self.number, there)
            if there:
                documents.append(document(entity, self.number))
        values = {"diagram": self.diagram, "ids": ids, "docs": json.dumps(documents)}
        sql = {
            "update": "UPDATE {0} e SET doc = v.doc FROM jsonb_array_elements(%(docs)s) v(doc)"
                      " WHERE e.diagram_id = %(diagram)s AND e.id = v.doc->>'id'",
            "upsert": "INSERT INTO {0} (diagram_id, id, doc) SELECT %(diagram)s, doc->>'id', doc"
                      " FROM jsonb_array_elements(%(docs)s) v(doc)"
                      " ON CONFLICT (diagram_id, id) DO UPDATE SET doc = excluded.doc",
            "insert": "INSERT INTO {0} (diagram_id, id, doc) SELECT %(diagram)s, doc->>'id', doc"
                      " FROM jsonb_array_elements(%(docs)s) v(doc)",
            "delete": "DELETE FROM {0} WHERE diagram_id = %(diagram)s AND id = ANY (%(ids)s)",
            "put": "SELECT diagsync.put(%(diagram)s, %(docs)s)",
            "remove": "SELECT diagsync.remove(%(diagram)s, %(ids)s)",
        }[what].format(self.table)
        self.do(what, lambda: self.cursor.execute(sql, values))
        done = self.cursor.fetchone()[0] if what in ("put", "remove") else self.cursor.rowcount
        if done != len(ids):
            raise Failed(f"{what} of {len(ids)} entities of {self.end} did {done} at {self.level}")
        self.edits += done

    def acknowledged(self):
        with self.run.lock:
            for entity, version in self.pending.items():
                self.run.history[entity].append(version)
                self.run.floors[self.end][entity] = version[0]
        self.run.edited(self.edits)

    def is_there(self, cursor):
        cursor.execute(f"SELECT id, doc FROM {self.table} WHERE diagram_id = %s AND id = ANY (%s)",
                       (self.diagram, list(self.pending)))
        found = dict(cursor.fetchall())
        done, undone = [], []
        for entity, (number, there) in self.pending.items():
            former, was_there = self.run.history[entity][-1]
            if not there and not was_there:
                continue  # inserted and deleted, which leaves no trace
            if found.get(entity) == (document(entity, number) if there else None):
                done.append(entity)
            elif found.get(entity) == (document(entity, former) if was_there else None):
                undone.append(entity)
            else:
                raise Failed(f"{entity} at {self.end} is neither edit {former} nor {number}: {found.get(entity)}")
        if done and undone:
            raise Failed(f"part of a transaction at {self.end} is there: {done}, and part is not: {undone}")
        return bool(done)


class Syncer(Agent):
    """Pushes and pulls one of the links, and notes what must be at the other end then."""

    prepares = 0.02

    def __init__(self, run, end):
        super().__init__(run, f"syncer-{end}")
        self.end = end

    def transaction(self):
        self.what = self.dice.choice(("push", "pull"))
        source = self.end if self.what == "push" else "P"
        with self.run.lock:
            # A push brings what was edited here, a pull what was not.
            self.pending = {
                entity: number for entity, number in self.run.floors[source].items()
                if (self.run.owners[entity].end == self.end) == (self.what == "push")
            }
        if self.dice.random() < 0.3:
            self.cursor.execute("SET LOCAL diagsync.batch_size = 20")
        row = self.ask(self.what, f"SELECT success, conflicts FROM diagsync.{self.what}(%s)", self.run.names[self.end])
        if row != (True, 0):
            raise Failed(f"{self.what} of {self.end} at {self.level}: {row}, and nobody edits what others do")

    def acknowledged(self):
        floor = self.run.floors["P" if self.what == "push" else self.end]
        with self.run.lock:
            for entity, number in self.pending.items():
                floor[entity] = max(floor[entity], number)
        self.run.count("syncs acknowledged")

    def is_there(self, cursor):
        # May be: what it brings is checked against what was acknowledged.
        return False


class Worker(Agent):
    """Alone in its diagrams S, Q (what S is shared as) and C (a clone of Q), it knows what is in them."""

    prepares = 0.03
    steps = ("edit", "edit", "edit", "push", "pull", "clash", "resolve", "clone", "unlink", "link",
             "set_storage_type", "drop", "drop")

    def __init__(self, run, number):
        super().__init__(run, f"worker-{number}")
        self.names = {end: f"{self.name}-{end}" for end in "SQC"}
        self.world = World()
        self.number = 0

    def choose_level(self):
        return "READ COMMITTED"  # share and link need it

    def transaction(self):
        self.pending = copy.deepcopy(self.world)
        for _ in range(self.dice.choice((1, 1, 2, 4))):
            self.step()

    def step(self):
        copies, dice = self.pending.copies, self.dice
        if "S" not in copies:
            self.create()
        elif "Q" not in copies:
            dice.choice((self.share, self.share, self.edit))()
        else:
            getattr(self, dice.choice(self.steps))()

    def local(self, linked=True):
        """One of the local copies that are linked, or not; None where there is none."""
        found = [name for name in "SC" if name in self.pending.copies
                 and (self.pending.copies[name].far is not None) == linked]
        return self.dice.choice(found) if found else None

    # ---- Steps ---------------------------------------------------------------

    def create(self):
        self.ask("create", "SELECT diagsync.create_diagram('S', 'local', %s)", self.names["S"])
        self.pending.create("S")
        self.edit()

    def edit(self, names=None):
        """Puts and removes entities; each copy has its own, `both` are for conflicts."""
        names = names or self.dice.choice(sorted(self.pending.copies))
        group = "both" if len(names) > 1 else names
        size = self.dice.choice((1, 5, ROWS_OF_WORKERS))
        ids = [f"{group}-{row}" for row in sorted(self.dice.sample(range(ROWS_OF_WORKERS), size))]
        for name in names:
            put, gone = [], []
            for entity in ids:
                self.number += 1
                if self.dice.random() < 0.8:
                    put.append(document(entity, self.number))
                    self.pending.write(name, entity, self.number)
                elif entity in self.pending.copies[name].entities:
                    gone.append(entity)
                    self.pending.write(name, entity, None)
            self.ask("put", "SELECT diagsync.put(%s, %s)", self.names[name], json.dumps(put))
            self.ask("remove", "SELECT diagsync.remove(%s, %s::text[])", self.names[name], gone)
            self.edits += len(put) + len(gone)

    def clash(self):
        if self.local() == "S":
            self.edit("SQ")

    def share(self):
        storage_type = self.dice.choice(("public", "private"))
        self.ask("share", "SELECT diagsync.share(%s, %s, %s)", self.names["S"], self.names["Q"], storage_type)
        self.pending.share("S", "Q", storage_type)

    def clone(self):
        if "C" not in self.pending.copies:
            self.ask("clone", "SELECT diagsync.clone(%s, %s)", self.names["Q"], self.names["C"])
            self.pending.clone("Q", "C")

    def push(self):
        self.sync("push")

    def pull(self):
        self.sync("pull")

    def sync(self, what, on_conflict=None, local=None):
        local = local or self.local()
        if local is None:
            return
        on_conflict = on_conflict or self.dice.choice(("skip", "skip", "local", "public"))
        row = self.ask(what, f"SELECT conflicts FROM diagsync.{what}(%s, on_conflict => %s)", self.names[local], on_conflict)
        left = self.pending.sync(what, local, on_conflict)
        if row[0] != left:
            raise Failed(f"{what} of {local} under {on_conflict} left {row[0]} conflicts, not {left}")

    def resolve(self):
        local = self.local()
        if local is None:
            return
        conflicts = [entity for entity, side in self.pending.changes(local).items() if side == "both"]
        for entity in conflicts[:self.dice.choice((1, 10))]:
            self.number += 1
            resolution = self.dice.choice(("local", "public", "merged"))
            self.ask("resolve", "SELECT diagsync.resolve(%s, %s, %s, %s)", self.names[local], entity, resolution,
                     json.dumps(document(entity, self.number)) if resolution == "merged" else None)
            self.pending.resolve(local, entity, resolution, self.number)

    def unlink(self):
        local = self.local()
        if local is not None and self.dice.random() < 0.5:
            self.ask("unlink", "SELECT diagsync.unlink(%s)", self.names[local])
            self.pending.unlink(local)

    def link(self):
        local = self.local(linked=False)
        if local is not None:
            self.ask("link", "SELECT diagsync.link(%s, %s)", self.names[local], self.names["Q"])
            self.pending.link(local, "Q")

    def set_storage_type(self):
        storage_type = self.dice.choice(("public", "private"))
        self.ask("set_storage_type", "SELECT diagsync.set_storage_type(%s, %s)", self.names["Q"], storage_type)
        self.pending.copies["Q"].storage_type = storage_type

    def drop(self):
        name = self.dice.choice(sorted(self.pending.copies))
        self.ask("drop", "SELECT diagsync.drop_diagram(%s)", self.names[name])
        self.pending.drop(name)

    # ---- The account -----------------------------------------------------------

    def acknowledged(self):
        self.world = self.pending
        self.run.edited(self.edits)

    def differences(self, cursor, world):
        """What is otherwise than in this world."""
        cursor.execute("SELECT id, storage_type, public_copy_id FROM diagsync.directory WHERE id = ANY (%s)",
                       (list(self.names.values()),))
        found = {name: (storage_type, far) for name, storage_type, far in cursor.fetchall()}
        known = {self.names[name]: (known.storage_type, self.names.get(known.far)) for name, known in world.copies.items()}
        if found != known:
            return [f"{self.name}: the directory has {found}, not {known}"]
        problems = []
        for name, known in world.copies.items():
            found = self.contents(cursor, name)
            wanted = {entity: document(entity, number) for entity, number in known.entities.items()}
            wrong = sorted(entity for entity in set(found) | set(wanted) if found.get(entity) != wanted.get(entity))
            if wrong:
                problems.append(f"{self.names[name]}: {len(wrong)} entities are not what was committed, {wrong[0]} is"
                                f" {found.get(wrong[0])} and was {wanted.get(wrong[0])}")
            if known.far:
                problems += wrong_changes(cursor, self.names[name], world.changes(name))
        return problems

    def contents(self, cursor, name):
        cursor.execute("SELECT id, doc FROM diagsync.entity WHERE diagram_id = %s", (self.names[name],))
        return dict(cursor.fetchall())

    def is_there(self, cursor):
        return not self.differences(cursor, self.pending)

    def sync_all(self, cursor):
        """Settles and syncs what is linked; then both ends of a link are equal."""
        self.cursor, self.pending, self.level = cursor, copy.deepcopy(self.world), "READ COMMITTED"
        linked = [name for name, known in self.world.copies.items() if known.far]
        # A push of one local copy can be in conflict with what another has yet to push.
        for what, on_conflict in (("pull", "public"), ("push", "skip"), ("pull", "public")):
            for local in linked:
                self.sync(what, on_conflict, local)
        self.world = self.pending
        self.forget()
        for local in linked:
            near = self.world.copies[local]
            if near.entities != self.world.copies[near.far].entities:
                raise Failed(f"{self.name}: the model of {local} does not converge")


class Housekeeper(Agent):
    role = "NONE"  # CHECKPOINT is for superusers

    def choose_level(self):
        return "READ COMMITTED"

    def transaction(self):
        time.sleep(self.dice.random() * 0.05)
        what = self.dice.random()
        if what < 0.5:
            self.ask("prune", "SELECT diagsync.prune(%s::interval)", self.dice.choice((None, None, "50 ms")))
        elif what < 0.7:
            self.ask("refresh", "SELECT diagsync.refresh(%s)", self.run.names[self.dice.choice("LM")])
        else:
            self.connection.rollback()
            self.connection.autocommit = True
            self.cursor.execute("CHECKPOINT" if what > 0.95 else "VACUUM " + self.dice.choice((
                "diagsync_public.entity", "diagsync_local.entity", "diagsync_local.base", "diagsync_public.tombstone",
                "diagsync.directory")))
            self.connection.autocommit = False

    def is_there(self, cursor):
        return False


def wrong_changes(cursor, diagram, known):
    """Where changes() is not what is known: entity -> side."""
    cursor.execute("SELECT entity_id, side FROM diagsync.changes(%s) WHERE side IS NOT NULL", (diagram,))
    found = dict(cursor.fetchall())
    wrong = sorted(entity for entity in set(found) | set(known) if found.get(entity) != known.get(entity))
    return [f"changes() of {diagram} is wrong about {len(wrong)} entities, {wrong[0]} is {found.get(wrong[0])},"
            f" not {known.get(wrong[0])}"] if wrong else []


# ---- The run ------------------------------------------------------------------------


class Crash:
    def __init__(self, options):
        self.options = options
        self.names = {end: f"crash-{end}" for end in "PLM"}
        self.owners = {}  # entity -> its writer
        self.history = {}  # entity -> its committed versions: (number of the edit, is it there)
        self.floors = {end: {} for end in "PLM"}  # end -> entity -> number of the edit that must be there, or a later one
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.failures = []
        self.counts = collections.Counter()
        self.recoveries = []
        self.slow = False  # one took longer than it may
        self.edits = self.edits_of_round = 0
        self.asynchronous = False
        self.killing = False  # otherwise nobody may lose a connection
        self.server = Server()
        self.agents = [Writer(self, end, number) for end in "PLM" for number in range(2)]
        self.workers = [Worker(self, number) for number in range(2)]
        self.agents += [Syncer(self, "L"), Syncer(self, "M"), *self.workers, Housekeeper(self, "housekeeper")]
        with self.cursor() as cursor:
            cursor.execute("CREATE EXTENSION diagsync")
            cursor.execute("CREATE EXTENSION amcheck")
            cursor.execute("CREATE ROLE crash_agent")
            cursor.execute("SELECT diagsync.grant_usage('crash_agent')")
            cursor.execute("SET ROLE crash_agent")
            cursor.execute("SELECT diagsync.create_diagram('P', 'public', %s)", (self.names["P"],))
            for end in "LM":
                cursor.execute("SELECT diagsync.clone(%s, %s)", (self.names["P"], self.names[end]))

    document = staticmethod(document)

    def fail(self, text):
        with self.lock:
            self.failures.append(text)
        self.stopping.set()

    def count(self, what, n=1):
        with self.lock:
            self.counts[what] += n

    def edited(self, n):
        with self.lock:
            self.edits += n
            self.edits_of_round += n

    @contextlib.contextmanager
    def cursor(self):
        with contextlib.closing(connect("checker")) as connection:
            connection.autocommit = True
            yield connection.cursor()

    # ---- A round -------------------------------------------------------------------

    def round(self, number):
        dice = random.Random(f"{self.options.seed} round {number}")
        self.work(number, dice.randrange(2 * self.options.edits))
        if not self.failures:
            self.recoveries.append(self.strike(dice))
            self.slow |= self.recoveries[-1] > self.allowed()
        self.wait_for_agents()
        if not self.failures:
            for problem in self.problems_after(dice):
                self.fail(problem)

    def allowed(self):
        """How long recovery may take: longer where other programs wait for the processors, too."""
        others = os.getloadavg()[0] - len(self.agents)
        return RECOVERY * max(1, others / os.cpu_count())

    def wait_for_agents(self):
        for agent in self.working:
            agent.thread.join(60)
            if agent.thread.is_alive():
                self.fail(f"{agent.name} hangs, {agent.doing}")

    def work(self, number, edits, agents=None):
        """Lets agents, or all of them, work until so many edits have been acknowledged."""
        self.edits_of_round = 0
        self.working = agents or self.agents
        self.killing = False
        for agent in self.working:
            agent.start(number)
        done, since = 0, time.monotonic()
        while self.edits_of_round < edits and not self.stopping.is_set():
            if self.edits_of_round > done:
                done, since = self.edits_of_round, time.monotonic()
            elif time.monotonic() > since + 60:
                self.fail(f"nothing was edited for a minute, after {done} edits")
            time.sleep(0.002)

    def strike(self, dice):
        """Kills, now and then twice; how many seconds later there is an answer again."""
        offset = self.server.log_size()
        whom = dice.choice(("backend", "backend", "process", "postmaster", "postmaster", "everything"))
        when = dice.choice(("any moment", "checkpoint", "operation", "operation", "operation"))
        agent = dice.choice(self.agents)
        if when == "checkpoint":
            threading.Thread(target=self.checkpoint, daemon=True).start()
            if not self.server.wait_for_log("checkpoint starting", offset, 2):
                when = "any moment"
            time.sleep(dice.random() * 0.02)
        elif when == "operation":
            operation = dice.choice(OPERATIONS)
            agent = self.catch_at(operation, dice) or agent
            when = f"during {operation}" if agent.doing == operation else "any moment"

        self.killing = True
        if whom == "backend":
            kill(agent.pid)
        elif whom == "process":
            whom = dice.choice(PROCESSES)
            kill(self.server.process(whom) or agent.pid)
        elif whom == "postmaster":
            self.server.kill_postmaster()
        else:
            self.server.kill_everything()
        since = time.monotonic()
        if when == "checkpoint" and "checkpoint complete" in self.server.log_since(offset):
            when = "any moment"
        self.count(f"killed: {whom}")
        self.count(f"when: {when}")

        if self.server.postmaster.poll() is None and not self.server.wait_for_log(
                "all server processes terminated; reinitializing", offset, 20):
            raise Failed(f"the server did not notice that its {whom} was killed")
        if dice.random() < 0.2:
            since = self.strike_again(dice, offset)
        self.server.wait_until_up()
        return time.monotonic() - since

    def catch_at(self, operation, dice):
        """An agent that has been doing this for a moment, unless nobody is met at it in two seconds."""
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            for agent in self.agents:
                if agent.doing == operation:
                    time.sleep(dice.choice((0, 0.0005, 0.002)) * dice.random())
                    if agent.doing == operation:
                        return agent
            time.sleep(0.0002)
        return None

    def strike_again(self, dice, offset):
        """Kills everything while the server recovers, if it is caught at that; when?"""
        deadline = time.monotonic() + 20
        while "redo starts at" not in self.server.log_since(offset) and time.monotonic() < deadline:
            if self.server.postmaster.poll() is not None:
                self.server.launch()
            time.sleep(0.001)
        time.sleep(dice.random() * 0.05)
        self.server.kill_everything()
        if "database system is ready to accept" not in self.server.log_since(offset):
            self.count("killed again during recovery")
        return time.monotonic()

    def checkpoint(self):
        with contextlib.suppress(psycopg2.Error), self.cursor() as cursor:
            cursor.execute("CHECKPOINT")

    # ---- The account ------------------------------------------------------------------

    def problems_after(self, dice):
        """Looks at everything, syncs everything, and looks again."""
        try:
            with self.cursor() as cursor:
                prepared = self.settle(cursor)
                problems = self.problems(cursor)
                if not problems:
                    for agent, name in prepared:
                        self.finish(cursor, agent, name, dice.random() < 0.6)
                    problems = self.problems(cursor) if prepared else []
                if not problems:
                    problems = self.amcheck()
                    # Not always: it would hide what a link has wrongly seen from the syncs.
                    if dice.random() < 0.5:
                        problems += self.refresh(cursor)
                if not problems:
                    self.sync_all(cursor)
                    problems = self.problems(cursor) + self.not_synced(cursor) + self.refresh(cursor)
                return problems
        except Failed as failure:
            return [str(failure)]

    def settle(self, cursor):
        """Finds out how the transactions ended that were under way; those that are prepared, with their agents."""
        cursor.execute("SELECT gid FROM pg_prepared_xacts")
        found = {row[0] for row in cursor.fetchall()}
        prepared = []
        for agent in self.agents:
            name, phase = agent.prepared, agent.phase
            if name in found:
                found.remove(name)
                prepared.append((agent, name))
                self.count("prepared transactions that survived")
                continue
            if phase == "prepared":
                raise Failed(f"{name} had been prepared, and is gone")
            there = phase == "committing"  # what is no longer prepared has been committed
            if agent.sent:
                there = agent.is_there(cursor)
                if agent.edits:
                    self.count("unanswered commits that are " + ("there" if there else "not there"))
            if there:
                edits = self.edits
                agent.acknowledged()
                self.edits = edits  # nobody had been told
            agent.forget()
        if found:
            raise Failed(f"prepared transactions that nobody made: {found}")
        return prepared

    def finish(self, cursor, agent, name, commit):
        cursor.execute(("COMMIT" if commit else "ROLLBACK") + " PREPARED %s", (name,))
        if commit:
            agent.acknowledged()
        agent.forget()

    def problems(self, cursor):
        """All that is not as it must be."""
        found = {end: self.contents(cursor, end) for end in "PLM"}
        problems = [problem for end in "PLM" for problem in self.wrong_contents(end, found[end])]
        for end in "LM":
            known = {
                entity: "local" if self.owners[entity].end == end else "public"
                for entity in self.owners if found[end].get(entity) != found["P"].get(entity)
            }
            problems += wrong_changes(cursor, self.names[end], known)
        for worker in self.workers:
            problems += worker.differences(cursor, worker.world)
        return problems + self.wrong_records(cursor)

    def contents(self, cursor, end):
        cursor.execute(f"SELECT id, doc FROM {TABLES[end]} WHERE diagram_id = %s", (self.names[end],))
        return dict(cursor.fetchall())

    def wrong_contents(self, end, found):
        """Entities that are not what was committed, or older than what was acknowledged at this end."""
        strangers = sorted(set(found) - set(self.owners))
        wrong = {"was made by nobody": strangers, "holds what was not committed": []}
        for entity, owner in self.owners.items():
            here = found.get(entity)
            # Deletions all look the same; it may be the last one.
            numbers = [number for number, there in self.history[entity]
                       if (here is None) != there and (here is None or here["n"] == number)]
            if not numbers or here is not None and here != document(entity, here["n"]):
                wrong["holds what was not committed"].append(entity)
            elif numbers[-1] < self.floors[end][entity]:
                lost = f"has lost an acknowledged {'edit' if owner.end == end else 'sync'}"
                wrong.setdefault(lost, []).append(entity)
        return [f"{entities[0]} at {end} {what}, and {len(entities) - 1} others; it is {found.get(entities[0])};"
                f" {self.account(entities[0])}" for what, entities in wrong.items() if entities]

    def account(self, entity):
        if entity not in self.owners:
            return "unknown"
        floors = {end: self.floors[end][entity] for end in "PLM"}
        return f"committed (edit, is it there): {self.history[entity][-5:]}, acknowledged at each end: {floors}"

    def wrong_records(self, cursor):
        problems = []
        for what, sql in CAPTURED.items():
            cursor.execute(sql)
            rows = cursor.fetchall()
            if rows:
                problems.append(f"{len(rows)} {what}: {rows[:3]}")
        for local, public in self.links(cursor):
            cursor.execute(TRUTH, {"local": local, "public": public})
            row = cursor.fetchone()
            state = "conflict" if row[2] else "pending" if row[0] or row[1] else "in_sync"
            if row[:3] != row[4:7] or row[11] != row[7] or row[3] != state:
                problems.append(f"status() of {local} says {row[:4]}, a full comparison {row[4:7]}; seen {row[9]}, {row[8]}")
        return problems

    def links(self, cursor):
        cursor.execute("SELECT l.id, p.id FROM diagsync.directory l JOIN diagsync.directory p ON p.id = l.public_copy_id"
                       " ORDER BY l.id")
        return cursor.fetchall()

    def amcheck(self):
        done = subprocess.run(
            ["pg_amcheck", "--schema=diagsync*", "--heapallindexed", "--parent-check", "--rootdescend",
             os.environ["PGDATABASE"]],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
        return [f"pg_amcheck: {done.stdout[:2000]}"] if done.returncode or done.stdout else []

    def refresh(self, cursor):
        problems = []
        figures = "local_changes, public_changes, conflicts, state"
        for local, _ in self.links(cursor):
            cursor.execute(f"SELECT {figures} FROM diagsync.status(%s)", (local,))
            before = cursor.fetchone()
            cursor.execute(f"SELECT {figures} FROM diagsync.refresh(%s)", (local,))
            after = cursor.fetchone()
            if after != before:
                problems.append(f"refresh() of {local} makes {after} of {before}")
        return problems

    def sync_all(self, cursor):
        for what in ("push", "pull"):
            for end in "LM":
                cursor.execute(f"SELECT success, conflicts FROM diagsync.{what}(%s)", (self.names[end],))
                if cursor.fetchone() != (True, 0):
                    raise Failed(f"the last {what} of {end} has no success")
        for entity, versions in self.history.items():
            del versions[:-1]
            for floor in self.floors.values():
                floor[entity] = versions[0][0]
        for worker in self.workers:
            worker.sync_all(cursor)

    def not_synced(self, cursor):
        cursor.execute("SELECT local_id FROM diagsync.status_all() WHERE state <> 'in_sync'")
        problems = [f"{row[0]} is not in sync after everything was synced" for row in cursor.fetchall()]
        cursor.execute("SELECT diagram_id, count(*) FROM diagsync_local.base GROUP BY 1")
        return problems + [f"{row} bases are left after everything was synced" for row in cursor.fetchall()]

    def self_test(self):
        """Damages what the rounds left; those of the damages that nobody notices are failures."""
        missed = selftest.missed(self, selftest.damages_of_synced)
        self.work("self-test", selftest.EDITS, [agent for agent in self.agents if isinstance(agent, (Writer, Worker))])
        self.stopping.set()
        self.wait_for_agents()
        self.stopping.clear()
        if self.failures:
            return
        missed += selftest.missed(self, selftest.damages_of_edited)
        missed += selftest.missed_pieces(self, Failed)
        missed += selftest.missed_index_damage(self)
        missed += selftest.missed_loss(self, random.Random(f"{self.options.seed} self-test"))
        for text in missed:
            self.fail(f"the self-test did not notice: {text}")
        if not missed:
            print("self-test: each damage was reported")

    # ---- The report -----------------------------------------------------------------------

    def report(self, rounds, seconds):
        print(f"seed {self.options.seed}: {rounds} crashes in {seconds:.0f} s, {self.edits} acknowledged edits;"
              f" recovery took {max(self.recoveries, default=0):.2f} s at most,"
              f" {sum(self.recoveries) / max(1, len(self.recoveries)):.2f} s on average")
        for name in sorted(self.counts):
            print(f"  {self.counts[name]:9}  {name}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="default 10")
    parser.add_argument("--edits", type=int, default=3800, help="acknowledged in a round on average (default 3800)")
    parser.add_argument("--seed", type=int, default=None, help="of all random choices (default: another each time)")
    parser.add_argument("--self-test", action="store_true", help="afterwards see each kind of damage reported")
    parser.add_argument("--verbose", action="store_true", help="a line for each round")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1000000)

    started = time.monotonic()
    crash = Crash(options)
    rounds = 0
    while rounds < options.rounds and not crash.failures:
        try:
            crash.round(rounds)
        except Exception:
            crash.fail(traceback.format_exc())
        rounds += 1
        if options.verbose:
            print(f"round {rounds}: {crash.edits} edits, {time.monotonic() - started:.1f} s,"
                  f" recovery {crash.recoveries[-1] if crash.recoveries else 0:.2f} s", flush=True)
    if crash.slow:
        crash.fail(f"recovery took too long: {[round(seconds, 2) for seconds in crash.recoveries if seconds > RECOVERY]}")
    crash.report(rounds, time.monotonic() - started)
    if options.self_test and not crash.failures:
        try:
            crash.self_test()
        except Exception:
            crash.fail(traceback.format_exc())
    for text in crash.failures:
        print(f"\nFAILED in round {rounds - 1}: {text}")
    print("crash: " + (f"{len(crash.failures)} failures" if crash.failures else "nothing was lost"))
    sys.stdout.flush()
    crash.server.kill_everything()
    # Threads that hang must not keep it from ending.
    os._exit(1 if crash.failures else 0)


if __name__ == "__main__":
    main()
