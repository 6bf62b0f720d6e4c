/*
 * classify.h
 *	  One entity in its three versions, compared with each other.
 */
#ifndef DIAGSYNC_CLASSIFY_H
#define DIAGSYNC_CLASSIFY_H

#include "datatype/timestamp.h"
#include "nodes/bitmapset.h"
#include "storage/itemptr.h"
#include "utils/jsonb.h"

#include "directory/directory.h"
#include "merge/reference.h"
#include "merge/threeway.h"
#include "table/storage.h"

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
	CONFLICT_DANGLING,			/* one refers to what the other side deleted */
	CONFLICT_CYCLE,				/* a sync would close a ring of references */
	CONFLICT_UNKNOWN,			/* no record says who changed or deleted it */
} ConflictKind;

/* An entity as one copy has it, or the base of both. */
typedef struct Version
{
	Jsonb	   *doc;			/* NULL: it does not exist there */
	TimestampTz at;				/* when edited, or deleted; DT_NOBEGIN: not
								 * known */
	char	   *by;				/* by whom; NULL: not known */
	uint64		rev;			/* revision of its row, or of its deletion; 0:
								 * not known, or of old */
	ItemPointerData tid;		/* its row; invalid if it has none */
} Version;

/* How a difference is explained, as the base row's column "unknown" says */
typedef enum Explanation
{
	EXPLANATION_BY_RECORDS,		/* nothing: the records decide */
	EXPLANATION_KNOWN,			/* the link knows that the shared copy deleted
								 * it */
	EXPLANATION_MISSING,		/* no record says who changed it */
} Explanation;

/* Another entity, deleted in one copy, that an entity refers to */
typedef struct Target
{
	char	   *id;
	bool		deleted_locally;	/* else in the shared copy */
	bool		stays_deleted;	/* by the rule "newest" */
} Target;

/* Whose references are taken where a sync would close a ring of them */
typedef enum RingSide
{
	RING_LEFT,					/* nobody's: it is left as it is */
	RING_LOCAL,
	RING_PUBLIC,
} RingSide;

/* A ring that a sync would close, as far as an entity is in it (see ring.c) */
typedef struct Ring
{
	Bitmapset  *places;			/* its references in the ring: numbers of
								 * pointers of policy->acyclic */
	bool		in_conflict;	/* else something is only held back */
	Bitmapset  *held;			/* those that a push does not bring to the
								 * local end: they wait for the next pull */
	bool		is_stuck;		/* neither side's references break the ring */
	RingSide	side;
	const char *members;		/* a digest of who is in it, or NULL */
} Ring;

/* What an entity depends on by references (see dependency.c) */
typedef struct Dependencies
{
	bool		referred_to;	/* it is deleted in one copy, and referred to
								 * at the other */
	bool		stays_deleted;	/* by the rule "newest" */
	List	   *referrers;		/* their ids, where they were asked for */
	List	   *targets;		/* what it refers to that is deleted, of
								 * Target, in ascending ids */
	List	   *renames;		/* what it refers to that "both" gives a new
								 * id, of Rename, in ascending ids */
	char	   *copy_id;		/* the new id that is announced to others, or
								 * NULL */
	const Ring *ring;			/* that it is in, or NULL */
} Dependencies;

typedef struct Entity
{
	char	   *id;
	Datum		key;			/* the id as a text */
	Version		local;
	Version		public;
	Version		base;			/* the local one where there is no base row */
	bool		has_base_row;
	Explanation explanation;	/* as the base row says */
	List	   *accepted;		/* ids with which a resolution has accepted
								 * that a reference dangles */
	Dependencies *dependencies; /* or NULL; to be set before it is read */
	ItemPointerData found_at;	/* the shared row, perhaps; or invalid */

	/* What it is classified as */
	ChangeKind	local_change;	/* NONE for both where they agree */
	ChangeKind	public_change;
	ConflictKind conflict;
	bool		equal;			/* both copies, by plain value, but for
								 * whether they repeat the id */
	bool		agreed;			/* both changed it to the same as the policy
								 * sees it, but they are not equal */
	bool		merges;			/* both changed it, and it can be merged */
	Threeway	threeway;
	Version    *merged;			/* see entity_merged() */
	const Version *won[SIDES];	/* see entity_won() */
	List	   *dangling;		/* places (JsonPointer) of references that
								 * would dangle */
} Entity;

/* A deletion in one copy of what the other copy has */
typedef struct Deletion
{
	TimestampTz at;				/* DT_NOBEGIN: not known */
	TimestampTz left_at;		/* when the version that is left was edited,
								 * DT_NOBEGIN: not since the base */
	List	   *accepted;		/* as in Entity */
	bool		is_insert;		/* it is no deletion, but an insert of the
								 * other copy */
} Deletion;

/* Reads entities of a link, one after the other. */
typedef struct Reader
{
	const Link *link;
	const Policy *policy;
	const Policy *seen_policy;	/* by which the link has seen its shared copy */
	bool		by_key;			/* what is read may be no candidate, and few
								 * base rows are asked for */
	Snapshot	snapshot;
	Probe		local;
	Probe		base;
	Probe		public;
	Probe		tombstone;
} Reader;

extern void reader_open(Reader *reader, const Link *link, LOCKMODE local,
						LOCKMODE public);
extern void reader_begin(Reader *reader, Snapshot snapshot);
extern Size reader_read(Reader *reader, Entity *entity);
extern bool reader_is_deleted(Reader *reader, Datum key, bool locally,
							  Deletion *deletion);
extern bool reader_id_is_taken(Reader *reader, const char *id);
extern void reader_end(Reader *reader);
extern void reader_close(Reader *reader);

extern const Target *dependencies_target(const Dependencies *dependencies,
										 const char *id, int len);

extern void entity_classify(Entity *entity, const Policy *policy,
							bool unexplained);
extern const char *change_name(ChangeKind change);
extern const char *conflict_name(ConflictKind conflict);
extern bool conflict_parse(const char *name, ConflictKind *conflict);
extern const Version *entity_merged(Entity *entity);
extern const Version *entity_won(Entity *entity, Side winner);
extern bool entity_is_made(const Entity *entity, const Version *version);
extern ArrayType *entity_paths(const Entity *entity);
extern char *entity_version(const Entity *entity);

#endif							/* DIAGSYNC_CLASSIFY_H */
