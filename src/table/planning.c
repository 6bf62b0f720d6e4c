/*
 * planning.c
 *	  How diagsync's own commands are planned: rows are reached by their key,
 *	  whatever the user's settings and the table's statistics say.
 *
 * A plan is kept for as long as the session lives, and made when the command
 * runs first: with tables that may be empty then, never analyzed, or analyzed
 * while they were empty.  So nothing that changes may have a say in it.  While
 * a command is on its way to the executor, the planner's settings are fixed
 * ones; the plan is a generic one; a table of diagsync's looks always as
 * large, has no statistics of columns, and where it has a key that all
 * commands mean, no other index.  (By entity_rev the rows of one diagram are
 * found as well, which costs the same in an empty table, and is read to the
 * end for each entity.)
 *
 * The settings are put back when the executor starts, so that statements of
 * triggers are planned as their authors expect.  They are set as variables,
 * not by the functions of guc.c: that costs a tenth, and nobody reads them
 * meanwhile but the planner.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "jit/jit.h"
#include "optimizer/cost.h"
#include "optimizer/geqo.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/plancat.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/selfuncs.h"

#include "server/compat.h"
#include "table/planning.h"
#include "table/storage.h"

/* What every table of diagsync looks like */
#define TABLE_TUPLES 1000000.0
#define TABLE_PAGES 20000
#define INDEX_PAGES 5000
#define INDEX_HEIGHT 2

typedef struct FixedFlag
{
	bool	   *variable;
	bool		value;
	bool		value_whole;	/* for commands that compare whole diagrams */
} FixedFlag;

static const FixedFlag flags[PLANNING_FLAGS] = {
	{&enable_seqscan, false, false},
	{&enable_bitmapscan, false, false},
	{&enable_mergejoin, false, true},
	{&enable_hashjoin, true, false},
	{&enable_indexscan, true, true},
	{&enable_indexonlyscan, true, true},
	{&enable_tidscan, true, true},
	{&enable_nestloop, true, true},
	{&enable_sort, true, true},
	{&enable_incremental_sort, true, true},
	{&enable_hashagg, true, true},
	{&enable_material, true, true},
	{&enable_memoize, false, false},
	{&enable_geqo, false, false},
	{&jit_enabled, false, false},
	{&enable_async_append, false, false},
};

typedef struct FixedCost
{
	double	   *variable;
	double		value;
} FixedCost;

static const FixedCost costs[PLANNING_COSTS] = {
	{&seq_page_cost, DEFAULT_SEQ_PAGE_COST},
	{&random_page_cost, DEFAULT_RANDOM_PAGE_COST},
	{&cpu_tuple_cost, DEFAULT_CPU_TUPLE_COST},
	{&cpu_index_tuple_cost, DEFAULT_CPU_INDEX_TUPLE_COST},
	{&cpu_operator_cost, DEFAULT_CPU_OPERATOR_COST},
};

typedef struct FixedNumber
{
	int		   *variable;
	int			value;
} FixedNumber;

static const FixedNumber numbers[PLANNING_NUMBERS] = {
	{&plan_cache_mode, PLAN_CACHE_MODE_FORCE_GENERIC_PLAN},
	{&effective_cache_size, DEFAULT_EFFECTIVE_CACHE_SIZE},
	{&from_collapse_limit, 8},
	{&join_collapse_limit, 8},
};

static Planning *current = NULL;	/* NULL: nothing is under way */

static ExecutorStart_hook_type previous_start = NULL;
static compat_relation_hook_type previous_relation = NULL;
static get_relation_stats_hook_type previous_stats = NULL;

/*
 * Begin to plan a command, or to find its kept plan valid: what follows until
 * planning_end() is SPI's way to the executor with this text.  "whole": it
 * compares two diagrams as a whole, which is best done in the order of their
 * keys.
 */
void
planning_begin(Planning *planning, const char *sql, bool whole)
{
	planning->outer = current;
	planning->sql = sql;
	planning->ended = false;
	for (int i = 0; i < PLANNING_FLAGS; i++)
	{
		planning->flags[i] = *flags[i].variable;
		*flags[i].variable = whole ? flags[i].value_whole : flags[i].value;
	}
	for (int i = 0; i < PLANNING_COSTS; i++)
	{
		planning->costs[i] = *costs[i].variable;
		*costs[i].variable = costs[i].value;
	}
	for (int i = 0; i < PLANNING_NUMBERS; i++)
	{
		planning->numbers[i] = *numbers[i].variable;
		*numbers[i].variable = numbers[i].value;
	}
	current = planning;
}

/*
 * The command has been planned: all settings are the user's again.  To be
 * called also where it failed; does nothing the second time.
 */
void
planning_end(Planning *planning)
{
	if (planning->ended)
		return;
	for (int i = 0; i < PLANNING_FLAGS; i++)
		*flags[i].variable = planning->flags[i];
	for (int i = 0; i < PLANNING_COSTS; i++)
		*costs[i].variable = planning->costs[i];
	for (int i = 0; i < PLANNING_NUMBERS; i++)
		*numbers[i].variable = planning->numbers[i];
	planning->ended = true;
	current = planning->outer;
}

/*
 * The executor starts.  (The planner may have called a function of an
 * application's to see what a constant comes to; that is not it.)
 */
static void
start_executor(QueryDesc *query, int eflags)
{
	if (current != NULL && query->sourceText != NULL &&
		strcmp(query->sourceText, current->sql) == 0)
		planning_end(current);
	if (previous_start)
		previous_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
}

/*
 * Have a table of diagsync's look as it always does.
 */
static void
fix_relation(RelOptInfo *rel, Oid relid)
{
	Oid			key = InvalidOid;
	ListCell   *lc;

	if (current == NULL || !storage_is_own(relid, &key))
		return;
	rel->tuples = TABLE_TUPLES;
	rel->pages = TABLE_PAGES;
	rel->allvisfrac = 1;
	foreach(lc, rel->indexlist)
	{
		IndexOptInfo *index = lfirst(lc);

		index->tuples = TABLE_TUPLES;
		index->pages = INDEX_PAGES;
		index->tree_height = INDEX_HEIGHT;
		if (OidIsValid(key) && index->indexoid != key)
			rel->indexlist = foreach_delete_current(rel->indexlist, lc);
	}
}

COMPAT_RELATION_HOOK(look_at_relation, previous_relation, fix_relation)

/* A column of such a table has no statistics. */
static bool
look_at_column(PlannerInfo *root, RangeTblEntry *rte, AttrNumber attnum,
			   VariableStatData *vardata)
{
	Oid			key;

	if (current != NULL && rte->rtekind == RTE_RELATION &&
		storage_is_own(rte->relid, &key))
	{
		vardata->statsTuple = NULL;
		return true;
	}
	return previous_stats != NULL && previous_stats(root, rte, attnum,
													vardata);
}

/*
 * To be called once, when the library is loaded.
 */
void
planning_init(void)
{
	previous_start = ExecutorStart_hook;
	ExecutorStart_hook = start_executor;
	previous_relation = compat_relation_hook;
	compat_relation_hook = look_at_relation;
	previous_stats = get_relation_stats_hook;
	get_relation_stats_hook = look_at_column;
}
