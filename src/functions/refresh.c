/*
 * refresh.c
 *	  Two copies compared in full, once: refresh().
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "directory/directory.h"
#include "directory/ratelimit.h"
#include "directory/synclog.h"
#include "functions/status.h"
#include "reconcile/classify.h"
#include "server/settings.h"
#include "server/sqlfunction.h"
#include "statement/capturecheck.h"
#include "statement/ownersql.h"
#include "statement/statement.h"
#include "sync/columns.h"
#include "tracking/candidate.h"

/* A batch ends with so many bytes of documents, if not before */
#define BATCH_BYTES (8 * 1024 * 1024)

/*
 * A base row that a writer has made meanwhile has the version that is here,
 * too.
 */
static OwnerSql note_bases =
OWNER_SQL("INSERT INTO diagsync_local.base AS b (diagram_id, id, doc, unknown)"
		  " SELECT $1, c.id, c.doc, c.unknown FROM unnest($2, $3, $4) AS c(id, doc, unknown)"
		  " ON CONFLICT (diagram_id, id) DO UPDATE"
		  " SET unknown = COALESCE(excluded.unknown, b.unknown)",
		  4, TEXTOID, TEXTARRAYOID, JSONBARRAYOID, BOOLARRAYOID);

/* Base rows to be written */
typedef struct Notes
{
	int			n;
	Datum	   *ids;
	Datum	   *docs;
	bool	   *no_doc;
	Datum	   *unknown;
	bool	   *no_unknown;
} Notes;

static void
notes_init(Notes *notes)
{
	int			max = settings_batch_size;

	notes->n = 0;
	notes->ids = palloc(max * sizeof(Datum));
	notes->docs = palloc(max * sizeof(Datum));
	notes->no_doc = palloc(max * sizeof(bool));
	notes->unknown = palloc(max * sizeof(Datum));
	notes->no_unknown = palloc(max * sizeof(bool));
}

/*
 * Add the base row that an entity is to have, if it has none, or one that does
 * not say yet what it is to say.
 */
static void
notes_add(Notes *notes, const Entity *entity)
{
	bool		unknown = entity->conflict == CONFLICT_UNKNOWN;
	bool		gone = !unknown && entity->public.doc == NULL &&
		entity->base.doc != NULL;
	int			n = notes->n;

	if (entity->equal ||
		(entity->has_base_row && (entity->explanation != EXPLANATION_BY_RECORDS ||
								  !(unknown || gone))))
		return;
	notes->ids[n] = entity->key;
	notes->docs[n] = PointerGetDatum(entity->base.doc);
	notes->no_doc[n] = entity->base.doc == NULL;
	notes->unknown[n] = BoolGetDatum(unknown);
	notes->no_unknown[n] = !(unknown || gone);
	notes->n++;
}

static void
notes_write(Notes *notes, const Link *link)
{
	Datum		values[4] = {link->local->key};

	if (notes->n == 0)
		return;
	values[1] = columns_array(notes->ids, NULL, notes->n, TEXTOID);
	values[2] = columns_array(notes->docs, notes->no_doc, notes->n, JSONBOID);
	values[3] = columns_array(notes->unknown, notes->no_unknown, notes->n,
							  BOOLOID);
	if (ownersql_run(&note_bases, STORAGE_LOCAL, values, NULL,
					 OWNER_SQL_EXEMPT) != (uint64) notes->n)
		capturecheck_refuse(STORAGE_LOCAL, TABLE_BASE, link->local->id);
}

/*
 * Give every entity that differs under a registered snapshot a base row, a
 * batch at a time.  The caller holds the local directory row and is connected
 * to SPI.
 */
static void
note_all_differing(const Link *link, Snapshot snapshot)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext batch = AllocSetContextCreate(caller, "diagsync refresh",
												ALLOCSET_DEFAULT_SIZES);
	Candidates *candidates = candidates_collect(link, snapshot);
	Reader		reader;
	bool		more = candidates->added > 0;

	reader_open(&reader, link, AccessShareLock, AccessShareLock);
	while (more)
	{
		Notes		notes;
		Size		bytes = 0;
		int			read = 0;
		Datum		id;

		MemoryContextReset(batch);
		MemoryContextSwitchTo(batch);
		notes_init(&notes);
		reader_begin(&reader, snapshot);
		while (read < settings_batch_size && bytes < BATCH_BYTES &&
			   (more = candidates_next(candidates, &id)))
		{
			Entity		entity = {0};

			CHECK_FOR_INTERRUPTS();
			entity.key = datumCopy(id, false, -1);
			bytes += reader_read(&reader, &entity);
			notes_add(&notes, &entity);
			read++;
		}
		reader_end(&reader);
		notes_write(&notes, link);
		MemoryContextSwitchTo(caller);
	}
	reader_close(&reader);
	candidates_end(candidates);
	MemoryContextDelete(batch);
}

/*
 * diagsync.refresh(local)
 *
 * What differs gets a base row (the local version is the base of what only the
 * shared copy changed), so that it stays a candidate whatever is recorded as
 * seen; it says where no record explains the difference, and where a deletion
 * is known whose tombstone may be dropped. Locks the local directory row FOR
 * NO KEY UPDATE, the shared one FOR KEY SHARE.
 */
DIAGSYNC_FUNCTION(diagsync_refresh)
{
	char	   *local_id = directory_name_arg(PG_GETARG_DATUM(0),
											  PG_ARGISNULL(0), "local");
	Snapshot	snapshot;
	Link	   *link;
	Seen	   *seen;
	uint64		own;
	uint64		edits = statement_shared_edits();
	HeapTuple	row;
	SyncLogEntry entry;

	statement_check_may_write("refresh", local_id, NULL);
	ratelimit_charge("refresh");
	synclog_begin(&entry, "refresh", local_id);
	SPI_connect();
	link = directory_lock_link(local_id, NULL, ACCESS_READER);
	own = U64FromFullTransactionId(GetTopFullTransactionId());
	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	PushActiveSnapshot(snapshot);
	seen = seen_now(own);
	PopActiveSnapshot();
	link->compare_in_full = true;
	note_all_differing(link, snapshot);

	/*
	 * What triggers of the base table wrote in the shared copy must be
	 * classified.
	 */
	if (statement_shared_edits() != edits)
		own = SEEN_OWN_NONE;
	directory_record_sync(local_id, SYNC_COMPARE, seen, own,
						  directory_public_version(link->public, snapshot));
	entry.public = link->public->id;
	synclog_write(&entry);
	UnregisterSnapshot(snapshot);
	SPI_finish();

	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	row = status_form(directory_read(local_id, snapshot), snapshot,
					  status_tupdesc(fcinfo));
	UnregisterSnapshot(snapshot);
	return HeapTupleGetDatum(row);
}
