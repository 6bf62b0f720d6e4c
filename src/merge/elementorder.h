/*
 * elementorder.h
 *	  The order of the elements of a merged array.
 */
#ifndef DIAGSYNC_ELEMENTORDER_H
#define DIAGSYNC_ELEMENTORDER_H

#include "merge/part.h"

/* What follows the last element */
#define ELEMENTORDER_END (-1)

extern int *elementorder_list(const ElementOrder *order, int count,
							  const bool *taken, Side side);

#endif							/* DIAGSYNC_ELEMENTORDER_H */
