/*
 * quota.c
 *	  How large entities and diagrams may be: diagsync.max_entity_size,
 *	  max_entities and max_put_entities.  54000 where it is too much.
 *
 * They are there to keep users from filling the disk, so they do not apply to
 * superusers and the tables' owner, and so to no restore.
 *
 * PostgreSQL does not know how many rows a diagram has without counting them.
 * So a session counts when it first adds to a diagram, and again when it has
 * added half of what there was room for then: never more than a few times on the
 * way, and to the row where it is alone.  Sessions that add at the same time
 * may go beyond by as much as each has found room for.
 *
 * May call directory.c and what is below it.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "access.h"
#include "command.h"
#include "quota.h"
#include "principal.h"
#include "settings.h"

static Command count_entities =
COMMAND("SELECT count(*) FROM (SELECT FROM %1$s.entity WHERE diagram_id" EQ "$1"
		" LIMIT $2) AS e",
		2, TEXTOID, INT8OID);

/* What a session knows of the room in a diagram */
typedef struct Room
{
	char		diagram[255 * MAX_MULTIBYTE_CHAR_LEN + 1];	/* hash key */
	int			limit;			/* that it was counted for */
	int64		room;			/* there was then */
	int64		added;			/* since */
} Room;

/* More diagrams than this are forgotten */
#define MAX_ROOMS 1000

static HTAB *rooms = NULL;

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
 * Check the size of a document (a jsonb datum, compressed or not) of a caller to
 * whom limits apply.
 */
void
quota_check_size(const char *diagram, const char *entity, Datum doc)
{
	Size		size = toast_raw_datum_size(doc) - VARHDRSZ;

	if (settings_max_entity_size == 0 ||
		size <= (Size) settings_max_entity_size * 1024)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("entity \"%s\" of diagram \"%s\" is too large",
					entity, diagram),
			 errdetail("It has %zu bytes; %d kB are allowed.", size,
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

static Room *
find_room(const char *diagram, bool *found)
{
	if (rooms != NULL && hash_get_num_entries(rooms) >= MAX_ROOMS)
	{
		hash_destroy(rooms);
		rooms = NULL;
	}
	if (rooms == NULL)
	{
		HASHCTL		ctl;

		memset(&ctl, 0, sizeof(ctl));
		ctl.keysize = sizeof(((Room *) NULL)->diagram);
		ctl.entrysize = sizeof(Room);
		rooms = hash_create("diagsync room in diagrams", 64, &ctl,
							HASH_ELEM | HASH_STRINGS);
	}
	return hash_search(rooms, diagram, HASH_ENTER, found);
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
	Room	   *room;
	bool		found;
	bool		isnull;
	int64		count;

	if (limit == 0 || added <= 0)
		return;
	room = find_room(diagram->id, &found);
	if (found && room->limit == limit && room->added + added <= room->room / 2)
	{
		room->added += added;
		return;
	}
	room->limit = 0;			/* until it is counted */

	PushActiveSnapshot(GetLatestSnapshot());
	(void) command_run(&count_entities, diagram->storage, values, NULL,
					   COMMAND_READ);
	PopActiveSnapshot();
	count = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
										SPI_tuptable->tupdesc, 1, &isnull));
	if (count > limit)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("diagram \"%s\" has too many entities", diagram->id),
				 errdetail("%d are allowed.", limit),
				 errhint("Delete some, or have an administrator raise diagsync.max_entities.")));
	room->limit = limit;
	room->room = limit - count;
	room->added = 0;
}
