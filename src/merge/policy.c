/*
 * policy.c
 *	  Merge policies: checked, and brought into a form to merge by.
 *
 * What a policy says of properties becomes a tree of their keys.
 * docs/merging.md says what it means.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"

#include "merge/policy.h"
#include "merge/preset.h"
#include "server/compat.h"

/* A policy on its way from JSON */
typedef struct Parsing
{
	const char *diagram;		/* whose it is, or NULL; for messages */
	Policy	   *policy;
	int		   *leader;			/* for each group, one that it is one with */
} Parsing;

pg_noreturn static void refuse(const char *diagram, const char *detail,
							   const char *hint);

static void
refuse(const char *diagram, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 diagram != NULL ?
			 errmsg("invalid merge policy for diagram \"%s\"", diagram) :
			 errmsg("invalid merge policy"),
			 errdetail_internal("%s", detail),
			 errhint("%s", hint)));
}

static char *
string_of(JsonValue value)
{
	return pnstrdup(value.data, value.len);
}

static PolicyNode *
make_node(JsonKey key)
{
	PolicyNode *node = palloc0(sizeof(PolicyNode));

	node->key = key;
	node->group = NO_GROUP;
	return node;
}

/*
 * Where among the children of a node the key is, or would be.
 */
static int
place_of(const PolicyNode *node, JsonKey key, bool *found)
{
	int			low = 0;
	int			high = node->count;

	*found = false;
	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		int			order = json_compare_keys(node->children[middle]->key,
											  key);

		if (order == 0)
		{
			*found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * What the policy says further inside, at a key; NULL: nothing (more).
 */
const PolicyNode *
policy_child(const PolicyNode *node, JsonKey key)
{
	bool		found;
	int			place;

	if (node == NULL || node->count == 0)
		return NULL;
	place = place_of(node, key, &found);
	return found ? node->children[place] : NULL;
}

/*
 * What the policy says of any element of an array; NULL: nothing.
 */
const PolicyNode *
policy_any_element(const PolicyNode *node)
{
	return policy_child(node, json_key("*"));
}

/*
 * What the policy says of an element of an array: of that number, or else of
 * any; of any alone where elements are told apart by a member.  NULL: nothing.
 */
const PolicyNode *
policy_element(const PolicyNode *node, int number)
{
	const PolicyNode *element;
	char		digits[12];
	JsonKey		key = {digits, 0};

	if (node == NULL || node->count == 0)
		return NULL;
	if (node->element_key.len > 0)
		return policy_any_element(node);
	key.len = pg_ltoa(number, digits);
	element = policy_child(node, key);
	return element != NULL ? element : policy_any_element(node);
}

/* The node that a pointer leads to, made where there is none. */
static PolicyNode *
node_at(PolicyNode *node, const JsonPointer *pointer)
{
	CHECK_FOR_INTERRUPTS();
	for (int i = 0; i < pointer->count; i++)
	{
		bool		found;
		int			place = place_of(node, pointer->keys[i], &found);

		if (!found)
		{
			if (node->count >= node->max)
			{
				node->max = node->max == 0 ? 4 : node->max * 2;
				node->children = node->children == NULL ?
					palloc(node->max * sizeof(PolicyNode *)) :
					repalloc(node->children, node->max * sizeof(PolicyNode *));
			}
			memmove(&node->children[place + 1], &node->children[place],
					(node->count - place) * sizeof(PolicyNode *));
			node->children[place] = make_node(pointer->keys[i]);
			node->count++;
		}
		node = node->children[place];
	}
	return node;
}

static void
parse_pointer(const Parsing *parsing, const char *key, JsonValue value,
			  bool may_be_root, JsonPointer *pointer)
{
	if (!json_is_string(value) || !pointer_parse(pointer, value.data,
												 value.len))
		refuse(parsing->diagram,
			   json_is_string(value) ?
			   psprintf("\"%s\" in \"%s\" is no JSON Pointer.",
						string_of(value), key) :
			   psprintf("\"%s\" holds something else than a JSON Pointer.", key),
			   "A JSON Pointer is a string such as \"/position/x\", with \"~0\" for \"~\" and \"~1\" for \"/\" in a name.");
	if (pointer->count == 0 && !may_be_root)
		refuse(parsing->diagram,
			   psprintf("The empty pointer in \"%s\" means the whole document.",
						key),
			   "Name a property, such as \"/position\".");
}

/* The elements of an array; an error if it is none. */
static void
parse_array(const Parsing *parsing, const char *key, JsonValue value,
			bool is_element, JsonMembers *elements)
{
	if (!json_is_array(value))
		refuse(parsing->diagram,
			   psprintf(is_element ? "\"%s\" holds something else than arrays." :
						"\"%s\" is not an array.", key),
			   strcmp(key, "groups") == 0 ?
			   "It is an array of arrays of JSON Pointers, such as [[\"/x\", \"/y\"]]." :
			   "It is an array of JSON Pointers, such as [\"/x\", \"/y\"].");
	json_members(elements, value);
}

static int
leader_of(const Parsing *parsing, int group)
{
	int		   *leader = parsing->leader;

	while (leader[group] != group)
	{
		leader[group] = leader[leader[group]];	/* shorter next time */
		group = leader[group];
	}
	return group;
}

static void
parse_groups(Parsing *parsing, JsonValue value)
{
	JsonMembers groups;
	JsonValue	group;

	parse_array(parsing, "groups", value, false, &groups);
	parsing->leader = palloc((groups.count + 1) * sizeof(int));
	while (json_next_element(&groups, &group))
	{
		JsonMembers pointers;
		JsonValue	pointer;
		int			number = parsing->policy->groups++;

		parse_array(parsing, "groups", group, true, &pointers);
		parsing->leader[number] = number;
		while (json_next_element(&pointers, &pointer))
		{
			JsonPointer path;
			PolicyNode *node;

			parse_pointer(parsing, "groups", pointer, true, &path);
			node = node_at(&parsing->policy->root, &path);
			if (node->group == NO_GROUP)
				node->group = number;
			else
				parsing->leader[leader_of(parsing, number)] =
					leader_of(parsing, node->group);
		}
	}
}

/* "references" and "acyclic": an array of pointers; returns how many. */
static int
parse_pointers(const Parsing *parsing, const char *key, JsonValue value,
			   JsonPointer **pointers)
{
	JsonMembers elements;
	JsonValue	element;
	int			n = 0;

	parse_array(parsing, key, value, false, &elements);
	*pointers = palloc((elements.count + 1) * sizeof(JsonPointer));
	while (json_next_element(&elements, &element))
		parse_pointer(parsing, key, element, false, &(*pointers)[n++]);
	return n;
}

/* One pointer, or an array of pointers that count together */
static void
parse_match_key(Parsing *parsing, JsonValue value, MatchKey *key)
{
	JsonMembers elements;
	JsonValue	element = value;

	elements.count = 1;
	if (json_is_array(value))
		json_members(&elements, value);
	key->name = "";
	key->pointers = palloc((elements.count + 1) * sizeof(JsonPointer));
	while (!json_is_array(value) ? key->count == 0 :
		   json_next_element(&elements, &element))
	{
		parse_pointer(parsing, "match", element, false,
					  &key->pointers[key->count]);
		key->name = psprintf("%s%s%s", key->name, key->count > 0 ? " " : "",
							 string_of(element));
		key->count++;
	}
}

static void
parse_match(Parsing *parsing, JsonValue value)
{
	Policy	   *policy = parsing->policy;
	JsonMembers elements;
	JsonValue	element;

	parse_array(parsing, "match", value, false, &elements);
	policy->match = palloc0((elements.count + 1) * sizeof(MatchKey));
	while (json_next_element(&elements, &element))
	{
		parse_match_key(parsing, element, &policy->match[policy->matches]);
		if (policy->match[policy->matches].count > 0)
			policy->matches++;
	}
}

/* Which member tells the elements of which arrays apart */
static void
parse_keys(Parsing *parsing, JsonValue value)
{
	JsonMembers members;
	JsonKey		key;
	JsonValue	member;

	if (!json_is_object(value))
		refuse(parsing->diagram, "\"keys\" is not an object.",
			   "It is an object such as {\"/targets\": \"refId\"}: a JSON Pointer to an array, and the member that its elements are told apart by.");
	json_members(&members, value);
	while (json_next_member(&members, &key, &member))
	{
		JsonValue	name = {JENTRY_ISSTRING, key.name, key.len};
		JsonPointer pointer;
		PolicyNode *node;

		parse_pointer(parsing, "keys", name, false, &pointer);
		if (!json_is_string(member) || member.len == 0)
			refuse(parsing->diagram,
				   psprintf("\"%s\" in \"keys\" has something else than the name of a member.",
							string_of(name)),
				   "It is a string such as \"refId\".");
		node = node_at(&parsing->policy->root, &pointer);
		node->element_key.name = member.data;
		node->element_key.len = member.len;
	}
}

static void
parse_null(Parsing *parsing, JsonValue value)
{
	char	   *name = json_is_string(value) ? string_of(value) : NULL;

	if (name == NULL ||
		(strcmp(name, "absent") != 0 && strcmp(name, "value") != 0))
		refuse(parsing->diagram,
			   name ? psprintf("\"null\" is \"%s\".", name) :
			   "\"null\" is not a string.",
			   "It is \"value\", or \"absent\" where a property that is null is the same as none.");
	parsing->policy->null_is_absent = name[0] == 'a';
}

/* "ignore" and "latest" */
static void
parse_places(Parsing *parsing, const char *key, JsonValue value)
{
	bool		ignore = strcmp(key, "ignore") == 0;
	JsonMembers elements;
	JsonValue	element;

	parse_array(parsing, key, value, false, &elements);
	while (json_next_element(&elements, &element))
	{
		JsonPointer pointer;
		PolicyNode *node;

		parse_pointer(parsing, key, element, !ignore, &pointer);
		node = node_at(&parsing->policy->root, &pointer);
		if (ignore)
			node->ignore = true;
		else
			node->latest = true;
	}
}

static void
parse_granularity(Parsing *parsing, JsonValue value)
{
	char	   *name = json_is_string(value) ? string_of(value) : NULL;

	if (name == NULL ||
		(strcmp(name, "entity") != 0 && strcmp(name, "property") != 0))
		refuse(parsing->diagram,
			   name ? psprintf("\"granularity\" is \"%s\".", name) :
			   "\"granularity\" is not a string.",
			   "It is \"entity\" or \"property\".");
	parsing->policy->by_property = name[0] == 'p';
}

static void
parse_tolerance(Parsing *parsing, JsonValue value)
{
	Datum		zero = DirectFunctionCall1(int4_numeric, Int32GetDatum(0));
	Datum		number;

	if (!json_is_number(value))
		refuse(parsing->diagram, "\"tolerance\" is not a number.",
			   "It is a number, such as 0.001; 0 compares exactly.");
	number = datumCopy(PointerGetDatum(value.data), false, -1);
	if (DatumGetBool(DirectFunctionCall2(numeric_lt, number, zero)))
		refuse(parsing->diagram, "\"tolerance\" is less than 0.",
			   "It is a number, such as 0.001; 0 compares exactly.");
	if (DatumGetBool(DirectFunctionCall2(numeric_gt, number, zero)))
		parsing->policy->tolerance = DatumGetNumeric(number);
}

static void
parse_member(Parsing *parsing, JsonKey name, JsonValue value)
{
	char	   *key = pnstrdup(name.name, name.len);

	if (strcmp(key, "granularity") == 0)
		parse_granularity(parsing, value);
	else if (strcmp(key, "tolerance") == 0)
		parse_tolerance(parsing, value);
	else if (strcmp(key, "groups") == 0)
		parse_groups(parsing, value);
	else if (strcmp(key, "references") == 0)
		parsing->policy->references =
			parse_pointers(parsing, key, value, &parsing->policy->reference);
	else if (strcmp(key, "keys") == 0)
		parse_keys(parsing, value);
	else if (strcmp(key, "null") == 0)
		parse_null(parsing, value);
	else if (strcmp(key, "acyclic") == 0)
		parsing->policy->acyclics =
			parse_pointers(parsing, key, value, &parsing->policy->acyclic);
	else if (strcmp(key, "match") == 0)
		parse_match(parsing, value);
	else if (strcmp(key, "ignore") == 0 || strcmp(key, "latest") == 0)
		parse_places(parsing, key, value);
	else
		refuse(parsing->diagram, psprintf("It has an unknown key \"%s\".", key),
			   "The keys are granularity, ignore, latest, tolerance, null, groups, keys, references, acyclic, match and preset.");
}

/* Forget the groups at a place and inside it, and what is "latest" there. */
static void
forget_units(PolicyNode *node, bool latest)
{
	check_stack_depth();
	node->group = NO_GROUP;
	if (latest)
		node->latest = false;
	for (int i = 0; i < node->count; i++)
		forget_units(node->children[i], latest);
}

/*
 * Let what is ignored be so with all that is inside, and what is "latest" but
 * for that; join groups that meet.  "around" is the group that the place lies
 * in.
 */
static void
join_groups(Parsing *parsing, PolicyNode *node, int around)
{
	check_stack_depth();
	if (node->ignore)
	{
		forget_units(node, true);
		node->count = 0;
	}
	else if (node->latest)
	{
		forget_units(node, true);
		node->latest = true;
	}
	else if (node->group != NO_GROUP && around != NO_GROUP)
	{
		parsing->leader[leader_of(parsing, node->group)] =
			leader_of(parsing, around);
		node->group = NO_GROUP; /* the value around it has it */
	}
	else if (node->group != NO_GROUP)
		around = node->group;

	for (int i = 0; i < node->count; i++)
		join_groups(parsing, node->children[i], around);
}

/* Number the groups anew, and note what is below. */
static void
finish_node(Parsing *parsing, PolicyNode *node)
{
	check_stack_depth();
	if (node->group != NO_GROUP)
		node->group = leader_of(parsing, node->group);
	for (int i = 0; i < node->count; i++)
	{
		PolicyNode *child = node->children[i];

		finish_node(parsing, child);
		node->ignore_below |= child->ignore || child->ignore_below;
		node->latest_below |= child->latest || child->latest_below;
		node->groups_below |= child->group != NO_GROUP || child->groups_below;
	}
}

static void
refuse_other_than_object(const char *diagram)
{
	refuse(diagram, "It is not an object.",
		   "A merge policy is a JSON object such as {\"granularity\": \"property\"}.");
}

/*
 * Bring a policy (NULL: the default) into the form to merge by; a preset must
 * be written out.  "diagram" is named in errors, if it is not NULL.  palloc'd;
 * the policy must outlive it.  An error (22023) where it is no policy.
 */
Policy *
policy_parse(const Jsonb *policy, const char *diagram)
{
	Parsing		parsing = {.diagram = diagram};
	JsonMembers members;
	JsonKey		key;
	JsonValue	value;

	parsing.policy = palloc0(sizeof(Policy));
	parsing.policy->root.group = NO_GROUP;
	if (policy != NULL)
	{
		if (!json_is_object(json_root(policy)))
			refuse_other_than_object(diagram);
		json_members(&members, json_root(policy));
		while (json_next_member(&members, &key, &value))
			parse_member(&parsing, key, value);
	}

	if (!parsing.policy->by_property)
	{
		/* The whole document is one group. */
		forget_units(&parsing.policy->root, false);
		parsing.policy->root.group = 0;
		parsing.policy->groups = 1;
		parsing.leader = palloc0(sizeof(int));
	}
	join_groups(&parsing, &parsing.policy->root, NO_GROUP);
	finish_node(&parsing, &parsing.policy->root);
	return parsing.policy;
}

/*
 * A policy with its preset, if it names one, written out, so that it means the
 * same in other versions of diagsync; what is given beside the preset stays.
 * palloc'd, or the policy itself.  An error (22023) where it is no object, or
 * there is no such preset.
 */
const Jsonb *
policy_expand(const Jsonb *policy, const char *diagram)
{
	JsonValue	root = json_root(policy);
	JsonKey		preset_key = {"preset", 6};
	JsonValue	preset;
	JsonValue	standard;
	const char *json;
	JsonBuild	build = {0};
	JsonMembers given;
	JsonMembers by_default;
	JsonKey		key;
	JsonKey		default_key;
	JsonValue	value;
	JsonValue	default_value;
	bool		more;
	bool		more_default;

	if (!json_is_object(root))
		refuse_other_than_object(diagram);
	preset = json_member(root, preset_key);
	if (!json_exists(preset))
		return policy;

	json = json_is_string(preset) ? preset_policy(string_of(preset)) : NULL;
	if (json == NULL)
		refuse(diagram,
			   json_is_string(preset) ?
			   psprintf("There is no preset \"%s\".", string_of(preset)) :
			   "\"preset\" is not a string.",
			   psprintf("The presets are %s.", preset_names()));
	standard = json_root(DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
															CStringGetDatum(json))));

	/* Both have their keys in order. */
	json_members(&given, root);
	json_members(&by_default, standard);
	more = json_next_member(&given, &key, &value);
	more_default = json_next_member(&by_default, &default_key, &default_value);
	while (more || more_default)
	{
		int			order = !more ? 1 : !more_default ? -1 :
			json_compare_keys(key, default_key);

		if (order > 0)
			json_build_value(&build, default_key, default_value);
		else if (json_compare_keys(key, preset_key) != 0)
			json_build_value(&build, key, value);
		if (order <= 0)
			more = json_next_member(&given, &key, &value);
		if (order >= 0)
			more_default = json_next_member(&by_default, &default_key,
											&default_value);
	}
	return json_build_end(&build);
}
