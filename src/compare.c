/*
 * compare.c
 *	  Two copies compared in full, in sets: what differs gets a base row, so that
 *	  it is weighed at every sync to come.
 *
 * May call storage.c, command.c and directory.c.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "utils/lsyscache.h"

#include "command.h"
#include "compare.h"

/*
 * Both ends of a link side by side; $1: the local diagram, $2: the shared one.
 * Each comes in the order of its key, which PostgreSQL 15 does not see below an
 * outer join by itself.
 */
#define BOTH_ENDS \
	" FROM (SELECT id, doc FROM diagsync_local.entity WHERE diagram_id" EQ "$1 ORDER BY id) AS l" \
	" FULL JOIN (SELECT id, doc FROM %1$s.entity WHERE diagram_id" EQ "$2 ORDER BY id) AS p" \
	" ON l.id" EQ "p.id"

#define DIFFER " NOT COALESCE(l.doc" EQ "p.doc, false)"

static Command differing =
COMMAND_WHOLE("SELECT COALESCE(l.id, p.id)" BOTH_ENDS " WHERE" DIFFER,
		2, TEXTOID, TEXTOID);

/* $3: which version is the base, as a number of CompareBase */
static Command note_differing =
COMMAND_WHOLE("INSERT INTO diagsync_local.base (diagram_id, id, doc)"
		" SELECT $1, COALESCE(l.id, p.id),"
		"  CASE WHEN $3" EQ "1 THEN l.doc WHEN $3" EQ "2 THEN p.doc END"
		BOTH_ENDS " WHERE" DIFFER
		" ON CONFLICT (diagram_id, id) DO NOTHING",
		3, TEXTOID, TEXTOID, INT4OID);

static Command note_missing =
COMMAND_WHOLE("INSERT INTO diagsync_local.base (diagram_id, id)"
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
 * Does the entity table of a storage type have triggers that are not
 * diagsync's?  They may store something else than they were given.
 */
bool
compare_has_application_triggers(StorageType storage)
{
	Relation	rel = storage_open(storage, TABLE_ENTITY, AccessShareLock);
	Oid			namespace = get_namespace_oid("diagsync", false);
	bool		found = false;

	for (int i = 0; rel->trigdesc != NULL && i < rel->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &rel->trigdesc->triggers[i];

		if (!trigger->tgisinternal &&
			get_func_namespace(trigger->tgfoid) != namespace)
			found = true;
	}
	table_close(rel, AccessShareLock);
	return found;
}
