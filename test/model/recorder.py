"""Records what concurrent sessions did, with their commit order.

The order and every row come from logical decoding (a slot with test_decoding), not
from what diagsync says of itself.  Sessions mark what an operation was by a message
in the same stream (pg_logical_emit_message) right after it, so that the rows that
come before the message are those that it wrote; what was rolled back, to a savepoint
too, leaves neither rows nor a message.  properties.py says what the lines mean.
"""

import gzip
import json
import re
import threading

PREFIX = "diagsync"
CHUNK = 20000  # changes decoded at a time
TABLES = {
    "diagsync_local.entity": ("entity", "modified_at"),
    "diagsync_public.entity": ("entity", "modified_at"),
    "diagsync_public.tombstone": ("tombstone", "deleted_at"),
    "diagsync_local.base": ("base", "changed_at"),
}
CHANGE = re.compile(r"table (\w+\.\w+): (INSERT|UPDATE|DELETE): (.*)", re.S)
COLUMN = re.compile(r"(\w+)\[[^\]]*\]:(?:'((?:[^']|'')*)'|(\S+))")
MESSAGE = re.compile(r"message: transactional: 1 prefix: (\w+), sz: \d+ content:(.*)", re.S)


def parse_change(text):
    """A change as [table, copy, id, new row or None], or None where it is of no interest."""
    table, action, columns = CHANGE.fullmatch(text).groups()
    if table not in TABLES:
        return None
    kind, time = TABLES[table]
    found = COLUMN.findall(columns)
    values = {name: quoted.replace("''", "'") if bare == "" else None for name, quoted, bare in found}
    row = None
    if action != "DELETE":
        doc = values.get("doc")
        row = {"doc": doc and json.loads(doc), "at": values[time]}
        for name, _, bare in found:
            if name == "unknown" and bare in ("true", "false"):
                row[name] = bare == "true"
    return [kind, values["diagram_id"], values["id"], row]


class Recorder:
    """Writes a history to a file: transactions from the slot, lines of sessions."""

    def __init__(self, path, connection):
        self.path = path
        self.file = gzip.open(path, "wt", encoding="utf-8")
        self.lock = threading.Lock()
        connection.autocommit = True
        self.cursor = connection.cursor()
        self.cursor.execute("SET statement_timeout = 0")
        self.slot = None

    def start(self, name):
        self.cursor.execute("SELECT pg_create_logical_replication_slot(%s, 'test_decoding')", (name,))
        self.slot = name

    def write(self, line):
        with self.lock:
            self.file.write(json.dumps(line, separators=(",", ":")) + "\n")

    def read(self):
        """Records what has been committed since the last time."""
        while True:
            self.cursor.execute(
                "SELECT xid::text, data FROM pg_logical_slot_get_changes(%s, NULL, %s)",
                (self.slot, CHUNK))
            rows = self.cursor.fetchall()
            for xid, data in rows:
                self.row(int(xid), data)
            if len(rows) < CHUNK:
                return

    def row(self, xid, data):
        if data.startswith("BEGIN"):
            self.operations, self.changes = [], []
        elif data.startswith("COMMIT"):
            if self.changes:  # written by nobody who said so
                self.operations.append([{"number": 0, "kind": "unknown"}, self.changes])
            if self.operations:
                self.write({"transaction": xid, "operations": self.operations})
        elif data.startswith("message"):
            prefix, content = MESSAGE.fullmatch(data).groups()
            if prefix == PREFIX:
                self.operations.append([json.loads(content), self.changes])
                self.changes = []
        else:
            change = parse_change(data)
            if change is not None:
                self.changes.append(change)

    def close(self):
        self.file.close()
        if self.slot:
            self.cursor.execute("SELECT pg_drop_replication_slot(%s)", (self.slot,))


def mark(cursor, operation):
    """Says in the stream what the rows before were written by."""
    cursor.execute("SELECT pg_logical_emit_message(true, %s, %s)", (PREFIX, json.dumps(operation)))


def read_history(path):
    """The lines of a recorded history."""
    with (gzip.open(path, "rt", encoding="utf-8") if path.endswith(".gz") else open(path, encoding="utf-8")) as file:
        for line in file:
            yield json.loads(line)
