#!/usr/bin/python3
"""Print the figures of docs/presets.md: which properties change, how, and with what.

The diagrams are read from the folder DIAGSYNC_SHARED (default ../shared/corpus,
from the folder that this is started in); its README.md describes them.

A pair is one entity in two consecutive versions of a file (histories), or in
the base and in one side of a merge (merges).  An edit is a pair that differs.
"""

import collections
import gzip
import json
import math
import os
import struct

CORPUS = os.environ.get("DIAGSYNC_SHARED", "../shared/corpus")
MISSING = object()


def lines(name):
    with gzip.open(os.path.join(CORPUS, name), "rt", encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def changed(a, b):
    """The top-level properties in which two entities differ."""
    return frozenset(k for k in a.keys() | b.keys() if a.get(k, MISSING) != b.get(k, MISSING))


def numbers(value):
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return [value] if type(value) in (int, float) else []
    return [n for v in value for n in numbers(v)]


def distances(a, b):
    """How far apart the numbers are that differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        return [d for k in a.keys() & b.keys() for d in distances(a[k], b[k])]
    if isinstance(a, list) and isinstance(b, list):
        return [d for x, y in zip(a, b) for d in distances(x, y)]
    if type(a) in (int, float) and type(b) in (int, float) and a != b:
        return [abs(a - b)]
    return []


def pairs_of(fmt):
    for h in lines("histories.jsonl.gz"):
        if h["format"] == fmt:
            for a, b in zip(h["versions"], h["versions"][1:]):
                yield from ((a[i], b[i]) for i in a.keys() & b.keys())
    for m in lines("merges.jsonl.gz"):
        if m["format"] == fmt:
            for side in ("ours", "theirs"):
                yield from ((m["base"][i], m[side][i]) for i in m["base"].keys() & m[side].keys())


def report_edits(fmt, position):
    pairs = list(pairs_of(fmt))
    edits = [c for c in (changed(a, b) for a, b in pairs) if c]
    print(f"\n== {fmt}: {len(pairs)} pairs, {len(edits)} edits")
    print(f"{'property':18} {'changed':>7} {'with position':>13} {'alone':>7} {'smallest step':>13} {'present':>7}")
    present = collections.Counter(k for a, b in pairs for k in b)
    for k in sorted(present):
        having = [c for c in edits if k in c]
        steps = [d for a, b in pairs for d in distances(a.get(k), b.get(k))]
        print(f"{k:18} {len(having):7} {sum(bool(c & position) for c in having):13} {sum(c == {k} for c in having):7}"
              f" {min(steps) if steps else math.nan:13.3g} {present[k]:7}")
    print("edits by what they change:")
    for c, n in collections.Counter(edits).most_common():
        print(f"{n:7}  {', '.join(sorted(c))}")
    return pairs


def report_reactflow():
    pairs = report_edits("reactflow", {"position"})
    nodes = [b for a, b in pairs if "position" in b]
    print("nodes:", len(nodes),
          "| positionAbsolute equals position:", sum(n["positionAbsolute"] == n["position"] for n in nodes),
          "| selected:", sum(n["selected"] for n in nodes),
          "| dragging:", sum(n.get("dragging", False) for n in nodes),
          "| widths:", sorted({n["width"] for n in nodes}))
    pieces = [sum(x in changed(a["position"], b["position"]) for x in "xy") for a, b in pairs if "position" in b]
    print("moves that change x and y:", pieces.count(2), "| one of them:", pieces.count(1))
    both = [(b, o, t)
            for m in lines("merges.jsonl.gz") if m["format"] == "reactflow"
            for b, o, t in ((m["base"][i], m["ours"][i], m["theirs"][i])
                            for i in m["base"].keys() & m["ours"].keys() & m["theirs"].keys())
            if changed(b, o) and changed(b, t)]
    print("entities changed on both sides of a merge:", len(both))
    for k in ("position", "positionAbsolute", "height", "data"):
        ours, theirs = ([k in changed(b, side) for b, side in ((x[0], x[s]) for x in both)] for s in (1, 2))
        met = [x for x, o, t in zip(both, ours, theirs) if o and t]
        print(f"  {k}: one side {sum(o != t for o, t in zip(ours, theirs))},"
              f" both to the same {sum(o[k] == t[k] for _, o, t in met)},"
              f" both differently {sum(o[k] != t[k] for _, o, t in met)}")


def report_jsoncanvas():
    pairs = report_edits("jsoncanvas", {"x", "y"})
    values = [n for a, b in pairs for e in (a, b) for n in numbers(e)]
    print("numbers:", len(values), "| not whole:", sum(n != int(n) for n in values))


def report_immersive():
    with open(os.path.join(CORPUS, "immersive_demo.json"), encoding="utf-8") as f:
        entities = json.load(f)["entities"]
    print(f"\n== immersive: {len(entities)} entities of one version")
    print("present:", dict(collections.Counter(k for e in entities.values() for k in sorted(e))))
    ends = [e[k] for e in entities.values() for k in ("from", "to") if k in e]
    print("from, to:", len(ends), "| of them ids of entities:", sum(i in entities for i in ends))

    def as_float32(n):
        return struct.unpack("f", struct.pack("f", n))[0]

    coordinates = [n for e in entities.values() for n in numbers(e.get("position"))]
    noisy = [n for n in coordinates if n != round(n, 1)]
    print("coordinates:", len(coordinates), "| not a multiple of 0.1:", len(noisy),
          "| of them the float32 of one:", sum(n == as_float32(round(n, 1)) for n in noisy),
          f"| farthest from one: {max(abs(n - round(n, 1)) for n in coordinates):.3g}")
    angles = [n for e in entities.values() for n in numbers(e.get("rotation"))]
    print("angles:", len(angles), "| neither 0 nor pi:", sorted({n for n in angles if n not in (0, math.pi)}))
    print("scales:", sorted({n for e in entities.values() for n in numbers(e.get("scale"))}))


report_immersive()
report_jsoncanvas()
report_reactflow()
