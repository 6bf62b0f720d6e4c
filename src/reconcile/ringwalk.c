/*
 * ringwalk.c
 *	  Rings in a graph of entities: walked from those that changed, upwards,
 *	  each entity on the way once.
 *
 * It finds the strongly connected components by Tarjan's algorithm, with a
 * stack of its own instead of recursion: a chain may be long.  What a walk has
 * come by stays known for the next one; what it has begun with does not, if
 * nothing has led there.  So the memory that is needed goes by how many
 * entities others lead to, not by how many have changed.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "reconcile/ringwalk.h"
#include "server/idtable.h"

typedef struct RingNode
{
	const char *id;				/* hash key */
	int64		number;			/* in the order in which they were found */
	int64		lowest;			/* number of a node below it in the stack that
								 * it leads to */
	bool		on_stack;		/* else it is finished with */
	bool		leads_to_itself;
	List	   *targets;		/* those not walked to yet */
	struct RingNode *from;		/* from which the walk came to it, or NULL */
	struct RingNode *under;		/* the next in the stack */
} RingNode;

struct RingWalk
{
	RingTargets targets;
	RingFound	found;
	void	   *arg;
	MemoryContext context;
	MemoryContext targets_context;	/* of the walk that is going on */
	HTAB	   *nodes;
	int64		count;
	RingNode   *stack;
	RingNode   *first;			/* with which the walk has begun */
	bool		led_to_first;
};

/*
 * Begin walks through a graph: where an entity leads to is asked of "targets",
 * once for each; what lies in rings is given to "found".
 */
RingWalk *
ringwalk_begin(RingTargets targets, RingFound found, void *arg)
{
	RingWalk   *walk = palloc0(sizeof(RingWalk));

	walk->targets = targets;
	walk->found = found;
	walk->arg = arg;
	walk->context = AllocSetContextCreate(CurrentMemoryContext,
										  "diagsync rings",
										  ALLOCSET_DEFAULT_SIZES);
	walk->targets_context = AllocSetContextCreate(walk->context,
												  "diagsync ring walk",
												  ALLOCSET_DEFAULT_SIZES);
	walk->nodes = idtable_create("diagsync rings", 256, sizeof(RingNode),
								 walk->context);
	return walk;
}

/* Come to an entity for the first time. */
static RingNode *
enter(RingWalk *walk, const char *id, RingNode *from)
{
	MemoryContext caller;
	RingNode   *node;
	bool		found;

	node = hash_search(walk->nodes, &id, HASH_ENTER, &found);
	Assert(!found);
	node->id = MemoryContextStrdup(walk->context, id);
	node->number = node->lowest = ++walk->count;
	node->on_stack = true;
	node->leads_to_itself = false;
	node->from = from;
	node->under = walk->stack;
	walk->stack = node;
	caller = MemoryContextSwitchTo(walk->targets_context);
	node->targets = walk->targets(walk->arg, node->id);
	MemoryContextSwitchTo(caller);
	return node;
}

/* All that a node leads to has been walked to: is it the last of a ring? */
static void
finish(RingWalk *walk, RingNode *node)
{
	List	   *ids = NIL;
	RingNode   *top;

	if (node->from != NULL)
		node->from->lowest = Min(node->from->lowest, node->lowest);
	if (node->lowest < node->number)
		return;
	do
	{
		top = walk->stack;
		walk->stack = top->under;
		top->on_stack = false;
		ids = lappend(ids, unconstify(char *, top->id));
	} while (top != node);
	if (list_length(ids) > 1 || node->leads_to_itself)
		walk->found(walk->arg, ids);
	list_free(ids);
}

/* The next node that the walk comes to from one; NULL: none is new. */
static RingNode *
step(RingWalk *walk, RingNode *node)
{
	while (node->targets != NIL)
	{
		const char *id = llast(node->targets);
		RingNode   *target;

		CHECK_FOR_INTERRUPTS();
		node->targets = list_delete_last(node->targets);
		target = hash_search(walk->nodes, &id, HASH_FIND, NULL);
		if (target == NULL)
			return enter(walk, id, node);
		if (target == walk->first)
			walk->led_to_first = true;
		if (target == node)
			node->leads_to_itself = true;
		if (target->on_stack)
			node->lowest = Min(node->lowest, target->number);
	}
	return NULL;
}

/*
 * Walk from an entity to all that it leads to, unless a walk has come by it.
 */
void
ringwalk_from(RingWalk *walk, const char *id)
{
	RingNode   *node;

	if (hash_search(walk->nodes, &id, HASH_FIND, NULL) != NULL)
		return;
	node = walk->first = enter(walk, id, NULL);
	walk->led_to_first = false;
	while (node != NULL)
	{
		RingNode   *next = step(walk, node);

		if (next == NULL)
		{
			next = node->from;
			finish(walk, node);
		}
		node = next;
	}
	if (!walk->led_to_first)
	{
		char	   *name = unconstify(char *, walk->first->id);

		(void) hash_search(walk->nodes, &name, HASH_REMOVE, NULL);
		pfree(name);
	}
	walk->first = NULL;
	MemoryContextReset(walk->targets_context);
}

/*
 * Forget all walks.
 */
void
ringwalk_end(RingWalk *walk)
{
	MemoryContextDelete(walk->context);
	pfree(walk);
}
