-- Merge policies: what may be set and what is refused, and what status, syncs
-- and resolve make of one. (merge.sql has the merge of one document,
-- references.sql and both_policy.sql what "references" does.)
BEGIN;
\ir ../../common/pgtap/helpers.sql
SELECT plan(477);

-- As of now, also after a sync in the same statement.
CREATE OR REPLACE FUNCTION t.status(local text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN t.show(diagsync.status(local));
END $$;

-- The HINT of a command that fails.
CREATE FUNCTION t.hint(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	EXECUTE command;
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN nullif(hint, '');
END $$;
CREATE FUNCTION t.policy_of(diagram text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT merge_policy FROM diagsync.directory WHERE id = diagram $$;
CREATE FUNCTION t.seen(local text) RETURNS boolean LANGUAGE sql AS $$
	SELECT seen IS NOT NULL AND NOT compare_in_full FROM diagsync.directory WHERE id = local $$;
-- Two documents and their base, one entity of a new pair.
CREATE FUNCTION t.edit(local text, public text, base jsonb, mine jsonb, theirs jsonb, policy jsonb DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM t.pair(local, public, CASE WHEN base IS NULL THEN '{}' ELSE jsonb_build_object('e', base) END);
	PERFORM diagsync.set_merge_policy(local, policy);
	IF mine IS DISTINCT FROM base THEN PERFORM t.write(local, 'e', mine); END IF;
	IF theirs IS DISTINCT FROM base THEN PERFORM t.write(public, 'e', theirs); END IF;
	RETURN local;
END $$;
CREATE FUNCTION t.both_ends(local text, public text) RETURNS text LANGUAGE sql AS $$
	SELECT format('%s | %s', t.docs(local) -> 'e', t.docs(public) -> 'e') $$;

-- ---- What is stored ----------------------------------------------------------------

SELECT t.make('l', '{"a": {"v": 1, "w": 1}}');
SELECT is(t.policy_of('l'), NULL, 'a diagram has no policy');
SELECT is(diagsync.set_merge_policy('l', policy), policy, 'returned as stored: ' || policy::text)
  FROM unnest(ARRAY['{}', '{"granularity": "entity"}', '{"granularity": "property"}', '{"ignore": []}', '{"ignore": ["/a", "/b/c", "/d~0~1e", "/", "/x/0"]}',
	'{"latest": ["", "/a"]}', '{"tolerance": 0}', '{"tolerance": 0.0001}', '{"tolerance": 1e3}', '{"groups": []}', '{"groups": [[""], ["/a", "/b"]]}', '{"references": ["/from", "/to/id"]}',
	'{"granularity": "property", "ignore": ["/last_seen"], "latest": ["/viewport"], "tolerance": 0.0001, "groups": [["/position"], ["/size", "/anchor"]], "references": ["/from", "/to", "/parent"], "acyclic": ["/parent"]}']::jsonb[])
	WITH ORDINALITY AS p (policy, n) ORDER BY n;
SELECT is(t.policy_of('l') ->> 'tolerance', '0.0001', 'and the directory has it');
SELECT is(diagsync.set_merge_policy('l', NULL), NULL, 'a null resets it');
SELECT is(t.policy_of('l'), NULL, '... in the directory, too');

-- Presets are written out beside their name, and mean the same when set once more.
CREATE TABLE t.preset (name text, policy jsonb);
INSERT INTO t.preset VALUES
	('immersive', '{"granularity": "property", "match": [["/template", "/text"], "/id"], "ignore": ["/last_seen"], "latest": [], "tolerance": 0.0001,
		"groups": [["/parent", "/position", "/rotation"], ["/scale"]], "references": ["/from", "/to", "/parent"], "acyclic": ["/parent"]}'),
	('excalidraw', '{"granularity": "property", "match": [["/type", "/text"], "/id"], "ignore": ["/version", "/versionNonce", "/updated", "/lastCommittedPoint", "/baseline"], "latest": ["/status"], "tolerance": 0.000001,
		"groups": [["/x", "/y", "/width", "/height", "/points", "/pressures", "/fixedSegments", "/startIsSpecial", "/endIsSpecial"],
			["/startBinding"], ["/endBinding"], ["/text", "/originalText"], ["/crop"]],
		"references": ["/containerId", "/frameId", "/startBinding/elementId", "/endBinding/elementId"], "acyclic": ["/containerId", "/frameId"]}'),
	('tldraw', '{"granularity": "property", "match": [["/type", "/props/text"], ["/typeName", "/name"], "/id"], "ignore": [], "latest": ["/props/growY", "/props/fontSizeAdjustment"], "tolerance": 0.000001,
		"groups": [["/x", "/y", "/rotation", "/parentId"], ["/props/w", "/props/h", "/props/scale"], ["/props/start"], ["/props/end"], ["/props/points"], ["/props/handles"],
			["/props/segments", "/props/isClosed", "/props/isComplete"], ["/props/richText"], ["/props/crop"],
			["/fromId", "/toId", "/props/terminal", "/props/normalizedAnchor", "/props/isExact", "/props/isPrecise", "/props/snap"]],
		"references": ["/parentId", "/fromId", "/toId", "/props/assetId", "/props/start/boundShapeId", "/props/end/boundShapeId"], "acyclic": ["/parentId"]}'),
	('jsoncanvas', '{"granularity": "property", "match": [["/type", "/text"], ["/type", "/file"], ["/type", "/url"], ["/type", "/label"], "/id"], "ignore": [], "latest": [], "tolerance": 0,
		"groups": [["/x", "/y"], ["/width", "/height"], ["/fromNode", "/fromSide"], ["/toNode", "/toSide"]], "references": ["/fromNode", "/toNode"], "acyclic": []}'),
	('reactflow', '{"granularity": "property", "match": [["/type", "/data/label"]], "ignore": ["/selected", "/dragging", "/resizing", "/positionAbsolute", "/measured"], "latest": [], "tolerance": 0,
		"groups": [["/position", "/parentId", "/parentNode"], ["/width", "/height"], ["/style/width", "/style/height"], ["/source", "/sourceHandle"], ["/target", "/targetHandle"]],
		"keys": {"/data/inputParams": "id", "/data/inputAnchors": "id", "/data/outputAnchors": "id"},
		"references": ["/source", "/target", "/parentId", "/parentNode"], "acyclic": ["/parentId", "/parentNode"]}'),
	('grafana', '{"granularity": "property", "match": [["/type", "/title"]], "ignore": ["/version", "/iteration"], "latest": ["/pluginVersion", "/schemaVersion"], "tolerance": 0,
		"groups": [["/gridPos"], ["/datasource"], ["/targets/*/datasource"]], "keys": {"/targets": "refId"}, "references": [], "acyclic": []}');
SELECT is(diagsync.set_merge_policy('l', jsonb_build_object('preset', name)), policy, name || ': written out as docs/presets.md has it') FROM t.preset;
SELECT is(diagsync.set_merge_policy('l', policy), policy, name || ': written out, it can be set again') FROM t.preset;
SELECT is(diagsync.set_merge_policy('l', jsonb_build_object('preset', name) || own), policy || own, format('%s: a key beside it replaces the preset''s: %s', name, own))
  FROM t.preset, unnest(ARRAY['{"tolerance": 5}', '{"granularity": "entity"}', '{"ignore": ["/mine"], "groups": []}', '{"references": []}', '{"latest": [""]}']::jsonb[]) AS own;

-- What each of them does.
SELECT is((diagsync.merge(base, base || local, base || public, jsonb_build_object('preset', preset))).paths::text, paths, format('%s: %s and %s', preset, local, public))
  FROM (VALUES
	('immersive', '{"last_seen":1,"color":1}'::jsonb, '{"last_seen":2}'::jsonb, '{"last_seen":3,"color":2}'::jsonb, '{}'),
	('immersive', '{"position":{"x":1,"y":1}}', '{"position":{"x":2,"y":1}}', '{"position":{"x":1,"y":2}}', '{/position}'),
	('immersive', '{"position":{"x":1,"y":1},"parent":"a"}', '{"position":{"x":2,"y":1}}', '{"parent":"b"}', '{/parent,/position}'),
	('immersive', '{"position":{"x":1,"y":1},"color":1}', '{"position":{"x":2,"y":1}}', '{"color":2}', '{}'),
	('immersive', '{"position":{"x":1,"y":1}}', '{"position":{"x":1.00009,"y":1}}', '{"position":{"x":1,"y":2}}', '{}'),
	('immersive', '{"from":"a","to":"b"}', '{"from":"c"}', '{"to":"d"}', '{}'),
	('excalidraw', '{"version":1,"versionNonce":1,"updated":1,"x":1}', '{"version":2,"versionNonce":2,"updated":2}', '{"version":3,"versionNonce":3,"updated":3,"x":2}', '{}'),
	('excalidraw', '{"x":1,"width":1}', '{"x":2}', '{"width":2}', '{/x,/width}'),
	('excalidraw', '{"x":1,"strokeColor":1}', '{"x":2}', '{"strokeColor":2}', '{}'),
	('excalidraw', '{"status":"pending"}', '{"status":"saved"}', '{"status":"error"}', '{}'),
	('excalidraw', '{"text":"a","originalText":"a"}', '{"text":"b"}', '{"originalText":"c"}', '{/text,/originalText}'),
	('excalidraw', '{"startBinding":null,"endBinding":null}', '{"startBinding":{"elementId":"a"}}', '{"endBinding":{"elementId":"b"}}', '{}'),
	('excalidraw', '{"index":"a1"}', '{"index":"a2"}', '{"index":"a3"}', '{/index}'),
	('tldraw', '{"x":1,"parentId":"a"}', '{"x":2}', '{"parentId":"b"}', '{/x,/parentId}'),
	('tldraw', '{"props":{"w":1,"h":1}}', '{"props":{"w":2,"h":1}}', '{"props":{"w":1,"h":2}}', '{/props/h,/props/w}'),
	('tldraw', '{"x":1,"props":{"w":1,"growY":1}}', '{"x":2,"props":{"w":1,"growY":2}}', '{"props":{"w":3,"growY":3}}', '{}'),
	('tldraw', '{"x":1}', '{"x":1.0000009}', '{"x":2}', '{}'),
	('jsoncanvas', '{"x":1,"y":1}', '{"x":2}', '{"y":2}', '{/x,/y}'),
	('jsoncanvas', '{"x":1,"width":1}', '{"x":2}', '{"width":2}', '{}'),
	('jsoncanvas', '{"fromNode":"a","toNode":"b"}', '{"fromNode":"c"}', '{"toNode":"d"}', '{}'),
	('jsoncanvas', '{"fromNode":"a","fromSide":"top"}', '{"fromNode":"c"}', '{"fromSide":"left"}', '{/fromNode,/fromSide}'),
	('reactflow', '{"selected":false,"dragging":false,"measured":{"width":1},"position":{"x":1,"y":1}}', '{"selected":true,"measured":{"width":2}}', '{"dragging":true,"measured":{"width":3},"position":{"x":2,"y":1}}', '{}'),
	('reactflow', '{"position":{"x":1,"y":1}}', '{"position":{"x":2,"y":1}}', '{"position":{"x":1,"y":2}}', '{/position}'),
	('reactflow', '{"data":{"a":1,"b":[1]}}', '{"data":{"a":2,"b":[1]}}', '{"data":{"a":1,"b":[2]}}', '{}'),
	('reactflow', '{"source":"a","target":"b"}', '{"source":"c"}', '{"target":"d"}', '{}'),
	('reactflow', '{"source":"a","sourceHandle":"b"}', '{"source":"c"}', '{"sourceHandle":"d"}', '{/source,/sourceHandle}'),
	('reactflow', '{"style":{"width":1,"color":1}}', '{"style":{"width":2,"color":1}}', '{"style":{"width":1,"color":2}}', '{}'),
	('reactflow', '{"position":{"x":1}}', '{"position":{"x":1.0000001}}', '{"position":{"x":2}}', '{/position}'),
	('reactflow', '{"data":{"inputParams":[{"id":"a","v":1},{"id":"b","v":1}]}}', '{"data":{"inputParams":[{"id":"a","v":2},{"id":"b","v":1}]}}', '{"data":{"inputParams":[{"id":"a","v":1},{"id":"b","v":2},{"id":"c"}]}}', '{}'),
	('grafana', '{"targets":[{"refId":"A","expr":"a"},{"refId":"B","expr":"b"}]}', '{"targets":[{"refId":"A","expr":"a1"},{"refId":"B","expr":"b"}]}', '{"targets":[{"refId":"A","expr":"a"},{"refId":"B","expr":"b1"}]}', '{}'),
	('grafana', '{"targets":[{"refId":"A","expr":"a"}]}', '{"targets":[{"refId":"A","expr":"a1"}]}', '{"targets":[{"refId":"A","expr":"a2"}]}', '{/targets/refId=A/expr}'),
	('grafana', '{"gridPos":{"x":1,"y":1},"pluginVersion":"1"}', '{"gridPos":{"x":2,"y":1},"pluginVersion":"2"}', '{"gridPos":{"x":1,"y":2},"pluginVersion":"3"}', '{/gridPos}')) AS v (preset, base, local, public, paths);

-- ---- What is refused ---------------------------------------------------------------

SELECT diagsync.set_merge_policy('l', '{"granularity": "property"}');
CREATE TABLE t.bad (n int GENERATED ALWAYS AS IDENTITY, policy jsonb, command text);
INSERT INTO t.bad (policy) SELECT policy::jsonb FROM unnest(ARRAY['null', '1', 'true', '"property"', '"reactflow"', '[]', '["granularity"]',
	'{"": 1}', '{"nonsense": true}', '{"preset": "tldraw", "longer than all": 1}', '{"Granularity": "entity"}', '{"granularity": "property", "ignored": ["/a"]}',
	'{"granularity": "properties"}', '{"granularity": "ENTITY"}', '{"granularity": ""}', '{"granularity": null}', '{"granularity": 1}', '{"granularity": ["property"]}', '{"granularity": {}}',
	'{"tolerance": -1}', '{"tolerance": -1e-300}', '{"tolerance": "0.1"}', '{"tolerance": null}', '{"tolerance": true}', '{"tolerance": [0.1]}', '{"tolerance": {}}',
	'{"groups": null}', '{"groups": "/a"}', '{"groups": {}}', '{"groups": 1}', '{"groups": ["/a"]}', '{"groups": [["/a"], "/b"]}', '{"groups": [{"0": "/a"}]}', '{"groups": [null]}', '{"groups": [[null]]}',
	'{"groups": [[1]]}', '{"groups": [[["/a"]]]}', '{"groups": [["a"]]}', '{"groups": [["/a", "b/c"]]}', '{"groups": [["/a~"]]}',
	'{"preset": "nix"}', '{"preset": ""}', '{"preset": "ReactFlow"}', '{"preset": null}', '{"preset": 1}', '{"preset": ["reactflow"]}', '{"preset": "reactflow", "nonsense": 1}', '{"preset": "reactflow", "tolerance": -1}']) AS policy;
INSERT INTO t.bad (policy) SELECT jsonb_build_object(key, value)
  FROM unnest('{ignore,latest,references,acyclic}'::text[]) AS key, unnest(ARRAY['null', '"/a"', '1', 'true', '{}', '{"0": "/a"}', '[1]', '[null]', '[["/a"]]', '[{}]', '["/a", true]',
	'["a"]', '["a/b"]', '["#/a"]', '[" /a"]', '["/a", "b"]', '["~1a"]', '["/a~"]', '["/~2"]', '["/a/b~"]', '["/~~0"]', '["/a~b"]']::jsonb[]) WITH ORDINALITY AS v (value, n) ORDER BY key, n;
INSERT INTO t.bad (policy) VALUES ('{"ignore": [""]}'), ('{"ignore": ["/a", ""]}'), ('{"references": [""]}'), ('{"references": ["/from", ""]}'), ('{"acyclic": [""]}');
UPDATE t.bad SET command = format('SELECT diagsync.set_merge_policy(''l'', %L)', policy);
SELECT t.refuses(command, '22023', '"l"', 'refused: ' || policy::text) FROM t.bad ORDER BY n;
SELECT is_empty($$ SELECT policy, t.error(command) FROM t.bad WHERE t.hint(command) IS NULL $$, 'all of them with a hint');
SELECT t.refuses($$ SELECT diagsync.set_merge_policy('nix', '{}') $$, '42704', '"nix"');
SELECT t.refuses($$ SELECT diagsync.set_merge_policy('nix', NULL) $$, '42704', '"nix"');
SELECT t.refuses($$ SELECT diagsync.set_merge_policy(NULL, '{}') $$, '22004', 'diagram');

-- Plain SQL.
SELECT t.refuses(format('UPDATE diagsync.directory SET merge_policy = %L WHERE id = ''l''', policy), '0A000', '"l"', 'no plain update to ' || coalesce(policy, 'null'))
  FROM unnest(ARRAY['{"granularity": "entity"}', '{"granularity": "nonsense"}', NULL]) AS policy;
SELECT isnt(t.hint($$ UPDATE diagsync.directory SET merge_policy = '{}' WHERE id = 'l' $$), NULL, 'but a hint');
SELECT lives_ok($$ UPDATE diagsync.directory SET name = 'Another name', description = 'or two' WHERE id = 'l' $$, 'names may be updated');
SELECT is(left(t.error(format('INSERT INTO diagsync.directory (id, name, storage_type, merge_policy) VALUES (''x'', ''X'', ''local'', %L)', policy)), 3) IN ('220', '235'), true, 'no plain insert of ' || policy::text)
  FROM (SELECT policy FROM t.bad WHERE policy <> 'null' ORDER BY n LIMIT 12) AS b;
SELECT lives_ok($$ INSERT INTO diagsync.directory (id, name, storage_type, merge_policy) VALUES ('x', 'X', 'local', '{"granularity": "property", "ignore": ["/t"]}') $$, 'one of a good policy, as in a dump');
SELECT is(t.policy_of('x'), '{"granularity": "property", "ignore": ["/t"]}', '... is as it was');

-- ---- Passed on -----------------------------------------------------------------------

SELECT diagsync.set_merge_policy('l', '{"granularity": "property", "ignore": ["/t"]}');
SELECT diagsync.share('l', 'p');
SELECT is(t.policy_of('p'), t.policy_of('l'), 'share passes it on');
SELECT diagsync.clone('p', 'l2');
SELECT is(t.policy_of('l2'), t.policy_of('l'), 'so does clone');
SELECT diagsync.set_merge_policy('l', NULL);
SELECT is(t.policy_of('p'), '{"granularity": "property", "ignore": ["/t"]}', 'then each has its own');
SELECT diagsync.clone('p', 'l3');
SELECT is(t.policy_of('l3'), '{"granularity": "property", "ignore": ["/t"]}', 'which the next clone has');
SELECT t.write('l', 'a', '{"v": 2, "w": 1}'), t.write('l2', 'a', '{"v": 2, "w": 1}'), t.write('p', 'a', '{"v": 1, "w": 2}');
SELECT is(t.status('l') || ', ' || t.status('l2'), 'conflict 1/1/1, pending 1/1/0', 'the local one of a link counts');
SELECT t.make('s', '{}', 'private'), diagsync.set_merge_policy('x', '{"preset": "immersive"}');
SELECT diagsync.unlink('l2'), diagsync.link('l2', 's');
SELECT is(t.policy_of('l2'), '{"granularity": "property", "ignore": ["/t"]}', 'unlink and link leave it');
SELECT diagsync.share('x', 'far x', 'private');
SELECT diagsync.set_storage_type('far x', 'public'), diagsync.clone('far x', 'x2');
SELECT is(t.policy_of('x2'), t.policy_of('x'), 'and so does a move');

-- ---- A change of the policy shows at once ---------------------------------------------

SELECT t.edit('m', 'q', '{"v": 1, "w": 1}', '{"v": 2, "w": 1}', '{"v": 1, "w": 2}');
CREATE FUNCTION t.with_policy(local text, policy jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM diagsync.set_merge_policy(local, policy);
	RETURN t.status(local) || ' ' || t.changes(local);
END $$;
CREATE TABLE t.shown AS SELECT n, policy::jsonb, shown FROM (VALUES
	(1, NULL, 'conflict 1/1/1 e:both:update>update:update_update'),
	(2, '{"granularity": "property"}', 'pending 1/1/0 e:both:update>update:'),
	(3, '{"ignore": ["/w"]}', 'pending 1/0/0 e:local:update>:'),
	(4, '{"ignore": ["/v"]}', 'pending 0/1/0 e:public:>update:'),
	(5, '{"ignore": ["/v", "/w"]}', 'in_sync 0/0/0 '),
	(6, '{"tolerance": 2}', 'in_sync 0/0/0 '),
	(7, '{"tolerance": 1}', 'conflict 1/1/1 e:both:update>update:update_update'),
	(8, '{"granularity": "property", "groups": [["/v", "/w"]]}', 'conflict 1/1/1 e:both:update>update:update_update'),
	(9, '{"latest": ["/v"]}', 'pending 1/1/0 e:both:update>update:')) AS v (n, policy, shown);
SELECT is(t.with_policy('m', policy), shown, 'the policy is ' || coalesce(policy::text, 'none')) FROM t.shown ORDER BY n;
SELECT is(t.with_policy('m', policy), shown, 'and back again: ' || coalesce(policy::text, 'none')) FROM t.shown ORDER BY n DESC;
-- The same after the link advanced under a policy that ignores the difference.
SELECT diagsync.set_merge_policy('m', '{"ignore": ["/v", "/w"]}');
SELECT is(t.show(diagsync.pull('m')) || ', ' || t.show(diagsync.push('m')), 'yes +0 ~0 -0 0/0, yes +0 ~0 -0 0/0', 'a pull and a push that ignore the difference');
SELECT is(t.both_ends('m', 'q'), '{"v": 2, "w": 1} | {"v": 1, "w": 2}', '... write nothing');
SELECT is(t.with_policy('m', policy), shown, 'after a pull and a push: ' || coalesce(policy::text, 'none')) FROM t.shown ORDER BY n;
SELECT is(t.with_policy('m', '{"ignore": ["/v", "/w"]}') || t.show(diagsync.refresh('m')), 'in_sync 0/0/0 in_sync 0/0/0', 'a refresh that ignores the difference');
SELECT is(t.with_policy('m', policy), shown, 'after the refresh: ' || coalesce(policy::text, 'none')) FROM t.shown ORDER BY n DESC;
SELECT diagsync.set_merge_policy('m', NULL);
SELECT is(to_jsonb(ARRAY[base, local, public]), '[{"v": 1, "w": 1}, {"v": 2, "w": 1}, {"v": 1, "w": 2}]', 'and the three versions are what they were') FROM diagsync.conflicts('m');

-- One side alone.
SELECT t.edit('m2', 'q2', '{"v": 1, "t": 1}', '{"v": 1, "t": 1}', '{"v": 1, "t": 2}', '{"ignore": ["/t"]}');
SELECT is(t.status('m2') || ' ' || t.show(diagsync.pull('m2')) || ' ' || t.both_ends('m2', 'q2'), 'in_sync 0/0/0 yes +0 ~0 -0 0/0 {"t": 1, "v": 1} | {"t": 2, "v": 1}', 'an ignored public change is left');
SELECT is(t.with_policy('m2', NULL), 'pending 0/1/0 e:public:>update:', 'and comes back when it is not ignored');
SELECT is(t.show(diagsync.pull('m2')), 'yes +0 ~1 -0 0/0', 'to be pulled');
SELECT t.edit('m3', 'q3', '{"v": 1, "t": 1}', '{"v": 1, "t": 2}', '{"v": 1, "t": 1}', '{"ignore": ["/t"]}');
SELECT is(t.status('m3') || ' ' || t.show(diagsync.push('m3')) || ' ' || t.both_ends('m3', 'q3'), 'in_sync 0/0/0 yes +0 ~0 -0 0/0 {"t": 2, "v": 1} | {"t": 1, "v": 1}', 'an ignored local change is left');
SELECT is(t.base('m3'), '{"e": {"t": 1, "v": 1}}', '... and keeps its base row');
SELECT diagsync.pull('m3'), diagsync.refresh('m3');
SELECT is(t.with_policy('m3', NULL), 'pending 1/0/0 e:local:update>:', 'and comes back when it is not ignored');
SELECT is(t.show(diagsync.push('m3')), 'yes +0 ~1 -0 0/0', 'to be pushed');
SELECT is(t.base('m3'), '{}', '... then the base row goes');

-- The full comparison ends with the next sync, or refresh.
SELECT is(t.seen('m3'), true, 'a link that has seen something does not compare in full');
SELECT diagsync.set_merge_policy('m3', '{"granularity": "property"}');
SELECT is(t.seen('m3'), false, 'after a change of its policy it does');
SELECT diagsync.status('m3'), diagsync.changes('m3');
SELECT is(t.seen('m3'), false, '... readers leave it so');
SELECT diagsync.refresh('m3');
SELECT is(t.seen('m3'), true, 'until a refresh');
SELECT diagsync.set_merge_policy('m3', NULL), diagsync.pull('m3');
SELECT is(t.seen('m3'), true, 'or a pull');
SELECT diagsync.set_merge_policy('m3', '{}'), diagsync.push('m3');
SELECT is(t.seen('m3'), true, 'or a push');
SELECT diagsync.set_merge_policy('m3', '{"granularity": "property"}');
SELECT t.write('q3', 'e', '{"v": 8}'), t.write('q3', 'new', '{}'), t.write('m3', 'mine', '{}');
SELECT is(t.status('m3') || ' ' || t.show(diagsync.refresh('m3')) || ' ' || t.status('m3'), 'pending 1/2/0 pending 1/2/0 pending 1/2/0', 'with changes of both sides');
SELECT is(t.show(diagsync.pull('m3')) || ' ' || t.show(diagsync.push('m3')) || ' ' || t.status('m3'), 'yes +1 ~1 -0 0/0 yes +1 ~0 -0 0/0 in_sync 0/0/0', 'which are then synced');

-- ---- Ignored properties in syncs ----------------------------------------------------------

SELECT t.pair('i', 'j', (SELECT jsonb_object_agg(id, '{"v": 1, "t": 1}'::jsonb) FROM unnest('{a,b,c,d,f,g,z}'::text[]) AS id));
SELECT diagsync.set_merge_policy('i', '{"ignore": ["/t"]}');
SELECT t.write('i', 'a', '{"v": 1, "t": 2}');
SELECT t.write('i', 'b', '{"v": 1, "t": 2}'), t.write('j', 'b', '{"v": 3, "t": 1}');
SELECT t.write('i', 'c', '{"v": 1, "t": 2}'), t.write('j', 'c', '{"v": 1, "t": 3}');
SELECT t.write('i', 'd', '{"v": 2, "t": 2}'), t.write('j', 'd', '{"v": 1, "t": 3}');
SELECT t.write('i', 'e', '{"v": 1, "t": 2}'), t.write('j', 'e', '{"v": 1, "t": 3}');
SELECT t.write('i', 'f', NULL), t.write('j', 'f', '{"v": 1, "t": 3}');
SELECT t.write('i', 'g', '{"v": 1, "t": 2}'), t.write('j', 'g', NULL);
SELECT is(t.status('i') || ' ' || t.changes('i'), 'pending 2/2/0 b:public:>update: d:local:update>: f:local:delete>: g:public:>delete:', 'ignored properties are no change');
SELECT is(t.show(diagsync.push('i', dry_run => true)) || ', ' || t.show(diagsync.pull('i', dry_run => true)), 'yes +0 ~1 -1 0/0, yes +0 ~1 -1 0/0', 'dry runs');
SELECT is(t.show(diagsync.push('i')), 'yes +0 ~1 -1 0/0', 'a push sends what else was changed');
SELECT is(t.docs('j'), '{"a": {"t": 1, "v": 1}, "b": {"t": 1, "v": 3}, "c": {"t": 3, "v": 1}, "d": {"t": 2, "v": 2}, "e": {"t": 3, "v": 1}, "z": {"t": 1, "v": 1}}', 'with the ignored ones of that version');
SELECT is(t.show(diagsync.pull('i')), 'yes +0 ~1 -1 0/0', 'and a pull takes it');
SELECT is(t.docs('i'), '{"a": {"t": 2, "v": 1}, "b": {"t": 1, "v": 3}, "c": {"t": 2, "v": 1}, "d": {"t": 2, "v": 2}, "e": {"t": 2, "v": 1}, "z": {"t": 1, "v": 1}}', '... with those of that one');
SELECT is(t.status('i') || ' ' || t.changes('i'), 'in_sync 0/0/0 ', 'nothing is left to sync');
SELECT is((t.base('i') -> 'a'), '{"t": 1, "v": 1}', 'what differs only there keeps its base row');
SELECT is((SELECT count(*) FROM diagsync_local.base WHERE diagram_id = 'i' AND id IN ('b', 'd', 'f', 'g', 'z')), 0::bigint, '... and nothing else');
SELECT is(t.show(diagsync.push('i')) || ', ' || t.show(diagsync.pull('i')), 'yes +0 ~0 -0 0/0, yes +0 ~0 -0 0/0', 'a second push and pull write nothing');
SELECT t.write('i', 'a', '{"v": 2, "t": 2}'), t.write('j', 'c', '{"v": 5, "t": 3}'), t.write('i', 'e', '{"v": 2, "t": 2}');
SELECT is(t.status('i') || ' ' || t.changes('i'), 'pending 2/1/0 a:local:update>: c:public:>update: e:local:update>:', 'written for another reason');
SELECT is(t.show(diagsync.pull('i')) || ', ' || t.show(diagsync.push('i')), 'yes +0 ~1 -0 0/0, yes +0 ~2 -0 0/0', '... they go along');
SELECT is(t.docs('i'), t.docs('j'), 'and both ends are the same');
SELECT is(t.docs('i') -> 'a' || (t.docs('i') -> 'c'), '{"t": 3, "v": 5}', 'as they should be');
SELECT is(t.base('i'), '{}', 'no base row is left');

-- ---- Merged ----------------------------------------------------------------------------

-- Pushed.
SELECT t.edit('g1', 'h1', '{"a": 1, "b": 1}', '{"a": 2, "b": 1}', '{"a": 1, "b": 2}', '{"granularity": "property"}');
SELECT t.edited('g1', 'e', '2020-01-01Z', 'role:alice'), t.edited('h1', 'e', '2020-01-02Z', 'role:bob');
SELECT is(t.status('g1') || ' ' || t.changes('g1'), 'pending 1/1/0 e:both:update>update:', 'different properties of an entity');
SELECT is_empty($$ SELECT * FROM diagsync.conflicts('g1') $$, 'are no conflict');
SELECT is((SELECT paths FROM diagsync.changes('g1')), NULL, 'and have no paths');
SELECT plan FROM diagsync.push('g1', dry_run => true) \gset
SELECT is(t.show(diagsync.push('g1', dry_run => true)), 'yes +0 ~1 -0 0/0, merged is 1', 'a dry run of a push that merges');
SELECT is(t.show(diagsync.push('g1', expected_plan => :'plan')), 'yes +0 ~1 -0 0/0, merged is 1', 'and the push');
SELECT is(t.both_ends('g1', 'h1'), '{"a": 2, "b": 2} | {"a": 2, "b": 2}', 'it writes both ends');
SELECT is(t.status('g1') || t.base('g1'), 'in_sync 0/0/0{}', 'then they are in sync');
SELECT is(jsonb_agg(jsonb_build_array(modified_at, modified_by)), jsonb_build_array(jsonb_build_array('2020-01-02Z'::timestamptz, 'role:bob'), jsonb_build_array('2020-01-02Z'::timestamptz, 'role:bob')),
	'with time and principal of the newer side') FROM diagsync.entity WHERE diagram_id IN ('g1', 'h1');
SELECT is(t.show(diagsync.push('g1')) || ', ' || t.show(diagsync.pull('g1')), 'yes +0 ~0 -0 0/0, yes +0 ~0 -0 0/0', 'a second push and a pull change nothing');
-- Pulled.
SELECT t.edit('g2', 'h2', '{"a": 1, "b": 1}', '{"a": 2, "b": 1}', '{"a": 1, "b": 2}', '{"granularity": "property"}');
SELECT t.edited('g2', 'e', '2020-01-03Z', 'role:alice'), t.edited('h2', 'e', '2020-01-02Z', 'role:bob');
SELECT plan FROM diagsync.pull('g2', dry_run => true) \gset
SELECT is(t.show(diagsync.pull('g2', expected_plan => :'plan')), 'yes +0 ~1 -0 0/0, merged is 1', 'a pull that merges');
SELECT is(t.both_ends('g2', 'h2'), '{"a": 2, "b": 2} | {"a": 1, "b": 2}', 'writes the local end');
SELECT is(t.base('g2'), '{"e": {"a": 1, "b": 2}}', 'a local change on top of the public version');
SELECT is(t.status('g2') || ' ' || t.changes('g2'), 'pending 1/0/0 e:local:update>:', 'and only that');
SELECT is(jsonb_build_array(modified_at, modified_by), jsonb_build_array('2020-01-03Z'::timestamptz, 'role:alice'), 'with time and principal of the newer side, the local one') FROM diagsync_local.entity WHERE diagram_id = 'g2';
SELECT is(t.show(diagsync.pull('g2')), 'yes +0 ~0 -0 0/0', 'a second pull changes nothing');
SELECT is(t.show(diagsync.push('g2')), 'yes +0 ~1 -0 0/0', 'the push sends it');
SELECT is(t.both_ends('g2', 'h2') || t.status('g2') || t.base('g2'), '{"a": 2, "b": 2} | {"a": 2, "b": 2}in_sync 0/0/0{}', 'then they are in sync');
-- One side has all of it already: nothing is written there.
CREATE FUNCTION t.all_of_it(n text, mine jsonb, theirs jsonb, direction text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	r diagsync.sync_result;
BEGIN
	PERFORM t.edit('more' || n, 'far more' || n, '{"a": 1, "b": 1}', mine, theirs, '{"granularity": "property"}');
	IF direction = 'push' THEN r := diagsync.push('more' || n); ELSE r := diagsync.pull('more' || n); END IF;
	RETURN format('%s; %s; %s; %s', t.show(r), t.both_ends('more' || n, 'far more' || n), t.base('more' || n), t.status('more' || n));
END $$;
SELECT is(t.all_of_it('1', '{"a": 2, "b": 1}', '{"a": 2, "b": 2}', 'push'), 'yes +0 ~0 -0 0/0, merged is 1; {"a": 2, "b": 2} | {"a": 2, "b": 2}; {}; in_sync 0/0/0', 'a push where the shared copy has all of it');
SELECT is(t.all_of_it('2', '{"a": 2, "b": 2}', '{"a": 2, "b": 1}', 'push'), 'yes +0 ~1 -0 0/0, merged is 1; {"a": 2, "b": 2} | {"a": 2, "b": 2}; {}; in_sync 0/0/0', 'a push where the local end has all of it');
SELECT is(t.all_of_it('3', '{"a": 2, "b": 1}', '{"a": 2, "b": 2}', 'pull'), 'yes +0 ~1 -0 0/0, merged is 1; {"a": 2, "b": 2} | {"a": 2, "b": 2}; {}; in_sync 0/0/0', 'a pull where the shared copy has all of it');
SELECT is(t.all_of_it('4', '{"a": 2, "b": 2}', '{"a": 2, "b": 1}', 'pull'), 'yes +0 ~0 -0 0/0, merged is 1; {"a": 2, "b": 2} | {"a": 2, "b": 1}; {"e": {"a": 2, "b": 1}}; pending 1/0/0', 'a pull where the local end has all of it');

-- Beside conflicts, in batches of one and of many.
CREATE FUNCTION t.mixed(local text, public text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM t.pair(local, public, (SELECT jsonb_object_agg('e' || n, '{"a": 1, "b": 1, "c": 1}'::jsonb) FROM generate_series(1, 9) AS n));
	PERFORM diagsync.set_merge_policy(local, '{"granularity": "property"}');
	PERFORM t.write(local, 'e' || n, '{"a": 2, "b": 1, "c": 2}'), t.write(public, 'e' || n, '{"a": 1, "b": 2, "c": 1}') FROM unnest('{1,4,7}'::int[]) AS n;
	PERFORM t.write(local, 'e' || n, '{"a": 2, "b": 1, "c": 2}'), t.write(public, 'e' || n, '{"a": 3, "b": 2, "c": 1}') FROM unnest('{2,5}'::int[]) AS n;
	PERFORM t.write(local, 'e8', NULL), t.write(public, 'e8', '{"a": 1, "b": 2, "c": 1}');
	PERFORM t.write(local, 'e3', '{"a": 2, "b": 1, "c": 1}'), t.write(public, 'e6', '{"a": 3, "b": 1, "c": 1}');
	RETURN local;
END $$;
CREATE FUNCTION t.mixed_sync(name text, direction text, rule text, batch int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	l text := format('%s %s %s %s', name, direction, rule, batch);
	dry diagsync.sync_result;
	r diagsync.sync_result;
	n bigint;
BEGIN
	PERFORM set_config('diagsync.batch_size', batch::text, true);
	PERFORM t.mixed(l, 'far ' || l);
	IF direction = 'push' THEN
		dry := diagsync.push(l, on_conflict => rule, dry_run => true);
		r := diagsync.push(l, on_conflict => rule, expected_plan => dry.plan);
	ELSE
		dry := diagsync.pull(l, on_conflict => rule, dry_run => true);
		r := diagsync.pull(l, on_conflict => rule, expected_plan => dry.plan);
	END IF;
	PERFORM set_config('diagsync.batch_size', '1000', true);
	RETURN concat_ws('; ', t.show(r), CASE WHEN t.show(dry) <> t.show(r) OR dry.plan <> r.plan THEN 'the dry run said ' || t.show(dry) END, t.status(l),
		(SELECT string_agg(format('%s%s', id, (SELECT string_agg(value, '' ORDER BY key) FROM jsonb_each_text(doc))), ' ' ORDER BY id) FROM diagsync.entity WHERE diagram_id = l AND id ~ '^e[1-9]$'),
		(SELECT string_agg(format('%s%s', id, (SELECT string_agg(value, '' ORDER BY key) FROM jsonb_each_text(doc))), ' ' ORDER BY id) FROM diagsync.entity WHERE diagram_id = 'far ' || l AND id ~ '^e[1-9]$'));
END $$;
SELECT t.mixed('mixed', 'far mixed');
SELECT is(t.status('mixed') || ' ' || t.changes('mixed'), 'conflict 7/7/3 e1:both:update>update: e2:both:update>update:update_update e3:local:update>: e4:both:update>update: e5:both:update>update:update_update e6:public:>update: e7:both:update>update: e8:both:delete>update:delete_update',
	'merges, conflicts and changes');
SELECT is(string_agg(entity_id || paths::text, ' '), 'e2{/a} e5{/a} e8{""}', 'conflicts have paths') FROM diagsync.conflicts('mixed');
SELECT is(t.mixed_sync('m', direction, rule, batch), shown, format('%s, %s, in batches of %s', direction, rule, batch))
  FROM unnest('{1,1000}'::int[]) AS batch, (VALUES
	('push', 'abort', 'no +0 ~0 -0 0/3; conflict 7/7/3; e1212 e2212 e3211 e4212 e5212 e6111 e7212 e9111; e1121 e2321 e3111 e4121 e5321 e6311 e7121 e8121 e9111'),
	('pull', 'abort', 'no +0 ~0 -0 0/3; conflict 7/7/3; e1212 e2212 e3211 e4212 e5212 e6111 e7212 e9111; e1121 e2321 e3111 e4121 e5321 e6311 e7121 e8121 e9111'),
	('push', 'skip', 'no +0 ~4 -0 0/3, merged is 3; conflict 3/4/3; e1222 e2212 e3211 e4222 e5212 e6111 e7222 e9111; e1222 e2321 e3211 e4222 e5321 e6311 e7222 e8121 e9111'),
	('pull', 'skip', 'no +0 ~4 -0 0/3, merged is 3; conflict 7/3/3; e1222 e2212 e3211 e4222 e5212 e6311 e7222 e9111; e1121 e2321 e3111 e4121 e5321 e6311 e7121 e8121 e9111'),
	('push', 'local', 'yes +0 ~6 -1 3/0, merged is 5; pending 0/1/0; e1222 e2222 e3211 e4222 e5222 e6111 e7222 e9111; e1222 e2222 e3211 e4222 e5222 e6311 e7222 e9111'),
	('pull', 'local', 'yes +0 ~6 -0 3/0, merged is 5; pending 7/0/0; e1222 e2222 e3211 e4222 e5222 e6311 e7222 e9111; e1121 e2321 e3111 e4121 e5321 e6311 e7121 e8121 e9111'),
	('push', 'public', 'yes +0 ~6 -0 3/0, merged is 5; pending 0/1/0; e1222 e2322 e3211 e4222 e5322 e6111 e7222 e8121 e9111; e1222 e2322 e3211 e4222 e5322 e6311 e7222 e8121 e9111'),
	('pull', 'public', 'yes +1 ~6 -0 3/0, merged is 5; pending 6/0/0; e1222 e2322 e3211 e4222 e5322 e6311 e7222 e8121 e9111; e1121 e2321 e3111 e4121 e5321 e6311 e7121 e8121 e9111'),
	('push', 'both', 'yes +2 ~4 -0 3/0, merged is 3; pending 0/1/0; e1222 e2321 e3211 e4222 e5321 e6111 e7222 e8121 e9111; e1222 e2321 e3211 e4222 e5321 e6311 e7222 e8121 e9111'),
	('pull', 'both', 'yes +3 ~6 -0 3/0, merged is 3; pending 6/0/0; e1222 e2321 e3211 e4222 e5321 e6311 e7222 e8121 e9111; e1121 e2321 e3111 e4121 e5321 e6311 e7121 e8121 e9111')) AS v (direction, rule, shown)
 ORDER BY batch, direction, rule;

-- A plan is of the policy, too.
SELECT t.edit('g3', 'h3', '{"a": 1, "b": 1}', '{"a": 2, "b": 1}', '{"a": 1, "b": 2}', '{"granularity": "property"}');
SELECT plan FROM diagsync.push('g3', dry_run => true) \gset
SELECT diagsync.set_merge_policy('g3', '{"granularity": "property", "ignore": ["/nothing"]}');
SELECT is((diagsync.push('g3', expected_plan => :'plan')).success, false, 'another policy is another plan');
SELECT is(t.both_ends('g3', 'h3'), '{"a": 2, "b": 1} | {"a": 1, "b": 2}', '... and nothing is written');
SELECT diagsync.set_merge_policy('g3', '{"granularity": "property"}');
SELECT is((diagsync.push('g3', expected_plan => :'plan')).success, true, 'until the old one is back');

-- ---- The later one ------------------------------------------------------------------------

-- The document that is left after a push and a pull, by who was later.
CREATE FUNCTION t.later(policy jsonb, base jsonb, mine jsonb, theirs jsonb, my_time timestamptz, first text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	l text := 'later' || (SELECT count(*) FROM diagsync.directory);
	p text := 'far ' || l;
BEGIN
	PERFORM t.edit(l, p, base, mine, theirs, policy);
	PERFORM t.edited(l, 'e', my_time), t.edited(p, 'e', '2020-01-02Z');
	SET LOCAL session_replication_role = replica;
	UPDATE diagsync_local.base SET changed_at = my_time WHERE diagram_id = l AND mine IS NULL;
	UPDATE diagsync_public.tombstone SET deleted_at = '2020-01-02Z' WHERE diagram_id = p;
	SET LOCAL session_replication_role = origin;
	IF t.status(l) LIKE 'conflict%' THEN RETURN t.status(l); END IF;
	IF first = 'push' THEN PERFORM diagsync.push(l), diagsync.pull(l); ELSE PERFORM diagsync.pull(l), diagsync.push(l); END IF;
	IF t.status(l) <> 'in_sync 0/0/0' OR t.docs(l) <> t.docs(p) OR t.base(l) <> '{}' THEN
		RETURN t.status(l) || ' ' || t.both_ends(l, p);
	END IF;
	RETURN coalesce((t.docs(l) -> 'e')::text, 'deleted');
END $$;
SELECT is(t.later(policy, base, mine, theirs, '2020-01-02Z'::timestamptz + hours * interval '1 hour', first), CASE WHEN hours > 0 THEN if_mine ELSE if_theirs END,
	format('%s: %s, %s, the local side %s hours later, %s first', policy, mine, theirs, hours, first))
  FROM (VALUES
	('{"granularity": "property", "latest": ["/l"]}'::jsonb, '{"l":1,"v":1}'::jsonb, '{"l":2,"v":1}'::jsonb, '{"l":3,"v":1}'::jsonb, '{"l": 2, "v": 1}', '{"l": 3, "v": 1}'),
	('{"granularity": "property", "latest": ["/l"]}', '{"l":1,"v":1}', '{"l":2,"v":2}', '{"l":3,"v":1}', '{"l": 2, "v": 2}', '{"l": 3, "v": 2}'),
	('{"granularity": "property", "latest": ["/l"]}', '{"l":1,"v":1}', '{"l":2,"v":1}', '{"v":2}', '{"l": 2, "v": 2}', '{"v": 2}'),
	('{"granularity": "entity", "latest": ["/l"]}', '{"l":1,"v":1}', '{"l":2,"v":1}', '{"l":3,"v":2}', '{"l": 2, "v": 2}', '{"l": 3, "v": 2}'),
	('{"latest": [""]}', '{"a":1,"b":1}', '{"a":2,"b":1}', '{"a":1,"b":2}', '{"a": 2, "b": 1}', '{"a": 1, "b": 2}'),
	('{"latest": [""]}', '{"a":1}', NULL, '{"a":2}', 'deleted', '{"a": 2}'),
	('{"latest": [""]}', '{"a":1}', '{"a":2}', NULL, '{"a": 2}', 'deleted'),
	('{"latest": [""]}', NULL, '{"a":1}', '{"b":1}', '{"a": 1}', '{"b": 1}'),
	('{"latest": ["/l"]}', '{"l":1,"v":1}', NULL, '{"l":2,"v":1}', 'deleted', 'deleted'),
	('{"granularity": "property", "ignore": ["/t"]}', '{"a":1,"b":1,"t":1}', '{"a":2,"b":1,"t":2}', '{"a":1,"b":2,"t":3}', '{"a": 2, "b": 2, "t": 2}', '{"a": 2, "b": 2, "t": 3}'))
	AS v (policy, base, mine, theirs, if_mine, if_theirs), unnest('{-1,0,1}'::int[]) AS hours, unnest('{push,pull}'::text[]) AS first
 ORDER BY policy, base, mine, theirs, hours, first;

-- ---- Agreed, but not quite equal --------------------------------------------------------------

CREATE FUNCTION t.agreed(policy jsonb, base jsonb, mine jsonb, theirs jsonb, way text, side text, edit jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	l text := 'agreed' || (SELECT count(*) FROM diagsync.directory);
	p text := 'far ' || l;
	before text;
	r diagsync.sync_result;
BEGIN
	PERFORM t.edit(l, p, base, mine, theirs, policy);
	IF t.status(l) || t.changes(l) <> 'in_sync 0/0/0' THEN RETURN 'before: ' || t.status(l) || t.changes(l); END IF;
	before := t.both_ends(l, p);
	CASE way
		WHEN 'push' THEN r := diagsync.push(l);
		WHEN 'pull' THEN r := diagsync.pull(l);
	END CASE;
	IF t.show(r) <> 'yes +0 ~0 -0 0/0' OR t.both_ends(l, p) <> before THEN RETURN 'written: ' || t.show(r) || t.both_ends(l, p); END IF;
	IF t.status(l) || t.changes(l) <> 'in_sync 0/0/0' THEN RETURN 'after: ' || t.status(l) || t.changes(l); END IF;
	PERFORM t.write(CASE side WHEN 'local' THEN l ELSE p END, 'e', edit);
	before := t.status(l) || ' ' || t.changes(l);
	PERFORM diagsync.pull(l), diagsync.push(l);
	IF t.docs(l) <> t.docs(p) OR t.status(l) <> 'in_sync 0/0/0' OR t.base(l) <> '{}' OR t.docs(l) -> 'e' IS DISTINCT FROM edit THEN
		RETURN 'at last: ' || t.status(l) || t.both_ends(l, p) || t.base(l);
	END IF;
	RETURN before;
END $$;
SELECT is(t.agreed(policy, base, mine, theirs, way, side, edit), CASE side
		WHEN 'local' THEN format('pending 1/0/0 e:local:%s>:', CASE WHEN edit IS NULL THEN 'delete' ELSE 'update' END)
		ELSE format('pending 0/1/0 e:public:>%s:', CASE WHEN edit IS NULL THEN 'delete' ELSE 'update' END) END,
	format('agreed with %s: %s, %s; after a %s the %s side writes %s', policy, mine, theirs, way, side, coalesce(edit::text, 'nothing')))
  FROM (VALUES
	('{"ignore": ["/t"]}'::jsonb, '{"v":1,"t":1}'::jsonb, '{"v":2,"t":2}'::jsonb, '{"v":2,"t":3}'::jsonb, '{"v":3,"t":4}'::jsonb),
	('{"ignore": ["/t"]}', '{"v":1,"t":1}', '{"v":2,"t":2}', '{"v":2,"t":3}', NULL),
	('{"ignore": ["/t"]}', NULL, '{"v":2,"t":2}', '{"v":2,"t":3}', '{"v":3,"t":4}'),
	('{"granularity": "property", "tolerance": 0.1}', '{"x":1}', '{"x":2}', '{"x":2.05}', '{"x":3}'),
	('{"granularity": "property", "tolerance": 0.1}', '{"x":1}', '{"x":2}', '{"x":2.05}', '{"x":1}')) AS v (policy, base, mine, theirs, edit),
	unnest('{push,pull}'::text[]) AS way, unnest('{local,public}'::text[]) AS side ORDER BY policy, base, edit, way, side;
-- What was ignored is not forgotten.
SELECT t.edit('k', 'n', '{"v": 1, "t": 1}', '{"v": 2, "t": 2}', '{"v": 2, "t": 3}', '{"ignore": ["/t"]}');
SELECT diagsync.push('k'), diagsync.pull('k');
SELECT is(t.with_policy('k', NULL), 'pending 1/0/0 e:local:update>:', 'and is a local change on top of the public version when it is no longer ignored');

-- ---- Conflicts ------------------------------------------------------------------------------------

SELECT t.edit('c', 'd', '{"a": 1, "b": 1, "c": 1, "o": {"x": 1, "y": 1}}', '{"a": 2, "b": 2, "c": 1, "o": {"x": 2, "y": 1}}', '{"a": 3, "b": 1, "c": 3, "o": {"x": 3, "y": 3}}', '{"granularity": "property"}');
SELECT is(jsonb_build_array(entity_id, side, local_change, public_change, conflict, paths), '["e", "both", "update", "update", "update_update", ["/a", "/o/x"]]', 'a conflict has the paths of its properties') FROM diagsync.conflicts('c');
SELECT is(c, m, 'those of merge()') FROM diagsync.conflicts('c'), LATERAL (SELECT paths) AS c (c), LATERAL (SELECT paths FROM diagsync.merge(base, local, public, t.policy_of('c'))) AS m (m);
SELECT is(t.with_policy('c', '{"granularity": "property", "groups": [["/a", "/b"]]}'), 'conflict 1/1/1 e:both:update>update:update_update', 'with a group');
SELECT is(paths, '{/a,/b,/o/x}', '... there are more') FROM diagsync.conflicts('c');
SELECT diagsync.set_merge_policy('c', NULL);
SELECT is(paths, '{""}', 'with granularity entity it is the whole') FROM diagsync.conflicts('c');
SELECT diagsync.set_merge_policy('c', '{"granularity": "property"}');
SAVEPOINT s;
-- A choice: the local /a, the public /o/x.
SELECT is(jsonb_build_array(r.side, r.local_change, r.conflict, r.base, r.local, r.public), jsonb_build_array('local', 'update', NULL, c.public,
		'{"a": 2, "b": 2, "c": 3, "o": {"x": 3, "y": 3}}'::jsonb, c.public), 'a choice for each property')
  FROM diagsync.conflicts('c') AS c, diagsync.resolve('c', 'e', 'merged', (diagsync.merge(c.base,
	jsonb_set(c.local, '{o,x}', c.public #> '{o,x}'), jsonb_set(c.public, '{a}', c.local -> 'a'), t.policy_of('c'))).merged, c.version) AS r;
SELECT is(t.show(diagsync.push('c')), 'yes +0 ~1 -0 0/0', '... is pushed');
SELECT is(t.both_ends('c', 'd'), '{"a": 2, "b": 2, "c": 3, "o": {"x": 3, "y": 3}} | {"a": 2, "b": 2, "c": 3, "o": {"x": 3, "y": 3}}', '... to be everybody''s');
ROLLBACK TO s;
-- A side wins where it conflicts; all else merges.
SELECT is(jsonb_build_array(side, local, base), '["local", {"a": 2, "b": 2, "c": 3, "o": {"x": 2, "y": 3}}, {"a": 3, "b": 1, "c": 3, "o": {"x": 3, "y": 3}}]', 'resolved as local: its values where it conflicts') FROM diagsync.resolve('c', 'e', 'local');
SELECT is(t.show(diagsync.push('c')) || t.status('c'), 'yes +0 ~1 -0 0/0in_sync 0/0/0', '... is pushed');
ROLLBACK TO s;
SELECT is(jsonb_build_array(side, local, base), '["local", {"a": 3, "b": 2, "c": 3, "o": {"x": 3, "y": 3}}, {"a": 3, "b": 1, "c": 3, "o": {"x": 3, "y": 3}}]', 'as public: the public ones, and a local edit is left to be pushed') FROM diagsync.resolve('c', 'e', 'public');
ROLLBACK TO s;
SELECT t.edited('c', 'e', '2020-01-03Z'), t.edited('d', 'e', '2020-01-02Z');
SELECT is(jsonb_build_array(side, local), '["local", {"a": 2, "b": 2, "c": 3, "o": {"x": 2, "y": 3}}]', 'as newest: those of the newer side') FROM diagsync.resolve('c', 'e', 'newest');
ROLLBACK TO s;
SELECT is(jsonb_build_array(side, local_change, local), '["local", "insert", {"a": 2, "b": 2, "c": 1, "o": {"x": 2, "y": 1}}]', 'as both: the whole local one, anew') FROM diagsync.resolve('c', 'e', 'both');
SELECT is(t.docs('c') -> 'e', '{"a": 3, "b": 1, "c": 3, "o": {"x": 3, "y": 3}}', '... beside the public one');
ROLLBACK TO s;
-- An entity that merges has no conflict to resolve.
SELECT t.refuses($$ SELECT diagsync.resolve('g4', 'e', 'local') $$, '55000', 'entity "e" of diagram "g4"', 'what merges needs no resolution')
	WHERE t.edit('g4', 'h4', '{"a": 1, "b": 1}', '{"a": 2, "b": 1}', '{"a": 1, "b": 2}', '{"granularity": "property"}') = 'g4';
-- A resolution under a policy that ignores part of what it writes.
SELECT t.edit('g5', 'h5', '{"v": 1, "t": 1}', '{"v": 2, "t": 2}', '{"v": 3, "t": 3}', '{"ignore": ["/t"]}');
SELECT is(jsonb_build_array(side, conflict, local_change), '[null, null, null]', 'merged into what is the same as the public version: nothing is left') FROM diagsync.resolve('g5', 'e', 'merged', '{"v": 3, "t": 9}');
SELECT is(t.status('g5') || ' ' || t.show(diagsync.push('g5')), 'in_sync 0/0/0 yes +0 ~0 -0 0/0', '... to push');

SELECT * FROM finish();
ROLLBACK;
