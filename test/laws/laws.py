#!/usr/bin/python3
"""The laws of diagsync.merge(), on random documents and policies.

Every triple of documents is merged by the server and by reference.py, which
was written from docs/merging.md alone; the answers must agree in every column.
Apart from that the server's answers must obey laws that hold whatever the
details are, so that the two cannot be wrong together unnoticed:

    one side        merge(b, x, b) and merge(b, b, x) are x, without conflict
    agreed          merge(b, x, x) is x
    swapped         with the sides swapped the same paths conflict, with the
                    values swapped; the merged document is the same, or prefers
                    the other side where the policy lets it
    again           merging the merged document with one it was made of, or
                    with itself, changes nothing
    granularity     "property" never conflicts where "entity" does not
    nothing new     every value in the merged document is somebody's
    nothing lost    what only one side changed is in the merged document, and
                    element by element where an array has keys
    associative     three edits of one base come out the same in whichever order
                    they are merged, but for the order of elements
    choices         once a value was chosen for each path, as docs/merging.md
                    says, nothing conflicts and the values are those chosen
    winners         of reference.py, which the model and the fuzzer hold against
                    the engine: the side that wins has its values where there
                    are conflicts, and nothing else of either side is lost

The last line says how many triples and checks there were.  Each class of
triples (kinds of conflicts, of special properties, ...) must have come up in a
run of 50,000 or more.  Chunks of triples depend on the seed and their own
number only:

    laws.py --seed 7 --chunk 12      the 12th chunk of seed 7 alone
    laws.py --self                   the laws on reference.py, without a server

The connection is that of PGHOST, PGPORT, PGUSER and PGDATABASE.
"""

import argparse
import collections
import decimal
import io
import json
import multiprocessing
import random
import sys
import time

sys.dont_write_bytecode = True  # the sources' folder stays clean

import psycopg2

import reference
from reference import MISSING, Policy, at, child, equal, parse_pointer

CHUNK = 2500  # triples of one statement
TRIOS = 200  # of each chunk, merged in two orders
GIVE_UP = 8  # failures
ENOUGH = 50000  # triples, for each class to come up
ROUNDS = 6  # of choices, where groups lead to more conflicts
Decimal = decimal.Decimal

# ---- Documents -----------------------------------------------------------------

# Keys of several lengths, in characters and in bytes: a jsonb object has its
# keys in order of bytes, the shorter first.  Some need escapes in a pointer,
# some look like escapes or like an index.
KEYS = ["a", "b", "c", "x", "y", "id", "pos", "size", "data", "", "~", "/", "a/b", "~0", "~1", "m~n", "0", "1", "01",
        "-", "é", "zz", "日本", "😀", "Ключ", "B", " ", "\"", "\\", "a\nb", "'", "%s", "a rather long key of many bytes"]
STRINGS = ["", "a", "b", "red", "blue", "1", "null", "é", "日本語", "😀", "a\tb", "it's", "\\", "\"", "/a/b"]
NUMBERS = [Decimal(text) for text in (
    "0", "1", "1.0", "1.00", "2", "3", "10", "-1", "-0.5", "0.1", "0.10", "0.3", "0.30000000000000004", "1.5",
    "99.999", "100", "100.0001", "1e3", "1e-20", "12345678901234567890.123456789", "12345678901234567890.123456788")]
ELEMENT_KEYS = ["A", "B", "C", "7", "-1", "\"", "a/b", ""] + [Decimal(number) for number in (0, 1, 7, -1)]
TOLERANCES = [Decimal(text) for text in ("0", "0.5", "0.5", "1", "0.0001", "1e-19", "2.0")]

quoted = {}


def text(value):
    """The JSON of a value.  (json.dumps knows no Decimal.)"""
    kind = type(value)
    if kind is str:
        if value not in quoted:
            quoted[value] = json.dumps(value, ensure_ascii=False)
        return quoted[value]
    if kind is dict:
        return "{" + ",".join([text(key) + ":" + text(inner) for key, inner in value.items()]) + "}"
    if kind is list:
        return "[" + ",".join([text(inner) for inner in value]) + "]"
    return "true" if value is True else "false" if value is False else "null" if value is None else str(value)


def parse(json_text):
    return MISSING if json_text is None else json.loads(json_text, parse_float=Decimal, parse_int=Decimal)


class Triple:
    __slots__ = ("base", "local", "public", "policy", "rules", "expected")

    def __init__(self, base, local, public, policy, rules):
        self.base, self.local, self.public = base, local, public
        self.policy = policy  # as JSON, None for none
        self.rules = rules  # the same as a Policy

    def documents(self):
        return self.base, self.local, self.public


class Generator:
    """Random triples.  Several are made from the same base and policy."""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.random = self.dice.random
        self.choice = self.dice.choice

    def triples(self, number):
        result = []
        while len(result) < number:
            self.keys = self.dice.sample(KEYS, 5) + self.dice.sample(KEYS[:10], 2)
            base = self.document()
            policy = self.policy(base)
            rules = Policy(policy)
            for _ in range(min(5, number - len(result))):
                result.append(Triple(base, *self.sides(base), policy, rules))
        return result

    # ---- Values ------------------------------------------------------------------

    def scalar(self):
        what = self.random()
        if what < 0.5:
            return self.choice(NUMBERS)
        if what < 0.8:
            return self.choice(STRINGS)
        return self.choice((True, False, None))

    def value(self, depth=0):
        what = self.random()
        if depth < 3 and what < 0.4 - 0.08 * depth:
            return self.object(depth + 1)
        if depth < 3 and what < 0.52:
            return [self.value(depth + 1) for _ in range(int(self.random() * 4))]
        return self.scalar()

    def object(self, depth=0):
        return {self.choice(self.keys): self.value(depth) for _ in range(int(self.random() * 5))}

    def document(self):
        what = self.random()
        if what < 0.06:
            return MISSING
        if what < 0.1:
            return self.value()
        result = self.object()
        while len(result) < 2:
            result[self.choice(self.keys)] = self.value()
        while self.random() < 0.3:
            result[self.choice(self.keys)] = self.keyed_array()
        return result

    def keyed_array(self, depth=0):
        elements = [self.element() for _ in range(int(self.random() * 5))]
        if self.random() < 0.95:
            elements = list({text(element.get("id")): element for element in elements}.values())
        if depth == 0 and elements and self.random() < 0.2:
            elements[0]["in"] = self.keyed_array(1)
        return elements

    def element(self):
        """With a key, that others may have; rarely without."""
        element = {self.choice("xyz"): self.value(2) for _ in range(int(self.random() * 3))}
        if self.random() < 0.99:
            element["id"] = self.choice(ELEMENT_KEYS)
        return element

    # ---- Policies ------------------------------------------------------------------

    def pointer(self, base, through_arrays=False):
        """Mostly of a property that is there, or beside one."""
        path, value = [], base
        while True:
            if type(value) is list and value and through_arrays and self.random() < 0.7:
                index = int(self.random() * len(value))
                path.append(str(index))
                value = value[index]
            elif type(value) is dict and value and self.random() < 0.9:
                key = self.choice(list(value))
                path.append(key)
                value = value[key]
            else:
                if not path or self.random() < 0.15:
                    path.append(self.choice(self.keys))
                break
            if self.random() < 0.45:
                break
        return reference.pointer(path)

    def policy(self, base):
        what = self.random()
        self.pointers = []
        self.arrays = []
        self.jitter = Decimal("0.1")
        if what < 0.05:
            return None
        granularity = "entity" if self.random() < 0.2 else "property"
        if what < 0.4:
            # Nothing special; no granularity means "entity".
            policy = {"granularity": granularity} if self.random() < 0.95 else {}
            if self.random() < 0.5:
                self.add_keys(base, policy, False)
            return policy
        policy = {}
        if self.random() < 0.95:
            policy["granularity"] = granularity
        several = lambda most: range(1 + int(self.random() * most))
        if self.random() < 0.4:
            policy["ignore"] = sorted({self.pointer(base, True) for _ in several(3)})
        if self.random() < 0.4:
            policy["latest"] = sorted({self.pointer(base) for _ in several(3)})
            if self.random() < 0.05:
                policy["latest"].append("")
        if self.random() < 0.4:
            policy["groups"] = [sorted({self.pointer(base) for _ in several(3)}) for _ in several(2)]
            if self.random() < 0.05:
                policy["groups"][0].append("")
        if self.random() < 0.4:
            policy["tolerance"] = self.choice(TOLERANCES)
            self.jitter = policy["tolerance"] or self.jitter
        if self.random() < 0.1:
            policy["references"] = ["/from", "/to"]
        if self.random() < 0.25:
            policy["null"] = "absent"
        self.add_keys(base, policy, True)
        for key in ("ignore", "latest"):
            self.pointers += map(parse_pointer, policy.get(key, ()))
        for group in policy.get("groups", ()):
            self.pointers += map(parse_pointer, group)
        # Members called "*" are nobody's business.
        self.pointers = [path for path in self.pointers if "*" not in path]
        return policy

    def add_keys(self, base, policy, marks):
        """For arrays in the base, and with `marks` what is said of their elements."""
        arrays = [key for key, value in base.items() if type(value) is list] if type(base) is dict else []
        keys = {reference.pointer([key]): "id" for key in arrays if self.random() < 0.8}
        if self.random() < 0.05:
            keys[self.pointer(base)] = "id"
        for array in list(keys):
            if self.random() < 0.3:
                keys[array + "/*/in"] = "id"
            self.arrays.append(parse_pointer(array)[0])
            if not marks:
                continue
            if self.random() < 0.15:
                policy["groups"] = policy.get("groups", []) + [[array + "/*/x", array + "/*/y"]]
            elif self.random() < 0.15:
                kind = self.choice(("ignore", "latest"))
                policy[kind] = policy.get(kind, []) + [array + "/*/" + self.choice("xyz")]
        if keys:
            policy["keys"] = keys

    # ---- Edits ---------------------------------------------------------------------

    def sides(self, base):
        """What the two sides made of the base: edits of both, then of each."""
        common = self.edited(base) if self.random() < 0.3 else base
        what = self.random()
        if what < 0.03:
            return common, common
        if what < 0.06:
            return common, self.jittered(common)
        local, public = common, common
        for _ in range(int(self.random() * 3.3)):
            local = self.edited(local)
        for _ in range(int(self.random() * 3.3)):
            public = self.edited(public)
        if self.arrays and self.random() < 0.6:
            array = self.choice(self.arrays)
            for _ in range(1 + int(self.random() * 2)):
                local, public = self.edited_at(local, array), self.edited_at(public, array)
        if what < 0.1:
            public = self.jittered(public)
        return local, public

    def edited_at(self, document, key):
        """In an array."""
        if type(child(document, key)) is not list:
            return document
        return {**document, key: self.edited_array(document[key])}

    def jittered(self, value):
        """The same again with all numbers a little different."""
        if type(value) is dict:
            return {key: self.jittered(inner) for key, inner in value.items()}
        if type(value) is list:
            return [self.jittered(inner) for inner in value]
        return self.close(value) if type(value) is Decimal else value

    def close(self, number):
        """Less than the tolerance away, exactly as far, or a little more."""
        return number + self.jitter * self.choice(
            (Decimal(0), Decimal("0.4"), Decimal("-0.4"), Decimal("0.9"), Decimal("-1"), Decimal("1.1")))

    def edited(self, document):
        """With one edit.  Documents share what was not edited."""
        what = self.random()
        if what < 0.02:
            return MISSING
        if type(document) is not dict:
            if what < 0.3 and type(document) is list:
                return self.edited_array(document)
            return self.document()
        if what < 0.03:
            return self.value()
        if what < 0.04:
            return {key: inner for key, inner in document.items() if self.random() < 0.7}

        # Go to an object in it and a key there, of a marked property or any.
        document = dict(document)
        inside = document
        path = None
        if self.pointers and self.random() < 0.5:
            path = self.choice(self.pointers)
        depth = 0
        while True:
            if path is not None and depth < len(path):
                key = path[depth]
                deeper = depth + 1 < len(path)
                if deeper and key not in inside and self.random() < 0.3:
                    inside[key] = {}
            else:
                key = self.choice(list(inside)) if inside and self.random() < 0.9 else self.choice(self.keys)
                deeper = self.random() < 0.6
            value = inside.get(key, MISSING)
            if type(value) is not dict or not deeper:
                break
            inside[key] = inside = dict(value)
            depth += 1

        what = self.random()
        if value is MISSING:
            inside[key] = self.value(depth)
        elif what < 0.15:
            del inside[key]
        elif what < 0.3:
            inside[self.choice(self.keys)] = self.value(depth)
        elif type(value) is dict and what < 0.8:
            value = dict(value)
            value[self.choice(list(value) or self.keys)] = self.scalar()
            inside[key] = value
        elif type(value) is list and what < 0.8:
            inside[key] = self.edited_array(value)
        elif type(value) is Decimal and what < 0.7:
            inside[key] = self.close(value)
        elif what < 0.85:
            inside[key] = self.scalar()
        else:
            inside[key] = self.value(depth)
        return document

    def edited_elements(self, array):
        """Of an array with keys."""
        array = list(array)
        what = self.random()
        index = int(self.random() * len(array))
        if not array or what < 0.3:
            array.insert(index, self.element())
        elif what < 0.45:
            del array[index]
        elif what < 0.65:
            array.insert(int(self.random() * len(array)), array.pop(index))
        else:
            element = array[index] = dict(array[index])
            if type(element.get("in")) is list and self.random() < 0.5:
                element["in"] = self.edited_array(element["in"])
            elif self.random() < 0.1:
                element.pop(self.choice("xyz"), None)
            else:
                element[self.choice("xyz")] = self.value(2)
        return array

    def edited_array(self, array):
        if self.random() < 0.95 and reference.keyed(array, "id") is not None:
            return self.edited_elements(array)
        array = list(array)
        what = self.random()
        index = int(self.random() * len(array))
        if not array or what < 0.25:
            array.insert(index, self.value(2))
        elif what < 0.4:
            del array[index]
        elif what < 0.5:
            array.reverse()
        elif what < 0.7:
            array = self.jittered(array)
        elif type(array[index]) is dict:
            array[index] = dict(array[index])
            array[index][self.choice(list(array[index]) or self.keys)] = self.scalar()
        else:
            array[index] = self.scalar()
        return array


# ---- Laws that need no server --------------------------------------------------


def nothing_new(merged, documents):
    """Every value in the merged document, but for objects, is in one of the
    others at the same path."""
    if merged is MISSING:
        return True
    if type(merged) is dict:
        documents = [document for document in documents if type(document) is dict]
        return bool(documents) and all(
            nothing_new(inner, [document[key] for document in documents if key in document])
            for key, inner in merged.items())
    elements = reference.keyed(merged, "id")
    if elements is not None and not any(equal(merged, document) for document in documents):
        arrays = [reference.keyed(document, "id") for document in documents if type(document) is list]
        return bool(arrays) and None not in arrays and all(
            nothing_new(element, [array[key] for array in arrays if key in array]) for key, element in elements.items())
    return any(equal(merged, document) for document in documents)


def nothing_lost(base, local, public, merged, node=None):
    """For policies without special keys, but for arrays with keys."""
    if equal(local, base):
        return equal(merged, public)
    if equal(public, base):
        return equal(merged, local)
    if equal(local, public):
        return equal(merged, local)
    documents = [{} if base is MISSING else base, local, public, merged]
    if node and node.element_key and type(local) is list:
        documents = [reference.keyed(document, "id") for document in (base, local, public, merged)]
        inside = lambda key: node.children.get("*")
    else:
        inside = lambda key: node.children.get(key) if node else None
    return all(type(document) is dict for document in documents) and all(
        nothing_lost(*(child(document, key) for document in documents), inside(key))
        for key in {**documents[0], **documents[1], **documents[2], **documents[3]})


def content(value):
    """Without the order of elements that have keys."""
    if type(value) is dict:
        return {key: content(inner) for key, inner in value.items()}
    if type(value) is list:
        elements = reference.keyed(value, "id")
        if elements is None:
            return [content(inner) for inner in value]
        return {"an array": {str(key): content(element) for key, element in elements.items()}}
    return value


class InTheWay(Exception):
    pass


def with_value(document, path, value):
    """The document with this value at the path, MISSING for none."""
    if not path:
        return value
    if type(document) is list:
        array = []
        elements = reference.keyed(document, path[0].partition("=")[0])
        if elements is None:
            raise InTheWay
        for key, element in (elements if path[0] in elements else {**elements, path[0]: MISSING}).items():
            if key == path[0]:
                element = with_value(element, path[1:], value)
            if element is not MISSING:
                array.append(element)
        return array
    if document is MISSING and value is not MISSING:
        document = {}
    if type(document) is not dict:
        if value is MISSING:
            return document
        raise InTheWay
    inner = with_value(child(document, path[0]), path[1:], value)
    document = dict(document)
    document.pop(path[0], None)
    if inner is not MISSING:
        document[path[0]] = inner
    return document


# ---- The server ----------------------------------------------------------------

# One row for each triple; `other` is the policy with the other granularity,
# `swapped` what is expected of the merge with the sides swapped.
TABLE = """
    CREATE TEMPORARY TABLE IF NOT EXISTS triple (
        n integer, base jsonb, local jsonb, public jsonb, policy jsonb, other jsonb, is_entity boolean,
        merged jsonb, conflict boolean, paths text[], base_values jsonb[], local_values jsonb[], public_values jsonb[],
        swapped jsonb)"""

MERGE = "diagsync.merge({}, {}, {}, policy)"
PLAINLY = "ROW({}, false, '{{}}'::text[], '{{}}'::jsonb[], '{{}}'::jsonb[], '{{}}'::jsonb[])"


def becomes(base, local, public, what):
    return MERGE.format(base, local, public) + " IS NOT DISTINCT FROM " + PLAINLY.format(what)


# m is the answer, s that for the sides swapped.
LAWS = [
    ("answer", "m IS NOT DISTINCT FROM"
     " ROW(merged, conflict, paths, base_values, local_values, public_values)"),
    ("swapped", "s IS NOT DISTINCT FROM"
     " ROW(swapped, (m).conflict, (m).paths, (m).base_values, (m).public_values, (m).local_values)"),
    ("one side: local", becomes("base", "local", "base", "local")),
    ("one side: local, as public", becomes("base", "base", "local", "local")),
    ("one side: public", becomes("base", "base", "public", "public")),
    ("one side: public, as local", becomes("base", "public", "base", "public")),
    ("agreed: local", becomes("base", "local", "local", "local")),
    ("agreed: public", becomes("base", "public", "public", "public")),
    ("again with public", "(m).conflict OR " + becomes("base", "(m).merged", "public", "(m).merged")),
    ("again with local", "(m).conflict OR " + becomes("base", "local", "(m).merged", "(m).merged")),
    ("again with itself", "(m).conflict OR " + becomes("(m).merged", "(m).merged", "(m).merged", "(m).merged")),
    ("granularity", "CASE WHEN is_entity THEN (m).conflict OR NOT"
     " (diagsync.merge(base, local, public, other)).conflict"
     " ELSE NOT (m).conflict OR (diagsync.merge(base, local, public, other)).conflict END"),
]

# Rows with a law that does not hold, and what is needed to say more.
# OFFSET 0 keeps the calls from being repeated wherever their results are used.
JUDGE = f"""
    SELECT n, broken, (m).merged::text, (m).conflict, (m).paths,
           (m).base_values::text[], (m).local_values::text[], (m).public_values::text[],
           (s).merged::text, (s).conflict, (s).paths,
           (s).base_values::text[], (s).local_values::text[], (s).public_values::text[]
      FROM (SELECT *, {" + ".join(f"CASE WHEN {law} THEN 0 ELSE {1 << bit} END" for bit, (_, law) in enumerate(LAWS))}
                   AS broken
              FROM (SELECT *, {MERGE.format("base", "local", "public")} AS m,
                           {MERGE.format("base", "public", "local")} AS s
                      FROM triple OFFSET 0) AS called OFFSET 0) AS judged
     WHERE broken <> 0 ORDER BY n"""

NULL = "\\N"


def column(value):
    """A document in a line of COPY."""
    return NULL if value is MISSING else text(value).replace("\\", "\\\\")


def array(elements):
    """An array in a line of COPY, of strings or None."""
    return ("{" + ",".join(["NULL" if element is None else
                            '"' + element.replace("\\", "\\\\").replace('"', '\\"') + '"'
                            for element in elements]) + "}").replace("\\", "\\\\").replace("\n", "\\n")


def documents_array(elements):
    return array([None if element is MISSING else text(element) for element in elements])


def literal(value):
    """In SQL."""
    return "NULL" if value is MISSING else "'" + text(value).replace("'", "''") + "'"


def as_sql(base, local, public, policy):
    values = base, local, public, MISSING if policy is None else policy
    return "SELECT * FROM diagsync.merge(\n    " + ",\n    ".join(map(literal, values)) + ");"


def shown(answer):
    merged, conflict, paths, *values = answer
    lines = [f"merged {'NULL' if merged is MISSING else text(merged)}, conflict {conflict}"]
    for index, path in enumerate(paths):
        lines.append("        " + " | ".join(
            [json.dumps(path, ensure_ascii=False)]
            + ["NULL" if side[index] is MISSING else text(side[index]) for side in values]))
    return "\n".join(lines)


def as_tuple(answer):
    return (answer.merged, answer.conflict, answer.paths, *answer.values)


def agree(answer, other):
    return (equal(answer[0], other[0]) and answer[1:3] == other[1:3]
            and all(len(mine) == len(its) and all(map(equal, mine, its)) for mine, its in zip(answer[3:], other[3:])))


class Server:
    """diagsync.merge()."""

    def __init__(self):
        connection = psycopg2.connect("")
        connection.autocommit = True
        self.cursor = connection.cursor()
        self.cursor.execute(TABLE)

    def merge(self, base, local, public, policy):
        self.cursor.execute(
            "SELECT merged::text, conflict, paths, base_values::text[], local_values::text[], public_values::text[]"
            " FROM diagsync.merge(%s, %s, %s, %s)",
            [None if value is MISSING else text(value) for value in (base, local, public)]
            + [None if policy is None else text(policy)])
        return self.answer(self.cursor.fetchone())

    @staticmethod
    def answer(row):
        merged, conflict, paths, *values = row
        return (parse(merged), conflict, paths, *([parse(value) for value in side] for side in values))

    def judge(self, triples):
        """Of each triple that does not obey all laws as they are written in
        SQL: which, and the two answers."""
        lines = []
        for number, triple in enumerate(triples):
            policy = triple.policy
            is_entity = policy is None or policy.get("granularity", "entity") == "entity"
            other = dict(policy or (), granularity="property" if is_entity else "entity")
            expected = triple.expected[0]
            lines.append("\t".join((
                str(number), column(triple.base), column(triple.local), column(triple.public),
                NULL if policy is None else column(policy), column(other), "t" if is_entity else "f",
                column(expected.merged), "t" if expected.conflict else "f", array(expected.paths),
                *map(documents_array, expected.values), column(triple.expected[1].merged))))
        self.fill(lines)
        self.cursor.execute(JUDGE)
        for number, broken, *rest in self.cursor.fetchall():
            yield (triples[number], {name for bit, (name, _) in enumerate(LAWS) if broken & 1 << bit},
                   self.answer(rest[:6]), self.answer(rest[6:]))

    def fill(self, lines):
        self.cursor.execute("TRUNCATE triple")
        self.cursor.copy_expert("COPY triple FROM STDIN", io.StringIO("\n".join(lines)))

    def merge_all(self, calls):
        """The merged documents, whether they conflict and where."""
        self.cursor.execute("TRUNCATE triple")
        self.cursor.copy_expert("COPY triple (n, base, local, public, policy) FROM STDIN", io.StringIO("\n".join(
            "\t".join((str(number), column(base), column(local), column(public),
                       NULL if policy is None else column(policy)))
            for number, (base, local, public, policy) in enumerate(calls))))
        self.cursor.execute(
            f"SELECT (m).merged::text, (m).conflict, (m).paths FROM (SELECT n, {MERGE.format('base', 'local', 'public')} AS m"
            " FROM triple OFFSET 0) AS called ORDER BY n")
        return [(parse(merged), conflict, paths) for merged, conflict, paths in self.cursor.fetchall()]


class Itself:
    """reference.py in the place of diagsync.merge()."""

    policies = {}

    def merge(self, base, local, public, policy):
        key = None if policy is None else text(policy)
        if key not in self.policies:
            self.policies = {key: Policy(policy)}
        return as_tuple(reference.merge(base, local, public, self.policies[key]))

    def judge(self, triples):
        for triple in triples:
            base, local, public = triple.documents()
            policy = triple.policy
            m = self.merge(base, local, public, policy)
            s = self.merge(base, public, local, policy)
            broken = set()

            def law(name, holds):
                if not holds:
                    broken.add(name)

            def becomes(name, base, local, public, what):
                law(name, agree(self.merge(base, local, public, policy), (what, False, [], [], [], [])))

            law("answer", agree(m, as_tuple(triple.expected[0])))
            law("swapped", agree(s, (triple.expected[1].merged, *m[1:4], m[5], m[4])))
            becomes("one side: local", base, local, base, local)
            becomes("one side: local, as public", base, base, local, local)
            becomes("one side: public", base, base, public, public)
            becomes("one side: public, as local", base, public, base, public)
            becomes("agreed: local", base, local, local, local)
            becomes("agreed: public", base, public, public, public)
            if not m[1]:
                becomes("again with public", base, m[0], public, m[0])
                becomes("again with local", base, local, m[0], m[0])
                becomes("again with itself", m[0], m[0], m[0], m[0])
            is_entity = policy is None or policy.get("granularity", "entity") == "entity"
            other = dict(policy or (), granularity="property" if is_entity else "entity")
            o = self.merge(base, local, public, other)
            law("granularity", (m[1] or not o[1]) if is_entity else (not m[1] or o[1]))
            if broken:
                yield triple, broken, m, s

    def merge_all(self, calls):
        return [self.merge(*call)[:3] for call in calls]


# ---- A chunk of triples ----------------------------------------------------------


class Chunk:
    def __init__(self, server, seed, number, size):
        self.server = server
        self.name = f"--seed {seed} --chunk {number}"
        self.triples = Generator(f"{seed}/{number}").triples(size)
        self.dice = random.Random(f"{seed}/{number}/choices")
        self.counts = collections.Counter()
        self.checks = 0
        self.failures = []

    def run(self):
        for triple in self.triples:
            expected = reference.merge(*triple.documents(), triple.rules)
            # Without these keys nothing prefers a side.
            swapped = expected
            if triple.rules.special or triple.rules.keys:
                swapped = reference.merge(triple.base, triple.public, triple.local, triple.rules)
            triple.expected = expected, swapped
            self.count(triple)

        actual = {}
        self.checks += len(self.triples) * len(LAWS)
        for triple, broken, answer, swapped in self.server.judge(self.triples):
            actual[triple] = answer[0]
            for law in sorted(broken):
                if not self.excused(triple, law, answer, swapped):
                    self.fail(triple, law, answer, swapped)

        for triple in self.triples:
            if not triple.expected[0].conflict:
                self.look_at(triple, actual.get(triple, triple.expected[0].merged))
        self.choose([triple for triple in self.triples if triple.expected[0].conflict])
        self.associate()
        self.let_win()
        return self.counts, self.checks, self.failures

    def excused(self, triple, law, answer, swapped):
        """Where docs/merging.md leaves open which of several values that are
        the same by the policy is taken, each of them will do."""
        expected = triple.expected[law == "swapped"]
        if law in ("answer", "swapped"):
            given = answer if law == "answer" else swapped
            if expected.noisy and given[1:] == (False, [], [], [], []) and self.same(triple, given[0], expected.merged):
                self.counts["left open by the documentation: which of the same values"] += 1
                return True
        elif law.startswith("again") and triple.rules.special and not answer[1]:
            base, local, public = triple.documents()
            merged = answer[0]
            again = self.server.merge(
                *{"again with public": (base, merged, public), "again with local": (base, local, merged),
                  "again with itself": (merged, merged, merged)}[law], triple.policy)
            if not again[1] and self.same(triple, again[0], merged):
                self.counts["merged again: the same, but not quite equal"] += 1
                return True
        return False

    @staticmethod
    def same(triple, value, other):
        rules = triple.rules
        merge = reference.Merge(value, other, other, rules)
        # Two values that are the same as a third are this close to each other.
        merge.tolerance *= 2
        return merge.same_in_all(value, other, rules.root, rules.root.owner or reference.PLAIN)

    def look_at(self, triple, merged):
        self.checks += 1
        if not nothing_new(merged, triple.documents()):
            self.fail(triple, "nothing new")
        if not triple.rules.special and not (triple.policy and "groups" in triple.policy):
            self.checks += 1
            if not nothing_lost(*triple.documents(), merged, triple.rules.root):
                self.fail(triple, "nothing lost")

    def associate(self):
        """Three edits of one base, merged in two orders."""
        trios = [(one, two) for one, two in zip(self.triples, self.triples[1:])
                 if one.rules is two.rules and one.rules.by_property and not one.rules.special
                 and "groups" not in one.policy and MISSING not in (one.base, one.local, one.public, two.local)
                 and one.base is two.base][:TRIOS]

        def merged(calls):
            answers = self.server.merge_all([call for call in calls if call])
            return [None if call is None else next(answers) for answers in [iter(answers)] for call in calls]

        first = merged([(one.base, one.local, one.public, one.policy) for one, _ in trios])
        other = merged([(one.base, one.public, two.local, one.policy) for one, two in trios])
        left = merged([None if m[1] else (one.base, m[0], two.local, one.policy) for (one, two), m in zip(trios, first)])
        right = merged([None if m[1] else (one.base, one.local, m[0], one.policy) for (one, two), m in zip(trios, other)])
        for (one, two), l, r in zip(trios, left, right):
            if l and r and not l[1] and not r[1]:
                self.checks += 1
                self.counts["three edits in two orders"] += 1
                if not equal(content(l[0]), content(r[0])):
                    self.fail(one, "associative", call=(one.base, one.public, two.local, one.policy))

    def let_win(self):
        """A side wins what conflicts; for policies without special keys and groups nothing else
        of either side is lost."""
        for triple in self.triples:
            if not triple.expected[0].conflict or not triple.rules.by_property or triple.rules.special \
                    or "groups" in triple.policy:
                continue
            base, local, public = triple.documents()
            for winner, document in (("local", local), ("public", public)):
                answer = reference.merge(base, local, public, triple.rules, winner)
                agreed = [local, public]
                try:
                    orders = False
                    for path in map(parse_pointer, answer.paths):
                        value = at(document, path)
                        if type(value) is list and type(at(answer.merged, path)) is list:
                            orders = True  # its order alone
                            continue
                        if not equal(at(answer.merged, path), value):
                            raise ValueError
                        agreed = [with_value(other, path, value) for other in agreed]
                    if not orders and not nothing_lost(*map(content, (base, *agreed, answer.merged))):
                        raise ValueError
                    self.checks += 1
                    self.counts["conflicts won by a side"] += 1
                except InTheWay:
                    self.counts["choices that cannot be set"] += 1
                except ValueError:
                    self.fail(triple, "winners: " + winner)

    def choose(self, triples):
        """A choice for each property in conflict, as docs/merging.md says."""
        calls = [(*triple.documents(), triple.policy) for triple in triples]
        conflicts = [triple.expected[0].paths for triple in triples]
        for round_ in range(ROUNDS):
            chosen = []
            for triple, (base, local, public, policy), paths in zip(triples, calls, conflicts):
                values = []
                try:
                    for path in map(parse_pointer, paths):
                        if self.dice.random() < 0.5:
                            value = at(local, path)
                            public = with_value(public, path, value)
                        else:
                            value = at(public, path)
                            local = with_value(local, path, value)
                        # Of an order that was chosen the elements may be chosen otherwise.
                        values = [(other, its) for other, its in values if other != path[:len(other)]]
                        values.append((path, value))
                    if base is MISSING:
                        base = {}
                    chosen.append((triple, (base, local, public, policy), values))
                except InTheWay:
                    # A member of a group, where the other side has no object
                    # that it could be in.
                    self.counts["choices that cannot be set"] += 1
            triples, calls, conflicts = [], [], []
            answers = self.server.merge_all([call for _, call, _ in chosen])
            for (triple, call, values), (merged, conflict, paths) in zip(chosen, answers):
                self.checks += 1
                if conflict and triple.policy and triple.policy.keys() & {"groups", "keys"} and round_ + 1 < ROUNDS:
                    # What was chosen for an object that has a member of a
                    # group in it changed the group.  So did what was chosen
                    # for a member in an object that is not there.  An element
                    # that was put back changed the order.
                    self.counts["choices that need another round"] += 1
                    triples.append(triple)
                    calls.append(call)
                    conflicts.append(paths)
                elif conflict or round_ == 0 and not all(equal(at(merged, path), value) for path, value in values):
                    self.fail(triple, "choices", call=call)

    # ---- Counts and failures -----------------------------------------------------

    def count(self, triple):
        base, local, public = triple.documents()
        expected = triple.expected[0]
        local_changed, public_changed = not equal(base, local), not equal(base, public)
        if expected.conflict:
            kind = "conflict"
        elif not local_changed and not public_changed:
            kind = "changed by nobody"
        elif not public_changed or not local_changed:
            kind = "changed by " + ("local" if local_changed else "public") + " only"
        elif equal(local, public):
            kind = "changed by both, to equal documents"
        elif equal(expected.merged, local) or equal(expected.merged, public):
            kind = "changed by both, becomes one side's"
        else:
            kind = "merged from both"
        self.counts["= " + kind] += 1
        for name in expected.seen:
            self.counts[name] += 1
        if len(expected.paths) > 1:
            self.counts["conflict at several paths"] += 1
        if any(document is MISSING for document in triple.documents()):
            self.counts["a document is missing"] += 1
        if any(document is None for document in triple.documents()):
            self.counts["a document is the JSON null"] += 1
        if expected.merged is MISSING and not expected.conflict:
            self.counts["deleted"] += 1
        policy = triple.policy or {}
        if triple.rules.special or "groups" in policy:
            self.counts["policy with special keys"] += 1
        else:
            self.counts["policy without special keys"] += 1
        self.counts["granularity " + policy.get("granularity", "not given")] += 1
        if triple.rules.keys:
            self.counts["policy with keys of elements"] += 1
        if triple.rules.null_is_absent:
            self.counts["policy where null is absent"] += 1
        if triple.policy is None:
            self.counts["no policy"] += 1

    def fail(self, triple, law, answer=None, swapped=None, call=None):
        lines = [f"{self.name}: {law}"]
        arguments = (*triple.documents(), triple.policy)
        expected = as_tuple(triple.expected[0])
        if law == "answer":
            arguments = self.shrunk(arguments)
            expected = as_tuple(reference.merge(*arguments[:3], Policy(arguments[3])))
            answer = self.server.merge(*arguments)
        elif law == "swapped":
            arguments = (triple.base, triple.public, triple.local, triple.policy)
            expected = as_tuple(triple.expected[1])
            answer = swapped
        lines.append(as_sql(*arguments))
        if answer:
            lines.append("    is      " + shown(answer))
        lines.append("    expected " + shown(expected))
        if call:
            lines += ["after the choices:", as_sql(*call), "    is      " + shown(self.server.merge(*call))]
        self.failures.append("\n".join(lines))
        if len(self.failures) >= GIVE_UP:
            raise GaveUp

    def shrunk(self, arguments):
        """Arguments as short as possible that still get a wrong answer."""
        def wrong(arguments):
            try:
                expected = reference.merge(*arguments[:3], Policy(arguments[3]))
                answer = self.server.merge(*arguments)
            except Exception:
                return False
            if expected.noisy:
                return False
            return not agree(answer, as_tuple(expected))

        progress = wrong(arguments)
        while progress:
            progress = False
            for shorter in shortenings(arguments):
                if wrong(shorter):
                    arguments = shorter
                    progress = True
                    break
        return arguments


class GaveUp(Exception):
    pass


def shortenings(arguments):
    *documents, policy = arguments
    paths = {path for document in documents for path in paths_of(document)}
    for path in sorted(paths, key=len):
        yield (*(without(document, path) for document in documents), policy)
    for number, document in enumerate(documents):
        for path in paths_of(document):
            yield (*documents[:number], without(document, path), *documents[number + 1:], policy)
    for path in paths_of(policy):
        shorter = without(policy, path)
        if not any(group == [] for group in shorter.get("groups", ())):
            yield (*documents, shorter)


def paths_of(value, path=()):
    for key in value if type(value) is dict else range(len(value)) if type(value) is list else ():
        yield path + (key,)
        yield from paths_of(value[key], path + (key,))


def without(value, path):
    if type(value) is dict and path[0] in value:
        value = dict(value)
    elif type(value) is list and type(path[0]) is int and path[0] < len(value):
        value = list(value)
    else:
        return value
    if len(path) == 1:
        del value[path[0]]
    else:
        value[path[0]] = without(value[path[0]], path[1:])
    return value


# ---- The run ---------------------------------------------------------------------

# What must have come up, or the run says nothing about it.
CLASSES = [
    "= changed by nobody", "= changed by local only", "= changed by public only",
    "= changed by both, to equal documents", "= changed by both, becomes one side's", "= merged from both",
    "= conflict",
    "a document is missing", "a document is the JSON null", "deleted",
    "policy with special keys", "policy without special keys", "no policy", "granularity entity",
    "granularity property", "granularity not given",
    "policy with keys of elements", "policy where null is absent",
    "objects merged", "objects that both inserted merged", "arrays merged by element",
    "an array with an element without a key", "order of elements in conflict", "order of elements changed",
    "three edits in two orders", "conflicts won by a side", "both deleted", "both inserted the same", "both changed to the same",
    "the same, but not quite equal",
    "entity in conflict", "conflict at several paths", "conflict of the whole document",
    "conflict: change/change", "conflict: delete/change", "conflict: change/delete", "conflict: insert/insert",
    "conflict: array", "conflict: object replaced/changed inside",
    "group of one side", "group in conflict", "group in conflict at several members",
    "group in conflict where one side has no place for it", "group in what the other side changed",
    "latest: one side", "latest: both, the newer", "latest value taken along",
    "ignored value of one side", "ignored value of both", "difference in ignore left out",
    "difference within the tolerance", "a special value with another in it",
]

options = None
server = None


def prepare():
    global server
    server = Itself() if options.self else Server()


def run_chunk(number):
    chunk = Chunk(server, options.seed, number, min(CHUNK, options.triples - number * CHUNK))
    try:
        return chunk.run()
    except GaveUp:
        return chunk.counts, chunk.checks, chunk.failures


def run_chunks(chunks):
    try:
        pool = multiprocessing.get_context("fork").Pool(options.processes, prepare)
    except OSError:
        # Without /dev/shm there are no locks between processes.
        prepare()
        yield from map(run_chunk, chunks)
        return
    with pool:
        yield from pool.imap_unordered(run_chunk, chunks)


def main():
    global options
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--triples", type=int, default=100000, help="how many (default 100000)")
    parser.add_argument("--seed", type=int, default=None, help="of all random choices (default: another each time)")
    parser.add_argument("--chunk", type=int, default=None, help=f"only this chunk of {CHUNK} triples")
    parser.add_argument("--processes", type=int, default=2, help="default 2")
    parser.add_argument("--self", action="store_true", help="the laws on reference.py, without a server")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1000000)
    print(f"seed {options.seed}", flush=True)

    started = time.monotonic()
    counts, checks, failures = collections.Counter(), 0, []
    chunks = range((options.triples + CHUNK - 1) // CHUNK)
    if options.chunk is not None:
        chunks = [options.chunk]
        options.triples = (options.chunk + 1) * CHUNK
    for its_counts, its_checks, its_failures in run_chunks(chunks):
        counts += its_counts
        checks += its_checks
        failures += its_failures
        if len(failures) >= GIVE_UP:
            break

    if options.chunk is None and options.triples >= ENOUGH and not failures:
        failures += [f"--seed {options.seed}: no triple of the class: {name.lstrip('= ')}"
                     for name in CLASSES if not counts[name]]
    for name in CLASSES + sorted(set(counts) - set(CLASSES)):
        print(f"  {counts[name]:9}  {name}")
    for failure in failures:
        print(f"\nFAILED: {failure}")
    triples = sum(count for name, count in counts.items() if name.startswith("= "))
    print(f"laws: {triples} triples, {checks} checks, seed {options.seed}, {time.monotonic() - started:.0f} s: "
          + (f"{len(failures)} failures" if failures else "all hold"))
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
