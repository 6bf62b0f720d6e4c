/*
 * rolecheck.h
 *	  Is a role the one that came to own diagrams under its name?
 */
#ifndef DIAGSYNC_ROLECHECK_H
#define DIAGSYNC_ROLECHECK_H

#include "utils/snapshot.h"

/* What is noted of the role of a principal */
typedef enum RoleNoted
{
	ROLE_NOT_NOTED,				/* nothing, or on another cluster */
	ROLE_NOTED,
	ROLE_OTHER_NOTED,			/* another role had that name */
} RoleNoted;

extern RoleNoted rolecheck_look(const char *principal, Oid role,
								Snapshot snapshot);
extern bool rolecheck_has_left(const char *principal, Snapshot snapshot);
extern void rolecheck_admit(const char *principal, Oid role);
extern void rolecheck_refuse(const char *principal);

#endif							/* DIAGSYNC_ROLECHECK_H */
