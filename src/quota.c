/*
 * quota.c
 *	  How large entities and diagrams may be: diagsync.max_entity_size,
 *	  max_entities and max_put_entities.  54000 where it is too much.
 *
 * They are there to keep users from filling the disk, so they do not apply to
 * superusers and the tables' owner, and so to no restore.
 *
 * PostgreSQL does not know how many rows a diagram has without counting them.
 * So the room that was found when it was counted is noted in memory that all
 * sessions share (shared.c), and taken up by what they add; it is counted again
 * when that is used up.  What is deleted or rolled back meanwhile makes the note
 * too low, which costs a count; what others than the limited add is not taken
 * off until then.  Where the server has no memory to share, each
 * statement that adds entities counts.
 *
 * May call directory.c and what is below it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "access.h"
#include "command.h"
#include "quota.h"
#include "principal.h"
#include "settings.h"
#include "shared.h"

static Command count_entities =
COMMAND("SELECT count(*) FROM (SELECT FROM %1$s.entity WHERE diagram_id" EQ "$1"
		" LIMIT $2) AS e",
		2, TEXTOID, INT8OID);

/*
 * Do the limits apply to the caller?  Also while the tables' owner works for
 * him.
 */
bool
quota_applies(void)
{
	return (settings_max_entity_size > 0 || settings_max_entities > 0 ||
			settings_max_put_entities > 0) &&
		!access_is_unrestricted(principal_role());
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
 * Take up room for so many entities, if it is known that there is.
 */
static bool
take_room(const char *diagram, int limit, int64 added)
{
	int64		second = shared_second();
	SharedNote *note = shared_lock(SHARED_ROOM, diagram);
	bool		taken;

	if (note == NULL)
		return false;
	taken = note->u.room.limit == limit && added <= note->u.room.left;
	if (taken)
		note->u.room.left -= added;
	note->second = second;
	shared_unlock(SHARED_ROOM, note);
	return taken;
}

static void
note_room(const char *diagram, int limit, int64 left)
{
	SharedNote *note = shared_lock(SHARED_ROOM, diagram);

	if (note == NULL)
		return;
	note->u.room.limit = limit;
	note->u.room.left = left;
	shared_unlock(SHARED_ROOM, note);
}

/*
 * Check how many entities a diagram has, to which the statement or sync at work
 * has added so many, of a caller to whom limits apply.  The caller is connected
 * to SPI.
 */
void
quota_check_entities(const Diagram *diagram, int64 added)
{
	int			limit = settings_max_entities;
	Datum		values[2] = {diagram->key, Int64GetDatum((int64) limit + 1)};
	bool		isnull;
	int64		count;

	if (limit == 0 || added <= 0 || take_room(diagram->id, limit, added))
		return;
	PushActiveSnapshot(GetLatestSnapshot());
	(void) command_run(&count_entities, diagram->storage, values, NULL,
					   COMMAND_READ);
	PopActiveSnapshot();
	count = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
										SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	if (count > limit)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("diagram \"%s\" has too many entities", diagram->id),
				 errdetail("%d are allowed.", limit),
				 errhint("Delete some, or have an administrator raise diagsync.max_entities.")));
	note_room(diagram->id, limit, limit - count);
}
