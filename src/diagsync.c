/*
 * diagsync.c
 *	  The library: what is done when it is loaded.
 *
 * Each folder here has a README.md that says what it is for and lists its
 * files; layers.txt says which folder may use which.
 */
#include "postgres.h"

#include "fmgr.h"

#include "directory/diagramlock.h"
#include "server/httperror.h"
#include "server/settings.h"
#include "server/shared.h"
#include "statement/statement.h"
#include "table/planning.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	settings_init();
	planning_init();
	statement_init();
	diagramlock_init();
	shared_init();
	httperror_init();
}
