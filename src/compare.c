/*
 * compare.c
 *	  Two copies compared in full, in sets: what differs gets a base row, so that
 *	  it is weighed at every sync to come.
 *
 * May call storage.c, asmade.c, command.c and directory.c.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"

#include "asmade.h"
#include "command.h"
#include "compare.h"

/* Both ends of a link side by side; $1: the local diagram, $2: the shared one */
#define BOTH_ENDS \
	" FROM (SELECT id, doc FROM diagsync_local.entity WHERE diagram_id" EQ "$1) AS l" \
	" FULL JOIN (SELECT id, doc FROM %1$s.entity WHERE diagram_id" EQ "$2) AS p" \
	" ON l.id" EQ "p.id"

#define DIFFER " NOT COALESCE(l.doc" EQ "p.doc, false)"

static Command differing =
COMMAND("SELECT COALESCE(l.id, p.id)" BOTH_ENDS " WHERE" DIFFER,
		2, TEXTOID, TEXTOID);

/* $3: which version is the base, as a number of CompareBase */
static Command note_differing =
COMMAND("INSERT INTO diagsync_local.base (diagram_id, id, doc)"
		" SELECT $1, COALESCE(l.id, p.id),"
		"  CASE WHEN $3" EQ "1 THEN l.doc WHEN $3" EQ "2 THEN p.doc END"
		BOTH_ENDS " WHERE" DIFFER
		" ON CONFLICT (diagram_id, id) DO NOTHING",
		3, TEXTOID, TEXTOID, INT4OID);

static Command note_missing =
COMMAND("INSERT INTO diagsync_local.base (diagram_id, id)"
		" SELECT $1, COALESCE(l.id, p.id)"
		BOTH_ENDS " WHERE l.id IS NULL OR p.id IS NULL"
		" ON CONFLICT (diagram_id, id) DO NOTHING",
		2, TEXTOID, TEXTOID);

/*
 * A cursor over the ids of the entities that differ by plain value, under the
 * active snapshot.  The caller is connected to SPI.
 */
Portal
compare_open_differing(const Link *link)
{
	Datum		values[2] = {link->local->key, link->public->key};

	return command_open(&differing, link->public->storage, values, NULL);
}

/*
 * Give each entity that differs by plain value and has no base row such a base.
 * The caller holds the local directory row and is connected to SPI; the flags
 * are command_run()'s, for the snapshot to be used.
 */
void
compare_note_differing(const Link *link, CompareBase base, int flags)
{
	Datum		values[3] = {link->local->key, link->public->key,
	Int32GetDatum(base)};

	(void) command_run(&note_differing, link->public->storage, values, NULL,
					   COMMAND_EXEMPT | flags);
}

/*
 * Note the entities that only one end has as inserts of that end, if they have
 * no base row.  The caller holds the local directory row and is connected to
 * SPI; the flags are command_run()'s.
 */
void
compare_note_missing(const Link *link, int flags)
{
	Datum		values[2] = {link->local->key, link->public->key};

	(void) command_run(&note_missing, link->public->storage, values, NULL,
					   COMMAND_EXEMPT | flags);
}

/*
 * May the entity table of a storage type store something else than it is given,
 * or nothing?
 */
bool
compare_may_be_altered(StorageType storage)
{
	Relation	rel = storage_open(storage, TABLE_ENTITY, AccessShareLock);
	bool		as_given = asmade_stores_as_given(rel, storage, TABLE_ENTITY);

	table_close(rel, NoLock);
	return !as_given;
}
