#!/usr/bin/python3
"""The laws of diagsync.diff() and diagsync.patch(), on random documents.

apply() below applies a JSON Patch; it was written from RFC 6902 and RFC 6901
alone.  For random documents a and b, and random policies:

    becomes         patch(a, diff(a, b)) is b, by the server and by apply()
    nothing         diff(a, b) is empty where a and b are equal, and only there
    each counts     each operation of diff(a, b) changes something, "move" too
    minimal         in objects, as many operations as properties differ; in
                    arrays of scalars, no more than the longest common
                    subsequence (found here by dynamic programming) leaves
    policy          under a policy patch(a, diff(a, b, policy)) is the same as b
                    as the policy sees it, diff is empty where a is, and no
                    operation is at what is ignored
    patches         random patches, half of them with a mistake in them, give
                    the same document or an error by the server and by apply()

The connection is that of PGHOST, PGPORT, PGUSER and PGDATABASE.

    patches.py --seed 7 --chunk 12      the 12th chunk of seed 7 alone
"""

import argparse
import collections
import io
import random
import sys
import time

sys.dont_write_bytecode = True  # the sources' folder stays clean

import psycopg2

from laws import CHUNK, GIVE_UP, KEYS, Decimal, Generator, column, literal, parse, text
from reference import MISSING, equal

ENOUGH = 10000  # pairs, for each class to come up
LONGEST = 9  # of an array whose longest common subsequence is looked for


# ---- RFC 6901 and 6902 -----------------------------------------------------------


class Refused(Exception):
    """A patch that is none, or cannot be applied."""


def tokens_of(pointer):
    if type(pointer) is not str or pointer and pointer[0] != "/":
        raise Refused("no pointer")
    tokens = pointer.split("/")[1:]
    for token in tokens:
        if "~" in token.replace("~0", "").replace("~1", ""):
            raise Refused("no escape")
    return [token.replace("~1", "/").replace("~0", "~") for token in tokens]


def index_of(token, end):
    digits = set(token) <= set("0123456789")
    if not token or not digits or len(token) > 1 and token[0] == "0" or int(token) >= end:
        raise Refused("no index")
    return int(token)


def found(document, tokens):
    if document is MISSING:
        raise Refused("no document")
    for token in tokens:
        if type(document) is list:
            document = document[index_of(token, len(document))]
        elif type(document) is dict and token in document:
            document = document[token]
        else:
            raise Refused("nothing there")
    return document


def added(document, tokens, value):
    if not tokens:
        return value
    if document is MISSING:
        raise Refused("no document")
    head, rest = tokens[0], tokens[1:]
    if type(document) is list:
        if rest:
            index = index_of(head, len(document))
            return document[:index] + [added(document[index], rest, value)] + document[index + 1:]
        index = len(document) if head == "-" else index_of(head, len(document) + 1)
        return document[:index] + [value] + document[index:]
    if type(document) is dict and (not rest or head in document):
        return {**document, head: added(document[head], rest, value) if rest else value}
    raise Refused("no place for it")


def removed(document, tokens):
    if document is MISSING:
        raise Refused("no document")
    if not tokens:
        return MISSING
    head, rest = tokens[0], tokens[1:]
    if type(document) is list:
        index = index_of(head, len(document))
        return document[:index] + ([removed(document[index], rest)] if rest else []) + document[index + 1:]
    if type(document) is dict and head in document:
        if rest:
            return {**document, head: removed(document[head], rest)}
        return {key: value for key, value in document.items() if key != head}
    raise Refused("nothing there")


def replaced(document, tokens, value):
    if not tokens:
        found(document, [])
        return value
    head, rest = tokens[0], tokens[1:]
    if type(document) is list:
        index = index_of(head, len(document))
        return document[:index] + [replaced(document[index], rest, value)] + document[index + 1:]
    if type(document) is dict and head in document:
        return {**document, head: replaced(document[head], rest, value)}
    raise Refused("nothing there")


def applied(document, operation):
    """A document after one operation."""
    if type(operation) is not dict:
        raise Refused("no operation")
    op, path = operation.get("op"), tokens_of(operation.get("path"))
    if type(op) is not str:
        raise Refused("no op")
    if op in ("add", "replace", "test") and "value" not in operation:
        raise Refused("no value")
    if op == "add":
        return added(document, path, operation["value"])
    if op == "remove":
        return removed(document, path)
    if op == "replace":
        return replaced(document, path, operation["value"])
    if op == "test":
        if not equal(found(document, path), operation["value"]):
            raise Refused("another value")
        return document
    if op in ("move", "copy"):
        source = tokens_of(operation.get("from"))
        value = found(document, source)
        if op == "move":
            if len(path) > len(source) and path[:len(source)] == source:
                raise Refused("into itself")
            document = removed(document, source)
        return added(document, path, value)
    raise Refused("unknown op")


def apply(document, patch):
    if type(patch) is not list:
        raise Refused("no patch")
    for operation in patch:
        document = applied(document, operation)
    return document


# ---- What a policy sees ----------------------------------------------------------


class Rules:
    """What a policy says of a value: marks by the rest of the path to them."""

    def __init__(self, policy):
        policy = policy or {}
        self.tolerance = policy.get("tolerance", Decimal(0))
        self.null_is_absent = policy.get("null") == "absent"
        self.marks = [(tuple(tokens_of(pointer)), "ignore") for pointer in policy.get("ignore", ())]
        self.marks += [(tuple(tokens_of(pointer)), ("key", name)) for pointer, name in policy.get("keys", {}).items()]

    @staticmethod
    def below(marks, token):
        return [(path[1:], mark) for path, mark in marks if path and path[0] == token]

    @staticmethod
    def ignored(marks):
        return ((), "ignore") in marks

    def of_element(self, marks, number):
        if any(not path and mark != "ignore" for path, mark in marks):
            return self.below(marks, "*")
        return self.below(marks, str(number)) or self.below(marks, "*")

    def absent(self, value):
        return value is MISSING or self.null_is_absent and value is None

    def same(self, a, b, marks=None, is_property=True):
        marks = self.marks if marks is None else marks
        if is_property and (self.absent(a) or self.absent(b)):
            return self.absent(a) and self.absent(b)
        if type(a) is dict and type(b) is dict:
            return all(self.ignored(self.below(marks, key)) or
                       self.same(a.get(key, MISSING), b.get(key, MISSING), self.below(marks, key))
                       for key in a.keys() | b.keys())
        if type(a) is list and type(b) is list:
            names = [mark[1] for path, mark in marks if not path and mark != "ignore"]
            return len(a) == len(b) and all(
                all(type(x) is type(y) is dict and equal(x.get(name), y.get(name)) or
                    (type(x) is not dict or name not in x) and (type(y) is not dict or name not in y) for name in names)
                and (self.ignored(self.of_element(marks, n)) or self.same(x, y, self.of_element(marks, n), False))
                for n, (x, y) in enumerate(zip(a, b)))
        if type(a) is Decimal and type(b) is Decimal:
            return a == b or abs(a - b) < self.tolerance
        return equal(a, b)

    def is_ignored(self, document, tokens):
        """Is what these lead to, from a document on, ignored?  (Elements have
        other numbers in between, and are more or fewer.)"""
        marks = self.marks
        for token in tokens:
            if type(document) is not dict:
                break
            marks = self.below(marks, token)
            if self.ignored(marks):
                return True
            document = document.get(token)
        return False


# ---- Random documents, policies and patches --------------------------------------


class Pairs(Generator):
    """Pairs of documents, of which one was made of the other."""

    def pair(self):
        self.pointers, self.jitter = [], Decimal("0.1")
        self.keys = self.dice.sample(KEYS, 5) + self.dice.sample(KEYS[:10], 2)
        what = self.random()
        if what < 0.1:
            old, new = self.document(), self.document()
        elif what < 0.25:
            old, new = self.scalars()
        elif what < 0.45:
            old, new = self.keyed()
        else:
            old = new = self.document()
            for _ in range(self.dice.randrange(5)):
                new = self.edited(new)
        if self.random() < 0.2:
            old, new = ({"a": value} if self.random() < 0.8 else value for value in (old, new))
        return tuple({} if type(value) is dict and MISSING in value.values() else value for value in (old, new))

    def scalars(self):
        """Two arrays of few different values."""
        values = [self.scalar() for _ in range(self.dice.randrange(1, 6))]
        return tuple([self.choice(values) for _ in range(self.dice.randrange(LONGEST))] for _ in range(2))

    def keyed(self):
        """Elements with an id, in another order, with edits; sometimes one twice, or without."""
        old = [{"id": self.choice(("a", "b", "c", "d", "e", 1, 2)), "v": self.scalar()}
               for _ in range(self.dice.randrange(7))]
        if self.random() < 0.9:
            old = list({text(element["id"]): element for element in old}.values())
        old = [{**element, "id": Decimal(element["id"])} if type(element["id"]) is int else element for element in old]
        new = list(old)
        for _ in range(self.dice.randrange(4)):
            what, index = self.random(), self.dice.randrange(len(new) + 1)
            if what < 0.3:
                new.insert(index, {"id": self.choice("abcdefgh") if self.random() < 0.9 else self.scalar(), "v": self.value(2)})
            elif what < 0.5 and index < len(new):
                del new[index]
            elif what < 0.7 and index < len(new):
                new.insert(self.dice.randrange(len(new)), new.pop(index))
            elif index < len(new):
                new[index] = {**new[index], self.choice("vw"): self.value(2)}
        return {"list": old}, {"list": new}

    def rules(self, document):
        """A policy."""
        policy = {}
        if self.random() < 0.5:
            policy["ignore"] = sorted({self.starred(self.pointer(document, True)) for _ in range(self.dice.randrange(1, 4))})
        if self.random() < 0.3:
            policy["tolerance"] = self.choice((Decimal("0.5"), Decimal("0.001"), Decimal(2)))
        if self.random() < 0.3:
            policy["null"] = self.choice(("absent", "absent", "value"))
        if self.random() < 0.6:
            policy["keys"] = {"/list": "id"}
        return policy

    def starred(self, pointer):
        return "/".join("*" if token.isdigit() and self.random() < 0.5 else token for token in pointer.split("/"))

    # ---- Patches ----

    def place(self, document):
        """A pointer to something in a document, or beside it."""
        path = []
        while type(document) in (dict, list) and self.random() < 0.8:
            if type(document) is list:
                token = self.choice(["-"] + [str(number) for number in range(len(document) + 1)])
                inside = document[int(token)] if token.isdigit() and int(token) < len(document) else None
            else:
                token = self.choice(list(document) or self.keys) if self.random() < 0.8 else self.choice(self.keys)
                inside = document.get(token)
            path.append(token)
            document = inside
        return "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in path)

    def operation(self, document):
        op = self.choice(("add", "add", "remove", "replace", "move", "move", "copy", "test"))
        operation = {"op": op, "path": self.place(document)}
        if op in ("move", "copy"):
            operation["from"] = self.place(document)
        elif op == "test":
            try:
                operation["value"] = found(document, tokens_of(operation["path"]))
            except Refused:
                operation["value"] = self.value(2)
        elif op != "remove":
            operation["value"] = self.value(2)
        if self.random() < 0.1:
            operation["comment"] = 1
        return operation

    def mistaken(self, operation):
        what = self.random()
        if what < 0.15:
            return self.choice((1, "add", None, [], {}))
        operation = dict(operation)
        name = self.choice(list(operation))
        if what < 0.4:
            del operation[name]
        elif what < 0.6:
            operation[name] = self.choice((Decimal(1), None, "", "a", "/~", "/~2", "/a~", {}))
        elif what < 0.9:
            operation["path"] = self.choice(("/00", "/01", "/-1", "/1e0", "/ 0", "/0 ", "/99", "/99999999999999999999", "//", "/-", "/0/0"))
        else:
            operation["op"] = self.choice(("Add", "", "merge", "remove ", "tést"))
        return operation

    def patch(self, document):
        """A patch, of which most operations can be applied one after the other."""
        operations = []
        for _ in range(self.dice.randrange(1, 6)):
            operation = self.operation(document)
            try:
                document = applied(document, operation)
            except Refused:
                if self.random() < 0.7:
                    continue
            operations.append(operation)
            if document is MISSING and self.random() < 0.8:
                break
        if operations and self.random() < 0.3:
            index = self.dice.randrange(len(operations))
            operations[index] = self.mistaken(operations[index])
        return operations if self.random() < 0.99 else self.value()


# ---- Minimal ---------------------------------------------------------------------


def common_length(a, b):
    """Of the longest common subsequence."""
    row = [0] * (len(b) + 1)
    for x in a:
        before = row
        row = [0]
        for number, y in enumerate(b):
            row.append(before[number] + 1 if equal(x, y) else max(before[number + 1], row[-1]))
    return row[-1]


def fewest(a, b):
    """As many operations as a diff may have, None where that is not known."""
    if equal(a, b):
        return 0
    if type(a) is dict and type(b) is dict:
        inside = [fewest(a[key], b[key]) for key in a.keys() & b.keys()]
        return None if None in inside else sum(inside) + len(a.keys() ^ b.keys())
    if type(a) is list and type(b) is list:
        if any(type(value) in (dict, list) for value in a + b):
            return None
        return len(a) + len(b) - 2 * common_length(a, b)
    return 1


def has_arrays(value):
    return type(value) is list or type(value) is dict and any(map(has_arrays, value.values()))


# ---- The server ------------------------------------------------------------------

SETUP = """
    CREATE FUNCTION pg_temp.patched(doc jsonb, patch jsonb) RETURNS text LANGUAGE plpgsql AS $$
    BEGIN
        RETURN coalesce(diagsync.patch(doc, patch)::text, '-');
    EXCEPTION WHEN OTHERS THEN
        RETURN sqlstate;
    END $$;
    CREATE TEMPORARY TABLE pair (n integer, old jsonb, new jsonb, policy jsonb, start jsonb, patch jsonb)"""

# diff() without a policy, and what patch() makes of it; the same with one; a random patch.
ASK = """
    SELECT n, d::text, pg_temp.patched(old, d), p::text, pg_temp.patched(old, p), pg_temp.patched(start, patch)
      FROM (SELECT *, diagsync.diff(old, new) AS d, diagsync.diff(old, new, policy) AS p FROM pair OFFSET 0) AS called
     ORDER BY n"""

ERRORS = {"22023", "2202E"}


class Pair:
    def __init__(self, pairs):
        self.old, self.new = pairs.pair()
        self.policy = pairs.rules(self.new)
        self.start = self.old
        self.patch = pairs.patch(self.start)

    def line(self, number):
        return "\t".join((str(number), *map(column, (self.old, self.new, self.policy, self.start, self.patch))))


class Chunk:
    def __init__(self, cursor, seed, number, size):
        self.cursor = cursor
        self.name = f"--seed {seed} --chunk {number}"
        pairs = Pairs(f"{seed}/{number}/patches")
        self.pairs = [Pair(pairs) for _ in range(size)]
        self.counts = collections.Counter()
        self.checks = 0
        self.failures = []

    def run(self):
        self.cursor.execute("TRUNCATE pair")
        self.cursor.copy_expert("COPY pair FROM STDIN", io.StringIO(
            "\n".join(pair.line(number) for number, pair in enumerate(self.pairs))))
        self.cursor.execute(ASK)
        for number, diff, patched, by_policy, patched_by_policy, answer in self.cursor.fetchall():
            pair = self.pairs[number]
            self.look_at(pair, parse(diff), patched)
            self.look_at_policy(pair, parse(by_policy), patched_by_policy)
            self.look_at_patch(pair, answer)
        return self.counts, self.checks, self.failures

    def check(self, law, holds, pair, call, more):
        self.checks += 1
        if not holds and len(self.failures) < GIVE_UP:
            self.failures.append(f"{self.name}: {law}\nSELECT {call};\n    {more}")

    def look_at(self, pair, diff, patched):
        old, new = pair.old, pair.new
        call = f"diagsync.diff({literal(old)}, {literal(new)})"

        def law(name, holds):
            self.check(name, holds, pair, call, text(diff))

        result = old
        for operation in diff:
            self.counts["= " + operation["op"]] += 1
            before = result
            try:
                result = applied(before, operation)
            except Refused as reason:
                law(f"becomes, by apply(): {reason}", False)
                return
            law("each counts", not equal(before, result))
        law("becomes, by apply()", equal(result, new))
        law("becomes, by the server", equal(self.document(patched), new))
        law("nothing", (diff == []) == equal(old, new))
        most = None if MISSING in (old, new) else fewest(old, new)
        if most is not None:
            self.counts["minimal in objects" if not has_arrays(old) else "minimal in arrays of scalars"] += 1
            law(f"minimal: {len(diff)} of {most}", len(diff) <= most if has_arrays(old) else len(diff) == most)

    def look_at_policy(self, pair, diff, patched):
        old, new, rules = pair.old, pair.new, Rules(pair.policy)
        call = f"diagsync.diff({literal(old)}, {literal(new)}, {literal(pair.policy)})"

        def law(name, holds):
            self.check("policy: " + name, holds, pair, call, text(diff))

        same = rules.same(old, new)
        self.counts["the same, but not equal"] += same and not equal(old, new)
        if same and MISSING not in (old, new):
            law("nothing where they are the same", diff == [])
        result = old
        try:
            for operation in diff:
                tokens = tokens_of(operation["path"])
                law("nothing ignored", not rules.is_ignored(result, tokens))
                result = applied(result, operation)
        except Refused as reason:
            law(f"becomes, by apply(): {reason}", False)
            return
        law("becomes the same", rules.same(result, new))
        law("becomes the same, by the server", equal(self.document(patched), result))
        if pair.policy.get("keys") and any("move" == operation["op"] for operation in diff):
            self.counts["moved by key"] += 1

    def look_at_patch(self, pair, answer):
        try:
            expected = apply(pair.start, pair.patch)
            shown = "-" if expected is MISSING else text(expected)
            self.counts["patched"] += 1
        except Refused as reason:
            expected, shown = None, f"an error: {reason}"
            self.counts["refused: " + str(reason)] += 1
        if shown.startswith("an error"):
            holds = answer in ERRORS
        else:
            holds = answer not in ERRORS and equal(self.document(answer), expected)
        self.check("patches", holds, pair, f"diagsync.patch({literal(pair.start)}, {literal(pair.patch)})",
                   f"is {answer}\n    expected {shown}")

    @staticmethod
    def document(answer):
        return MISSING if answer == "-" else parse(answer)


# What must have come up, or the run says nothing about it.
CLASSES = ["= add", "= remove", "= replace", "= move", "minimal in objects", "minimal in arrays of scalars",
           "the same, but not equal", "moved by key", "patched",
           *("refused: " + reason for reason in (
               "no pointer", "no escape", "no index", "no document", "nothing there", "no place for it", "no operation", "no op",
               "no value", "another value", "into itself", "unknown op", "no patch"))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--triples", type=int, default=20000, help="how many pairs (default 20000)")
    parser.add_argument("--seed", type=int, default=None, help="of all random choices (default: another each time)")
    parser.add_argument("--chunk", type=int, default=None, help=f"only this chunk of {CHUNK} pairs")
    parser.add_argument("--processes", type=int, default=1, help="for laws.py")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1000000)
    print(f"seed {options.seed}", flush=True)

    started = time.monotonic()
    connection = psycopg2.connect("")
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute(SETUP)
    counts, checks, failures = collections.Counter(), 0, []
    chunks = range((options.triples + CHUNK - 1) // CHUNK)
    for number in chunks if options.chunk is None else [options.chunk]:
        size = min(CHUNK, options.triples - number * CHUNK) if options.chunk is None else CHUNK
        its_counts, its_checks, its_failures = Chunk(cursor, options.seed, number, size).run()
        counts += its_counts
        checks += its_checks
        failures += its_failures
        if len(failures) >= GIVE_UP:
            break

    if options.chunk is None and options.triples >= ENOUGH and not failures:
        failures += [f"--seed {options.seed}: no pair of the class: {name.lstrip('= ')}" for name in CLASSES if not counts[name]]
    for name in CLASSES + sorted(set(counts) - set(CLASSES)):
        print(f"  {counts[name]:9}  {name}")
    for failure in failures:
        print(f"\nFAILED: {failure}")
    print(f"patches: {checks} checks, seed {options.seed}, {time.monotonic() - started:.0f} s: "
          + (f"{len(failures)} failures" if failures else "all hold"))
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
