/*
 * ownersql.h
 *	  SQL commands that diagsync runs itself, their plans kept.
 */
#ifndef DIAGSYNC_OWNERSQL_H
#define DIAGSYNC_OWNERSQL_H

#include "executor/spi.h"
#include "nodes/pg_list.h"
#include "utils/snapshot.h"

#include "table/storage.h"

#define OWNER_SQL_MAX_ARGS 14

/*
 * Operators in the text of commands: never found through the search path.
 * (For the same reason there is no IS DISTINCT FROM, IN, USING or simple CASE
 * there.)
 */
#define EQ " OPERATOR(pg_catalog.=) "
#define NE " OPERATOR(pg_catalog.<>) "
#define GT " OPERATOR(pg_catalog.>) "

/*
 * A command is a static variable: its text, the types of its parameters, and
 * a plan for each storage type that it has run with.  "%1$s" in the text is
 * the schema of the storage type.
 */
typedef struct OwnerSql
{
	const char *sql;
	int			nargs;
	Oid			argtypes[OWNER_SQL_MAX_ARGS];
	bool		whole;			/* reads two diagrams or whole tables */
	int			diagram_arg;	/* parameters that say which entities it */
	int			ids_arg;		/* inserts, from 1 on; 0: none does */
	SPIPlanPtr	plans[STORAGE_TYPES];
} OwnerSql;

/* Initializer of a command; without parameters, give InvalidOid. */
#define OWNER_SQL(text, n, ...) \
	{.sql = text, .nargs = n, .argtypes = {__VA_ARGS__}}

/* The same of one that compares two diagrams as a whole, or tables */
#define OWNER_SQL_WHOLE(text, n, ...) \
	{.sql = text, .nargs = n, .argtypes = {__VA_ARGS__}, .whole = true}

/* Initializer of one that inserts entities of a diagram */
#define OWNER_SQL_INSERTING(diagram, ids, text, n, ...) \
	{.sql = text, .nargs = n, .argtypes = {__VA_ARGS__}, \
	 .diagram_arg = diagram, .ids_arg = ids}

/* How a command runs */
#define OWNER_SQL_EXEMPT		0x01	/* its rows are diagsync's own: not in
										 * the records */
#define OWNER_SQL_FRESH		0x04	/* sees all that is committed, under every
									 * isolation level */
#define OWNER_SQL_ACTIVE		0x08	/* writes under the active snapshot */
#define OWNER_SQL_READ		0x10	/* only reads, under the active snapshot */
#define OWNER_SQL_RECORDS		0x20	/* on tables without code of
										 * applications */

extern uint64 ownersql_run(OwnerSql *command, StorageType storage,
						   Datum *values, const char *nulls, int flags);
extern List *ownersql_list(OwnerSql *command, StorageType storage,
						   Datum *values, Snapshot snapshot);
extern Portal ownersql_open(OwnerSql *command, StorageType storage,
							Datum *values, const char *nulls);

#endif							/* DIAGSYNC_OWNERSQL_H */
