/*
 * preset.c
 *	  Merge policies for the formats that people have.  Each has all keys, so
 *	  that it means the same once it is written out; docs/presets.md says why
 *	  they are as they are.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "merge/preset.h"

typedef struct Preset
{
	const char *name;
	const char *policy;
} Preset;

static const Preset presets[] = {
	{"immersive",
		"{\"granularity\": \"property\", "
		"\"match\": [[\"/template\", \"/text\"], \"/id\"], "
		"\"ignore\": [\"/last_seen\"], "
		"\"latest\": [], "
		"\"tolerance\": 0.0001, "
		"\"groups\": [[\"/parent\", \"/position\", \"/rotation\"], [\"/scale\"]], "
		"\"references\": [\"/from\", \"/to\", \"/parent\"], "
	"\"acyclic\": [\"/parent\"]}"},
	{"excalidraw",
		"{\"granularity\": \"property\", "
		"\"match\": [[\"/type\", \"/text\"], \"/id\"], "
		"\"ignore\": [\"/version\", \"/versionNonce\", \"/updated\", "
		"\"/lastCommittedPoint\", \"/baseline\"], "
		"\"latest\": [\"/status\"], "
		"\"tolerance\": 0.000001, "
		"\"groups\": [[\"/x\", \"/y\", \"/width\", \"/height\", \"/points\", \"/pressures\", "
		"\"/fixedSegments\", \"/startIsSpecial\", \"/endIsSpecial\"], "
		"[\"/startBinding\"], [\"/endBinding\"], [\"/text\", \"/originalText\"], "
		"[\"/crop\"]], "
		"\"references\": [\"/containerId\", \"/frameId\", \"/startBinding/elementId\", "
		"\"/endBinding/elementId\"], "
	"\"acyclic\": [\"/containerId\", \"/frameId\"]}"},
	{"tldraw",
		"{\"granularity\": \"property\", "
		"\"match\": [[\"/type\", \"/props/text\"], [\"/typeName\", \"/name\"], \"/id\"], "
		"\"ignore\": [], "
		"\"latest\": [\"/props/growY\", \"/props/fontSizeAdjustment\"], "
		"\"tolerance\": 0.000001, "
		"\"groups\": [[\"/x\", \"/y\", \"/rotation\", \"/parentId\"], [\"/props/w\", "
		"\"/props/h\", \"/props/scale\"], [\"/props/start\"], [\"/props/end\"], "
		"[\"/props/points\"], [\"/props/handles\"], [\"/props/segments\", "
		"\"/props/isClosed\", \"/props/isComplete\"], [\"/props/richText\"], "
		"[\"/props/crop\"], [\"/fromId\", \"/toId\", \"/props/terminal\", "
		"\"/props/normalizedAnchor\", \"/props/isExact\", \"/props/isPrecise\", "
		"\"/props/snap\"]], "
		"\"references\": [\"/parentId\", \"/fromId\", \"/toId\", \"/props/assetId\", "
		"\"/props/start/boundShapeId\", \"/props/end/boundShapeId\"], "
	"\"acyclic\": [\"/parentId\"]}"},
	{"jsoncanvas",
		"{\"granularity\": \"property\", "
		"\"match\": [[\"/type\", \"/text\"], [\"/type\", \"/file\"], [\"/type\", \"/url\"], [\"/type\", \"/label\"], \"/id\"], "
		"\"ignore\": [], "
		"\"latest\": [], "
		"\"tolerance\": 0, "
		"\"groups\": [[\"/x\", \"/y\"], [\"/width\", \"/height\"], [\"/fromNode\", "
		"\"/fromSide\"], [\"/toNode\", \"/toSide\"]], "
		"\"references\": [\"/fromNode\", \"/toNode\"], "
	"\"acyclic\": []}"},
	{"reactflow",
		"{\"granularity\": \"property\", "
		"\"match\": [[\"/type\", \"/data/label\"]], "
		"\"ignore\": [\"/selected\", \"/dragging\", \"/resizing\", "
		"\"/positionAbsolute\", \"/measured\"], "
		"\"latest\": [], "
		"\"tolerance\": 0, "
		"\"groups\": [[\"/position\", \"/parentId\", \"/parentNode\"], [\"/width\", "
		"\"/height\"], [\"/style/width\", \"/style/height\"], [\"/source\", "
		"\"/sourceHandle\"], [\"/target\", \"/targetHandle\"]], "
		"\"keys\": {\"/data/inputParams\": \"id\", \"/data/inputAnchors\": \"id\", "
		"\"/data/outputAnchors\": \"id\"}, "
		"\"references\": [\"/source\", \"/target\", \"/parentId\", \"/parentNode\"], "
	"\"acyclic\": [\"/parentId\", \"/parentNode\"]}"},
	{"grafana",
		"{\"granularity\": \"property\", "
		"\"match\": [[\"/type\", \"/title\"]], "
		"\"ignore\": [\"/version\", \"/iteration\"], "
		"\"latest\": [\"/pluginVersion\", \"/schemaVersion\"], "
		"\"tolerance\": 0, "
		"\"groups\": [[\"/gridPos\"], [\"/datasource\"], [\"/targets/*/datasource\"]], "
		"\"keys\": {\"/targets\": \"refId\"}, "
		"\"references\": [], "
	"\"acyclic\": []}"},
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
