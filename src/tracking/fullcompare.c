/*
 * fullcompare.c
 *	  Two copies compared in full, in sets: what differs gets a base row, so
 *	  that it is classified at every sync to come.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"

#include "statement/capturecheck.h"
#include "statement/ownersql.h"
#include "table/pristine.h"
#include "tracking/fullcompare.h"

/*
 * Both copies of a link side by side; $1: the local one, $2: the shared one.
 * Each comes in the order of its key, which PostgreSQL 15 does not see below
 * an outer join by itself.
 */
#define BOTH_ENDS \
	" FROM (SELECT id, doc FROM diagsync_local.entity WHERE diagram_id" EQ "$1 ORDER BY id) AS l" \
	" FULL JOIN (SELECT id, doc FROM %1$s.entity WHERE diagram_id" EQ "$2 ORDER BY id) AS p" \
	" ON l.id" EQ "p.id"

/* Whether a document repeats the id of its entity is no difference. */
#define ID_AS(key) \
	" COALESCE(l.doc OPERATOR(pg_catalog.->) '" key "'::pg_catalog.text, pg_catalog.to_jsonb(l.id))" EQ \
	" COALESCE(p.doc OPERATOR(pg_catalog.->) '" key "'::pg_catalog.text, pg_catalog.to_jsonb(l.id))"

#define WITHOUT_IDS " OPERATOR(pg_catalog.-) '{id,_id}'::pg_catalog.text[]"

#define DIFFER \
	" NOT COALESCE(l.doc" EQ "p.doc OR" \
	"  ((l.doc" WITHOUT_IDS ")" EQ "(p.doc" WITHOUT_IDS ")" \
	"   AND" ID_AS("id") " AND" ID_AS("_id") "), false)"

static OwnerSql differing =
OWNER_SQL_WHOLE("SELECT COALESCE(l.id, p.id)" BOTH_ENDS " WHERE" DIFFER,
				2, TEXTOID, TEXTOID);

/* $3: which version is the base, as a number of CompareBase */
static OwnerSql note_differing =
OWNER_SQL_WHOLE("INSERT INTO diagsync_local.base (diagram_id, id, doc)"
				" SELECT $1, COALESCE(l.id, p.id),"
				"  CASE WHEN $3" EQ "1 THEN p.doc END"
				BOTH_ENDS " WHERE" DIFFER
				" ON CONFLICT (diagram_id, id) DO NOTHING",
				3, TEXTOID, TEXTOID, INT4OID);

static OwnerSql note_missing =
OWNER_SQL_WHOLE("INSERT INTO diagsync_local.base (diagram_id, id)"
				" SELECT $1, COALESCE(l.id, p.id)"
				BOTH_ENDS " WHERE l.id IS NULL OR p.id IS NULL"
				" ON CONFLICT (diagram_id, id) DO NOTHING",
				2, TEXTOID, TEXTOID);

/*
 * Of those, the ones without base rows; $3: that only one side has.  What this
 * transaction ($4) has done in the shared copy will be classified.
 */
#define OF_SHARED_COPY(table) \
	" NOT EXISTS (SELECT FROM %1$s." table " AS f WHERE f.diagram_id" EQ "$2" \
	"  AND f.id" EQ "COALESCE(l.id, p.id) AND f.rev" EQ "$4)"

static OwnerSql unnoted =
OWNER_SQL_WHOLE("SELECT" BOTH_ENDS " WHERE" DIFFER " AND (NOT $3 OR l.id IS NULL OR p.id IS NULL)"
				" AND NOT EXISTS (SELECT FROM diagsync_local.base AS b"
				"  WHERE b.diagram_id" EQ "$1 AND b.id" EQ "COALESCE(l.id, p.id))"
				" AND" OF_SHARED_COPY("entity") " AND" OF_SHARED_COPY("tombstone") " LIMIT 1",
				4, TEXTOID, TEXTOID, BOOLOID, INT8OID);

/*
 * Check that the base rows that were to be made are there, where an
 * application has added something to their table.
 */
static void
check_noted(const Link *link, bool missing, int flags)
{
	Datum		values[4] = {link->local->key, link->public->key,
	BoolGetDatum(missing), 0};

	values[3] = Int64GetDatum((int64) U64FromFullTransactionId(GetTopFullTransactionId()));
	if (!capturecheck_is_plain(STORAGE_LOCAL, TABLE_BASE) &&
		ownersql_run(&unnoted, link->public->storage, values, NULL, flags) > 0)
		capturecheck_refuse(STORAGE_LOCAL, TABLE_BASE, link->local->id);
}

/*
 * A cursor over the ids of the entities that differ by value, under the
 * active snapshot.  The caller is connected to SPI.
 */
Portal
compare_open_differing(const Link *link)
{
	Datum		values[2] = {link->local->key, link->public->key};

	return ownersql_open(&differing, link->public->storage, values, NULL);
}

/*
 * Give each entity that differs by value and has no base row such a base.
 * The caller holds the local directory row and is connected to SPI; the flags
 * are ownersql_run()'s, for the snapshot to be used.
 */
void
compare_note_differing(const Link *link, CompareBase base, int flags)
{
	Datum		values[3] = {link->local->key, link->public->key,
	Int32GetDatum(base)};

	(void) ownersql_run(&note_differing, link->public->storage, values, NULL,
						OWNER_SQL_EXEMPT | flags);
	check_noted(link, false, flags);
}

/*
 * Note the entities that only one side has as its inserts, if they have no
 * base row.  The caller holds the local directory row and is connected to
 * SPI; the flags are ownersql_run()'s.
 */
void
compare_note_missing(const Link *link, int flags)
{
	Datum		values[2] = {link->local->key, link->public->key};

	(void) ownersql_run(&note_missing, link->public->storage, values, NULL,
						OWNER_SQL_EXEMPT | flags);
	check_noted(link, true, flags);
}

/*
 * May the entity table of a storage type store something else than it is
 * given, or nothing?
 */
bool
compare_may_be_altered(StorageType storage)
{
	Relation	rel = storage_open(storage, TABLE_ENTITY, AccessShareLock);
	bool		as_given = pristine_stores_as_given(rel, storage,
													TABLE_ENTITY);

	table_close(rel, NoLock);
	return !as_given;
}
