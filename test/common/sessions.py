"""What the tests of concurrent sessions share: connections, isolation levels, and the
comparison of status() with a full one."""

import collections
import time

import psycopg2
import psycopg2.extensions

LEVELS = {
    "READ COMMITTED": psycopg2.extensions.ISOLATION_LEVEL_READ_COMMITTED,
    "REPEATABLE READ": psycopg2.extensions.ISOLATION_LEVEL_REPEATABLE_READ,
    "SERIALIZABLE": psycopg2.extensions.ISOLATION_LEVEL_SERIALIZABLE,
}


class Rollback(Exception):
    """A transaction that its session decided to give up."""


class Failed(Exception):
    """Something that must not happen; the message is the account of it."""


# The contents of both ends, compared in full, beside what status() says; in
# one statement, and so under one snapshot.
STATUS_AND_TRUTH = """
WITH l AS (SELECT id, doc FROM diagsync_local.entity WHERE diagram_id = %(local)s),
     p AS (SELECT id, doc FROM diagsync_public.entity WHERE diagram_id = %(public)s),
     b AS (SELECT id, doc, true AS dirty FROM diagsync_local.base WHERE diagram_id = %(local)s),
     -- A transaction that inserts at REPEATABLE READ what others have deleted since
     -- its snapshot sees both rows; it fails where it syncs, but until then there
     -- is nothing to compare.
     torn AS (SELECT EXISTS (SELECT FROM b GROUP BY id HAVING count(*) > 1)
                  OR EXISTS (SELECT FROM l GROUP BY id HAVING count(*) > 1)
                  OR EXISTS (SELECT FROM p GROUP BY id HAVING count(*) > 1) AS torn),
     w AS (SELECT id, l.doc AS l, p.doc AS p, CASE WHEN b.dirty THEN b.doc ELSE l.doc END AS b
             FROM l FULL JOIN p USING (id) FULL JOIN b USING (id)),
     d AS (SELECT id, l IS DISTINCT FROM b AS lc, p IS DISTINCT FROM b AS pc FROM w
            WHERE l IS DISTINCT FROM p),
     truth AS (SELECT count(*) FILTER (WHERE lc) AS lc, count(*) FILTER (WHERE pc) AS pc,
                      count(*) FILTER (WHERE lc AND pc) AS conflicts,
                      array_agg(id || CASE WHEN lc AND pc THEN ' both'
                                           WHEN lc THEN ' local' ELSE ' public' END
                                ORDER BY id) AS differing
                 FROM d)
SELECT s.local_changes, s.public_changes, s.conflicts, s.state,
       t.lc, t.pc, t.conflicts, t.differing, pg_current_snapshot()::text,
       (SELECT seen::text || ' own ' || coalesce(seen_own::text, '-')
          FROM diagsync.directory WHERE id = %(local)s),
       torn.torn,
       (SELECT array_agg(c.entity_id || ' ' || c.side ORDER BY c.entity_id)
          FROM diagsync.changes(%(local)s) c WHERE c.side IS NOT NULL)
  FROM diagsync.status(%(local)s) s, truth t, torn
"""

# said, truth: (local, public, conflicts); listed, differing: "id side" of each
# entity, by changes() and by the full comparison.
Comparison = collections.namedtuple(
    "Comparison", "said state truth differing snapshot seen torn listed")


def compare_status(cursor, local, public):
    cursor.execute(STATUS_AND_TRUTH, {"local": local, "public": public})
    row = cursor.fetchone()
    return Comparison(row[:3], row[3], row[4:7], *row[7:])


def connect(name):
    connection = psycopg2.connect("", application_name=name)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = '60s'")
        cursor.execute("SET client_min_messages = warning")
        # Deadlocks of multi-row writers are to be expected; a second each would
        # be most of the run.  (For superusers only.)
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        if cursor.fetchone()[0]:
            cursor.execute("SET deadlock_timeout = '30ms'")
    connection.commit()
    return connection


def linger(dice):
    """Mostly goes on at once; sometimes stays, and so is in progress in what links have seen."""
    fate = dice.random()
    if fate < 0.01:
        time.sleep(dice.random() * 0.1)
    elif fate < 0.15:
        time.sleep(dice.random() * 0.004)
