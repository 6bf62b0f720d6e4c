/*
 * guard.c
 *	  The event trigger that keeps the tables of the extension out of
 *	  inheritance and partition trees.
 *
 * Where it is disabled, the triggers of the tables and every sync refuse to
 * work on such a table (storage_check_alone()).
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "fmgr.h"

#include "server/sqlfunction.h"
#include "table/storage.h"

#define GUARD_TRIGGER "diagsync_guard_tables"

/*
 * diagsync.guard_tables(): event trigger ON ddl_command_end
 *
 * The install script calls it once, too: an event trigger belongs to a
 * superuser, so the one who has made the extension could not hand over what
 * they own (REASSIGN OWNED) to an ordinary role, nor leave.  So it is given to
 * the superuser that every cluster has.
 */
DIAGSYNC_FUNCTION(diagsync_guard_tables)
{
	if (CALLED_AS_EVENT_TRIGGER(fcinfo))
		storage_check_all_alone();
	else if (creating_extension)
		AlterEventTriggerOwner_oid(get_event_trigger_oid(GUARD_TRIGGER, false),
								   BOOTSTRAP_SUPERUSERID);
	else
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"diagsync.%s\" was not called by event trigger manager",
						"guard_tables")));
	PG_RETURN_NULL();
}
