"""Can crash.py fail?  Damages of each kind, each of which it must report."""

import re

import psycopg2.extras

EDITS = 8000  # before damages are done: enough that there is an entity for each
TRIES = 5  # rounds without synchronous_commit; one must lose something


class Damage:
    """What is done to the data, in a transaction that is rolled back, and what is to be said of it."""

    def __init__(self, what, expected, sql, *values):
        self.what, self.expected, self.sql, self.values = what, expected, sql, values


LOCAL, PUBLIC = "diagsync_local.entity", "diagsync_public.entity"
DELETE = "DELETE FROM {} WHERE diagram_id = %s AND id = %s"
UPDATE = "UPDATE {} SET doc = %s WHERE diagram_id = %s AND id = %s"
INSERT = "INSERT INTO {} (diagram_id, id, doc) VALUES (%s, %s, %s)"


class Picker:
    """Finds an entity of an end with such a history, another one each time."""

    def __init__(self, crash):
        self.crash, self.used = crash, set()

    def __call__(self, end, *presence):
        """One whose last versions, since everything was synced, were there (True) or not."""
        for entity, versions in self.crash.history.items():
            if (entity not in self.used and self.crash.owners[entity].end == end
                    and tuple(there for _, there in versions[-len(presence):]) == presence):
                self.used.add(entity)
                return entity
        raise LookupError(f"the agents left no entity of {end} with versions {presence}")

    def version(self, entity, position):
        return psycopg2.extras.Json(self.crash.document(entity, self.crash.history[entity][position][0]))


def damages_of_synced(crash):
    pick = Picker(crash)
    at_l, at_p = crash.names["L"], crash.names["P"]
    pushed = pick("L", True)
    yield Damage("what was pushed is gone", f"{pushed} at P holds what was not committed",
                 DELETE.format(PUBLIC), at_p, pushed)
    yield Damage("a base of what nobody changed", "bases of what is the same at both ends",
                 f"INSERT INTO diagsync_local.base (diagram_id, id, doc) SELECT diagram_id, id, doc FROM {LOCAL}"
                 " WHERE diagram_id = %s AND id = %s", at_l, pick("L", True))
    yield Damage("a base without a link", "bases of diagrams that are not linked",
                 "INSERT INTO diagsync_local.base (diagram_id, id) VALUES (%s, 'x')", at_p)
    yield Damage("an entity of no diagram", "entities of no diagram", INSERT.format(LOCAL), "nowhere", "x", "{}")
    yield Damage("a tombstone of no diagram", "tombstones of no diagram",
                 "INSERT INTO diagsync_public.tombstone (diagram_id, id, rev) VALUES ('nowhere', 'x', 1)")
    yield Damage("a link has seen the future", "links that have seen the future",
                 "UPDATE diagsync.directory SET seen = '900000000:900000000:' WHERE id = %s", at_l)


def damages_of_edited(crash):
    pick = Picker(crash)
    at_l, at_m, at_p = crash.names["L"], crash.names["M"], crash.names["P"]
    gone = pick("L", True, True)
    yield Damage("an edited entity is gone", f"{gone} at L", DELETE.format(LOCAL), at_l, gone)
    old = pick("P", True, True)
    yield Damage("an edit is undone", f"{old} at P has lost an acknowledged edit",
                 UPDATE.format(PUBLIC), pick.version(old, -2), at_p, old)
    back = pick("P", True, False)
    yield Damage("a deleted entity is back", f"{back} at P has lost an acknowledged edit",
                 INSERT.format(PUBLIC), at_p, back, pick.version(back, -2))
    never = pick("M", True, True)
    yield Damage("an edit that was not committed is there", f"{never} at M holds what was not committed",
                 UPDATE.format(LOCAL), psycopg2.extras.Json(crash.document(never, crash.owners[never].number + 1)), at_m, never)
    base = pick("L", True, True)
    yield Damage("the base of a local change is gone", f"changes.. of {at_l} is wrong about 1 entities, {base}",
                 "DELETE FROM diagsync_local.base WHERE diagram_id = %s AND id = %s", at_l, base)
    yield Damage("public changes count as seen", f"changes.. of {at_l} is wrong",
                 "UPDATE diagsync.directory SET seen = pg_current_snapshot(), seen_own = NULL WHERE id = %s", at_l)
    for worker in [worker for worker in crash.workers if worker.world.copies][:1]:
        yield Damage("a diagram is gone", f"{worker.name}: the directory has",
                     "DELETE FROM diagsync.directory WHERE id = %s", worker.names[next(iter(worker.world.copies))])


def missed(crash, damages):
    """Those of the damages that are not reported."""
    found = []
    with crash.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # triggers would refuse, or capture changes
        before = crash.problems(cursor)
        if before:
            return [f"there are problems before any damage: {before}"]
        for damage in damages(crash):
            cursor.execute("BEGIN")
            cursor.execute(damage.sql, damage.values)
            if cursor.rowcount != 1:
                found.append(f"{damage.what}: could not be done, {cursor.rowcount} rows")
            problems = crash.problems(cursor)
            if not any(re.search(damage.expected, problem) for problem in problems):
                found.append(f"{damage.what}: said is {problems}")
            cursor.execute("ROLLBACK")
    return found


def missed_pieces(crash, failed):
    """What agents were told and is not there: a push, half of a transaction, a prepared one."""
    found = []
    with crash.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        # One that is there: what is deleted at both ends may well have been pushed.
        entity = next(entity for entity, versions in crash.history.items()
                      if crash.owners[entity].end == "L" and len(versions) > 1 and versions[-1][1])
        before = crash.floors["P"][entity]
        crash.floors["P"][entity] = crash.history[entity][-1][0]
        if not any(f"{entity} at P has lost an acknowledged sync" in problem for problem in crash.problems(cursor)):
            found.append("a lost push")
        crash.floors["P"][entity] = before

        writer = crash.agents[0]
        writer.sent, writer.pending = True, {}
        for entity in writer.ids[:2]:
            writer.number += 1
            writer.pending[entity] = (writer.number, True)
        entity = writer.ids[0]
        cursor.execute("BEGIN")
        cursor.execute(f"INSERT INTO {writer.table} (diagram_id, id, doc) VALUES (%s, %s, %s)"
                       " ON CONFLICT (diagram_id, id) DO UPDATE SET doc = excluded.doc",
                       (writer.diagram, entity, psycopg2.extras.Json(crash.document(entity, writer.pending[entity][0]))))
        found += unless_fails(failed, "part of a transaction", lambda: crash.settle(cursor))
        cursor.execute("ROLLBACK")
        writer.forget()
        writer.prepared, writer.phase = "gone", "prepared"
        found += unless_fails(failed, "had been prepared, and is gone", lambda: crash.settle(cursor))
        writer.forget()
    return found


def unless_fails(failed, text, action):
    try:
        action()
    except failed as failure:
        return [] if text in str(failure) else [f"{text}: said is {failure}"]
    return [f"{text}: nothing is said"]


def missed_index_damage(crash):
    """A row that an index does not know; by pg_amcheck alone."""
    ready = "UPDATE pg_index SET indisready = %s WHERE indexrelid = 'diagsync_public.entity_rev'::regclass"
    diagram = (crash.names["P"],)
    put = "SELECT diagsync.put(%s, '[{\"id\": \"hidden\"}]')"
    for step in ((ready, (False,)), (put, diagram), (ready, (True,))):
        with crash.cursor() as cursor:
            cursor.execute(*step)
    said = crash.amcheck()
    with crash.cursor() as cursor:
        cursor.execute("REINDEX INDEX diagsync_public.entity_rev")
        cursor.execute("SELECT diagsync.remove(%s, '{hidden}')", diagram)
    return [] if any("lacks matching index tuple" in problem for problem in said) else [f"a row that an index lacks: {said}"]


def missed_loss(crash, dice):
    """Commits are acknowledged before they are on disk, and everything is killed at once: some are lost."""
    with crash.cursor() as cursor:
        cursor.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        cursor.execute("SELECT pg_reload_conf()")
    crash.asynchronous = True
    for attempt in range(TRIES):
        crash.work(f"asynchronous {attempt}", crash.options.edits)
        crash.killing = True
        crash.server.kill_everything()
        crash.server.wait_until_up()
        crash.wait_for_agents()
        if crash.problems_after(dice):
            return []
    return [f"synchronous_commit = off: nothing is lost in {TRIES} rounds"]
