/*
 * planning.h
 *	  How diagsync's own commands are planned.
 */
#ifndef DIAGSYNC_PLANNING_H
#define DIAGSYNC_PLANNING_H

/* How many settings of each kind the planner is given */
#define PLANNING_FLAGS 16
#define PLANNING_COSTS 5
#define PLANNING_NUMBERS 4

/* A command on its way to the executor; lives on the stack of its caller */
typedef struct Planning
{
	struct Planning *outer;		/* what was under way before, or NULL */
	const char *sql;
	bool		ended;
	bool		flags[PLANNING_FLAGS];
	double		costs[PLANNING_COSTS];
	int			numbers[PLANNING_NUMBERS];
} Planning;

extern void planning_init(void);
extern void planning_begin(Planning *planning, const char *sql, bool whole);
extern void planning_end(Planning *planning);

#endif							/* DIAGSYNC_PLANNING_H */
