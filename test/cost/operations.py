"""What the guard of costs measures.

Each operation has diagrams of its own, made by an ordinary server beforehand
(`setup`).  It runs in the session that is measured first on small ones (`warm`),
since plans and catalog caches are the session's, then once more as it is
measured (`run`).  Statements are transactions of their own.
"""

WARM = 3  # times, so that what is prepared has its lasting plan


class Operation:
    def __init__(self, name, setup, warm, run):
        self.name = name
        self.setup = setup
        self.warm = warm
        self.run = run


def pair(name, size, edits=(), policy=None):
    """A linked pair, and edits, as ("local", 10, "color"): so many entities at that end, in that property."""
    made = [f"SELECT cost.pair('{name}', {size})"]
    if policy:
        made.append(f"SELECT diagsync.set_merge_policy('{name}', '{policy}')")
    for end, count, name_of_property in edits:
        diagram = name if end == "local" else f"far {name}"
        made.append(f"SELECT cost.edit('{diagram}', {count}, {size}, '{name_of_property}', '{end}')")
    return made


def on_pair(name, size, edits, *calls, policy=None):
    """An operation on a linked pair; the same calls warm up on small ones, %s is the local copy."""
    slug = name.replace(" ", "-")
    setup, warm = pair(slug, size, edits, policy), []
    for number in range(WARM):
        small = f"{slug}-{number}"
        setup += pair(small, 20, [(end, 10, name_of_property) for end, _, name_of_property in edits], policy)
        warm += [call.replace("%s", small) for call in calls]
    return Operation(name, setup, warm, [call.replace("%s", slug) for call in calls])


def edits(name, table, setup, diagram, statement, first=1):
    """Ten statements of one row each, after ten others."""
    prepared = f"{name.replace(' ', '_')}"
    rows = [f"EXECUTE \"{prepared}\"(cost.id({n}))" for n in range(first, first + 20)]
    text = statement.format(table=f"diagsync_{table}.entity", diagram=diagram)
    return Operation(name, setup, [f"PREPARE \"{prepared}\" AS {text}", *rows[:10]], rows[10:])


UPDATE = """UPDATE {table} SET doc = doc || '{{"color": "edited"}}' WHERE diagram_id = '{diagram}' AND id = $1"""
INSERT = """INSERT INTO {table} (diagram_id, id, doc) VALUES ('{diagram}', $1, '{{"color": "new"}}')"""
DELETE = "DELETE FROM {table} WHERE diagram_id = '{diagram}' AND id = $1"


def bulk(name, table, setup, diagram, statement):
    """One statement of 1,000 rows, in {0}, after the same of ten rows in {0}-small."""
    place = f"diagsync_{table}.entity"
    small = [statement.format(table=place, diagram=f"{diagram}-small", rows=10)]
    return Operation(name, setup, small * WARM if "UPDATE" in statement else small,
                     [statement.format(table=place, diagram=diagram, rows=1000)])


UPDATE_MANY = """UPDATE {table} SET doc = doc || '{{"color": "bulk"}}' WHERE diagram_id = '{diagram}' AND id IN (SELECT cost.id(n * 2) FROM generate_series(1, {rows}) AS n)"""
INSERT_MANY = """INSERT INTO {table} (diagram_id, id, doc) SELECT '{diagram}', cost.id(n), cost.document(n) FROM generate_series(10001, 10000 + {rows}) AS n"""


def make(diagram, storage_type, *sizes):
    """A diagram, and a small one where two sizes are given."""
    return [f"SELECT cost.make('{diagram}{suffix}', '{storage_type}', {size})" for suffix, size in zip(("", "-small"), sizes)]


def pairs(diagram, *sizes):
    return [made for suffix, size in zip(("", "-small"), sizes) for made in pair(diagram + suffix, size)]


LOCAL, PUBLIC = [("local", 500, "color")], [("public", 500, "color")]
APART = [("local", 500, "color"), ("public", 500, "text")]  # which merge
POLICY = '{"granularity": "property", "references": ["/to"]}'

OPERATIONS = [
    # What measuring takes itself, which is subtracted; once before, to warm up
    Operation("start", [], [], []),
    Operation("nothing", [], [], []),
    edits("edit 10 public", "public", make("p", "public", 1000), "p", UPDATE),
    edits("edit 10 private", "private", make("v", "private", 1000), "v", UPDATE),
    edits("edit 10 unlinked", "local", make("u", "local", 1000), "u", UPDATE),
    edits("edit 10 linked, first", "local", pair("l", 1000), "l", UPDATE),
    edits("edit 10 linked, again", "local", [], "l", UPDATE),
    edits("insert 10 linked", "local", [], "l", INSERT, first=5001),
    edits("insert 10 public", "public", [], "p", INSERT, first=5001),
    edits("delete 10 public", "public", [], "p", DELETE, first=101),
    bulk("insert 1,000 public", "public", make("bp", "public", 2000, 20), "bp", INSERT_MANY),
    bulk("insert 1,000 linked", "local", pairs("bl", 2000, 20), "bl", INSERT_MANY),
    bulk("update 1,000 public", "public", [], "bp", UPDATE_MANY),
    bulk("update 1,000 linked", "local", [], "bl", UPDATE_MANY),
    on_pair("put 100", 1000, (), "SELECT diagsync.put('%s', cost.entities(100))"),
    on_pair("status, in sync", 1000, (), "SELECT diagsync.status('%s')"),
    on_pair("push 10", 10000, [("local", 10, "color")], "SELECT diagsync.push('%s')"),
    on_pair("pull 10", 10000, [("public", 10, "color")], "SELECT diagsync.pull('%s')"),
    on_pair("push 2,000", 10000, [("local", 2000, "color")], "SELECT diagsync.push('%s')"),
    on_pair("pull 2,000", 10000, [("public", 2000, "color")], "SELECT diagsync.pull('%s')"),
    on_pair("dry run", 2000, LOCAL, "SELECT diagsync.push('%s', dry_run => true)"),
    on_pair("status, changed", 2000, LOCAL + PUBLIC, "SELECT diagsync.status('%s')"),
    on_pair("conflicts", 2000, LOCAL + PUBLIC, "SELECT count(*) FROM diagsync.conflicts('%s')"),
    on_pair("pull, local wins", 2000, LOCAL + PUBLIC, "SELECT diagsync.pull('%s', on_conflict => 'local')"),
    on_pair("pull, public wins", 2000, LOCAL + PUBLIC, "SELECT diagsync.pull('%s', on_conflict => 'public')"),
    on_pair("pull, merged", 2000, APART, "SELECT diagsync.pull('%s')", policy=POLICY),
    on_pair("resolve", 2000, LOCAL + PUBLIC, "SELECT diagsync.resolve('%s', cost.id(20), 'local')"),
    on_pair("resolve_all", 2000, LOCAL + PUBLIC, "SELECT count(*) FROM diagsync.resolve_all('%s', 'local')"),
    on_pair("discard 100", 2000, LOCAL, "SELECT diagsync.discard('%s', (SELECT array_agg(cost.id(n * 4)) FROM generate_series(1, 100) AS n))"),
    on_pair("clone 1,000", 1000, (), "SELECT diagsync.clone('far %s', 'clone of %s')"),
    on_pair("unlink and link 1,000", 1000, (), "SELECT diagsync.unlink('%s')", "SELECT diagsync.link('%s', 'far %s')"),
    Operation("share 1,000", make("s", "local", 1000, 20),
              ["SELECT diagsync.share('s-small', 'far s-small')"], ["SELECT diagsync.share('s', 'far s')"]),
    Operation("prune 100", pair("prune", 1000), [
        *["SELECT diagsync.prune()"] * WARM,
        "DELETE FROM diagsync_public.entity WHERE diagram_id = 'far prune' AND id IN (SELECT cost.id(n) FROM generate_series(1, 100) AS n)",
        "SELECT diagsync.pull('prune')"], ["SELECT diagsync.prune()"]),
    on_pair("drop 1,000", 1000, (), "SELECT diagsync.drop_diagram('%s')"),
]
