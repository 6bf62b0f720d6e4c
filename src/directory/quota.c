/*
 * quota.c
 *	  How large entities and diagrams may be, and how many:
 *	  diagsync.max_entity_size, max_entities, max_put_entities,
 *	  max_diagram_size, max_owner_size and max_diagrams, and what owners allow
 *	  their diagrams themselves.  54000 where it is too much.
 *
 * They are there to keep users from filling the disk, so they do not apply to
 * superusers and the tables' owner, and so to no restore.
 *
 * PostgreSQL does not know how many rows a diagram has, or how large they are,
 * without counting them.  So the room that was found when it was counted is
 * noted in memory that all sessions share (shared.c), and taken up by what
 * they add; it is counted again when that is used up.  What is deleted or
 * rolled back meanwhile makes the note too low, which costs a count; what
 * others than the limited add is not taken off until then.  Where the server
 * has no memory to share, each statement that adds entities counts; of bytes
 * each session takes a sixteenth of the room that is left, so that some
 * sessions together may exceed a limit by a part of that.
 *
 * Bytes are charged as they were sent and counted as they are stored, with
 * what a row takes besides.  So a count that frees nothing is only due near
 * the limit.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "directory/quota.h"
#include "principal/access.h"
#include "principal/principal.h"
#include "server/settings.h"
#include "server/shared.h"
#include "statement/ownersql.h"

static OwnerSql count_entities =
OWNER_SQL("SELECT count(*) FROM (SELECT FROM %1$s.entity WHERE diagram_id" EQ "$1"
		  " LIMIT $2) AS e",
		  2, TEXTOID, INT8OID);

/* A row's own size, beside its document */
#define ROW_SIZE "pg_catalog.pg_column_size(e.doc) OPERATOR(pg_catalog.+) pg_catalog.pg_column_size(e.id) OPERATOR(pg_catalog.+) 100"
#define ROW_OVERHEAD 100

static OwnerSql size_of_diagram =
OWNER_SQL("SELECT pg_catalog.sum(" ROW_SIZE ") FROM %1$s.entity AS e"
		  " WHERE diagram_id" EQ "$1",
		  1, TEXTOID);

/* One diagram after the other: a join could read the whole table. */
#define SIZE_OF_OWNED(schema) \
	"SELECT s.size FROM diagsync.directory AS d," \
	" LATERAL (SELECT pg_catalog.sum(" ROW_SIZE ") AS size" \
	"  FROM " schema ".entity AS e WHERE e.diagram_id" EQ "d.id) AS s" \
	" WHERE d.owner" EQ "$1"

static OwnerSql size_of_owner =
OWNER_SQL("SELECT pg_catalog.sum(size)::pg_catalog.int8 FROM ("
		  SIZE_OF_OWNED("diagsync_local") " UNION ALL "
		  SIZE_OF_OWNED("diagsync_public") " UNION ALL "
		  SIZE_OF_OWNED("diagsync_private") ") AS s",
		  1, TEXTOID);

static OwnerSql count_diagrams =
OWNER_SQL("SELECT pg_catalog.count(*) FROM (SELECT FROM diagsync.directory"
		  " WHERE owner" EQ "$1 LIMIT $2) AS d",
		  2, TEXTOID, INT8OID);

/* Room for bytes that this session has taken, where no memory is shared */
typedef struct OwnRoom
{
	SharedKind	kind;
	uint32		name;			/* a hash of whose it is; 0: nobody's */
	int64		limit;
	int64		left;
} OwnRoom;

#define OWN_ROOMS 64
#define OWN_SHARE 16

static OwnRoom own_rooms[OWN_ROOMS];

/* Bytes that the updates of the statement at work have written so far */
static int64 written = 0;

/*
 * Do the limits apply to the caller?  Also while the tables' owner works for
 * them.
 */
bool
quota_applies(void)
{
	return !access_is_unrestricted(principal_role());
}

/*
 * Check the size of a document, as text, of a caller to whom limits apply.
 */
void
quota_check_size(const char *diagram, const char *entity, Size size)
{
	if (settings_max_entity_size == 0 ||
		size <= (Size) settings_max_entity_size * 1024)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("entity \"%s\" of diagram \"%s\" is too large",
					entity, diagram),
			 errdetail("It has %zu bytes as text; %d kB are allowed.", size,
					   settings_max_entity_size),
			 errhint("An administrator can raise diagsync.max_entity_size.")));
}

/*
 * Check how many entities put() is given by a caller to whom limits apply.
 */
void
quota_check_put(const char *diagram, int n)
{
	if (settings_max_put_entities == 0 || n <= settings_max_put_entities)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("too many entities at once for diagram \"%s\"", diagram),
			 errdetail("There are %d; %d are allowed in one call.", n,
					   settings_max_put_entities),
			 errhint("Write them in several calls, or have an administrator raise diagsync.max_put_entities.")));
}

/*
 * Take up room that all sessions share, if it is known that there is.  "shared":
 * whether there is memory for that.
 */
static bool
take_room(SharedKind kind, const char *name, int64 limit, int64 added,
		  bool *shared)
{
	int64		second = shared_second();
	SharedNote *note = shared_lock(kind, name);
	bool		taken;

	*shared = note != NULL;
	if (note == NULL)
		return false;
	taken = note->u.room.limit == limit && added <= note->u.room.left;
	if (taken)
		note->u.room.left -= added;
	note->second = second;
	shared_unlock(kind, note);
	return taken;
}

/*
 * Note what room there is.  Returns whether all sessions share that.
 */
static bool
note_room(SharedKind kind, const char *name, int64 limit, int64 left)
{
	SharedNote *note = shared_lock(kind, name);

	if (note == NULL)
		return false;
	note->u.room.limit = limit;
	note->u.room.left = left;
	shared_unlock(kind, note);
	return true;
}

/*
 * Check how many entities a diagram has, to which the statement or sync at
 * work has added so many, of a caller to whom limits apply.  The caller is
 * connected to SPI.
 */
void
quota_check_entities(const Diagram *diagram, int64 added)
{
	int			limit = quota_max_entities(diagram);
	Datum		values[2] = {diagram->key, Int64GetDatum((int64) limit + 1)};
	bool		isnull;
	int64		count;
	bool		shared;

	if (limit == 0 || added <= 0 ||
		take_room(SHARED_ROOM, diagram->id, limit, added, &shared))
		return;
	PushActiveSnapshot(GetLatestSnapshot());
	(void) ownersql_run(&count_entities, diagram->storage, values, NULL,
						OWNER_SQL_READ);
	PopActiveSnapshot();
	count = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
										SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	if (count > limit)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("diagram \"%s\" has too many entities", diagram->id),
				 errdetail("%d are allowed.", limit),
				 limit == settings_max_entities ?
				 errhint("Delete some, or have an administrator raise diagsync.max_entities.") :
				 errhint("Delete some, or have its owner allow more with diagsync.set_limits().")));
	(void) note_room(SHARED_ROOM, diagram->id, limit, limit - count);
}

/*
 * The lower of two limits, of which 0 is none.
 */
static int64
lower_limit(int64 a, int64 b)
{
	if (a == 0 || b == 0)
		return Max(a, b);
	return Min(a, b);
}

/*
 * How many entities a diagram may have; 0: as many as one likes.
 */
int
quota_max_entities(const Diagram *diagram)
{
	return (int) lower_limit(settings_max_entities, diagram->max_entities);
}

/*
 * How many bytes its entities may have; 0: as many as one likes.
 */
int64
quota_max_size(const Diagram *diagram)
{
	return lower_limit((int64) settings_max_diagram_size * 1024,
					   diagram->max_size);
}

/*
 * The bytes that the row of a document (a jsonb datum, compressed or not) is
 * charged.
 */
int64
quota_row_bytes(Datum doc)
{
	return (int64) toast_raw_datum_size(doc) + ROW_OVERHEAD;
}

/*
 * An update of the statement at work writes so many bytes.
 */
void
quota_note_written(int64 bytes)
{
	written += bytes;
}

/*
 * To be called before each statement that updates entities.
 */
void
quota_begin_statement(void)
{
	written = 0;
}

/*
 * How many bytes the updates of the statement at work have written.
 */
int64
quota_written(void)
{
	return written;
}

static OwnRoom *
own_room(SharedKind kind, const char *name)
{
	uint32		hash = string_hash(name, strlen(name) + 1) | 1;
	OwnRoom    *room = &own_rooms[(hash + kind) % OWN_ROOMS];

	if (room->kind != kind || room->name != hash)
	{
		memset(room, 0, sizeof(OwnRoom));
		room->kind = kind;
		room->name = hash;
	}
	return room;
}

/*
 * Take up room for so many bytes, if it is known that there is.
 */
static bool
take_bytes(SharedKind kind, const char *name, int64 limit, int64 added)
{
	bool		shared;
	bool		taken = take_room(kind, name, limit, added, &shared);
	OwnRoom    *own;

	if (shared)
		return taken;
	own = own_room(kind, name);
	taken = own->limit == limit && added <= own->left;
	if (taken)
		own->left -= added;
	return taken;
}

static void
note_bytes(SharedKind kind, const char *name, int64 limit, int64 left)
{
	OwnRoom    *own;

	if (note_room(kind, name, limit, left))
		return;
	own = own_room(kind, name);
	own->limit = limit;
	own->left = left / OWN_SHARE;
}

/*
 * Run a command that counts.
 */
static int64
counted(OwnerSql *command, StorageType storage, Datum *values)
{
	bool		isnull;
	Datum		value;

	PushActiveSnapshot(GetLatestSnapshot());
	(void) ownersql_run(command, storage, values, NULL, OWNER_SQL_READ);
	PopActiveSnapshot();
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
						  &isnull);
	return isnull ? 0 : DatumGetInt64(value);
}

/*
 * How many bytes the entities of a diagram have.  The caller is connected to
 * SPI.
 */
int64
quota_size(const Diagram *diagram)
{
	Datum		values[1] = {diagram->key};

	return counted(&size_of_diagram, diagram->storage, values);
}

/*
 * Check how large a diagram is, and what its owner has in all, to which the
 * statement or sync at work has added so many bytes, of a caller to whom
 * limits apply.  The caller is connected to SPI.
 */
void
quota_check_bytes(const Diagram *diagram, int64 added)
{
	int64		limit = quota_max_size(diagram);
	int64		owner_limit = (int64) settings_max_owner_size * 1024;

	if (added <= 0)
		return;
	if (limit > 0 && !take_bytes(SHARED_SIZE, diagram->id, limit, added))
	{
		int64		size = quota_size(diagram);

		if (size > limit)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("diagram \"%s\" is too large", diagram->id),
					 errdetail("Its entities would have " INT64_FORMAT " bytes; "
							   INT64_FORMAT " are allowed.", size, limit),
					 limit == (int64) settings_max_diagram_size * 1024 ?
					 errhint("Delete some, or have an administrator raise diagsync.max_diagram_size.") :
					 errhint("Delete some, or have its owner allow more with diagsync.set_limits().")));
		note_bytes(SHARED_SIZE, diagram->id, limit, limit - size);
	}
	if (owner_limit > 0 &&
		!take_bytes(SHARED_OWNER_SIZE, diagram->owner, owner_limit, added))
	{
		Datum		values[1] = {CStringGetTextDatum(diagram->owner)};
		int64		size = counted(&size_of_owner, STORAGE_LOCAL, values);

		if (size > owner_limit)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("there is no more room for diagram \"%s\"",
							diagram->id),
					 errdetail("The diagrams of its owner may have " INT64_FORMAT " bytes together.",
							   owner_limit),
					 errhint("Delete some, or have an administrator raise diagsync.max_owner_size.")));
		note_bytes(SHARED_OWNER_SIZE, diagram->owner, owner_limit,
				   owner_limit - size);
	}
}

/*
 * Check that the caller may have one diagram more.  The caller is connected to
 * SPI.
 */
void
quota_check_diagrams(void)
{
	Datum		values[2];
	int64		limit = settings_max_diagrams;

	if (limit == 0 || access_is_unrestricted(principal_role()))
		return;
	values[0] = CStringGetTextDatum(principal_current());
	values[1] = Int64GetDatum(limit);
	if (counted(&count_diagrams, STORAGE_LOCAL, values) >= limit)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("\"%s\" has too many diagrams", principal_current()),
				 errdetail(INT64_FORMAT " are allowed.", limit),
				 errhint("Remove some with diagsync.drop_diagram(), or have an administrator raise diagsync.max_diagrams.")));
}
