/*
 * compat.h
 *	  The differences between the PostgreSQL versions that diagsync is built
 *	  for (15 to 19), all in one place.
 */
#ifndef DIAGSYNC_COMPAT_H
#define DIAGSYNC_COMPAT_H

#include "access/genam.h"
#include "utils/numeric.h"

#if PG_VERSION_NUM < 150000
#error "diagsync needs PostgreSQL 15 or later"
#endif

/* 16 moved the macros for values of variable length out of postgres.h. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 18 counts index scans for EXPLAIN, 19 has options for them. */
#if PG_VERSION_NUM >= 190000
#define compat_index_beginscan(heap, index, snapshot, nkeys) \
	index_beginscan(heap, index, snapshot, NULL, nkeys, 0, 0)
#elif PG_VERSION_NUM >= 180000
#define compat_index_beginscan(heap, index, snapshot, nkeys) \
	index_beginscan(heap, index, snapshot, NULL, nkeys, 0)
#else
#define compat_index_beginscan(heap, index, snapshot, nkeys) \
	index_beginscan(heap, index, snapshot, nkeys, 0)
#endif

/*
 * 16 knows indexes that an update can leave alone though it is not HOT, 19 has
 * flags in the place of arguments.
 */
#if PG_VERSION_NUM >= 190000
#define compat_update_indexes TU_UpdateIndexes
#define compat_insert_index_tuples(result, slot, estate, which) \
	do { \
		if ((which) != TU_None) \
			(void) ExecInsertIndexTuples(result, estate, EIIT_IS_UPDATE | \
										 ((which) == TU_Summarizing ? \
										  EIIT_ONLY_SUMMARIZING : 0), \
										 slot, NIL, NULL); \
	} while (0)
#define compat_insert_index_tuples_of_new(result, slot, estate) \
	((void) ExecInsertIndexTuples(result, estate, 0, slot, NIL, NULL))
#elif PG_VERSION_NUM >= 160000
#define compat_update_indexes TU_UpdateIndexes
#define compat_insert_index_tuples(result, slot, estate, which) \
	do { \
		if ((which) != TU_None) \
			(void) ExecInsertIndexTuples(result, slot, estate, true, false, NULL, \
										 NIL, (which) == TU_Summarizing); \
	} while (0)
#define compat_insert_index_tuples_of_new(result, slot, estate) \
	((void) ExecInsertIndexTuples(result, slot, estate, false, false, NULL, NIL, false))
#else
#define compat_update_indexes bool
#define compat_insert_index_tuples(result, slot, estate, which) \
	do { \
		if (which) \
			(void) ExecInsertIndexTuples(result, slot, estate, true, false, NULL, \
										 NIL); \
	} while (0)
#define compat_insert_index_tuples_of_new(result, slot, estate) \
	((void) ExecInsertIndexTuples(result, slot, estate, false, false, NULL, NIL))
#endif

/*
 * A range table of one entry, whose update changes those columns.  16 keeps
 * them apart from it, 18 asks which entries are not pruned.
 */
#if PG_VERSION_NUM >= 160000
#if PG_VERSION_NUM >= 180000
#define compat_exec_init_range_table(estate, rtes, infos) \
	ExecInitRangeTable(estate, rtes, infos, bms_make_singleton(1))
#else
#define compat_exec_init_range_table ExecInitRangeTable
#endif
#define compat_init_range_table(estate, rte, updated) \
	do { \
		RTEPermissionInfo *info = makeNode(RTEPermissionInfo); \
		info->relid = (rte)->relid; \
		info->updatedCols = (updated); \
		(rte)->perminfoindex = 1; \
		compat_exec_init_range_table(estate, list_make1(rte), list_make1(info)); \
	} while (0)
#else
#define compat_init_range_table(estate, rte, updated) \
	do { \
		(rte)->updatedCols = (updated); \
		ExecInitRangeTable(estate, list_make1(rte)); \
	} while (0)
#endif

/*
 * A row updated or deleted where it is, waiting for whoever holds it; 19 has
 * options.
 */
#if PG_VERSION_NUM >= 190000
#define compat_tuple_update(rel, tid, slot, cid, snapshot, tmfd, mode, which) \
	table_tuple_update(rel, tid, slot, cid, 0, snapshot, InvalidSnapshot, true, \
					   tmfd, mode, which)
#define compat_tuple_delete(rel, tid, cid, snapshot, tmfd) \
	table_tuple_delete(rel, tid, cid, 0, snapshot, InvalidSnapshot, true, tmfd)
#else
#define compat_tuple_update(rel, tid, slot, cid, snapshot, tmfd, mode, which) \
	table_tuple_update(rel, tid, slot, cid, snapshot, InvalidSnapshot, true, \
					   tmfd, mode, which)
#define compat_tuple_delete(rel, tid, cid, snapshot, tmfd) \
	table_tuple_delete(rel, tid, cid, snapshot, InvalidSnapshot, true, tmfd, false)
#endif

/* 19 notes errors of numbers as those of input functions are noted. */
#if PG_VERSION_NUM >= 190000
#include "nodes/miscnodes.h"
#define COMPAT_NUMERIC_SAFE
static inline Numeric
compat_numeric_sub(Numeric a, Numeric b, bool *failed)
{
	ErrorSaveContext context = {.type = T_ErrorSaveContext};
	Numeric		difference = numeric_sub_safe(a, b, (Node *) &context);

	*failed = context.error_occurred;
	return difference;
}
#else
#define compat_numeric_sub numeric_sub_opt_error
#endif

/*
 * 16 numbers the entries of backends otherwise, and has another name for that.
 */
#if PG_VERSION_NUM >= 160000
#define compat_local_backend_status pgstat_get_local_beentry_by_index
#else
#define compat_local_backend_status pgstat_fetch_stat_local_beentry
#endif

/*
 * 17 has named segments of shared memory that need no preloading; 19 hands its
 * callback an argument.
 */
#if PG_VERSION_NUM >= 170000
#include "storage/dsm_registry.h"
#define COMPAT_NAMED_SEGMENTS
#endif
#if PG_VERSION_NUM >= 190000
#define compat_named_segment(name, size, init, found) \
	GetNamedDSMSegment(name, size, init, found, NULL)
#define COMPAT_SEGMENT_ARG , void *arg
#else
#define compat_named_segment GetNamedDSMSegment
#define COMPAT_SEGMENT_ARG
#endif

/*
 * 19 has options of sequential scans, too, and leaves what it has jumbled
 * alone.
 */
#if PG_VERSION_NUM >= 190000
#define compat_table_beginscan(rel, snapshot) \
	table_beginscan(rel, snapshot, 0, NULL, 0)
#define compat_jumble const struct JumbleState
#else
#define compat_table_beginscan(rel, snapshot) \
	table_beginscan(rel, snapshot, 0, NULL)
#define compat_jumble struct JumbleState
#endif

/* 19 wants to be told when a description of rows is complete. */
#if PG_VERSION_NUM >= 190000
#define compat_finish_tupdesc TupleDescFinalize
#else
#define compat_finish_tupdesc(tupdesc) ((void) (tupdesc))
#endif

/* A keyword in a switch, as from PostgreSQL 19 on. */
#ifndef pg_fallthrough
#define pg_fallthrough __attribute__((fallthrough))
#endif

/*
 * Where an extension may change what the planner knows of a table: 19 calls it
 * for whatever a query reads from, tables or not.  COMPAT_RELATION_HOOK
 * defines a function to be called there, which has another one do that for a
 * table, after the function that was there before.
 */
#if PG_VERSION_NUM >= 190000
#define compat_relation_hook_type build_simple_rel_hook_type
#define compat_relation_hook build_simple_rel_hook
#define COMPAT_RELATION_HOOK(name, previous, change) \
static void \
name(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte) \
{ \
	if (previous) \
		previous(root, rel, rte); \
	if (rte->rtekind == RTE_RELATION) \
		change(rel, rte->relid); \
}
#else
#define compat_relation_hook_type get_relation_info_hook_type
#define compat_relation_hook get_relation_info_hook
#define COMPAT_RELATION_HOOK(name, previous, change) \
static void \
name(PlannerInfo *root, Oid relid, bool inhparent, RelOptInfo *rel) \
{ \
	if (previous) \
		previous(root, relid, inhparent, rel); \
	change(rel, relid); \
}
#endif

/*
 * 17 can be asked for a lock or a stronger one, 18 logs what was not to be had
 * at once.
 */
#if PG_VERSION_NUM >= 170000
#define compat_lock_is_held(tag, mode) LockHeldByMe(tag, mode, false)
#else
#define compat_lock_is_held LockHeldByMe
#endif
#if PG_VERSION_NUM >= 180000
#define compat_lock_acquire(tag, mode, at_once, error_if_full) \
	LockAcquireExtended(tag, mode, false, at_once, error_if_full, NULL, false)
#else
#define compat_lock_acquire(tag, mode, at_once, error_if_full) \
	LockAcquireExtended(tag, mode, false, at_once, error_if_full, NULL)
#endif

/* Before the declaration, as from PostgreSQL 18 on. */
#ifndef pg_noreturn
#define pg_noreturn pg_attribute_noreturn()
#endif

#endif							/* DIAGSYNC_COMPAT_H */
