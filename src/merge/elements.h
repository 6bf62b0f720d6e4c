/*
 * elements.h
 *	  Arrays whose elements have keys, classified.
 */
#ifndef DIAGSYNC_ELEMENTS_H
#define DIAGSYNC_ELEMENTS_H

#include "merge/classification.h"
#include "merge/keyedarray.h"

/* The three versions of such an array */
typedef struct KeyedArrays
{
	KeyedArray	base;
	KeyedArray	local;
	KeyedArray	public;
} KeyedArrays;

extern bool elements_open(const Classification *classification,
						  const PolicyNode *node, const Three *values,
						  KeyedArrays *arrays);
extern int	elements_classify(Classification *classification,
							  const PolicyNode *node, const Three *values,
							  KeyedArrays *arrays, Part *part);

#endif							/* DIAGSYNC_ELEMENTS_H */
