/*
 * command.h
 *	  SQL commands that diagsync runs itself, their plans kept.
 */
#ifndef DIAGSYNC_COMMAND_H
#define DIAGSYNC_COMMAND_H

#include "executor/spi.h"
#include "nodes/pg_list.h"
#include "utils/snapshot.h"

#include "storage.h"

#define COMMAND_MAX_ARGS 14

/*
 * Operators in the text of commands: never found through the search path.
 * (For the same reason there is no IS DISTINCT FROM, IN, USING or simple CASE
 * there.)
 */
#define EQ " OPERATOR(pg_catalog.=) "
#define NE " OPERATOR(pg_catalog.<>) "
#define GT " OPERATOR(pg_catalog.>) "
#define GE " OPERATOR(pg_catalog.>=) "

/*
 * A command is a static variable: its text, the types of its parameters, and
 * a plan for each storage type that it has run with.  "%1$s" in the text is
 * the schema of the storage type.
 */
typedef struct Command
{
	const char *sql;
	int			nargs;
	Oid			argtypes[COMMAND_MAX_ARGS];
	bool		whole;			/* reads two diagrams or whole tables */
	int			diagram_arg;	/* parameters that say which entities it */
	int			ids_arg;		/* inserts, from 1 on; 0: none does */
	SPIPlanPtr	plans[STORAGE_TYPES];
} Command;

/* Initializer of a command; without parameters, give InvalidOid. */
#define COMMAND(text, n, ...) \
	{.sql = text, .nargs = n, .argtypes = {__VA_ARGS__}}

/* The same of one that compares two diagrams as a whole, or tables */
#define COMMAND_WHOLE(text, n, ...) \
	{.sql = text, .nargs = n, .argtypes = {__VA_ARGS__}, .whole = true}

/* Initializer of one that inserts entities of a diagram */
#define COMMAND_INSERTING(diagram, ids, text, n, ...) \
	{.sql = text, .nargs = n, .argtypes = {__VA_ARGS__}, \
	 .diagram_arg = diagram, .ids_arg = ids}

/* How a command runs */
#define COMMAND_EXEMPT		0x01	/* its rows are diagsync's own: not in the
									 * books */
#define COMMAND_FRESH		0x04	/* sees all that is committed, under every
									 * isolation level */
#define COMMAND_ACTIVE		0x08	/* writes under the active snapshot */
#define COMMAND_READ		0x10	/* only reads, under the active snapshot */
#define COMMAND_BOOKS		0x20	/* on tables without code of applications */

extern uint64 command_run(Command *command, StorageType storage,
						  Datum *values, const char *nulls, int flags);
extern List *command_list(Command *command, StorageType storage,
						  Datum *values, Snapshot snapshot);
extern Portal command_open(Command *command, StorageType storage,
						   Datum *values, const char *nulls);

#endif							/* DIAGSYNC_COMMAND_H */
