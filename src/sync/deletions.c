/*
 * deletions.c
 *	  How many deletions a sync may do unasked.
 *
 * Whoever empties a copy by mistake (a wrong WHERE, half a restore) is not to
 * empty the other one, too.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "server/settings.h"
#include "sync/deletions.h"

/* Fewer than these are never too many */
#define FEW_DELETIONS 10

/*
 * Has a diagram at least so many entities under a snapshot?  Only as many are
 * counted.
 */
static bool
has_entities(const Diagram *diagram, double entities, Snapshot snapshot)
{
	Probe		probe;
	int64		counted = 0;

	probe_open(&probe, diagram->storage, TABLE_ENTITY, AccessShareLock);
	probe_begin(&probe, snapshot);
	while (counted < entities && probe_next(&probe, diagram->key))
	{
		CHECK_FOR_INTERRUPTS();
		counted++;
	}
	probe_close(&probe);
	return counted >= entities;
}

/* Are so many deletions too large a part of what a diagram has? */
static bool
are_many(const Diagram *diagram, int64 deletions, Snapshot snapshot)
{
	if (deletions < FEW_DELETIONS)
		return false;
	if (settings_max_deleted_fraction <= 0.0)
		return true;
	return !has_entities(diagram, deletions / settings_max_deleted_fraction,
						 snapshot);
}

/*
 * How many of the deletions are not to be done unasked: all of a copy of which
 * they are too large a part, as the snapshot from before shows it.
 */
int64
deletions_too_many(const Deletions *deletions, const Link *link,
				   Snapshot snapshot)
{
	int64		refused = 0;

	if (are_many(link->local, deletions->local, snapshot))
		refused += deletions->local;
	if (are_many(link->public, deletions->public, snapshot))
		refused += deletions->public;
	return refused;
}

/*
 * Are some of the deletions, which go on growing, not to be done unasked?
 * Looks only where they have doubled since it looked last.
 */
bool
deletions_have_become_many(Deletions *deletions, const Link *link,
						   Snapshot snapshot)
{
	int64		sum = deletions->local + deletions->public;

	if (sum <= 2 * deletions->looked_at)
		return false;
	deletions->looked_at = sum;
	return deletions_too_many(deletions, link, snapshot) > 0;
}
