#!/usr/bin/python3
"""Real concurrent edits of real diagrams, merged by diagsync.

The corpus is a folder of diagrams from public repositories: three-way merges
(base, two versions, and what was committed in the end) and histories.  Each
merge is done by real syncs under each policy: the base is shared, one version
becomes the local copy, the other the shared one, and what merge(), changes(),
conflicts(), status(), push() and pull() then say and do is compared with a
second implementation of docs/merging.md, the class Policy below, which shares
nothing with that of the extension.  (Arrays with keys, and what it is where a side
wins, are merged by that of the laws.)  Then what is left in conflict is resolved
by each rule, and both ends have to be what the rule says.  Histories are
replayed with each version saved at one end and synced to the other.

The report says what the policies are worth on these files: how many conflicts
are left, what is merged, how often that is what was committed.  The committed
version is no ground truth, so that figure is not checked.

The connection is that of PGHOST, PGPORT, PGUSER and PGDATABASE; the database
has the extension and is left as it was.  DIAGSYNC_SHARED is the folder
(default: ../shared/corpus beside the project); without it nothing is checked.
"""

import argparse
import collections
import copy
import gzip
import hashlib
import json
import os
import pathlib
import sys
import time
import traceback
from decimal import Decimal

import psycopg2

sys.dont_write_bytecode = True  # the sources' folder stays clean
sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "laws"))

import reference

FOLDER = pathlib.Path(os.environ.get("DIAGSYNC_SHARED") or pathlib.Path(__file__).resolve().parents[2] / "../shared/corpus")
LOCAL, PUBLIC = f"corpus-{os.getpid()}-local", f"corpus-{os.getpid()}-public"
TABLES = {"local": "diagsync_local.entity", "public": "diagsync_public.entity"}
DIAGRAMS = {"local": LOCAL, "public": PUBLIC}
OTHER = {"local": "public", "public": "local"}
PRESETS = {"reactflow": "reactflow", "jsoncanvas": "jsoncanvas", "immersive": "immersive", "grafana": "grafana"}
# Where an entity names another one, for formats with and without a preset.
REFERENCES = {
    "reactflow": ["/source", "/target", "/parentNode", "/parentId"],
    "grafana": ["/_parent"],
    "immersive": ["/from", "/to", "/parent"],
}
LONGEST_ID = 400


# ---- Documents, and merging them: docs/merging.md, a second time ---------------

class Absent:
    """The value that a version does not have; None is the JSON null."""

    def __repr__(self):
        return "–"


ABSENT = Absent()
IGNORED = "ignored"


def equal(a, b, tolerance=0):
    """Equality by value.  (In Python true is 1, in JSON it is not.)"""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key], tolerance) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(equal(x, y, tolerance) for x, y in zip(a, b))
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return a == b or bool(tolerance) and abs(Decimal(repr(a)) - Decimal(repr(b))) < tolerance
    return type(a) is type(b) and a == b


def exact(value):
    """For the reference of the laws, which has numbers as Decimal."""
    if value is ABSENT:
        return reference.MISSING
    return json.loads(json.dumps(value), parse_int=Decimal, parse_float=Decimal)


def plain(value):
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return ABSENT if value is reference.MISSING else value


def parse(pointer):
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:])


def pointer_of(place):
    return "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in place)


def document_order(place):
    """As jsonb keeps its keys: by length, then by bytes."""
    return [(len(token.encode()), token.encode()) for token in place]


def inside(place, others):
    """Is a place one of the others, or inside of one?"""
    return any(place[:len(other)] == other for other in others)


def element_at(array, token):
    """Where an element with that name is, of an array whose elements have keys."""
    name = token.partition("=")[0]
    for number, element in enumerate(array):
        key = element.get(name) if isinstance(element, dict) else None
        if isinstance(key, (str, int)) and reference.Element(name, exact(key)) == token:
            return number
    return None


def value_at(document, place):
    for key in place:
        if isinstance(document, list):
            number = element_at(document, key)
            document = ABSENT if number is None else document[number]
        else:
            document = document.get(key, ABSENT) if isinstance(document, dict) else ABSENT
    return document


def with_value_at(document, place, value):
    """A copy that has this value there, or none; what is above exists."""
    document = copy.deepcopy(document)
    above = value_at(document, place[:-1])
    if isinstance(above, list):
        number = element_at(above, place[-1])
        above[len(above) if number is None else number:len(above) if number is None else number + 1] = \
            [] if value is ABSENT else [value]
        return document
    if value is ABSENT:
        above.pop(place[-1], None)
    else:
        above[place[-1]] = value
    return document


def edits(base, version, place=()):
    """Where a version differs from its base, and its values there: as deep as objects go."""
    if isinstance(base, dict) and isinstance(version, dict):
        for key in base.keys() | version.keys():
            yield from edits(base.get(key, ABSENT), version.get(key, ABSENT), place + (key,))
    elif not equal(base, version):
        yield place, version


class Region:
    """Values that count as one: those of a group, or one of `latest`."""

    def __init__(self, kind, places):
        self.kind = kind
        self.places = places


class Node:
    """A place in documents that some pointer names or leads through."""

    def __init__(self):
        self.region = None  # IGNORED, a Region, or what the place above is
        self.below = {}


Merge = collections.namedtuple("Merge", "merged conflict paths")


class Policy:
    """A merge policy as set_merge_policy() returns it, presets written out."""

    def __init__(self, stored):
        stored = stored or {}
        self.granularity = stored.get("granularity") or "entity"
        self.tolerance = Decimal(repr(stored.get("tolerance") or 0))
        self.references = [parse(pointer) for pointer in stored.get("references") or []]
        self.root = Node()
        self.regions = []
        self.rules = reference.Policy(exact(stored))

        # What is inside the ignored is ignored, and what is inside `latest` is part of it.
        ignored = [parse(pointer) for pointer in stored.get("ignore") or []]
        latest = [parse(pointer) for pointer in stored.get("latest") or []]
        latest = [place for place in latest if not inside(place, ignored + [p for p in latest if p != place])]
        groups = [{place for place in map(parse, group) if not inside(place, ignored + latest)}
                  for group in stored.get("groups") or []]
        if self.granularity == "entity" and () not in ignored + latest:
            groups.append({()})
        for group in self.joined(group for group in groups if group):
            self.add(Region("group", group), group)
        for place in latest:
            self.add(Region("latest", [place]), [place])
        for place in ignored:
            self.at(place).region = IGNORED

    @staticmethod
    def joined(groups):
        """Groups that share a value, one inside the other too, are one."""
        done = []
        for group in groups:
            apart = []
            for other in done:
                if any(a[:len(b)] == b or b[:len(a)] == a for a in group for b in other):
                    group = group | other
                else:
                    apart.append(other)
            done = apart + [group]
        return [sorted(p for p in group if not any(p != q and p[:len(q)] == q for q in group)) for group in done]

    def at(self, place):
        node = self.root
        for key in place:
            node = node.below.setdefault(key, Node())
        return node

    def add(self, region, places):
        self.regions.append(region)
        for place in places:
            self.at(place).region = region

    # ---- The same ----

    def alike(self, a, b, node, left_out):
        """Are two values the same, but for what is left out?"""
        if node is not None and node.region is not None and left_out(node.region):
            return True
        if node is not None and node.below:
            if isinstance(a, dict) and isinstance(b, dict):
                return all(self.alike(a.get(key, ABSENT), b.get(key, ABSENT), node.below.get(key), left_out)
                           for key in a.keys() | b.keys())
            if isinstance(a, list) and isinstance(b, list):
                return len(a) == len(b) and all(
                    self.alike(x, y, node.below.get(str(n)), left_out) for n, (x, y) in enumerate(zip(a, b)))
        return equal(a, b, self.tolerance)

    def same(self, a, b, node=None):
        return self.alike(a, b, node or self.root, lambda region: region is IGNORED)

    # ---- The merge of one document ----

    def merge(self, base, local, public, newer="public"):
        if self.rules.keys:
            answer = self.refer(base, local, public, newer)
            return Merge(plain(answer.merged), answer.conflict, answer.paths)
        versions = {"base": base, "local": local, "public": public}
        taken, paths = {}, set()
        for region in self.regions:
            taken[region] = self.whose(region, versions, newer, paths)
        merged = self.build(base, local, public, self.root, (), taken, newer, paths)
        if base is ABSENT and not paths and None not in (local, public) and self.granularity == "property" \
                and ABSENT not in (local, public) and not self.same(local, public) \
                and not self.alike(local, public, self.root, lambda found: found is IGNORED or found.kind == "latest"):
            paths.add(())
        outermost = [p for p in paths if not any(p != q and p[:len(q)] == q for q in paths)]
        paths = [pointer_of(place) for place in sorted(outermost, key=document_order)]
        return Merge(ABSENT if paths else merged, bool(paths), paths)

    def refer(self, base, local, public, newer, winner=None):
        """The merge by the reference of the laws, whose newer side is the public one."""
        swapped = newer == "local"
        sides = (public, local) if swapped else (local, public)
        if swapped and winner:
            winner = OTHER[winner]
        return reference.merge(exact(base), *map(exact, sides), self.rules, winner, swapped)

    def won_by(self, winner, base, local, public, newer, dangling):
        """What it is where a side wins: its values where it conflicts, and where references
        would dangle, with their groups."""
        answer = self.refer(base, local, public, newer, winner)
        merged = plain(answer.merged)
        for place in map(parse, dangling):
            groups = [region.places for region in self.regions if region.kind == "group" and inside(place, region.places)]
            for its in groups[0] if groups else [place]:
                merged = with_value_at(merged, its, value_at({"local": local, "public": public}[winner], its))
        return merged

    def whose(self, region, versions, newer, paths):
        """The side whose values a region takes; adds to the paths where they conflict."""
        def alike(one, other, place):
            return self.alike(value_at(versions[one], place), value_at(versions[other], place), self.at(place),
                              lambda found: found is not region)

        changed = [side for side in OTHER if not all(alike("base", side, place) for place in region.places)]
        if len(changed) < 2:
            return changed[0] if changed else None
        if region.kind == "latest":
            return newer
        for place in region.places:
            if not alike("local", "public", place):
                # Where a side inserted, deleted or replaced it with what is above, it conflicts there.
                above = [place[:depth] for depth in range(len(place))
                         if not all(isinstance(value_at(version, place[:depth]), dict)
                                    or name == "base" and value_at(version, place[:depth]) is ABSENT
                                    for name, version in versions.items())]
                paths.add((above + [place])[0])
        return None

    @staticmethod
    def pick(base, local, public, newer):
        """Of values that are the same, or are ignored: the one that differs from the base."""
        if equal(local, base):
            return public
        if equal(public, base):
            return local
        return {"local": local, "public": public}[newer]

    def build(self, base, local, public, node, place, taken, newer, paths, region=None):
        """The value at a place, which is in a region; adds to the paths where no region has it and it conflicts."""
        here = node or Node()
        if here.region is IGNORED:
            return self.pick(base, local, public, newer)
        region = here.region or region
        side = taken[region] if region is not None else None
        objects = all(isinstance(value, dict) for value in (base, local, public))
        added = base is ABSENT and isinstance(local, dict) and isinstance(public, dict) and region is None
        if side is not None and not (objects and here.below):
            return {"local": local, "public": public}[side]
        changed = [name for name, value in (("local", local), ("public", public)) if not self.same(base, value, here)]
        if not changed or self.same(local, public, here):
            return self.pick(base, local, public, newer)
        if len(changed) == 1 and side in (None, changed[0]):
            return local if changed == ["local"] else public

        if objects or added:
            result = {}
            for key in local.keys() | public.keys():
                value = self.build(ABSENT if added else base.get(key, ABSENT), local.get(key, ABSENT), public.get(key, ABSENT),
                                   here.below.get(key), place + (key,), taken, newer, paths, region)
                if value is not ABSENT:
                    result[key] = value
            return result

        # Inserted by both, or deleted or replaced by one: that takes along what is `latest` below.
        def kept(a, b):
            return self.alike(a, b, here, lambda found: found is IGNORED or found.kind == "latest")
        if kept(base, public):
            return local
        if kept(base, local):
            return public
        if not kept(local, public):
            paths.add(place)
        return {"local": local, "public": public}[newer]


# ---- What syncs have to say and do about one merge ------------------------------

class Verdict:
    """What is to become of one entity."""

    def __init__(self, policy, entity, base, local, public, newer):
        self.id = entity
        self.base, self.local, self.public, self.newer = base, local, public, newer
        self.change = {side: self.change_of(policy, getattr(self, side)) for side in OTHER}
        self.agreed = all(self.change.values()) and policy.same(local, public)
        if self.agreed:
            self.change = {side: None for side in OTHER}
        self.both = all(self.change.values())
        self.conflict, self.paths, self.merged, self.merges = None, [], ABSENT, False
        self.dangling = []
        if self.both:
            merge = policy.merge(base, local, public, newer)
            self.merged, self.paths, self.merges = merge.merged, merge.paths, not merge.conflict
            if merge.conflict:
                self.conflict = ("insert_insert" if base is ABSENT else "update_delete" if public is ABSENT
                                 else "delete_update" if local is ABSENT else "update_update")

    def change_of(self, policy, version):
        if policy.same(self.base, version):
            return None
        return "insert" if self.base is ABSENT else "delete" if version is ABSENT else "update"

    @property
    def changed(self):
        return any(self.change.values())

    @property
    def side(self):
        return "both" if self.both else next((side for side in OTHER if self.change[side]), None)

    def left_at(self, side):
        """What a sync that skips conflicts leaves there, of an entity that this side changed."""
        return self.merged if self.merges else getattr(self, side)


def references_of(policy, document):
    """The ids at reference pointers: of each place those of one entity, or of an array."""
    for place in policy.references:
        value = value_at(document, place)
        for target in value if isinstance(value, list) else [value]:
            if isinstance(target, str):
                yield pointer_of(place), target


def classify(policy, base, ours, theirs, newer):
    """The verdict on each entity of a merge, dangling references included."""
    verdicts = {
        entity: Verdict(policy, entity, base.get(entity, ABSENT), ours.get(entity, ABSENT), theirs.get(entity, ABSENT), newer)
        for entity in sorted(base.keys() | ours.keys() | theirs.keys())}
    dangling = {}
    for entity, verdict in verdicts.items():
        for side in OTHER:
            if not verdict.change[side]:
                continue
            for path, target in references_of(policy, verdict.left_at(side)):
                aim = verdicts.get(target)
                # The end that refers may have deleted it as well: then it is agreed.
                if aim is not None and aim.change[OTHER[side]] == "delete":
                    dangling.setdefault(entity, set()).add(path)
                    dangling.setdefault(target, {""})
    for entity, paths in dangling.items():
        verdicts[entity].dangling = sorted(paths, key=lambda path: document_order(parse(path)))
        if verdicts[entity].conflict is None:
            verdicts[entity].conflict = "dangling"
            verdicts[entity].paths = sorted(paths, key=lambda path: document_order(parse(path)))
    return verdicts


def after_skip(verdicts, side):
    """What an end holds once everything but the conflicts was pushed and pulled."""
    contents = {}
    for entity, verdict in verdicts.items():
        document = getattr(verdict, side)
        if verdict.conflict is None and verdict.changed:
            document = verdict.merged if verdict.both else getattr(verdict, verdict.side)
        if document is not ABSENT:
            contents[entity] = document
    return contents


# ---- Checks --------------------------------------------------------------------

class Checks:
    def __init__(self, shown):
        self.shown = shown
        self.count = 0
        self.failed = 0
        self.where = ""

    def fail(self, text):
        self.failed += 1
        if self.failed <= self.shown:
            print(f"FAILED: {self.where}: {text}", flush=True)
        elif self.failed == self.shown + 1:
            print("FAILED: more, which are only counted", flush=True)

    def __call__(self, good, *what):
        self.count += 1
        if not good:
            self.fail(" ".join(part if isinstance(part, str) else shorten(part) for part in what))
        return good

    def contents(self, what, found, expected):
        """Compares what an end holds; equal means equal to the last bit."""
        wrong = [entity for entity in sorted(found.keys() | expected.keys())
                 if not equal(found.get(entity, ABSENT), expected.get(entity, ABSENT))]
        return self(not wrong, f"{what}: {len(wrong)} entities are not as they should be;",
                    *[f"{entity}: found {shorten(found.get(entity, ABSENT))}, expected {shorten(expected.get(entity, ABSENT))}"
                      for entity in wrong[:2]])


def shorten(value):
    text = repr(value) if isinstance(value, Absent) else json.dumps(value, default=repr, ensure_ascii=False)
    return text if len(text) <= 400 else text[:400] + f"… ({len(text)} characters)"


class Database:
    def __init__(self):
        self.connection = psycopg2.connect("", application_name="corpus")
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        self.all("SET statement_timeout = '60s'", returns=False)
        self.all("SET client_min_messages = warning", returns=False)

    def all(self, sql, *values, returns=True):
        self.cursor.execute(sql, values or None)
        return self.cursor.fetchall() if returns else None

    def row(self, sql, *values):
        return self.all(sql, *values)[0]

    def do(self, sql, *values):
        self.all(sql, *values, returns=False)

    # ---- Diagrams ----

    def drop(self):
        self.do("SELECT diagsync.drop_diagram(id) FROM diagsync.directory WHERE id = ANY (%s)", [PUBLIC, LOCAL])

    def write(self, side, before, after):
        """Edits as an application makes them: rows that differ, and those only."""
        table, diagram = TABLES[side], DIAGRAMS[side]
        gone = sorted(before.keys() - after.keys())
        new = {entity: after[entity] for entity in after.keys() - before.keys()}
        other = {entity: after[entity] for entity in after.keys() & before.keys() if not equal(after[entity], before[entity])}
        if gone:
            self.do(f"DELETE FROM {table} WHERE diagram_id = %s AND id = ANY (%s)", diagram, gone)
        if new:
            self.do(f"INSERT INTO {table} (diagram_id, id, doc) SELECT %s, key, value FROM jsonb_each(%s)",
                    diagram, json.dumps(new))
        if other:
            self.do(f"UPDATE {table} SET doc = value FROM jsonb_each(%s) WHERE diagram_id = %s AND id = key",
                    json.dumps(other), diagram)

    def contents(self, side):
        text, = self.row(f"SELECT coalesce(jsonb_object_agg(id, doc), '{{}}')::text FROM {TABLES[side]} WHERE diagram_id = %s",
                         DIAGRAMS[side])
        return json.loads(text)

    def set_policy(self, policy):
        text, = self.row("SELECT diagsync.set_merge_policy(%s, %s)::text", LOCAL, None if policy is None else json.dumps(policy))
        return text and json.loads(text)

    # ---- What diagsync says ----

    def status(self):
        return self.row("SELECT state, local_changes, public_changes, conflicts FROM diagsync.status(%s)", LOCAL)

    def changes(self, function):
        rows = self.all(
            f"SELECT entity_id, side, local_change, public_change, conflict, paths, base::text, local::text, public::text"
            f" FROM diagsync.{function}(%s)", LOCAL)
        return {row[0]: row[1:5] + (row[5] or [],) + tuple(map(document, row[6:])) for row in rows}

    def sync(self, what, rule="abort", **more):
        return dict(zip(
            ("success", "documents_updated", "inserted", "updated", "deleted", "merged", "resolved", "conflicts", "plan"),
            self.row(f"SELECT success, documents_updated, inserted, updated, deleted, merged, resolved, conflicts, plan"
                     f" FROM diagsync.{what}(%s, on_conflict => %s, allow_deletions => true"
                     + "".join(f", {name} => %s" for name in more) + ")", LOCAL, rule, *more.values())))


def document(text):
    return ABSENT if text is None else json.loads(text)


# ---- One merge under one policy ---------------------------------------------------

class Case:
    """A merge, done by real syncs and compared with the verdicts."""

    def __init__(self, database, check, merge, policy, turn):
        self.database = database
        self.check = check
        self.merge = merge
        self.asked = policy
        # Which end edits last, whether the policy is there before the link, and
        # whether a push or a pull comes first: all have to do the same.
        self.newer = ("local", "public")[turn // 2 % 2]
        self.policy_first = turn % 2 == 0
        self.order = (("push", "pull"), ("pull", "push"))[turn // 4 % 2]
        self.policy = None
        self.verdicts = {}

    def run(self):
        database = self.database
        database.drop()
        try:
            self.make()
            self.check_stats()
            self.check_merge()
            self.check_changes()
            self.check_abort()
            self.skip()
            if self.of("conflict"):
                for rule in ("local", "public", "newest", "both"):
                    database.do("BEGIN")
                    try:
                        self.resolve(rule)
                    finally:
                        database.do("ROLLBACK")
        finally:
            database.drop()
        return self

    def of(self, what):
        return [verdict for verdict in self.verdicts.values() if getattr(verdict, what)]

    def make(self):
        database, merge = self.database, self.merge
        database.do("SELECT diagsync.create_diagram('Corpus', 'local', %s)", LOCAL)
        database.write("local", {}, merge["base"])
        stored = database.set_policy(self.asked) if self.policy_first else None
        database.do("SELECT diagsync.share(%s, %s)", LOCAL, PUBLIC)
        for side in (OTHER[self.newer], self.newer):
            database.write(side, merge["base"], merge["ours" if side == "local" else "theirs"])
        if not self.policy_first:
            stored = database.set_policy(self.asked)
        self.check((stored is None) == (self.asked is None), "set_merge_policy returned", stored)
        self.policy = Policy(stored)
        self.verdicts = classify(self.policy, merge["base"], merge["ours"], merge["theirs"], self.newer)

    def check_stats(self):
        """The corpus counts by its own means where the two sides met: so far both readings must agree."""
        stats = self.merge.get("stats")
        if stats is None or self.asked not in (None, {"granularity": "property"}):
            return
        found = {"both_identical": len(self.of("agreed")), "both_differ": len(self.of("both"))}
        for side, name in (("local", "ours_changed"), ("public", "theirs_changed")):
            found[name] = len([v for v in self.verdicts.values() if v.agreed or v.change[side]])
        self.check(all(stats[name] == found[name] for name in found), "the corpus counts", stats, "and here are", found)
        # (It also counts what both inserted.)
        if self.asked and not self.merge["add_add"]:
            disjoint = stats["mod_mod_disjoint_props"] + stats["same_prop_but_disjoint_leaves"]
            merged = len([v for v in self.of("both") if not v.conflict])
            self.check(merged == disjoint, f"{merged} entities merge, and the corpus counts {disjoint}")

    # ---- merge() by itself ----

    def call_merge(self, triples):
        """diagsync.merge() of {id: (base, local, public)}, in one statement."""
        values = [dict(id=entity, **{name: version for name, version in zip(("base", "local", "public"), triple)
                                     if version is not ABSENT})
                  for entity, triple in triples.items()]
        rows = self.database.all(
            "SELECT e ->> 'id', m.merged::text, m.conflict, m.paths, m.base_values::text[], m.local_values::text[],"
            " m.public_values::text[] FROM jsonb_array_elements(%s) AS e,"
            " diagsync.merge(e -> 'base', e -> 'local', e -> 'public', %s) AS m",
            json.dumps(values), None if self.asked is None else json.dumps(self.asked))
        return {row[0]: (Merge(document(row[1]), row[2], row[3]), row[4:]) for row in rows}

    def check_merge(self):
        check = self.check
        triples = {entity: (v.base, v.local, v.public) for entity, v in self.verdicts.items()}
        found = self.call_merge(triples)
        check(found.keys() == triples.keys(), "merge(): a row for each entity")
        for entity, triple in triples.items():
            merge, values = found[entity]
            expected = self.policy.merge(*triple)
            if not check(merge.conflict == expected.conflict and merge.paths == expected.paths
                         and equal(merge.merged, expected.merged),
                         f"merge() of {entity} is {merge.conflict}", merge.paths, merge.merged,
                         f"and should be {expected.conflict}", expected.paths, expected.merged):
                continue
            for name, column, version in zip(("base", "local", "public"), values, triple):
                check(equal([document(text) for text in column], [value_at(version, parse(path)) for path in expected.paths]),
                      f"merge() of {entity}: the {name} values", column)
            if not expected.conflict and all(region.kind != "latest" for region in self.policy.regions):
                self.check_edits(entity, triple, merge.merged)
        self.check_choice({entity: triple for entity, triple in triples.items()
                           if found[entity][0].conflict and found[entity][0].paths != [""]},
                          {entity: found[entity][0].paths for entity in triples})

    def check_edits(self, entity, triple, merged):
        """Every edit of either side is in what is merged: said again without the rules of merging."""
        base, *sides = triple
        lost = []
        for side in sides:
            for place, value in edits(base, side):
                if inside(place, self.policy.rules.keys):
                    continue  # an array that is merged by element
                node, ignored = self.policy.root, False
                for key in place:
                    node = node.below.get(key) if node is not None else None
                    if node is not None and node.region is not None:
                        ignored = node.region is IGNORED
                # What is ignored, or within the tolerance, is no edit.
                if not ignored and not self.policy.same(value_at(base, place), value, node or Node()) \
                        and not self.policy.same(value_at(merged, place), value, node or Node()):
                    lost.append(pointer_of(place))
        self.check(not lost, f"merge() of {entity} lost edits at", lost)

    def check_choice(self, triples, paths):
        """A dialog's choice for each property, as docs/merging.md says how."""
        chosen, expected = {}, {}
        for entity, (base, local, public) in triples.items():
            picks = []
            for number, path in enumerate(paths[entity]):
                place = parse(path)
                if number % 2:
                    picks.append((place, value_at(local, place)))
                    public = with_value_at(public, place, value_at(local, place))
                else:
                    picks.append((place, value_at(public, place)))
                    local = with_value_at(local, place, value_at(public, place))
            chosen[entity] = ({} if base is ABSENT else base, local, public)
            expected[entity] = picks
        if chosen:
            for entity, (merge, _) in self.call_merge(chosen).items():
                self.check(not merge.conflict and all(equal(value_at(merge.merged, place), value)
                                                      for place, value in expected[entity]),
                           f"a choice for each property of {entity} comes to", merge.conflict, merge.paths, merge.merged)

    # ---- What is to be synced ----

    def check_changes(self):
        check, verdicts = self.check, self.verdicts
        expected = {}
        for entity, v in verdicts.items():
            if v.changed:
                expected[entity] = (v.side, v.change["local"], v.change["public"], v.conflict, v.paths, v.base, v.local, v.public)
        for function, wanted in (("changes", expected),
                                 ("conflicts", {entity: row for entity, row in expected.items() if row[3]})):
            found = {entity: row for entity, row in self.database.changes(function).items() if row[0] is not None}
            check(found.keys() == wanted.keys(), f"{function}() has too many or too few:", sorted(found.keys() ^ wanted.keys()))
            for entity in found.keys() & wanted.keys():
                check(found[entity][:5] == wanted[entity][:5],
                      f"{function}() says of {entity}", found[entity][:5], "and should say", wanted[entity][:5])
                check(all(map(equal, found[entity][5:], wanted[entity][5:])), f"{function}(): the versions of {entity}")
        self.check_status(verdicts.values())

    def check_status(self, verdicts):
        figures = (len([v for v in verdicts if v.change["local"]]), len([v for v in verdicts if v.change["public"]]),
                   len([v for v in verdicts if v.conflict]))
        expected = ("conflict" if figures[2] else "pending" if any(figures) else "in_sync", *figures)
        found = self.database.status()
        self.check(found == expected, "status() is", found, "and should be", expected)

    def check_ends(self, what, **expected):
        for side in expected:
            self.check.contents(f"{what}, {side} end", self.database.contents(side), expected[side])

    # ---- Syncs ----

    def check_abort(self):
        conflicts = len(self.of("conflict"))
        if not conflicts:
            return
        for what in ("push", "pull"):
            result = self.database.sync(what)
            self.check(not result["success"] and result["conflicts"] == conflicts and result["documents_updated"] == 0,
                       f"{what} with {conflicts} conflicts says", result)
        self.check_ends("after aborted syncs", local=self.merge["ours"], public=self.merge["theirs"])

    def skip(self):
        """Everything but the conflicts, in both directions."""
        database, check, verdicts = self.database, self.check, self.verdicts
        before = {side: self.merge["ours" if side == "local" else "theirs"] for side in OTHER}
        after = {side: after_skip(verdicts, side) for side in OTHER}
        merged = [v for v in self.of("both") if v.conflict is None]
        conflicts = len(self.of("conflict"))
        pending = set(verdicts)
        for number, what in enumerate(self.order):
            plan = database.sync(what, "skip", dry_run=True)
            check.contents(f"{what}, dry run", database.contents("local"), before["local"])
            result = database.sync(what, "skip", expected_plan=plan["plan"])
            check(result == plan, f"{what} was to do", plan, "and did", result)
            check(result["success"] == (conflicts == 0) and result["conflicts"] == conflicts and result["resolved"] == 0,
                  f"{what} with {conflicts} conflicts says", result)
            # What was merged by the first sync is that side's change, if anything, for the second.
            check(result["merged"] == (0 if number else len(merged)), f"{what} merged", result["merged"], "of", len(merged))
            target = "public" if what == "push" else "local"
            written = {entity for entity in pending
                       if not equal(before[target].get(entity, ABSENT), self.halfway(what, entity, before, after))}
            figures = [len([e for e in written if e not in before[target]]),
                       len([e for e in written if e in before[target] and e in after[target]]),
                       len([e for e in written if e not in after[target]])]
            check([result["inserted"], result["updated"], result["deleted"]] == figures
                  and result["documents_updated"] == sum(figures), f"{what} says", result, "and was to write", figures)
            both = {side: {entity: value for entity in pending
                           for value in [self.halfway(what, entity, before, after, side)] if value is not ABSENT}
                    for side in OTHER}
            self.check_ends(f"after {what}", **both)
            before = both
        self.check_ends("after both", **after)
        left = [v for v in verdicts.values() if v.conflict]
        self.check_status(left)

    def halfway(self, what, entity, before, after, side=None):
        """What an end (the one that is written, unless said) has of an entity after one sync."""
        target = "public" if what == "push" else "local"
        side = side or target
        v = self.verdicts[entity]
        now, then = before[side].get(entity, ABSENT), after[side].get(entity, ABSENT)
        if v.conflict or not v.changed:
            return now
        if v.both:
            # A push writes what is merged on both ends, a pull on the local one.
            return then if what == "push" or side == "local" else now
        # One side's change goes one way, and waits for it.
        return then if side == target and v.side == OTHER[target] else now

    def resolve(self, rule):
        """Resolves what is left by one rule; the caller rolls it back."""
        check, database = self.check, self.database
        before = {side: database.contents(side) for side in OTHER}
        conflicts = self.of("conflict")
        order = self.order if rule != "local" else self.order[::-1]
        for number, what in enumerate(order):
            result = database.sync(what, rule)
            check(result["success"] and result["conflicts"] == 0
                  and result["resolved"] == (0 if number else len(conflicts)), f"{what} with {rule} says", result)
        check(database.status() == ("in_sync", 0, 0, 0), f"after {rule} status() is", database.status())
        found = {side: database.contents(side) for side in OTHER}

        expected = {side: dict(before[side]) for side in OTHER}
        copies = {}
        for v in conflicts:
            kept = self.kept(rule, v)
            if rule == "both" and v.conflict in ("update_update", "insert_insert"):
                copies[v.id] = v.local
            for side in OTHER:
                expected[side].pop(v.id, None)
                if kept is not ABSENT:
                    expected[side][v.id] = kept
        if rule == "both":
            self.check_copies(copies, before, found, expected)
        for side in OTHER:
            check.contents(f"after {rule} by {order[0]}, {side} end", found[side], expected[side])

    def kept(self, rule, v):
        if rule == "newest":
            rule = self.newer
        if rule != "both":
            if self.policy.granularity == "property" and ABSENT not in (v.local, v.public) and v.conflict != "unknown":
                return self.policy.won_by(rule, v.base, v.local, v.public, v.newer, v.dangling)
            return getattr(v, rule)
        if v.conflict == "dangling" and v.public is not ABSENT and v.local is not ABSENT:
            return v.left_at(v.side)
        return v.local if v.public is ABSENT else v.public

    def check_copies(self, copies, before, found, expected):
        """The local versions that `both` put beside the public ones, under new ids."""
        new = {entity: found["local"][entity] for entity in found["local"]
               if entity not in before["local"] and entity not in before["public"]}
        self.check(len(new) == len(copies), f"both: {len(copies)} copies expected, found", sorted(new))
        ids = {}
        for entity, local in copies.items():
            for other, copy_of in new.items():
                if other not in ids.values() and equal(self.bare(copy_of, other), self.bare(local, entity)):
                    ids[entity] = other
                    break
            self.check(entity in ids, f"both: no copy of the local {entity} among", sorted(new))
        # References to what has a copy may follow it; where they lead is a test of its own.
        for side in OTHER:
            for entity in new:
                expected[side][entity] = new[entity]
            for entity, value in expected[side].items():
                leads = found[side].get(entity)
                follows = any(target in ids for _, target in references_of(self.policy, value))
                if follows and entity not in new and leads is not None and equal(self.bare(leads, None), self.bare(value, None)):
                    expected[side][entity] = leads

    def bare(self, value, entity):
        """A document without references and without its own id, which a copy has anew."""
        value = {key: one for key, one in value.items() if key not in ("id", "_id") or one != entity}
        for place in self.policy.references:
            if value_at(value, place) is not ABSENT:
                value = with_value_at(value, place, ABSENT)
        return value


# ---- Histories ------------------------------------------------------------------

class History:
    """Versions of one diagram, saved at one end and synced to the other by turns."""

    def __init__(self, database, check, history):
        self.database = database
        self.check = check
        self.history = history

    def run(self):
        database, check, versions = self.database, self.check, self.history["versions"]
        preset = PRESETS.get(self.history["format"])
        database.drop()
        try:
            database.do("SELECT diagsync.create_diagram('Corpus', 'local', %s)", LOCAL)
            database.write("local", {}, versions[0])
            policy = Policy(database.set_policy({"preset": preset} if preset else None))
            database.do("SELECT diagsync.share(%s, %s)", LOCAL, PUBLIC)
            for number, version in enumerate(versions[1:]):
                side, what = (("local", "push"), ("public", "pull"))[number % 2]
                check.where = f"{self.history['id']}, version {number + 1}"
                other = database.contents(OTHER[side])
                database.write(side, database.contents(side), version)
                differ = {entity for entity in other.keys() | version.keys()
                          if not policy.same(other.get(entity, ABSENT), version.get(entity, ABSENT))}
                result = database.sync(what)
                check(result["success"] and not result["merged"], f"{what} says", result)
                check(result["documents_updated"] == len(differ), f"{what} wrote", result, "and was to write", sorted(differ))
                check(database.status() == ("in_sync", 0, 0, 0), "status() is", database.status())
                check.contents(f"after {what}, {side} end", database.contents(side), version)
                # What is ignored stays behind; the rest has to come.
                for entity in other.keys() - differ:
                    version = {**version, entity: other[entity]}
                check.contents(f"after {what}, {OTHER[side]} end", database.contents(OTHER[side]), version)
        finally:
            database.drop()
        return len(versions) - 1


# ---- The corpus -------------------------------------------------------------------

def read_lines(name):
    with gzip.open(FOLDER / name, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def fit_ids(entities, too_long):
    """Ids that diagsync takes: longer ones end in a digest."""
    fit = {}
    for entity, value in entities.items():
        if len(entity) > LONGEST_ID:
            too_long.add(entity)
            entity = entity[:LONGEST_ID - 9] + "-" + hashlib.sha256(entity.encode()).hexdigest()[:8]
        fit[entity] = value
    return fit


def crossed(history):
    """Merges that nobody did: of versions of a history that were made one after the other."""
    versions = history["versions"]
    for n in range(1, len(versions) - 1):
        # One side goes back, the other goes on; and one falls behind, which meets more changes equally made.
        picks = [(n, n - 1, n + 1), (n - 1, n + 1, n + 2)]
        for base, ours, theirs in picks[:1 + (n + 2 < len(versions))]:
            yield {"id": f"{history['id']}-{base}-{ours}-{theirs}", "format": history["format"], "column": "crossed",
                   "base": versions[base], "ours": versions[ours], "theirs": versions[theirs]}


def saved_again(entities, clock):
    """What the application of the demo does at each save: a new time, and floats computed anew."""
    entities = copy.deepcopy(entities)
    for entity in entities.values():
        if "position" in entity:
            entity["last_seen"] = clock
            for axis, value in entity["position"].items():
                entity["position"][axis] = value + 1e-9
    return entities


def demo_merge():
    """The demo diagram, edited at both ends at once in the ways that its policy is for."""
    with open(FOLDER / "immersive_demo.json", encoding="utf-8") as file:
        base = json.load(file)["entities"]
    shapes = sorted(entity for entity in base if "position" in base[entity])
    connections = sorted(entity for entity in base if "from" in base[entity])
    ours, theirs = saved_again(base, "2026-01-01T10:00:00.000Z"), saved_again(base, "2026-01-01T10:00:01.000Z")
    moved, clash, gone = shapes[:3]
    ours[moved]["position"]["x"] += 1
    theirs[moved]["color"] = "#123456"  # another property of what was moved
    ours[clash]["position"]["x"] += 1
    theirs[clash]["rotation"]["y"] += 1  # of the same group
    # A shape is deleted with its connections, and connected once more at the other end.
    del ours[gone]
    for entity in connections:
        if gone in (base[entity]["from"], base[entity]["to"]):
            del ours[entity]
    theirs["new-connection"] = dict(base[connections[0]], id="new-connection", _id="new-connection",
                                    **{"from": gone, "to": moved})
    # A save of the other end is no edit of what is deleted here.
    del theirs[shapes[3]]
    for entity in connections:
        if shapes[3] in (base[entity]["from"], base[entity]["to"]):
            theirs.pop(entity, None)
    return {"id": "demo", "format": "immersive", "column": "demo", "base": base, "ours": ours, "theirs": theirs}


def policies_of(kind):
    policies = {"entity": None, "property": {"granularity": "property"}}
    if kind in PRESETS:
        policies["preset, entity"] = {"preset": PRESETS[kind], "granularity": "entity"}
        policies["preset"] = {"preset": PRESETS[kind]}
    if kind in REFERENCES:
        policies["references"] = {"references": REFERENCES[kind]}
    return policies


# ---- The report --------------------------------------------------------------------

class Report:
    """Figures for each kind of file; those of merges that nobody did do not count in the total."""

    def __init__(self):
        self.figures = collections.defaultdict(collections.Counter)

    def add(self, column, name, case):
        merge, verdicts = case.merge, case.verdicts.values()
        count = collections.Counter()
        if name == "entity":
            count["merges"] += 1
            count["entities"] += len(verdicts)
        count[name, "of one side"] += len([v for v in verdicts if v.changed and not v.both])
        count[name, "equally"] += len([v for v in verdicts if v.agreed])
        count[name, "differently"] += len([v for v in verdicts if v.both])
        conflicts = [v for v in verdicts if v.conflict]
        count[name, "conflicts"] += len(conflicts)
        count[name, "dangling"] += len([v for v in conflicts if v.conflict == "dangling"])
        count[name, "merged"] += len([v for v in verdicts if v.both and not v.conflict])
        count[name, "clean"] += not conflicts
        count[name, "merges"] += 1
        if "merged" in merge:
            for v in verdicts:
                if (v.changed or v.agreed) and not v.conflict:
                    result = v.public if v.agreed else v.merged if v.both else getattr(v, v.side)
                    good = case.policy.same(result, merge["merged"].get(v.id, ABSENT))
                    count[name, "all"] += 1
                    count[name, "all, as committed"] += good
                    if v.both:
                        count[name, "merged, all"] += 1
                        count[name, "merged, as committed"] += good
        self.figures[column] += count

    def show(self):
        kinds = [kind for kind in self.figures if kind not in ("demo", "crossed")]
        kinds.sort(key=lambda kind: (kind != "reactflow", kind))
        total = collections.Counter()
        for kind in kinds:
            total += self.figures[kind]
        columns = [(kind, self.figures[kind]) for kind in kinds] + [("total", total)]
        columns += [(kind, self.figures[kind]) for kind in ("demo", "crossed") if kind in self.figures]

        def line(label, *cells):
            print(f"{label:40}" + "".join(f"{cell:>20}" for cell in cells))

        def plain(label, key):
            line(label, *[str(counts[key]) for _, counts in columns])

        line("", *[kind for kind, _ in columns])
        plain("merges", "merges")
        plain("entities", "entities")
        for name, title in (("entity", "granularity entity"), ("property", "granularity property"),
                            ("preset, entity", "preset, with granularity entity"), ("preset", "preset"),
                            ("references", "granularity entity, references")):
            def figures(label, wanted, of=None):
                cells = []
                for _, counts in columns:
                    if not counts[name, of or "merges"]:
                        cells.append("–")
                    elif of is None:
                        cells.append(str(counts[name, wanted]))
                    else:
                        cells.append(f"{counts[name, wanted]} of {counts[name, of]}")
                line("  " + label, *cells)

            print(f"\n{title}")
            figures("changed by one side", "of one side")
            figures("changed equally by both", "equally")
            figures("changed differently by both", "differently")
            figures("  merged property by property", "merged")
            figures("entities in conflict", "conflicts")
            figures("  because a reference would dangle", "dangling")
            figures("merges without any conflict", "clean", "merges")
            figures("without conflict: as was committed", "all, as committed", "all")
            figures("  those merged by property", "merged, as committed", "merged, all")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("only", nargs="*", help="ids of merges and histories (m0025, h0011, demo), instead of all")
    parser.add_argument("--crossed", action="store_true", help="merge versions of the histories, too; takes a minute more")
    parser.add_argument("--show", type=int, default=20, help="how many failures to print (default 20)")
    options = parser.parse_args()
    if not (FOLDER / "merges.jsonl.gz").is_file():
        print("corpus: not there (DIAGSYNC_SHARED), nothing checked")
        return 0

    started = time.monotonic()
    check, report, database = Checks(options.show), Report(), Database()
    too_long, steps = set(), collections.Counter()

    def guarded(run):
        # A merge that fails as a whole must not hide the others.
        try:
            check.count += 1
            return run()
        except Exception as error:
            check.fail(str(error).strip() if isinstance(error, psycopg2.Error) else traceback.format_exc())
            if database.connection.closed:
                raise
            database.do("ROLLBACK")
            return None

    turn = 0
    histories = read_lines("histories.jsonl.gz")
    merges = [demo_merge()] + read_lines("merges.jsonl.gz")
    if options.crossed:
        merges += [merge for history in histories for merge in crossed(history)]
    for merge in merges:
        if options.only and merge["id"] not in options.only:
            continue
        for version in ("base", "ours", "theirs", "merged"):
            if version in merge:
                merge[version] = fit_ids(merge[version], too_long)
        column = merge.get("column") or merge["format"] + (", renumbered" if merge["id_unstable"] else "")
        for name, policy in policies_of(merge["format"]).items():
            check.where = f"{merge['id']} ({merge['format']}), {name}"
            case = guarded(Case(database, check, merge, policy, turn).run)
            if case is not None:
                report.add(column, name, case)
            turn += 1
    for history in histories:
        if options.only and history["id"] not in options.only:
            continue
        history["versions"] = [fit_ids(version, too_long) for version in history["versions"]]
        check.where = history["id"]
        done = guarded(History(database, check, history).run)
        if done is not None:
            steps[history["format"], "histories"] += 1
            steps[history["format"], "versions"] += done

    report.show()
    print()
    for kind in sorted({kind for kind, _ in steps}):
        print(f"histories, {kind}: {steps[kind, 'histories']}, {steps[kind, 'versions']} versions synced")
    if too_long:
        print(f"ids longer than {LONGEST_ID} characters, cut: {len(too_long)}")
    print(f"{time.monotonic() - started:.0f} s")
    print(f"corpus: {check.count} checks, {check.failed} failed")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
