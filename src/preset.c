/*
 * preset.c
 *	  Merge policies for the formats that people have.  Each has all keys, so
 *	  that it means the same once it is written out; docs/presets.md says why
 *	  they are as they are.
 *
 * Calls nothing else of diagsync.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "preset.h"

typedef struct Preset
{
	const char *name;
	const char *policy;
} Preset;

static const Preset presets[] = {
	{"immersive",
		"{\"granularity\": \"property\","
		" \"ignore\": [\"/last_seen\"],"
		" \"latest\": [],"
		" \"tolerance\": 0.00001,"
		" \"groups\": [[\"/parent\", \"/position\", \"/rotation\", \"/scale\"]],"
		" \"references\": [\"/from\", \"/to\", \"/parent\"]}"},
};

/*
 * The policy of that name as a JSON text, NULL if there is none.
 */
const char *
preset_policy(const char *name)
{
	for (int i = 0; i < (int) lengthof(presets); i++)
	{
		if (strcmp(presets[i].name, name) == 0)
			return presets[i].policy;
	}
	return NULL;
}

/*
 * All names, for people.  palloc'd.
 */
const char *
preset_names(void)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < (int) lengthof(presets); i++)
		appendStringInfo(&names, "%s%s", i == 0 ? "" :
						 i == lengthof(presets) - 1 ? " and " : ", ",
						 presets[i].name);
	return names.data;
}
