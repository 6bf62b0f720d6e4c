/*
 * sync.c
 *	  push() and pull(): the way of a sync, from its arguments to its result.
 *
 * A sync locks its link, collects the candidates under one snapshot, and goes
 * through them in batches: read and weigh each, decide, lock what that rests on,
 * decide again where it has moved, write.  In the end the link records the
 * snapshot as seen.  All of that is one subtransaction, so that a sync happens
 * whole or not at all: it is rolled back where a conflict turns up late, where
 * the plan is not the expected one, where it would delete much unasked, and where
 * somebody else was faster (then it is tried again).
 *
 * May call all but the other SQL-callable functions.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "apply.h"
#include "attempt.h"
#include "candidate.h"
#include "deletions.h"
#include "directory.h"
#include "document.h"
#include "function.h"
#include "quota.h"
#include "listing.h"
#include "lock.h"
#include "progress.h"
#include "ratelimit.h"
#include "session.h"
#include "settings.h"
#include "sync.h"
#include "synclog.h"
#include "textarg.h"

/* A batch ends with so many bytes of documents, if not before */
#define BATCH_BYTES (8 * 1024 * 1024)

/* A call and what comes of it */
typedef struct Sync
{
	const char *function;
	char	   *local;
	char	   *public;			/* or NULL */
	MemoryContext context;		/* of the call */
	char	   *far;			/* the far end, once that is known */
	Direction	direction;
	Resolution	on_conflict;
	bool		dry_run;
	char	   *expected_plan;	/* or NULL */
	bool		allow_deletions;

	int64		inserted;
	int64		bytes;			/* of what is written at that end */
	int64		updated;
	int64		deleted;
	int64		merged;
	int64		resolved;
	int64		conflicts;
	Deletions	deletions;		/* at either end */
	int64		refused_deletions;
	int64		public_version;
	char	   *plan;			/* in that context, or NULL */
	Digest	   *digest;			/* of the plan in the making, or NULL */
	Listing    *listing;		/* of what it would do, or NULL */
	bool		unpulled;		/* a push leaves public changes for a pull */
	int			tries;
	int64		late_conflicts; /* made by triggers while it wrote */
	TransactionId inserter;		/* to be waited for before the next try */
} Sync;

/* What push(), pull() and their previews are all given first */
static void
parse_link_arguments(FunctionCallInfo fcinfo, Sync *sync)
{
	char	   *on_conflict;

	sync->local = directory_name_arg(PG_GETARG_DATUM(0), PG_ARGISNULL(0),
									 "local");
	sync->public = PG_ARGISNULL(1) ? NULL :
		textarg_get(PG_GETARG_DATUM(1), "public", sync->local, MAX_DIAGRAM_ID);
	directory_refuse_null(PG_ARGISNULL(2), "on_conflict", sync->local);
	on_conflict = textarg_get(PG_GETARG_DATUM(2), "on_conflict", sync->local,
							  MAX_WORD);
	if (!resolution_parse(on_conflict, &sync->on_conflict) ||
		sync->on_conflict == RESOLUTION_MERGED)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown value \"%s\" of on_conflict for diagram \"%s\"",
						on_conflict, sync->local),
				 errhint("It is abort, skip, local, public, both or newest.")));
}

static void
parse_arguments(FunctionCallInfo fcinfo, Sync *sync)
{
	parse_link_arguments(fcinfo, sync);
	directory_refuse_null(PG_ARGISNULL(3), "dry_run", sync->local);
	sync->dry_run = PG_GETARG_BOOL(3);
	sync->expected_plan = PG_ARGISNULL(4) ? NULL :
		textarg_get(PG_GETARG_DATUM(4), "expected_plan", sync->local, MAX_WORD);
	directory_refuse_null(PG_ARGISNULL(5), "allow_deletions", sync->local);
	sync->allow_deletions = PG_GETARG_BOOL(5);
}

/*
 * Count a write at the end that the call is about, or take it back (by = -1).
 */
static void
count_write(Sync *sync, const WorkItem *item, int by)
{
	bool		push = sync->direction == DIRECTION_PUSH;
	const Version *target = push ? item->effect.public : item->effect.local;
	const Version *current = push ? &item->entity.public : &item->entity.local;

	if (item->effect.local != NULL && item->effect.local->doc == NULL &&
		item->entity.local.doc != NULL)
		sync->deletions.local += by;
	if (item->effect.public != NULL && item->effect.public->doc == NULL &&
		item->entity.public.doc != NULL)
		sync->deletions.public += by;
	if (target == NULL || (target->doc == NULL && current->doc == NULL))
		return;
	if (target->doc != NULL)
		sync->bytes += by * (int64) VARSIZE(target->doc);
	if (target->doc == NULL)
		sync->deleted += by;
	else if (current->doc == NULL)
		sync->inserted += by;
	else
		sync->updated += by;
}

static void
digest_end_of(Digest *digest, const char *end, const Version *target)
{
	digest_string(digest, target != NULL ? end : NULL);
	if (target != NULL)
		digest_document(digest, target->doc);
}

/*
 * Count what is intended with an item, and add it to the plan.
 */
static void
tally(Sync *sync, const WorkItem *item)
{
	const Entity *entity = &item->entity;

	count_write(sync, item, 1);
	sync->merged += item->effect.merged;
	if (item->effect.resolved)
		sync->resolved++;
	else if (entity->conflict != CONFLICT_NONE)
		sync->conflicts++;

	if (sync->digest != NULL &&
		(entity->conflict != CONFLICT_NONE || item->effect.local != NULL ||
		 item->effect.public != NULL))
	{
		if (sync->listing != NULL)
			listing_add(sync->listing, item, sync->direction);
		digest_string(sync->digest, entity->id);
		digest_document(sync->digest, entity->base.doc);
		digest_document(sync->digest, entity->local.doc);
		digest_document(sync->digest, entity->public.doc);

		/* What is decided may rest on more, as with "newest". */
		digest_end_of(sync->digest, "local", item->effect.local);
		digest_end_of(sync->digest, "public", item->effect.public);
	}
}

/*
 * Take back what was counted but kept from being stored.
 */
static void
tally_missed(Sync *sync, const WorkItem *item)
{
	bool		push = sync->direction == DIRECTION_PUSH;

	bool		missed = item->withheld ||
		item->local_outcome == OUTCOME_MISSED ||
		item->public_outcome == OUTCOME_MISSED;

	if (item->withheld ||
		(push ? item->public_outcome : item->local_outcome) == OUTCOME_MISSED)
		count_write(sync, item, -1);
	if (item->effect.merged && missed)
		sync->merged--;
	if (item->effect.resolved && missed)
	{
		sync->resolved--;
		sync->conflicts++;
	}
}

/*
 * Look again at what was kept from being stored: a trigger may have edited the
 * entity meanwhile, and that may be a conflict.
 */
static void
tally_all_missed(Sync *sync, Work *work, List *items)
{
	bool		reading = false;
	ListCell   *lc;

	foreach(lc, items)
	{
		WorkItem   *item = lfirst(lc);
		Entity		now = {0};

		tally_missed(sync, item);
		if (item->entity.conflict != CONFLICT_NONE ||
			(item->local_outcome != OUTCOME_MISSED &&
			 item->public_outcome != OUTCOME_MISSED))
			continue;
		if (!reading)
			reader_begin(&work->reader, GetTransactionSnapshot());
		reading = true;
		now.id = item->entity.id;
		now.key = item->entity.key;
		now.ties = item->entity.ties;
		(void) reader_read(&work->reader, &now);
		sync->late_conflicts += now.conflict != CONFLICT_NONE;
	}
	if (reading)
		reader_end(&work->reader);
}

/*
 * Nothing is written: what would have been is not to be reported, and conflicts
 * that would have been settled are left.
 */
static void
count_nothing_written(Sync *sync)
{
	sync->bytes = 0;
	sync->inserted = sync->updated = sync->deleted = sync->merged = 0;
	sync->conflicts += sync->resolved;
	sync->resolved = 0;
}

static bool
is_blocked_by_conflict(const Sync *sync)
{
	return sync->on_conflict == RESOLUTION_ABORT && sync->conflicts > 0;
}

/* Is there a public change that only its revision would show to the next sync? */
static bool
is_left_for_a_pull(const WorkItem *item)
{
	return !item->entity.has_base_row &&
		item->entity.public_change != CHANGE_NONE &&
		item->effect.local == NULL && item->effect.public == NULL;
}

/*
 * All candidates are counted: is the sync to be done?  Who expects the plan was
 * shown its deletions.
 */
static AttemptEnd
end_of(Sync *sync, const Link *link, Snapshot snapshot)
{
	bool		expected = sync->expected_plan != NULL &&
		strcmp(sync->expected_plan, sync->plan) == 0;

	if (is_blocked_by_conflict(sync))
	{
		count_nothing_written(sync);
		return ATTEMPT_UNDONE;
	}
	if (!expected && !sync->allow_deletions)
		sync->refused_deletions = deletions_too_many(&sync->deletions, link,
													 snapshot);
	if (sync->refused_deletions > 0)
	{
		count_nothing_written(sync);
		return ATTEMPT_UNDONE;
	}
	if (sync->expected_plan != NULL && !expected)
		return ATTEMPT_UNDONE;
	sync->conflicts += sync->late_conflicts;
	return ATTEMPT_DONE;
}

/*
 * Go through the candidates in batches.  With "write" they are locked and
 * written, until a conflict blocks the sync; without, only counted.  What comes
 * of it: DONE, UNDONE where a conflict or another plan than the expected one
 * blocks it, AGAIN where somebody else was faster.
 */
static AttemptEnd
go_through(Sync *sync, Work *work, Candidates *candidates, Snapshot snapshot,
		   bool write)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext batch = AllocSetContextCreate(caller, "diagsync batch",
												ALLOCSET_DEFAULT_SIZES);
	bool		more = true;
	int64		done = 0;

	progress_phase(write ? PROGRESS_WRITING : PROGRESS_CHECKING,
				   candidates->added);
	tieset_rewind(work->ties);
	sync->bytes = 0;
	sync->inserted = sync->updated = sync->deleted = 0;
	sync->merged = sync->resolved = sync->conflicts = 0;
	sync->deletions = (Deletions) {0};
	sync->refused_deletions = 0;
	sync->unpulled = false;
	sync->late_conflicts = 0;
	sync->plan = NULL;
	if (sync->dry_run || sync->expected_plan != NULL)
	{
		sync->digest = digest_begin();
		digest_string(sync->digest, sync->function);
		digest_string(sync->digest, resolution_name(sync->on_conflict));
		digest_document(sync->digest, work->link->local->merge_policy);
	}

	while (more && !work->moved)
	{
		List	   *items = NIL;
		List	   *written = NIL;
		Size		bytes = 0;
		Datum		id;
		ListCell   *lc;

		MemoryContextReset(batch);
		MemoryContextSwitchTo(batch);
		reader_begin(&work->reader, GetTransactionSnapshot());

		while (list_length(items) < settings_batch_size && bytes < BATCH_BYTES &&
			   (more = candidates_next(candidates, &id)))
		{
			WorkItem   *item = work_item(TextDatumGetCString(id));

			CHECK_FOR_INTERRUPTS();
			item->entity.found_at = candidates->found_at;
			item->entity.ties = tieset_next(work->ties, item->entity.id, false);
			bytes += reader_read(&work->reader, &item->entity);
			work_decide(work, item);
			items = lappend(items, item);
			if (!effect_is_nothing(&item->effect))
				written = lappend(written, item);
		}

		if (write && written != NIL)
			lock_items(work, written);

		foreach(lc, items)
		{
			WorkItem   *item = lfirst(lc);
			WorkItem   *copy = NULL;

			tally(sync, item);
			if (is_left_for_a_pull(item))
				sync->unpulled = true;
			if (item->effect.copies)
			{
				copy = work_copy(work, item);
				tally(sync, copy);
				written = lappend(written, copy);
			}
			if (write && (!work_has_told_id(item, copy) ||
						  work_is_newer_than_ties(work, item)))
				work->moved = true;
		}
		reader_end(&work->reader);

		/* What is written already is rolled back. */
		if (is_blocked_by_conflict(sync) ||
			(write && !sync->allow_deletions && sync->expected_plan == NULL &&
			 deletions_have_become_many(&sync->deletions, work->link, snapshot)))
			write = false;
		if (write && written != NIL && !work->moved)
		{
			apply_write(work, written);
			if (!work->moved)
				tally_all_missed(sync, work, written);
		}
		progress_done(done += list_length(items));
		MemoryContextSwitchTo(caller);
	}

	MemoryContextDelete(batch);
	if (sync->digest != NULL)
	{
		sync->plan = MemoryContextStrdup(sync->context,
										 digest_end(sync->digest));
		sync->digest = NULL;
	}
	if (work->moved)
		return ATTEMPT_AGAIN;
	return end_of(sync, work->link, snapshot);
}

/*
 * Record what a sync that was carried out has seen, or that it has run.
 */
static void
record(Sync *sync, Work *work, Snapshot snapshot, uint64 shared_edits)
{
	const char *local = work->link->local->id;
	const char *public = work->link->public->id;
	Seen	   *seen = NULL;
	uint64		own = work->own;

	/*
	 * What others wrote at the far end in this transaction (triggers of
	 * applications, what they made of our rows) must be weighed.
	 */
	if (work->weigh_own || session_shared_edits() != shared_edits)
		own = SEEN_OWN_NONE;

	/* A push leaves unpulled public changes for the next pull. */
	if (sync->direction == DIRECTION_PULL || !sync->unpulled)
	{
		PushActiveSnapshot(snapshot);
		seen = seen_now(work->own);
		PopActiveSnapshot();
	}
	if (work->public_written)
		directory_forget_own(public, own == SEEN_OWN_NONE ? NULL : local);
	directory_record_sync(local,
						  sync->direction == DIRECTION_PUSH ? SYNC_PUSH : SYNC_PULL,
						  seen, own, sync->public_version);
}

static int64
public_version_now(const Link *link)
{
	Snapshot	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	int64		version = directory_public_version(link->public, snapshot);

	UnregisterSnapshot(snapshot);
	return version;
}

/*
 * Check that the ends that a sync added entities to may have so many.
 */
static void
check_entities(const Sync *sync, const Link *link)
{
	if (!quota_applies())
		return;
	quota_check_bytes(sync->direction == DIRECTION_PUSH ? link->public :
					  link->local, sync->bytes);
	if (sync->direction == DIRECTION_PUSH)
		quota_check_entities(link->public, sync->inserted);
	if (sync->direction == DIRECTION_PULL ||
		sync->on_conflict == RESOLUTION_BOTH)
		quota_check_entities(link->local, sync->inserted);
}

/*
 * Do all of it, or with dry_run look what it would do.
 */
static AttemptEnd
process(void *arg)
{
	Sync	   *sync = arg;
	bool		write = !sync->dry_run;
	uint64		shared_edits = session_shared_edits();
	Snapshot	snapshot;
	Candidates *candidates;
	Link	   *link;
	Work		work = {0};
	AttemptEnd	end = ATTEMPT_DONE;
	AccessLevel far = sync->direction == DIRECTION_PUSH ? ACCESS_WRITER :
		ACCESS_READER;

	if (write)
	{
		link = directory_lock_link(sync->local, sync->public, far);
		work.own = U64FromFullTransactionId(GetTopFullTransactionId());
		snapshot = RegisterSnapshot(GetTransactionSnapshot());
	}
	else
	{
		snapshot = RegisterSnapshot(GetTransactionSnapshot());
		link = directory_read_link(sync->local, sync->public, far, snapshot);
	}
	sync->far = MemoryContextStrdup(sync->context, link->public->id);
	work.direction = sync->direction;
	work_open(&work, link, write);
	work.resolution = sync->on_conflict;
	work.cautious = sync->tries++ > 0;
	progress_begin(sync->direction == DIRECTION_PUSH ? PROGRESS_PUSH :
				   PROGRESS_PULL);
	candidates = candidates_collect(link, snapshot);
	work.ties = ties_collect(&work.reader, candidates, snapshot,
							 sync->on_conflict == RESOLUTION_BOTH);
	if (write && work.ties != NULL)
	{
		PushActiveSnapshot(snapshot);
		work.ties_seen = seen_now(work.own);
		PopActiveSnapshot();
	}

	/*
	 * Where the sync may not happen, look before writing more than a batch that
	 * would be rolled back.
	 */
	if (write && candidates->added > settings_batch_size &&
		((sync->on_conflict == RESOLUTION_ABORT &&
		  (candidates->may_conflict || work.ties != NULL)) ||
		 sync->expected_plan != NULL))
	{
		end = go_through(sync, &work, candidates, snapshot, false);
		candidates_rewind(candidates);
	}
	if (end == ATTEMPT_DONE)
		end = go_through(sync, &work, candidates, snapshot, write);

	if (write && end == ATTEMPT_DONE)
	{
		check_entities(sync, link);
		sync->public_version = public_version_now(link);
		record(sync, &work, snapshot, shared_edits);
	}
	else						/* without what is rolled back */
		sync->public_version = directory_public_version(link->public, snapshot);

	progress_end();
	sync->inserter = work.inserter;
	tieset_end(work.ties);
	candidates_end(candidates);
	reader_close(&work.reader);
	UnregisterSnapshot(snapshot);
	return end;
}

/* A row of diagsync.sync_result, to which the tupdesc is blessed. */
static Datum
result_of(TupleDesc tupdesc, const Sync *sync, AttemptEnd end)
{
	Datum		values[11];
	bool		nulls[11] = {false};

	values[0] = BoolGetDatum(end == ATTEMPT_DONE && sync->conflicts == 0);
	values[1] = function_count(sync->inserted + sync->updated + sync->deleted);
	values[2] = function_count(sync->inserted);
	values[3] = function_count(sync->updated);
	values[4] = function_count(sync->deleted);
	values[5] = function_count(sync->merged);
	values[6] = function_count(sync->resolved);
	values[7] = function_count(sync->conflicts);
	values[8] = Int64GetDatum(sync->public_version);
	nulls[8] = sync->public_version == 0;
	values[9] = sync->plan ? CStringGetTextDatum(sync->plan) : (Datum) 0;
	nulls[9] = sync->plan == NULL;
	values[10] = function_count(sync->refused_deletions);
	return HeapTupleGetDatum(heap_form_tuple(tupdesc, values, nulls));
}

static void
log_sync(const Sync *sync, AttemptEnd end, SyncLogEntry *entry)
{
	bool		done = end == ATTEMPT_DONE;

	entry->public = sync->far;
	entry->success = done && sync->conflicts == 0;
	entry->inserted = done ? sync->inserted : 0;
	entry->updated = done ? sync->updated : 0;
	entry->deleted = done ? sync->deleted : 0;
	entry->merged = done ? sync->merged : 0;
	entry->resolved = done ? sync->resolved : 0;
	entry->conflicts = sync->conflicts;
	entry->refused_deletions = sync->refused_deletions;
	synclog_write(entry);
}

static AttemptEnd
carry_out(Sync *sync)
{
	SyncLogEntry entry;
	AttemptEnd	end;

	if (sync->dry_run)
		session_check_closed(sync->function, sync->local, NULL);
	else
		session_check_may_write(sync->function, sync->local, NULL);

	ratelimit_charge(sync->function);
	synclog_begin(&entry, sync->function, sync->local);
	SPI_connect();
	end = sync->dry_run ? process(sync) :
		attempt_run(process, sync, &sync->inserter, sync->local);
	if (!sync->dry_run)
		log_sync(sync, end, &entry);
	SPI_finish();
	return end;
}

static Datum
run(FunctionCallInfo fcinfo, const char *function, Direction direction)
{
	Sync	   *sync = palloc0(sizeof(Sync));
	TupleDesc	tupdesc;
	AttemptEnd	end;

	sync->function = function;
	sync->context = CurrentMemoryContext;
	sync->direction = direction;
	parse_arguments(fcinfo, sync);
	end = carry_out(sync);
	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return result_of(BlessTupleDesc(tupdesc), sync, end);
}

/*
 * What push() or pull() would answer as a dry run, with what it would do with
 * each entity in the listing.  The function was called with local, public and
 * on_conflict first.  A row of diagsync.sync_result, to which the tupdesc is
 * blessed.
 */
Datum
sync_preview(FunctionCallInfo fcinfo, Direction direction, Listing *listing,
			 bool allow_deletions, TupleDesc tupdesc)
{
	Sync	   *sync = palloc0(sizeof(Sync));
	AttemptEnd	end;

	sync->function = direction == DIRECTION_PUSH ? "push" : "pull";
	sync->context = CurrentMemoryContext;
	sync->direction = direction;
	sync->dry_run = true;
	sync->listing = listing;
	sync->allow_deletions = allow_deletions;
	parse_link_arguments(fcinfo, sync);
	end = carry_out(sync);
	return result_of(tupdesc, sync, end);
}

/*
 * diagsync.push(local, public, on_conflict, dry_run, expected_plan,
 *				 allow_deletions)
 *
 * For the local diagram's owner, who may write to the far end.  Sends local changes to the far end.  Locks the local directory row FOR NO KEY
 * UPDATE, the far one FOR KEY SHARE, and the rows that it writes.
 */
DIAGSYNC_FUNCTION(diagsync_push)
{
	return run(fcinfo, "push", DIRECTION_PUSH);
}

/*
 * diagsync.pull(local, public, on_conflict, dry_run, expected_plan,
 *				 allow_deletions)
 *
 * For the local diagram's owner, who may read the far end.  Takes the changes of the far end.  Locks as push() does, but no rows of the
 * far end.
 */
DIAGSYNC_FUNCTION(diagsync_pull)
{
	return run(fcinfo, "pull", DIRECTION_PULL);
}
