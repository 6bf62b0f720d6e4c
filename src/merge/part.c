/*
 * part.c
 *	  What a merged document is made of: values of its versions, or objects of
 *	  such parts.
 */
#include "postgres.h"

#include "merge/part.h"

/*
 * A new part of an object that is made of parts.  palloc'd.
 */
Part *
part_add(Part *object)
{
	Part	   *part;

	if (object->count >= object->max)
	{
		object->max = object->max == 0 ? 16 : object->max * 2;
		object->parts = object->parts == NULL ?
			palloc(object->max * sizeof(Part)) :
			repalloc_huge(object->parts, object->max * sizeof(Part));
	}
	part = &object->parts[object->count++];
	memset(part, 0, sizeof(Part));
	return part;
}

/*
 * Free the parts of an object.
 */
void
part_free_all(Part *object)
{
	for (int i = 0; i < object->count; i++)
	{
		if (object->parts[i].kind == PART_OBJECT)
			part_free_all(&object->parts[i]);
	}
	if (object->parts != NULL)
		pfree(object->parts);
	object->parts = NULL;
	object->count = object->max = 0;
}

/*
 * Take this value.
 */
void
part_set_value(Part *part, JsonValue value)
{
	part->kind = PART_VALUE;
	part->values.local = value;
}
