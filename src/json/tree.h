/*
 * tree.h
 *	  Documents that are being changed.
 */
#ifndef DIAGSYNC_TREE_H
#define DIAGSYNC_TREE_H

#include "json/jsonvalue.h"

/* An object or array whose members can be changed */
typedef struct JsonTree JsonTree;

/* A value inside a document that is being changed, or the whole of it */
typedef struct JsonItem
{
	JsonValue	value;			/* of some document */
	JsonTree   *tree;			/* that instead of the value, if not NULL */
} JsonItem;

static inline bool
tree_item_exists(JsonItem item)
{
	return item.tree != NULL || json_exists(item.value);
}

extern JsonItem tree_item(JsonValue value);
extern bool tree_item_is_object(JsonItem item);
extern bool tree_item_is_array(JsonItem item);
extern int	tree_item_count(JsonItem item);
extern JsonItem tree_item_member(JsonItem item, JsonKey key);
extern JsonItem tree_item_element(JsonItem item, int64 number);
extern bool tree_item_equals(JsonItem item, JsonValue value);

extern JsonTree *tree_open(JsonItem *item);
extern JsonItem *tree_member(JsonTree *tree, JsonKey key);
extern JsonItem *tree_element(JsonTree *tree, int number);
extern void tree_set_member(JsonTree *tree, JsonKey key, JsonItem item);
extern void tree_insert_element(JsonTree *tree, int number, JsonItem item);
extern bool tree_remove_member(JsonTree *tree, JsonKey key);
extern void tree_remove_element(JsonTree *tree, int number);

extern void tree_freeze(JsonItem *item, int levels);
extern Jsonb *tree_document(JsonItem item, int levels);

#endif							/* DIAGSYNC_TREE_H */
