/*
 * idtable.c
 *	  Hash tables of what is known by an id, a C string.
 *
 * PostgreSQL's own string keys have a fixed length, which ids do not have.  So
 * an entry begins with a pointer to its id.  It is searched for by a pointer to
 * such a pointer, and whoever enters one makes it point to a copy that stays.
 */
#include "postgres.h"

#include "common/hashfn.h"

#include "server/idtable.h"

static uint32
id_hash(const void *key, Size keysize)
{
	const char *id = *(const char *const *) key;

	return hash_bytes((const unsigned char *) id, strlen(id));
}

static int
id_match(const void *a, const void *b, Size keysize)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/*
 * A new table of that name, for about so many entries of that size in bytes,
 * each of which begins with a char *.  It is kept in that memory context.
 */
HTAB *
idtable_create(const char *name, long size, Size entrysize,
			   MemoryContext context)
{
	HASHCTL		control = {.keysize = sizeof(char *),
		.entrysize = entrysize,.hash = id_hash,.match = id_match,
	.hcxt = context};

	return hash_create(name, size, &control,
					   HASH_ELEM | HASH_FUNCTION | HASH_COMPARE |
					   HASH_CONTEXT);
}
