/*
 * weigh.h
 *	  One entity in its three versions, weighed against each other.
 */
#ifndef DIAGSYNC_WEIGH_H
#define DIAGSYNC_WEIGH_H

#include "datatype/timestamp.h"
#include "storage/itemptr.h"
#include "utils/jsonb.h"

#include "directory.h"
#include "storage.h"

/* What one side did since the base */
typedef enum ChangeKind
{
	CHANGE_NONE,
	CHANGE_INSERT,
	CHANGE_UPDATE,
	CHANGE_DELETE,
} ChangeKind;

/* Kinds of conflict, the local side first */
typedef enum ConflictKind
{
	CONFLICT_NONE,
	CONFLICT_UPDATE_UPDATE,
	CONFLICT_UPDATE_DELETE,
	CONFLICT_DELETE_UPDATE,
	CONFLICT_INSERT_INSERT,
} ConflictKind;

/* An entity as one end has it, or the base of both. */
typedef struct Version
{
	Jsonb	   *doc;			/* NULL: it does not exist there */
	TimestampTz at;				/* when edited, or deleted; DT_NOBEGIN: not
								 * known */
	char	   *by;				/* by whom; NULL: not known */
	ItemPointerData tid;		/* its row; invalid if it has none */
} Version;

typedef struct Entity
{
	char	   *id;
	Datum		key;			/* the id as a text */
	Version		local;
	Version		public;
	Version		base;			/* the local one where there is no base row */
	bool		has_base_row;

	/* The verdict */
	ChangeKind	local_change;	/* NONE for both where they agree */
	ChangeKind	public_change;
	ConflictKind conflict;
	bool		equal;			/* both ends, by plain value */
} Entity;

/* Reads entities of a link, one after the other. */
typedef struct Reader
{
	const Link *link;
	Snapshot	snapshot;
	Probe		local;
	Probe		base;
	Probe		public;
	Probe		tombstone;
} Reader;

extern void reader_open(Reader *reader, const Link *link, LOCKMODE lockmode);
extern void reader_begin(Reader *reader, Snapshot snapshot);
extern Size reader_read(Reader *reader, Entity *entity);
extern bool reader_id_is_taken(Reader *reader, const char *id);
extern void reader_end(Reader *reader);
extern void reader_close(Reader *reader);

extern const char *change_name(ChangeKind change);
extern const char *conflict_name(ConflictKind conflict);
extern void entity_weigh(Entity *entity);
extern char *entity_version(const Entity *entity);

#endif							/* DIAGSYNC_WEIGH_H */
