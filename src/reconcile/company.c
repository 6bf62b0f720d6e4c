/*
 * company.c
 *	  What goes along with the conflicts that are settled: entities whose
 *	  references follow one that "both" gives a new id; that were deleted
 *	  locally, and are restored because what is restored refers to them; and
 *	  that stay deleted, and are to accept that what is kept refers to them.
 *
 * All that depends on something is looked at before anything is written, so
 * that it is known in whichever batch it comes.  What hangs together by
 * references that would dangle, and what gets a new id that others refer to,
 * is kept in memory meanwhile (some hundred bytes an entity).
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "reconcile/company.h"
#include "reconcile/ring.h"
#include "server/idtable.h"

/* An entity that depends on others */
typedef struct Companion
{
	char	   *id;				/* hash key */
	const Choice *choice;		/* what is chosen for it, or NULL */
	bool		settles;		/* its conflict is settled by that */
	bool		held;			/* it is left alone: it, or what would have
								 * to be restored with it, is not as it was
								 * shown */
	int64		walk;			/* in which it was met last */
	bool		restored;		/* it was deleted locally, and will not be */
	bool		takes_public;	/* it takes the version of the shared copy */
	bool		keeps_local;	/* it keeps what the local side did */
	bool		referred_to;	/* it is deleted at one end, and referred to
								 * at the other */
	bool		copied;			/* it gets the new id that was announced */
	List	   *targets;		/* what it refers to that is deleted (Target) */
	Choice	   *along;			/* it is settled so for others' sake, or NULL */
	List	   *accepts;		/* what is to refer to it though it stays
								 * deleted (ids) */
} Companion;

struct Company
{
	HTAB	   *companions;
	List	   *settling;		/* those whose conflict over a reference is
								 * settled, in ascending ids */
	bool		some_held;
	int64		walks;
	MemoryContext context;		/* of it all */
};

static Companion *
find_companion(const Company *company, const char *id)
{
	return hash_search(company->companions, &id, HASH_FIND, NULL);
}

static void
copy_targets(Companion *companion, const Dependencies *dependencies)
{
	ListCell   *lc;

	foreach(lc, dependencies->targets)
	{
		Target	   *target = palloc(sizeof(Target));

		*target = *(Target *) lfirst(lc);
		target->id = pstrdup(target->id);
		companion->targets = lappend(companion->targets, target);
	}
}

/*
 * Add an entity that was read and decided about.
 */
static void
add_companion(Company *company, const SyncItem *item)
{
	const Entity *entity = &item->entity;
	const Dependencies *dependencies = entity->dependencies;
	MemoryContext caller = MemoryContextSwitchTo(company->context);
	char	   *id = pstrdup(entity->id);
	Companion  *companion = hash_search(company->companions, &id, HASH_ENTER,
										NULL);

	memset(companion, 0, sizeof(Companion));
	companion->id = id;
	companion->choice = item->choice;
	companion->settles = item->is_decided;
	companion->held = item->choice != NULL && item->verdict == VERDICT_CHANGED;
	company->some_held |= companion->held;
	companion->referred_to = dependencies->referred_to;
	if (item->is_decided)
	{
		Assert(item->choice != NULL);	/* see decide_by_choice() */
		companion->takes_public = item->decision.winner == SIDE_PUBLIC;
		companion->restored = entity->local.doc == NULL && dependencies->referred_to;
		companion->keeps_local = decision_keeps_local(entity,
													  item->choice->resolution);
		companion->copied = item->decision.copies;
	}
	copy_targets(companion, dependencies);
	if (item->is_decided && entity->conflict == CONFLICT_DANGLING)
		company->settling = lappend(company->settling, companion);
	MemoryContextSwitchTo(caller);
}

/*
 * Read the candidates that depend on something, and decide what is chosen for
 * them.
 */
static void
add_companions(Company *company, SyncRun *run, Candidates *candidates)
{
	MemoryContext row = AllocSetContextCreate(CurrentMemoryContext,
											  "diagsync companion",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(row);
	Datum		id;

	while (candidates_next(candidates, &id))
	{
		SyncItem   *item = syncitem_new(TextDatumGetCString(id));
		Dependencies *its = dependencyset_next(run->dependencies,
											   item->entity.id, true);

		CHECK_FOR_INTERRUPTS();
		if (its != NULL && (its->referred_to || its->targets != NIL ||
							its->copy_id != NULL))
		{
			item->entity.dependencies = its;
			item->choice = choices_find(run->choices, item->entity.id);
			(void) reader_read(&run->reader, &item->entity);
			syncitem_decide(run, item);
			add_companion(company, item);
		}
		MemoryContextReset(row);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(row);
}

/*
 * Are the targets of an entity whose conflict over a reference is settled to
 * be restored with it ("all": also those that the shared copy deleted)?
 */
static bool
restores_targets(const Companion *companion, bool *all)
{
	*all = companion->choice->resolution == RESOLUTION_BOTH;
	return companion->restored ? companion->takes_public : *all;
}

/*
 * What an entity refers to that was deleted locally ("all": or in the shared
 * copy), and what that refers to, as far as nothing else is chosen for it.
 * Sets whether one of them is held.
 */
static List *
targets_to_restore(Company *company, const Companion *companion, bool all,
				   bool *held)
{
	List	   *targets = NIL;
	const Companion *from = companion;
	int			next = 0;

	*held = false;
	company->walks++;
	for (;;)
	{
		ListCell   *lc;

		CHECK_FOR_INTERRUPTS();
		foreach(lc, from->targets)
		{
			const Target *target = lfirst(lc);
			Companion  *to = find_companion(company, target->id);

			if ((!all && !target->deleted_locally) || to == NULL)
				continue;
			*held |= to->held;
			if (to->settles || to->held || to->along != NULL ||
				to->walk == company->walks)
				continue;
			to->walk = company->walks;
			targets = lappend(targets, to);
		}
		if (next == list_length(targets))
			return targets;
		from = list_nth(targets, next++);
	}
}

/*
 * Who would restore what is not as it was shown leaves both alone, and so on.
 */
static void
hold(Company *company)
{
	bool		more = company->some_held;

	while (more)
	{
		ListCell   *lc;

		more = false;
		foreach(lc, company->settling)
		{
			Companion  *companion = lfirst(lc);
			bool		all;
			bool		held = false;

			if (companion->settles && restores_targets(companion, &all))
				list_free(targets_to_restore(company, companion, all, &held));
			if (held)
			{
				companion->settles = false;
				companion->held = true;
				more = true;
			}
		}
	}
}

/* Restore what an entity refers to. */
static void
restore_targets(Company *company, Companion *companion, bool all)
{
	bool		held;
	List	   *targets;
	ListCell   *lc;

	targets = targets_to_restore(company, companion, all, &held);
	foreach(lc, targets)
	{
		Companion  *to = lfirst(lc);

		to->along = palloc0(sizeof(Choice));
		to->along->resolution = companion->choice->resolution;
		to->along->is_along = true;
	}
}

/* What an entity refers to that stays deleted locally is to accept that. */
static void
accept_at_targets(Company *company, Companion *companion)
{
	ListCell   *lc;

	foreach(lc, companion->targets)
	{
		const Target *target = lfirst(lc);
		Companion  *to = find_companion(company, target->id);

		if (target->deleted_locally && to != NULL)
			to->accepts = lappend(to->accepts, companion->id);
	}
}

static void
take_along(Company *company, Companion *companion)
{
	bool		all;

	if (!companion->settles)
		return;
	if (restores_targets(companion, &all))
		restore_targets(company, companion, all);
	else if (!companion->referred_to && companion->takes_public)
		accept_at_targets(company, companion);
}

static Company *
collect(SyncRun *run, Candidates *candidates, Snapshot snapshot)
{
	Company    *company;
	ListCell   *lc;

	company = palloc0(sizeof(Company));
	company->context = CurrentMemoryContext;
	company->companions = idtable_create("diagsync company", 256,
										  sizeof(Companion),
										  company->context);
	reader_begin(&run->reader, snapshot);
	add_companions(company, run, candidates);
	reader_end(&run->reader);
	candidates_rewind(candidates);
	dependencyset_rewind(run->dependencies);

	hold(company);
	foreach(lc, company->settling)
		take_along(company, lfirst(lc));
	return company;
}

/*
 * Find what goes along with the conflicts that are settled, under a registered
 * snapshot, from the dependencies of a resolution, which are rewound, as the
 * candidates are; sets run->company, but where the policy knows no references.
 * A conflict that is left for the sake of a ring takes nothing along.
 */
void
company_collect(SyncRun *run, Candidates *candidates, Snapshot snapshot)
{
	Rings	   *rings = dependencyset_rings(run->dependencies);

	if (run->dependencies == NULL)
		return;
	do
	{
		run->company = NULL;
		run->company = collect(run, candidates, snapshot);
	} while (rings != NULL && rings_settle(rings, run, snapshot));
}

/*
 * By which choice the conflict of an entity that was read is settled; NULL: by
 * none, and is that since it is not as the caller was shown it?
 */
const Choice *
company_choice(const SyncRun *run, const Entity *entity, bool *is_changed)
{
	const Companion *companion = run->company != NULL ?
		find_companion(run->company, entity->id) : NULL;
	const Choice *choice = companion != NULL && companion->along != NULL ?
		companion->along : choices_find(run->choices, entity->id);
	Verdict		verdict = choice != NULL ?
		choices_judge(run->choices, choice, entity) : VERDICT_NO_CONFLICT;

	if (verdict == VERDICT_SETTLES && companion != NULL && companion->held)
		verdict = VERDICT_CHANGED;
	*is_changed = verdict == VERDICT_CHANGED;
	return verdict == VERDICT_SETTLES ? choice : NULL;
}

/*
 * Make an item that is about to be read join the company: what it follows,
 * and what becomes of it for others' sake, unless something else is chosen.
 */
void
company_join(const Company *company, SyncItem *item)
{
	Dependencies *its = item->entity.dependencies;
	const Companion *companion;
	List	   *renames = NIL;
	ListCell   *lc;

	if (company == NULL || its == NULL)
		return;
	companion = find_companion(company, item->entity.id);
	foreach(lc, its->renames)
	{
		const Companion *other = find_companion(company,
												((Rename *) lfirst(lc))->id);

		if (other != NULL && other->copied)
			renames = lappend(renames, lfirst(lc));
	}
	its->renames = renames;
	if (companion == NULL || !companion->copied)
		its->copy_id = NULL;
	if (companion == NULL)
		return;
	item->is_held = companion->held;
	if (companion->along != NULL)
		item->choice = companion->along;
	item->accepts = companion->accepts;
}

/*
 * What an item that keeps the local side is to accept: not what keeps it, too.
 */
void
company_part(const Company *company, SyncItem *item)
{
	List	   *accepted = NIL;
	ListCell   *lc;

	if (company == NULL)
		return;
	foreach(lc, item->decision.accepted)
	{
		const Companion *other = find_companion(company, lfirst(lc));

		if (other == NULL || !other->settles || !other->keeps_local)
			accepted = lappend(accepted, lfirst(lc));
	}
	item->decision.accepted = accepted;
}
