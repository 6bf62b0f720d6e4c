"""Histories: what may happen in one, and a run of one against a database and
the model, which are compared after every step.

A step is a list: a name and its parameters, all of them JSON.  A step that
means nothing where it stands (an edit of a diagram that is not there) is passed
over, so that any part of a history is a history.
"""

import collections
import json

import psycopg2
import psycopg2.extras

from model import Model, Refused, renamed, without_id

COPIES = ("P", "A", "B", "C", "D")
SYNCS = ("push", "pull")
RESOLUTIONS = ("local", "public", "both", "newest", "merged")

# All that the database has to say of the diagrams of a history.
STATE = """
PREPARE state (text[]) AS
SELECT jsonb_build_object(
    'directory', (SELECT jsonb_object_agg(id, jsonb_build_array(storage_type, public_copy_id, merge_policy))
                    FROM diagsync.directory WHERE id = ANY ($1)),
    'entities', (SELECT jsonb_agg(jsonb_build_array(diagram_id, id, doc, (extract(epoch FROM modified_at) * 1e6)::bigint))
                   FROM diagsync.entity WHERE diagram_id = ANY ($1)),
    'deletions', (SELECT jsonb_agg(jsonb_build_array(diagram_id, id, (extract(epoch FROM at) * 1e6)::bigint))
                    FROM (SELECT diagram_id, id, changed_at FROM diagsync_local.base WHERE changed_at IS NOT NULL
                          UNION ALL SELECT diagram_id, id, deleted_at FROM diagsync_public.tombstone
                          UNION ALL SELECT diagram_id, id, deleted_at FROM diagsync_private.tombstone) AS d (diagram_id, id, at)
                   WHERE diagram_id = ANY ($1)),
    'bases', (SELECT jsonb_agg(jsonb_build_array(diagram_id, id, doc)) FROM diagsync_local.base WHERE diagram_id = ANY ($1)),
    'status', (SELECT jsonb_object_agg(d.id, jsonb_strip_nulls(jsonb_build_object('state', s.state)) || jsonb_build_object(
                          'diverged', s.diverged, 'local_changes', s.local_changes, 'public_changes', s.public_changes,
                          'conflicts', s.conflicts, 'pushed', (extract(epoch FROM s.last_pushed_at) * 1e6)::bigint,
                          'pulled', (extract(epoch FROM s.last_pulled_at) * 1e6)::bigint))
                 FROM diagsync.directory AS d, diagsync.status(d.id) AS s
                WHERE d.id = ANY ($1) AND d.storage_type = 'local'),
    'changes', (SELECT jsonb_agg(jsonb_build_array(d.id, """
CHANGE = """jsonb_build_object('entity_id', c.entity_id, 'side', c.side, 'local_change', c.local_change,
        'public_change', c.public_change, 'conflict', c.conflict, 'paths', c.paths, 'base', c.base, 'local', c.local,
        'public', c.public, 'local_time', (extract(epoch FROM c.local_modified_at) * 1e6)::bigint,
        'public_time', (extract(epoch FROM c.public_modified_at) * 1e6)::bigint)"""
STATE += CHANGE + """))
                  FROM diagsync.directory AS d, diagsync.changes(d.id) AS c
                 WHERE d.id = ANY ($1) AND d.storage_type = 'local' AND d.public_copy_id IS NOT NULL),
    'conflicts', (SELECT jsonb_agg(jsonb_build_array(d.id, c.entity_id, c.version))
                    FROM diagsync.directory AS d, diagsync.conflicts(d.id) AS c
                   WHERE d.id = ANY ($1) AND d.storage_type = 'local' AND d.public_copy_id IS NOT NULL))
"""
NOW = "(extract(epoch FROM now()) * 1e6)::bigint"
SETTLED = """jsonb_build_object('refused', coalesce(max(r.refused_deletions), 0),
        'rows', coalesce(jsonb_agg(jsonb_build_array(r.entity_id, r.outcome, r.conflict)), '[]'))"""
CLOCK = "SELECT (extract(epoch FROM clock_timestamp()) * 1e6)::bigint"
UNLINKED = {"state": "unlinked", "diverged": None, "local_changes": None, "public_changes": None, "conflicts": None}


class Mismatch(AssertionError):
    """The database and the model disagree."""


class Database:
    """One connection, and diagrams whose names begin with a prefix that no
    other history has."""

    def __init__(self):
        self.connection = psycopg2.connect("")
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        psycopg2.extras.register_default_jsonb(self.connection, globally=False)
        self.cursor.execute("SET plan_cache_mode = force_generic_plan")
        self.cursor.execute(STATE)
        self.number = 0

    def start(self):
        self.number += 1
        self.prefix = f"{self.connection.get_backend_pid()}-{self.number}-"

    def finish(self):
        self.cursor.execute("ROLLBACK")
        self.cursor.execute("SELECT diagsync.drop_diagram(id) FROM diagsync.directory WHERE id = ANY (%s)",
                            ([self.name(copy) for copy in COPIES],))

    def name(self, copy):
        return self.prefix + copy

    def one(self, query, parameters=()):
        self.cursor.execute(query, parameters)
        return self.cursor.fetchone()

    def state(self):
        found = self.one("EXECUTE state (%s)", ([self.name(copy) for copy in COPIES],))[0]
        copy_of = {self.name(copy): copy for copy in COPIES}
        state = {key: {copy: {} for copy in COPIES} for key in ("entities", "deletions", "bases", "changes", "versions")}
        state["directory"] = {copy_of[id]: (storage, copy_of.get(far), policy)
                              for id, (storage, far, policy) in (found["directory"] or {}).items()}
        state["status"] = {copy_of[id]: status for id, status in (found["status"] or {}).items()}
        for copy, id, doc, time in found["entities"] or ():
            state["entities"][copy_of[copy]][id] = (doc, time)
        for copy, id, time in found["deletions"] or ():
            state["deletions"][copy_of[copy]][id] = time
        for copy, id, doc in found["bases"] or ():
            state["bases"][copy_of[copy]][id] = doc
        for copy, row in found["changes"] or ():
            state["changes"][copy_of[copy]][row["entity_id"]] = row
        for copy, id, version in found["conflicts"] or ():
            state["versions"][copy_of[copy]][id] = version
        return state


class Run:
    """One history, from nothing."""

    def __init__(self, database):
        self.database = database
        self.model = Model()
        self.state = None
        self.savepoints = []  # of the open transaction: its beginning, then its savepoints
        self.isolation = None  # its level
        self.clock = 0, 0  # before the step and after it
        self.plans = []  # of dry runs: how to call them again, the database's plan, the model's
        self.shown = {}  # what conflicts() showed: {(local, id): [(the three documents, version)]}
        self.done = 0
        self.seen = collections.Counter()  # what came up
        database.start()

    def run(self, history, most):
        """The history, or as many of its steps as are compared."""
        try:
            for number, step in enumerate(history):
                if self.done >= most:
                    break
                self.step = number, step
                getattr(self, step[0])(*step[1:])
            self.commit()
        finally:
            self.database.finish()

    # ---- A step in both ----------------------------------------------------------

    def call(self, query, parameters, change):
        """Carries out a query, which answers and says what time it is, and a
        change of the model that says what the query is to answer; then compares."""
        name = self.step[1][0]
        refused = self.refused(change)
        if refused:
            self.seen[name + " refused"] += 1
            self.refusal(query, parameters, refused.sqlstate)
            return None
        before = self.database.one(CLOCK)[0]
        answer, now = self.database.one(query, parameters) or (None, None)
        self.clock = before, self.database.one(CLOCK)[0]
        self.state = self.database.state()
        expected = change(now, self.new_id)
        if expected is not None:
            self.same_row("answer", answer, expected)
        self.seen[name + (" in a transaction" if self.savepoints else "")] += 1
        self.compare()
        return answer

    def function(self, name, copy, rest="", parameters=(), change=lambda now, new_id: None):
        """A call of a function of diagsync for a copy."""
        return self.call(f"SELECT to_jsonb(diagsync.{name}(%s{rest})), {NOW}", (self.database.name(copy), *parameters), change)

    def refused(self, change):
        """Whether the model refuses a change: the exception, or None."""
        before = self.model.snapshot()
        try:
            change(0, lambda local, id, doc: id + "-copy")
        except Refused as refused:
            return refused
        finally:
            self.model.restore(before)
        return None

    def refusal(self, query, parameters, sqlstate):
        if self.savepoints:
            self.database.cursor.execute("SAVEPOINT refusal")
        try:
            answer = self.database.one(query, parameters)
        except psycopg2.Error as error:
            if error.pgcode.startswith(("XX", "40")) or sqlstate not in (None, error.pgcode):
                raise
            if self.savepoints:
                self.database.cursor.execute("ROLLBACK TO refusal")
        else:
            raise Mismatch(f"the model refuses it, the database answers {answer}")
        self.look()

    def look(self):
        self.state = self.database.state()
        self.compare()

    def new_id(self, local, id, doc):
        """What the database called the copy that `both` made."""
        taken = {*self.model.entities[local], *self.model.entities["P"], *self.model.links[local].base}
        for new, (found, _) in sorted(self.state["entities"][local].items()):
            if new not in taken and new.startswith(id + "-") and found == renamed(doc, id, new):
                return new
        return id + "-copy"

    def same(self, what, found, expected):
        if found != expected:
            raise Mismatch(f"{what}:\n  database {found}\n  model    {expected}")

    def same_row(self, what, found, expected):
        self.same(what, {key: found[key] for key in expected}, expected)

    def compare(self):
        self.done += 1
        model, state = self.model, self.state
        self.same("directory", state["directory"], {
            copy: ("local" if copy != "P" else model.storage, "P" if copy in model.links else None, model.policies[copy])
            for copy in model.entities})
        for copy, entities in model.entities.items():
            self.same(f"entities of {copy}", state["entities"][copy], entities)
        for local in model.entities.keys() - {"P"} - model.links.keys():
            self.same_row(f"status of {local}", state["status"][local], UNLINKED)
            self.same(f"bases of {local}", state["bases"][local], {})
        for local, link in model.links.items():
            # An entity without a base row is its own base.
            bases = {id: doc for id, (doc, _) in state["entities"][local].items()}
            bases.update(state["bases"][local])
            bases = {id: doc for id, doc in bases.items() if doc is not None}
            model.take_shapes(local, bases)
            changes = model.changes(local)
            self.same_row(f"status of {local}", state["status"][local], model.status(local, changes))
            self.same(f"changes of {local}", list(state["changes"][local]), list(changes))
            for id, what in changes.items():
                both = what.local_change and what.public_change
                self.seen[what.conflict or ("merge" if both else "change")] += 1
                self.same_row(f"change of {id} in {local}", state["changes"][local][id], model.change_row(local, id, what))
            self.same(f"conflicts of {local}", set(state["versions"][local]),
                      {id for id, what in changes.items() if what.conflict})
            for id, version in state["versions"][local].items():
                self.note_version(local, id, version)
            self.same(f"bases of {local}", bases, link.base)

    def note_version(self, local, id, version):
        """The same three documents have the same version, others have another."""
        triple = self.model.shown(local, id)
        shown = self.shown.setdefault((local, id), [])
        for earlier, its in shown:
            if (earlier == triple) != (its == version):
                raise Mismatch(f"version of {id} in {local}: {its} for {earlier}, {version} for {triple}")
        if (triple, version) not in shown:
            shown.append((triple, version))

    # ---- Diagrams ------------------------------------------------------------------

    def create(self, copy):
        if copy not in self.model.entities:
            self.call(f"SELECT diagsync.create_diagram(%s, 'local', %s), {NOW}", (copy, self.database.name(copy)),
                      lambda now, new_id: self.model.create(copy))

    def drop(self, copy):
        if copy in self.model.entities:
            self.plans.clear()
            self.function("drop_diagram", copy, change=lambda now, new_id: self.model.drop(copy))

    def share(self, local, storage):
        def change(now, new_id):
            self.needs_new_snapshots()
            self.model.share(local, storage, now)
        if local in self.model.entities:
            self.function("share", local, ", %s, %s", (self.database.name("P"), storage), change)

    def clone(self, local):
        if "P" in self.model.entities:
            self.function("clone", "P", ", %s", (self.database.name(local),),
                          lambda now, new_id: self.model.clone(local, now))

    def link(self, local):
        def change(now, new_id):
            self.needs_new_snapshots()
            self.model.link(local)
        if local in self.model.entities and "P" in self.model.entities:
            self.function("link", local, ", %s", (self.database.name("P"),), change)

    def needs_new_snapshots(self):
        if self.savepoints and self.isolation != "READ COMMITTED":
            raise Refused("25001")

    def unlink(self, local):
        if local in self.model.entities:
            self.plans.clear()
            self.function("unlink", local, change=lambda now, new_id: self.model.unlink(local))

    def policy(self, copy, policy):
        if copy in self.model.entities:
            self.function("set_merge_policy", copy, ", %s", (policy and json.dumps(policy),),
                          lambda now, new_id: self.model.policies.update({copy: policy}))

    def storage(self, storage):
        if "P" in self.model.entities and storage != self.model.storage:
            self.function("set_storage_type", "P", ", %s", (storage,),
                          lambda now, new_id: setattr(self.model, "storage", storage))

    def refresh(self, local):
        if local in self.model.links:
            self.function("refresh", local)

    def lose(self, local, id):
        """A local row is lost past the triggers, once all is seen that the shared
        copy has; a refresh finds it."""
        id = self.id(id)
        if (self.savepoints or local not in self.model.links or self.model.doc(local, id) is None
                or self.model.doc("P", id) is None):
            return
        self.database.cursor.execute("SELECT diagsync.refresh(%s)", (self.database.name(local),))
        self.database.cursor.execute("SET session_replication_role = replica")
        self.database.cursor.execute("DELETE FROM diagsync_local.entity WHERE diagram_id = %s AND id = %s",
                                     (self.database.name(local), id))
        self.database.cursor.execute("RESET session_replication_role")
        self.function("refresh", local, change=lambda now, new_id: self.model.lose(local, id))

    def fill(self, copy):
        """More entities than a sync deletes unasked."""
        self.put(copy, {f"n{number}": {"v": 1} for number in range(12)})

    def empty(self, copy):
        self.delete(copy, *(f"n{number}" for number in range(12)))

    def forget(self, local):
        """What the link has seen, as a restore on another cluster does."""
        if local in self.model.links:
            self.call(f"UPDATE diagsync.directory SET seen = NULL WHERE id = %s RETURNING 1, {NOW}",
                      (self.database.name(local),), lambda now, new_id: None)

    # ---- Entities --------------------------------------------------------------------

    def table(self, copy):
        return f"diagsync_{self.model.storage if copy == 'P' else 'local'}.entity"

    def id(self, id):
        """An id by its name; "a+" is the first one that was derived from it."""
        if not id.endswith("+"):
            return id
        return min((other for of in self.model.entities.values() for other in of if other.startswith(id[0] + "-")),
                   default=id[0])

    def write(self, copy, documents, now):
        """Edits in the model, of one statement.  Its time is the database's to say: that
        of the clock when the statement began, which is later than all there was before."""
        times = {self.edit_time(copy, id, doc, now) for id, doc in documents.items()
                 if doc is not None or id in self.model.entities[copy]}
        if len(times) > 1:
            raise Mismatch(f"one statement made edits at {times}")
        for id, doc in documents.items():
            self.model.write(copy, id, doc, max(times, default=now))

    def edit_time(self, copy, id, doc, now):
        if now == 0:  # only to see whether it is refused
            return 0
        if doc is not None:
            time = self.state["entities"][copy].get(id, (None, None))[1]
        elif copy == "P" or copy in self.model.links:
            time = self.state["deletions"][copy].get(id)
        else:
            time = self.clock[1]  # noted nowhere
        if time is None or not self.clock[0] <= time <= self.clock[1]:
            raise Mismatch(f"{id} of {copy} was edited at {time}, not between {self.clock}")
        return time

    def edit(self, copy, query, parameters, documents):
        def change(now, new_id):
            self.write(copy, documents, now)
        self.call(f"{query} RETURNING 1, {NOW}", parameters, change)

    def upsert(self, copy, id, doc):
        id = self.id(id)
        if copy in self.model.entities:
            self.edit(copy, f"INSERT INTO {self.table(copy)} (diagram_id, id, doc) VALUES (%s, %s, %s)"
                      " ON CONFLICT (diagram_id, id) DO UPDATE SET doc = excluded.doc",
                      (self.database.name(copy), id, json.dumps(doc)), {id: doc})

    def update(self, copy, id, doc):
        id = self.id(id)
        if copy in self.model.entities and id in self.model.entities[copy]:
            self.edit(copy, f"UPDATE {self.table(copy)} SET doc = %s WHERE diagram_id = %s AND id = %s",
                      (json.dumps(doc), self.database.name(copy), id), {id: doc})

    def delete(self, copy, *ids):
        ids = [self.id(id) for id in ids]
        if copy in self.model.entities:
            self.edit(copy, f"DELETE FROM {self.table(copy)} WHERE diagram_id = %s AND id = ANY (%s)",
                      (self.database.name(copy), ids), dict.fromkeys(ids))

    def put(self, copy, documents):
        """Those that are equal are not written, whether what is there has the id or not."""
        if copy in self.model.entities:
            given = documents
            documents = {id: {**doc, "id": id} for id, doc in documents.items()}

            def change(now, new_id):
                self.write(copy, {id: doc for id, doc in documents.items() if self.model.doc(copy, id) not in (doc, given[id])}, now)
            self.function("put", copy, ", %s", (json.dumps(list(documents.values())),), change)

    def set(self, copy, id, key, value):
        """One property of an entity, and no other; None deletes it."""
        id = self.id(id)
        doc = copy in self.model.entities and self.model.doc(copy, id)
        if doc:
            doc = {**doc, key: value}
            self.update(copy, id, {key: value for key, value in doc.items() if value is not None})

    def repeat(self, copy, id, *keys):
        """The same document, which repeats the id in these properties only."""
        id = self.id(id)
        doc = copy in self.model.entities and self.model.doc(copy, id)
        if doc:
            self.update(copy, id, {**without_id(id, doc), **dict.fromkeys(keys, id)})

    def undo(self, local, id):
        """An edit back to the base."""
        id = self.id(id)
        if local in self.model.links:
            self.bring(local, id, self.model.links[local].base.get(id))

    def imitate(self, copy, other, id):
        """The same edit as somebody else's."""
        id = self.id(id)
        if copy in self.model.entities and other in self.model.entities:
            self.bring(copy, id, self.model.doc(other, id))

    def bring(self, copy, id, doc):
        if doc is None:
            self.delete(copy, id)
        else:
            self.upsert(copy, id, doc)

    # ---- Syncs -----------------------------------------------------------------------

    def push(self, local, rule, dry, chosen=None):
        self.sync("push", local, rule, dry, chosen and [self.id(id) for id in chosen])

    def pull(self, local, rule, dry, chosen=None):
        self.sync("pull", local, rule, dry, chosen and [self.id(id) for id in chosen])

    def discard(self, local, chosen):
        if local not in self.model.entities:
            return
        ids = chosen and [self.id(id) for id in chosen]
        answer = self.function("discard", local, ", %s", (ids,), lambda now, new_id: self.model.discard(
            local, ids, lambda id, doc: self.edit_time(local, id, doc, now)))
        for figure in ("inserted", "updated", "deleted", "refused_deletions"):
            self.seen[f"discard: {figure}"] += bool(answer and answer[figure])

    def sync(self, direction, local, rule, dry=False, chosen=None, expected=(None, None)):
        if local not in self.model.entities:
            return
        plan = None

        def change(now, new_id):
            nonlocal plan
            if dry:
                new_id = lambda local, id, doc: id + "-copy"
            figures, plan = self.model.sync(direction == "push", local, rule, now, new_id, expected[1], dry, chosen)
            return figures
        answer = self.function(direction, local, ", NULL, %s, %s, %s, false, %s", (rule, dry, expected[0], chosen), change)
        if answer and chosen is not None:
            self.seen[f"{direction} of chosen entities"] += answer["documents_updated"] > 0 and not dry
        if answer:
            success = "success" if answer["success"] else "no success"
            self.seen["refused deletions"] += answer["refused_deletions"] > 0
            if dry:
                self.seen[f"dry {direction} with {rule}, {success}"] += 1
            elif expected[0]:
                self.seen[f"expected {direction}, {success}"] += 1
            else:
                self.seen[f"{direction} with {rule}, {success}"] += 1
            if not dry:
                self.seen[f"{direction} of merged entities"] += answer["merged"]
                self.seen[f"{direction} that resolved with {rule}"] += answer["resolved"]
        if dry and answer:
            self.plans.append((direction, local, rule, chosen, (answer["plan"], plan), self.derived()))

    def carry_out(self, number):
        """A dry run of earlier, the last one first."""
        if number < len(self.plans):
            direction, local, rule, chosen, plans, derived = self.plans[-1 - number]
            # Where an id that "both" would give came or went since, only the
            # database knows whether it is another one now.
            if rule != "both" or derived == self.derived():
                self.sync(direction, local, rule, False, chosen, plans)

    def derived(self):
        """All ids that may have been given by "both"."""
        return {id for of in (*self.state["entities"].values(), *self.state["bases"].values()) for id in of if "-" in id}

    def resolve(self, local, number, resolution, doc, shown):
        """One of the conflicts; as it was shown now, or first, or without saying.
        Where there is none, an entity without."""
        if local not in self.model.links:
            return
        ids = self.model.conflicts(local) or (self.model.ids(local) if number == 0 else ())
        if not ids:
            return
        id = ids[number % len(ids)]
        doc = doc if resolution == "merged" else None
        versions = self.shown.get((local, id))
        triple, version = versions[0] if versions and shown == "first" else (
            None, self.state["versions"][local].get(id) if shown == "now" else None)

        def change(now, new_id):
            if triple is not None and triple != self.model.shown(local, id):
                self.seen["resolve of what moved on"] += 1
                return self.model.change_row(local, id)
            time = self.edit_time(local, id, doc, now) if doc is not None else now
            returned = self.model.resolve(local, id, resolution, doc, time, new_id)
            self.seen["resolve with " + resolution] += 1
            return self.model.change_row(local, returned)
        self.call(f"SELECT {CHANGE}, {NOW} FROM diagsync.resolve(%s, %s, %s, %s, %s) AS c",
                  (self.database.name(local), id, resolution, None if doc is None else json.dumps(doc), version), change)

    def resolve_all(self, local, rule, kinds):
        """All conflicts by a rule, or those of some kinds."""
        if local not in self.model.links:
            return

        def change(now, new_id):
            answer = self.model.resolve_some(local, {None: (rule, None, None)}, self.model.ids(local),
                                             lambda id, doc: now, new_id, kinds)
            self.note_outcomes("resolve_all", answer)
            return answer
        self.call(f"SELECT {SETTLED}, {NOW} FROM diagsync.resolve_all(%s, %s, %s) AS r",
                  (self.database.name(local), rule, kinds), change)

    def resolve_many(self, local, resolutions, doc, shown):
        """Conflicts by a choice each, an entity without one, and one that there is not; as
        they were shown now, or first, or without saying."""
        if local not in self.model.links:
            return
        conflicts = self.model.conflicts(local)
        others = [id for id in self.model.documents(local) if id not in conflicts]
        choices, sent = {}, []
        for id, resolution in zip([*others[:1], "nobody", *conflicts], resolutions):
            its = doc if resolution == "merged" else None
            versions = self.shown.get((local, id))
            triple, version = versions[0] if versions and shown == "first" else (
                None, self.state["versions"][local].get(id) if shown == "now" else None)
            choices[id] = resolution, its, triple
            sent.append({"entity_id": id, "resolution": resolution, "doc": its, "expected": version})

        def change(now, new_id):
            answer = self.model.resolve_some(
                local, choices, sorted(choices, key=str.encode),
                lambda id, doc: now if doc is None else self.edit_time(local, id, doc, now), new_id)
            self.note_outcomes("resolve_many", answer)
            return answer
        self.call(f"SELECT {SETTLED}, {NOW} FROM diagsync.resolve_many(%s, %s) AS r",
                  (self.database.name(local), json.dumps(sent)), change)

    def note_outcomes(self, name, answer):
        for _, outcome, _ in answer["rows"]:
            self.seen[f"{name}: {outcome}"] += 1

    # ---- Transactions ------------------------------------------------------------------

    def begin(self, isolation):
        if not self.savepoints:
            self.isolation = isolation
            self.database.cursor.execute(f"BEGIN ISOLATION LEVEL {isolation}")
            self.savepoints.append((self.model.snapshot(), len(self.plans)))

    def savepoint(self):
        if self.savepoints:
            self.database.cursor.execute(f"SAVEPOINT s{len(self.savepoints)}")
            self.savepoints.append((self.model.snapshot(), len(self.plans)))

    def rollback_to(self, number):
        """One of the savepoints, the last one first; it stays."""
        if len(self.savepoints) > 1:
            place = max(1, len(self.savepoints) - 1 - number)
            self.database.cursor.execute(f"ROLLBACK TO s{place}")
            snapshot, plans = self.savepoints[place]
            del self.savepoints[place + 1:], self.plans[plans:]
            self.model.restore(snapshot)
            self.seen["rollback to a savepoint"] += 1
            self.savepoints[place] = self.model.snapshot(), plans
            self.look()

    def rollback(self):
        if self.savepoints:
            self.database.cursor.execute("ROLLBACK")
            snapshot, plans = self.savepoints[0]
            del self.plans[plans:]
            self.model.restore(snapshot)
            self.savepoints.clear()
            self.look()

    def commit(self):
        if self.savepoints:
            self.database.cursor.execute("COMMIT")
            self.savepoints.clear()
            self.look()
