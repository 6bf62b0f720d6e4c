"""Random calls of all that an unprivileged role reaches of diagsync.

sqlsmith writes queries that are hard on the planner, but it knows no values
worth a try.  This calls every function of the schemas diagsync and diagsync_api
with arguments of the right type: mostly such as would mean something, often
hostile ones; edits tables and views, casts to the types, and sets what a session
may set.  What is called depends on the seed and on what is there.
"""

import collections
import json
import random

import psycopg2
import psycopg2.extensions

LEVELS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
RULES = ("abort", "skip", "local", "public", "both", "newest")
RESOLUTIONS = ("local", "public", "both", "newest", "merged")
STORAGE_TYPES = ("local", "public", "private")
TABLES = ("diagsync_local.entity", "diagsync_public.entity", "diagsync_private.entity")
VIEWS = ("diagsync_api.local_entities", "diagsync_api.public_entities", "diagsync_api.private_entities")
COLUMNS = {  # that can be written, and some that cannot
    "diagram_id": "diagram", "diagram": "diagram", "id": "entity", "doc": "document", "rev": "number",
    "modified_at": "time", "modified_by": "principal",
}
TYPES = ("diagsync.sync_status", "diagsync.change", "diagsync.sync_result", "diagsync.merge_result",
         "diagsync.sync_progress", "diagsync_api.change", "diagsync.directory", "diagsync_public.entity")
SETTINGS = {
    "diagsync.batch_size": ("1", "2", "7", "100000", "0", "-1", "x"),
    "diagsync.token": ("", "x", ".", "a.b", "é.é", "." * 1000),
    "request.jwt.claims": ("", "{}", "[]", "null", "x", '{"sub": 1}', '{"sub": "olga"}', '{"sub": null}', "[" * 10000),
    "request.headers": ("", "{}", "[]", "x", '{"x-diagsync-token": 5}', '{"x-diagsync-diagram": "a%2fb%"}', "{" * 10000),
    "request.method": ("", "GET", "POST", "DELETE", "x"),
    "request.path": ("", "/", "/rpc/push", "/diagrams", "%", "/" * 1000),
    "diagsync.sync_rate_limit": ("1", "0"),  # not for this role
}
TEXTS = (
    "", " ", "a", "null", "0", "-1", "NaN", "infinity", "'", '"', "\\", "%", "%s%n%d", "$1", "\n", "\x7f", "\u202e", "é", "日本",
    "😀", "/", "//", "~", "~2", "/a~", "../..", "role:", "sub:", "role:postgres", "public", "pg_catalog", "{}", "[", "{a,NULL}",
    "a" * 255, "a" * 256, "é" * 400, "é" * 401, "x" * 100000, "'; DROP SCHEMA diagsync CASCADE; --",
)
JSON = (
    "{}", "[]", "null", "0", "-0", '""', "true", "[null]", "[[]]", '{"": null}', '{"id": null}', '{"id": ""}', '{"id": 5}',
    '[{"id": "a"}, {"id": "a"}]', '[{"id": "a"}, 5]', '{"a": 1e308}', '{"a": 1e-300}', '{"a": %s}' % ("9" * 2000),
    '{"a": 1e100000}', "[" * 900 + "]" * 900, '{"a":' * 900 + "1" + "}" * 900, '{"a":' * 7000 + "1" + "}" * 7000,
    "[" * 100000, '{"a": "%s"}' % ("x" * 200000), "{%s}" % ",".join(f'"k{n}": {n}' for n in range(3000)), '{"\\u0001": "\\u0001"}',
    '{"a": "\\u0000"}', '{"a": "\\ud800"}', '{"a": 1, "a": 2}',
)
POLICIES = (
    '{"granularity": "property"}', '{"granularity": "entity"}', '{"granularity": null}', '{"preset": "reactflow"}',
    '{"preset": "immersive"}', '{"preset": "excalidraw"}', '{"preset": 1}', '{"ignore": ["/last_seen", "/position"]}', '{"ignore": [""]}',
    '{"ignore": ["a", "/~", "/~2", 5]}', '{"ignore": [["/a"]]}', '{"latest": ["/position/x"]}', '{"tolerance": 0.5}',
    '{"tolerance": -1}', '{"tolerance": 1e300}', '{"tolerance": {"/a": 1}}', '{"groups": [["/position"], ["/a", "/b"]]}', '{"groups": [[]]}',
    '{"groups": {"a": 1}}', '{"references": ["/from", "/to", "/parent", "/source", "/target"]}', '{"references": [""]}', '{"nonsense": 1}',
    '{"granularity": "property", "groups": [["/a", "/a/b"]], "references": ["/a"]}', '{"match": ["/v", ["/a", "/from"], "/id"]}',
    '{"match": [5]}',
    '{"ignore": [%s]}' % ",".join(f'"/k{n}"' for n in range(2000)), '{"ignore": ["%s"]}' % ("/a" * 3000),
)
PATCHES = (
    "[]", '[{"op": "add", "path": "/a", "value": [1]}]', '[{"op": "remove", "path": ""}]', '[{"op": "copy", "from": "", "path": "/v"}]',
    '[{"op": "move", "from": "/v", "path": "/position"}]', '[{"op": "test", "path": "/v", "value": 1}]', '[{"op": "replace", "path": "/id"}]',
    '[{"op": "add", "path": "/%s", "value": {}}]' % ("a/" * 3000), '[%s]' % ",".join(['{"op": "copy", "from": "", "path": "/a"}'] * 60),
    '[%s]' % ",".join(f'{{"op": "add", "path": "/k{n}", "value": 1}}' for n in range(2000)), '[{"op": "remove", "path": "/99999999999999999999"}]',
)
INTERVALS = ("0", "1 microsecond", "-1 day", "1 hour", "178000000 years", "-178000000 years", "infinity", "-infinity", "x", "1 mon -1 day")
TIMES = ("now", "infinity", "-infinity", "epoch", "294276-12-31", "4713-01-01 BC", "x")
NUMBERS = ("0", "1", "-1", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "NaN", "x")


class Calls:
    """One session that calls at random, and what became of it."""

    def __init__(self, connection, seed, secret, principals, is_internal):
        self.connection = connection
        self.dice = random.Random(seed)
        self.secret = secret
        self.principals = principals
        self.is_internal = is_internal
        self.counts = collections.Counter()
        self.called = collections.Counter()  # (schema, function)
        self.succeeded = collections.Counter()
        self.errors = collections.Counter()  # SQLSTATE
        self.failures = []
        self.entities, self.digests = ["x"], ["x"]
        self.rows = []  # of the last statement
        self.cursor = connection.cursor()
        connection.autocommit = True
        self.cursor.execute("""SELECT n.nspname, p.proname, p.oid::bigint, p.proretset, coalesce(p.proargnames[:pronargs], '{}'),
            array(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY AS a (t, i) ORDER BY i),
            has_function_privilege(p.oid, 'EXECUTE')
            FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace
            WHERE nspname IN ('diagsync', 'diagsync_api') AND prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype, 'internal'::regtype)
            ORDER BY 1, 2""")
        functions = self.cursor.fetchall()
        self.allowed = [row for row in functions if row[6]]
        self.forbidden = [row for row in functions if not row[6]]

    # ---- Values --------------------------------------------------------------

    def pick(self, likely, *others, hostile=0.12):
        """Mostly one of those that are likely; else one of the others, or none."""
        fate = self.dice.random()
        if fate < hostile / 3:
            return None
        return self.dice.choice(self.dice.choice(others)) if fate < hostile and others else self.dice.choice(likely)

    def text(self, name):
        name = name.lower()
        if name.startswith("local"):
            return self.pick(self.local, TEXTS, self.diagrams)
        if name.startswith("public"):
            return self.pick(self.shared, TEXTS, self.diagrams)
        if name in ("id", "diagram"):
            return self.pick(self.diagrams, TEXTS, self.entities)
        if name in ("storage_type", "storagetype"):
            return self.pick(STORAGE_TYPES, TEXTS)
        if name in ("on_conflict", "onconflict"):
            return self.pick(RULES, TEXTS)
        if name == "resolution":
            return self.pick(RESOLUTIONS, TEXTS)
        if name in ("entity_id", "entityid"):
            return self.pick(self.entities, TEXTS)
        if name in ("principal", "owner"):
            return self.pick(self.principals, TEXTS)
        if name == "role":
            return self.pick(("reader", "writer", "admin"), TEXTS)
        if name in ("expected", "expected_plan"):
            return self.pick((None, None, *self.digests[-20:]), TEXTS)
        return self.pick(("A", "a name"), TEXTS, hostile=0.4)

    def document(self):
        if self.dice.random() < 0.2:
            return self.pick(JSON)
        entity = {"id": self.dice.choice(self.entities), "v": self.dice.randrange(4)}
        for name in ("a", "position", "last_seen", "from", "parent"):
            if self.dice.random() < 0.3:
                entity[name] = self.dice.choice((0, 1.5, None, [1, None], {"x": self.dice.randrange(3)}, *self.entities[:3]))
        return json.dumps(entity)

    def value(self, name, kind):
        """An argument of that name and type."""
        if kind == "text":
            return self.text(name)
        if kind == "jsonb":
            if name == "policy":
                return self.pick((*POLICIES, None), JSON)
            if name == "diff":
                return self.pick(PATCHES, JSON)
            if name == "entities" and self.dice.random() < 0.8:
                return "[" + ",".join(filter(None, (self.document() for _ in range(self.dice.randrange(5))))) + "]"
            return self.document()
        if kind == "text[]":
            some = [self.pick(self.entities, TEXTS) for _ in range(self.dice.randrange(5))]
            return self.dice.choice((some, some, some, [some, some], None))
        if kind == "boolean":
            return self.dice.choice((True, False, None))
        if kind == "interval":
            return self.pick(INTERVALS)
        if kind in ("integer", "bigint"):
            return self.dice.choice((0, 1, 2, 100, 1000, 100000, -1, 2**31 - 1, None))
        if kind == "json":
            return self.pick((self.document(), "{}", None), JSON)
        raise NotImplementedError(f"a value of type {kind} for {name}")

    # ---- Statements: text and values ---------------------------------------------

    def call(self, function):
        schema, name, _, is_set, names, kinds, _ = function
        given = [(n, k) for n, k in zip(names, kinds)]
        arguments = ", ".join(f"%s::{kind}" for _, kind in given)
        values = [self.value(n, k) for n, k in given]
        self.make_sense(name, names, values)
        target = f"{schema}.{name}({arguments})"
        form = self.dice.random()
        if is_set or form < 0.3:
            return f"SELECT * FROM {target}", values
        if form < 0.4:
            # Again for each of several rows of one statement.
            return f"SELECT {target} FROM generate_series(1, {self.dice.randrange(4)})", values
        if form < 0.5:
            return f"SELECT ({target})::text", values
        return f"SELECT {target}", values

    def make_sense(self, function, names, values):
        """What values have to be to each other, mostly; any by themselves seldom mean something."""
        if self.dice.random() < 0.2:
            return
        if function == "remove_member":
            values[:] = self.dice.choice(self.members)
        if function == "match":
            values[:2] = ("{%s}" % ",".join(f'"{n}": {value}' for n, value in enumerate((self.document(), self.document())) if value)
                          for _ in range(2))
        for number, name in enumerate(names):
            name = name.lower()
            if function in ("push", "pull", "share", "status") and name.startswith("public"):
                values[number] = None  # that of the link, a new id
            elif function == "clone" and name.startswith("local") or function == "create_diagram" and name == "id":
                values[number] = None
            elif function in ("share", "link") and name.startswith("local"):
                values[number] = self.dice.choice(self.unlinked)
            elif function in ("unlink", "push", "pull", "resolve", "resolve_all", "resolve_many", "refresh", "conflicts", "changes") and name.startswith("local"):
                values[number] = self.dice.choice(self.linked)
            elif function in ("add_member", "create_token", "set_storage_type") and name in ("diagram", "id"):
                values[number] = self.dice.choice(self.own_shared)
            elif function == "revoke_token":
                values[number] = self.dice.choice(self.tokens)
            elif function == "resolve" and name in ("entity_id", "entityid"):
                diagram, values[number] = self.dice.choice(self.conflicts)
                values[0] = diagram
            elif name == "doc" and function == "resolve" and values[2] != "merged":
                values[number] = None

    def edit(self):
        table = self.dice.choice(TABLES + VIEWS)
        names = ["diagram_id" if table in TABLES else "diagram", "id", "doc"]
        if self.dice.random() < 0.1:
            names.append(self.dice.choice(("rev", "modified_at", "modified_by")))
        values = [self.cell(name) for name in names]
        key = f"({names[0]}, {names[1]})"
        form = self.dice.randrange(5)
        if form == 0:
            return f"DELETE FROM {table} WHERE {names[0]} = %s AND id = %s RETURNING *", values[:2]
        if form == 1:
            column = self.dice.choice(names)
            return (f"UPDATE {table} SET {column} = %s WHERE {names[0]} = %s AND id > %s RETURNING *",
                    [self.cell(column), values[0], values[1]])
        places = ", ".join("%s" for _ in names)
        insert = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})"
        if form == 2 and table in TABLES:
            return insert + f" ON CONFLICT {key} DO UPDATE SET doc = excluded.doc RETURNING *", values
        if form == 3:
            return (f"WITH gone AS (DELETE FROM {table} WHERE {names[0]} = %s AND id = %s RETURNING 1) {insert}",
                    values[:2] + values)
        return insert + " ON CONFLICT DO NOTHING", values

    def cell(self, column):
        kind = COLUMNS[column]
        if kind == "diagram":
            return self.pick(self.diagrams, TEXTS)
        if kind == "entity":
            return self.pick(self.entities, TEXTS)
        if kind == "document":
            return self.document()
        return self.pick({"number": NUMBERS, "time": TIMES, "principal": self.principals}[kind])

    def other(self):
        """What is no call and no edit of entities."""
        form = self.dice.randrange(6)
        if form == 0:
            return f"SELECT %s::{self.dice.choice(TYPES)}", [self.pick(TEXTS + JSON + ("(" + "," * 13 + ")", "(" + "," * 9 + ")"))]
        if form == 1:
            return f"SELECT jsonb_populate_record(null::{self.dice.choice(TYPES)}, %s)", [self.document()]
        if form == 2:
            return "UPDATE diagsync.directory SET name = %s, description = %s WHERE id = %s RETURNING *", [
                self.pick(TEXTS), self.pick(TEXTS), self.pick(self.diagrams)]
        if form == 3:
            table = self.dice.choice(("diagsync.directory", "diagsync.member", "diagsync.access_token", "diagsync_local.base",
                                      "diagsync_public.tombstone", "diagsync.sync_log", "diagsync.entity"))
            return self.dice.choice((f"SELECT * FROM {table}", f"DELETE FROM {table}", f"TRUNCATE {table}",
                                     f"INSERT INTO {table} DEFAULT VALUES", f"SELECT * FROM {table} FOR UPDATE")), []
        name = self.dice.choice(sorted(SETTINGS))
        if form == 4:
            return "SELECT set_config(%s, %s, false)", [name, self.dice.choice(SETTINGS[name])]
        return f"RESET {name}", []

    # ---- Running them --------------------------------------------------------------

    def run(self, done):
        """Calls until that is so, each function equally often."""
        turn = 0
        while not self.connection.closed and not self.failures:
            if turn % 60 == 0:
                if done():
                    break
                self.look()
            turn += 1
            fate = self.dice.random()
            if fate < 0.75:
                self.statement(*self.random_statement())
            else:
                self.transaction()

    def random_statement(self):
        fate = self.dice.random()
        if fate < 0.02 and self.forbidden:
            function = self.dice.choice(self.forbidden)
        elif fate < 0.7:
            function = min(self.dice.sample(self.allowed, 3), key=lambda row: self.called[row[:2]])
        else:
            return (None, *(self.edit() if fate < 0.93 else self.other()))
        return (function, *self.call(function))

    def transaction(self):
        """Several statements, at some level; those that fail are undone, or all are."""
        if not self.statement(None, f"BEGIN ISOLATION LEVEL {self.dice.choice(LEVELS)}", []):
            return
        for _ in range(self.dice.randrange(1, 6)):
            guarded = self.dice.random() < 0.8
            if guarded:
                self.statement(None, "SAVEPOINT s", [])
            done = self.statement(*self.random_statement())
            if not done and not (guarded and self.statement(None, "ROLLBACK TO s", [])):
                break
        self.statement(None, "COMMIT" if self.dice.random() < 0.8 else "ROLLBACK", [])

    def statement(self, function, sql, values):
        """Runs one; whether it was done."""
        key = function[:2] if function else None
        self.counts["statements"] += 1
        if key:
            self.counts["calls"] += 1
            self.called[key] += 1
        try:
            self.cursor.execute(sql, values or None)
            self.rows = self.cursor.fetchall() if self.cursor.description else []
            shown = str(self.rows)
            if key:
                self.succeeded[key] += 1
                if function in self.forbidden:
                    self.fail("was allowed", sql, values)
            if "dry_run" in str(function) or "conflicts" in sql:
                self.digests += [word.strip("'\",)(") for word in shown.split() if len(word) > 60][:3]
        except psycopg2.Error as error:
            shown = str(error)
            self.errors[error.pgcode] += 1
            if error.pgcode is None or self.is_internal(error.pgcode, shown):
                self.fail(f"{error.pgcode} {shown[:500]}", sql, values)
            # In a request class 22 is PT400, and 42501 is PT403, or PT401 without a login.
            elif function in self.forbidden and error.pgcode[:2] != "22" and error.pgcode not in ("42501", "25P02", "PT400", "PT401", "PT403"):
                self.fail(f"{error.pgcode}, and not 42501", sql, values)
            return False
        finally:
            if self.secret in locals().get("shown", ""):
                self.fail("shows what is private to another", sql, values)
        return True

    def fail(self, why, sql, values):
        values = [value if len(str(value)) < 300 else f"{str(value)[:300]}… ({len(str(value))})" for value in values]
        self.failures.append(f"{why}\n    {sql}\n    {values!r}")

    def look(self):
        """What there is by now; makes new diagrams where few are left."""
        if self.connection.info.transaction_status != psycopg2.extensions.TRANSACTION_STATUS_IDLE:
            self.cursor.execute("ROLLBACK")
        # Under some headers nothing can be read.
        for name in SETTINGS:
            if name.startswith("request."):
                self.cursor.execute(f"RESET {name}")
        mine = self.some("SELECT id FROM diagsync.directory WHERE owner = diagsync.principal() AND storage_type {} ORDER BY created_at DESC, id",
                         "IS NOT NULL")
        for number in range(len(mine), 12):
            local = f"again-{self.counts['statements']}-{number}"
            entities = json.dumps([{"id": entity, "v": 1} for entity in self.entities[:8]])
            self.statement(None, "SELECT diagsync.put(diagsync.create_diagram('again', 'local', %s), %s)", [local, entities])
            if number % 3:
                # A link with a conflict.
                self.statement(None, "SELECT diagsync.share(%s, %s, %s)", [local, local + "-far", STORAGE_TYPES[number % 3]])
                for diagram, value in ((local, 2), (local + "-far", 3)):
                    self.statement(None, "SELECT diagsync.put(%s, %s)", [diagram, entities.replace('"v": 1', f'"v": {value}')])
        owned = "SELECT id FROM diagsync.directory WHERE owner = diagsync.principal() AND {} ORDER BY created_at DESC, id"
        mine = self.some(owned, "true")
        self.linked = self.some(owned, "public_copy_id IS NOT NULL")
        self.unlinked = self.some(owned, "storage_type = 'local' AND public_copy_id IS NULL")
        self.own_shared = self.some(owned, "storage_type <> 'local'")
        self.local = self.linked + self.unlinked
        self.shared = self.some("SELECT id FROM diagsync.directory WHERE {} ORDER BY created_at DESC, id", "storage_type <> 'local'")
        self.tokens = self.some("SELECT id FROM diagsync.access_token WHERE {} ORDER BY id", "true")
        self.entities = self.some("SELECT DISTINCT id FROM diagsync.entity WHERE {} ORDER BY id", "diagram_id NOT LIKE 'witness%'")
        # Those of others are tried, too, by ids that leaked somehow.
        self.diagrams = mine + self.shared + ["witness", "witness-local"]
        self.conflicts = []
        for local in self.linked[:8]:
            # (The shared copy may be somebody else's by now.)
            if self.statement(None, "SELECT entity_id FROM diagsync.conflicts(%s) LIMIT 10", [local]):
                self.conflicts += [(local, entity) for entity, in self.rows]
        self.conflicts = self.conflicts or [("x", "x")]

        self.cursor.execute("SELECT diagram_id, principal FROM diagsync.member ORDER BY 1, 2 LIMIT 40")
        self.members = self.cursor.fetchall() or [("x", "x")]

    def some(self, sql, condition):
        self.cursor.execute(sql.format(condition) + " LIMIT 25")
        return [row[0] for row in self.cursor.fetchall()] or ["x"]
