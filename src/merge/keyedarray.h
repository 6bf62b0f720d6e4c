/*
 * keyedarray.h
 *	  Arrays whose elements are told apart by a member that they all have.
 */
#ifndef DIAGSYNC_KEYEDARRAY_H
#define DIAGSYNC_KEYEDARRAY_H

#include "merge/policy.h"

/* What an element is called: a string, or a whole number */
typedef struct ElementKey
{
	bool		is_number;
	int64		number;
	JsonKey		string;
} ElementKey;

typedef struct KeyedElement
{
	ElementKey	key;
	JsonValue	value;
	int			place;			/* in the array */
} KeyedElement;

/* The elements of an array, in the order of their keys */
typedef struct KeyedArray
{
	int			count;
	KeyedElement *elements;
} KeyedArray;

extern bool keyedarray_open(KeyedArray *array, JsonValue value, JsonKey member);
extern int	keyedarray_compare(const ElementKey *a, const ElementKey *b);
extern bool keyedarray_has_names(JsonValue array, const PolicyNode *node);
extern JsonKey keyedarray_name(JsonValue element, JsonKey member);
extern JsonKey keyedarray_token(JsonKey member, const ElementKey *key);

#endif							/* DIAGSYNC_KEYEDARRAY_H */
