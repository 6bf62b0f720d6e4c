/*
 * ringfound.h
 *	  What is done about a ring that an end would have.
 */
#ifndef DIAGSYNC_RINGFOUND_H
#define DIAGSYNC_RINGFOUND_H

#include "sync/ringview.h"

extern void ringfound_note(void *view, List *ids);
extern bool ringfound_leave(Rings *rings);

#endif							/* DIAGSYNC_RINGFOUND_H */
