-- A side wins where it conflicts: local, public and newest under granularity
-- property, as rules of push and pull and as resolutions.
BEGIN;
\ir ../../common/pgtap/helpers.sql
SELECT plan(44);

-- An entity "e" of a new pair as both ends changed it.
CREATE FUNCTION t.both(l text, policy jsonb, base jsonb, mine jsonb, theirs jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM t.pair(l, 'far ' || l, CASE WHEN base IS NULL THEN '{}'::jsonb ELSE jsonb_build_object('e', base) END);
	PERFORM diagsync.set_merge_policy(l, '{"granularity": "property"}'::jsonb || policy);
	PERFORM t.write(l, 'e', mine), t.write('far ' || l, 'e', theirs);
	RETURN l;
END $$;
-- What it is at both ends after a call, and its base.
CREATE FUNCTION t.after(l text, how text, rule text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	dry diagsync.sync_result;
	r diagsync.sync_result;
	shown text;
BEGIN
	BEGIN
		IF how = 'resolve' THEN
			PERFORM diagsync.resolve(l, 'e', rule);
		ELSIF how = 'push' THEN
			dry := diagsync.push(l, on_conflict => rule, dry_run => true);
			r := diagsync.push(l, on_conflict => rule, expected_plan => dry.plan);
		ELSE
			dry := diagsync.pull(l, on_conflict => rule, dry_run => true);
			r := diagsync.pull(l, on_conflict => rule, expected_plan => dry.plan);
		END IF;
		IF dry IS DISTINCT FROM r AND t.show(dry) <> t.show(r) THEN RAISE EXCEPTION 'the dry run said %', t.show(dry); END IF;
		shown := concat_ws('; ', CASE WHEN how <> 'resolve' THEN t.show(r) END, t.docs(l) -> 'e', t.docs('far ' || l) -> 'e', 'base ' || t.base(l)::text, t.status(l));
		-- To the end: nothing is left, and both ends are equal.
		PERFORM diagsync.push(l), diagsync.pull(l);
		IF t.status(l) <> 'in_sync 0/0/0' OR t.docs(l) -> 'e' <> t.docs('far ' || l) -> 'e' THEN shown := shown || '; then ' || t.status(l); END IF;
		RAISE EXCEPTION '%', shown USING ERRCODE = 'P0003';
	EXCEPTION WHEN SQLSTATE 'P0003' THEN
		RETURN SQLERRM;			-- all rolled back
	END;
END $$;

SELECT t.both('a', '{}', '{"x": 1, "y": 1, "c": 1}', '{"x": 2, "y": 2, "c": 1}', '{"x": 3, "y": 1, "c": 3}');
SELECT t.edited('a', 'e', '2020-01-03Z'), t.edited('far a', 'e', '2020-01-02Z');
SELECT is(t.after('a', how, rule), want, format('%s, %s', how, rule)) FROM (VALUES
	('push', 'local', 'yes +0 ~1 -0 1/0, merged is 1; {"c": 3, "x": 2, "y": 2}; {"c": 3, "x": 2, "y": 2}; base {}; in_sync 0/0/0'),
	('push', 'public', 'yes +0 ~1 -0 1/0, merged is 1; {"c": 3, "x": 3, "y": 2}; {"c": 3, "x": 3, "y": 2}; base {}; in_sync 0/0/0'),
	('push', 'newest', 'yes +0 ~1 -0 1/0, merged is 1; {"c": 3, "x": 2, "y": 2}; {"c": 3, "x": 2, "y": 2}; base {}; in_sync 0/0/0'),
	('pull', 'local', 'yes +0 ~1 -0 1/0, merged is 1; {"c": 3, "x": 2, "y": 2}; {"c": 3, "x": 3, "y": 1}; base {"e": {"c": 3, "x": 3, "y": 1}}; pending 1/0/0'),
	('pull', 'public', 'yes +0 ~1 -0 1/0, merged is 1; {"c": 3, "x": 3, "y": 2}; {"c": 3, "x": 3, "y": 1}; base {"e": {"c": 3, "x": 3, "y": 1}}; pending 1/0/0'),
	('pull', 'newest', 'yes +0 ~1 -0 1/0, merged is 1; {"c": 3, "x": 2, "y": 2}; {"c": 3, "x": 3, "y": 1}; base {"e": {"c": 3, "x": 3, "y": 1}}; pending 1/0/0'),
	('resolve', 'local', '{"c": 3, "x": 2, "y": 2}; {"c": 3, "x": 3, "y": 1}; base {"e": {"c": 3, "x": 3, "y": 1}}; pending 1/0/0'),
	('resolve', 'public', '{"c": 3, "x": 3, "y": 2}; {"c": 3, "x": 3, "y": 1}; base {"e": {"c": 3, "x": 3, "y": 1}}; pending 1/0/0'),
	('resolve', 'newest', '{"c": 3, "x": 2, "y": 2}; {"c": 3, "x": 3, "y": 1}; base {"e": {"c": 3, "x": 3, "y": 1}}; pending 1/0/0')) AS v (how, rule, want);
SAVEPOINT s;
SELECT diagsync.pull('a', on_conflict => 'public');
SELECT is(modified_at, '2020-01-03Z', 'the result is as new as the newer side') FROM diagsync_local.entity WHERE diagram_id = 'a' AND id = 'e';
ROLLBACK TO s;

-- What is the result, of any conflict, where either side wins.
CREATE FUNCTION t.won(policy jsonb, base jsonb, mine jsonb, theirs jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	l text := 'w' || (SELECT count(*) FROM diagsync.directory);
	paths text;
	wins text[] := '{}';
	rule text;
BEGIN
	PERFORM t.both(l, policy, base, mine, theirs);
	paths := (SELECT c.paths::text FROM diagsync.conflicts(l) AS c WHERE entity_id = 'e');
	FOREACH rule IN ARRAY '{local,public}'::text[] LOOP
		BEGIN
			PERFORM diagsync.resolve(l, 'e', rule);
			wins := wins || (t.docs(l) ->> 'e');
			IF t.base(l) -> 'e' IS DISTINCT FROM theirs AND (t.docs(l) -> 'e' IS DISTINCT FROM theirs OR t.base(l) <> '{}') THEN
				wins := wins || ('base ' || t.base(l)::text);
			END IF;
			RAISE EXCEPTION USING ERRCODE = 'P0003';
		EXCEPTION WHEN SQLSTATE 'P0003' THEN NULL;
		END;
	END LOOP;
	RETURN concat_ws(' ', paths, array_to_string(wins, ' '));
END $$;
SELECT is(t.won(policy, base, mine, theirs), want, what) FROM (VALUES
	('objects, deep', '{}'::jsonb, '{"o": {"x": 1, "y": 1, "z": 1}}'::jsonb, '{"o": {"x": 2, "y": 2, "z": 1}}'::jsonb, '{"o": {"x": 3, "y": 1, "z": 3}}'::jsonb, '{/o/x} {"o": {"x": 2, "y": 2, "z": 3}} {"o": {"x": 3, "y": 2, "z": 3}}'),
	('deleted here, changed there', '{}', '{"x": 1, "y": 1}', '{"y": 2}', '{"x": 3, "y": 1, "z": 1}', '{/x} {"y": 2, "z": 1} {"x": 3, "y": 2, "z": 1}'),
	('a group wins as one', '{"groups": [["/x", "/y"]]}', '{"x": 1, "y": 1, "z": 1}', '{"x": 2, "y": 1, "z": 2}', '{"x": 1, "y": 3, "z": 1}', '{/x,/y} {"x": 2, "y": 1, "z": 2} {"x": 1, "y": 3, "z": 2}'),
	('... of several objects, of which one side changed one alone', '{"groups": [["/a/g", "/h"]]}', '{"a": {"g": 1, "o": 1}, "h": 1, "z": 1}', '{"a": {"g": 2, "o": 2}, "h": 1, "z": 1}', '{"a": {"g": 1, "o": 1}, "h": 2, "z": 2}', '{/a/g,/h} {"a": {"g": 2, "o": 2}, "h": 1, "z": 2} {"a": {"g": 1, "o": 2}, "h": 2, "z": 2}'),
	('... of which one side deleted the object', '{"groups": [["/a/g", "/h"]]}', '{"a": {"g": 1, "o": 1}, "h": 1, "z": 1}', '{"h": 1, "z": 1}', '{"a": {"g": 1, "o": 1}, "h": 2, "z": 2}', '{/a,/h} {"h": 1, "z": 2} {"a": {"g": 1, "o": 1}, "h": 2, "z": 2}'),
	('... and a value that no member of it is in is not taken along', '{"groups": [["/a/g", "/h"]]}', '{"a": 5, "h": 1}', '{"a": 6, "h": 2}', '{"a": 5, "h": 3}', '{/h} {"a": 6, "h": 2} {"a": 6, "h": 3}'),
	('what is latest goes by its own rule', '{"latest": ["/l"]}', '{"l": 1, "x": 1}', '{"l": 2, "x": 2}', '{"l": 1, "x": 3}', '{/x} {"l": 2, "x": 2} {"l": 2, "x": 3}'),
	('elements', '{"keys": {"/t": "id"}}', '{"t": [{"id": 1, "v": 1}, {"id": 2, "v": 1}]}', '{"t": [{"id": 1, "v": 2}, {"id": 2, "v": 2}]}', '{"t": [{"id": 1, "v": 3}, {"id": 2, "v": 1}, {"id": 3}]}', '{/t/id=1/v} {"t": [{"v": 2, "id": 1}, {"v": 2, "id": 2}, {"id": 3}]} {"t": [{"v": 3, "id": 1}, {"v": 2, "id": 2}, {"id": 3}]}'),
	('an element deleted here, changed there', '{"keys": {"/t": "id"}}', '{"t": [{"id": 1, "v": 1}, {"id": 2}, {"id": 4}]}', '{"t": [{"id": 2}, {"id": 4}]}', '{"t": [{"id": 1, "v": 3}, {"id": 2}, {"id": 3}, {"id": 4}]}', '{/t/id=1} {"t": [{"id": 2}, {"id": 3}, {"id": 4}]} {"t": [{"v": 3, "id": 1}, {"id": 2}, {"id": 3}, {"id": 4}]}'),
	('the order of elements', '{"keys": {"/t": "id"}}', '{"t": [{"id": 1}, {"id": 2}, {"id": 3}]}', '{"t": [{"id": 2}, {"id": 1}, {"id": 3}, {"id": 9}]}', '{"t": [{"id": 1, "v": 1}, {"id": 3}, {"id": 2}]}', '{/t} {"t": [{"id": 2}, {"v": 1, "id": 1}, {"id": 3}, {"id": 9}]} {"t": [{"v": 1, "id": 1}, {"id": 3}, {"id": 9}, {"id": 2}]}'),
	('both inserted it', '{}', NULL, '{"a": 1, "b": 1, "o": {"x": 1}}', '{"a": 2, "c": 1, "o": {"y": 1}}', '{/a} {"a": 1, "b": 1, "c": 1, "o": {"x": 1, "y": 1}} {"a": 2, "b": 1, "c": 1, "o": {"x": 1, "y": 1}}'),
	('... with nothing common that differs', '{}', NULL, '{"a": 1, "b": 1}', '{"a": 1, "c": 1}', '{""} {"a": 1, "b": 1} {"a": 1, "c": 1}'),
	('... with a group', '{"groups": [["/x", "/y"]]}', NULL, '{"x": 1, "b": 1}', '{"y": 2, "c": 1}', '{/x,/y} {"b": 1, "c": 1, "x": 1} {"b": 1, "c": 1, "y": 2}'),
	('with granularity entity a side wins as a whole', '{"granularity": "entity"}', '{"x": 1, "y": 1}', '{"x": 2, "y": 2}', '{"x": 3, "y": 1}', '{""} {"x": 2, "y": 2} {"x": 3, "y": 1}'),
	('... and what is not in conflict of another property by path', '{"groups": [["/x", ""]]}', '{"x": 1, "y": 1}', '{"x": 2, "y": 2}', '{"x": 3, "y": 1}', '{""} {"x": 2, "y": 2} {"x": 3, "y": 1}'),
	('a result that is one side''s', '{}', '{"x": 1}', '{"x": 2}', '{"x": 3}', '{/x} {"x": 2} {"x": 3}')) AS v (what, policy, base, mine, theirs, want);
-- Both, and kinds with a deletion, are as ever.
SELECT t.both('d', '{}', '{"x": 1, "y": 1}', NULL, '{"x": 2, "y": 1}');
SELECT is(t.after('d', how, rule), want, format('deleted here, changed there: %s, %s', how, rule)) FROM (VALUES
	('push', 'local', 'yes +0 ~0 -1 1/0; base {}; in_sync 0/0/0'),
	('pull', 'public', 'yes +1 ~0 -0 1/0; {"x": 2, "y": 1}; {"x": 2, "y": 1}; base {}; in_sync 0/0/0')) AS v (how, rule, want);
SELECT diagsync.resolve('a', 'e', 'both');
SELECT is(string_agg(doc::text, ' ' ORDER BY id), '{"c": 3, "x": 3, "y": 1} {"c": 1, "x": 2, "y": 2}', 'both: the two versions as they are') FROM diagsync_local.entity WHERE diagram_id = 'a';

-- ---- References ------------------------------------------------------------------

CREATE FUNCTION t.arrows(l text, policy jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM t.pair(l, 'far ' || l, '{"box": {}, "z": {}, "e": {"from": "z", "fromSide": "left", "v": 1, "w": 1}}');
	PERFORM diagsync.set_merge_policy(l, '{"granularity": "property", "references": ["/from", "/in/*/of"]}'::jsonb || policy);
	RETURN l;
END $$;
CREATE FUNCTION t.ends(l text) RETURNS text LANGUAGE sql AS $$
	SELECT format('%s | %s | %s', t.docs(l) -> 'e', t.docs('far ' || l) -> 'e', (SELECT string_agg(id, ' ' ORDER BY id) FROM diagsync.entity WHERE diagram_id = l)) $$;
CREATE FUNCTION t.tried(command text, l text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RAISE EXCEPTION '%', t.ends(l) || ' ' || t.status(l) USING ERRCODE = 'P0003';
EXCEPTION WHEN SQLSTATE 'P0003' THEN RETURN SQLERRM;
END $$;
-- One end deleted the box, the other turned the arrow to it, and edited more.
SELECT t.arrows('r', '{"groups": [["/from", "/fromSide"]]}');
SELECT t.write('far r', 'box', NULL), t.write('r', 'e', '{"from": "box", "fromSide": "right", "v": 2, "w": 1}'), t.write('far r', 'e', '{"from": "z", "fromSide": "left", "v": 1, "w": 3}');
SELECT is(conflict || paths::text, 'dangling{/from}', 'a reference that would dangle is the path in conflict') FROM diagsync.conflicts('r') WHERE entity_id = 'e';
SELECT is(t.tried(format('SELECT diagsync.%s', call), 'r'), want, call) FROM (VALUES
	('push(''r'', on_conflict => ''public'')', '{"v": 2, "w": 3, "from": "z", "fromSide": "left"} | {"v": 2, "w": 3, "from": "z", "fromSide": "left"} | box e z pending 0/1/0'),
	('pull(''r'', on_conflict => ''public'')', '{"v": 2, "w": 3, "from": "z", "fromSide": "left"} | {"v": 1, "w": 3, "from": "z", "fromSide": "left"} | e z pending 1/0/0'),
	('pull(''r'', on_conflict => ''local'')', '{"v": 2, "w": 3, "from": "box", "fromSide": "right"} | {"v": 1, "w": 3, "from": "z", "fromSide": "left"} | box e z pending 2/0/0'),
	('push(''r'', on_conflict => ''local'')', '{"v": 2, "w": 3, "from": "box", "fromSide": "right"} | {"v": 2, "w": 3, "from": "box", "fromSide": "right"} | box e z in_sync 0/0/0'),
	('resolve(''r'', ''e'', ''public'')', '{"v": 2, "w": 3, "from": "z", "fromSide": "left"} | {"v": 1, "w": 3, "from": "z", "fromSide": "left"} | box e z pending 1/1/0')) AS v (call, want);
-- An entity that conflicts anyway.
SELECT t.arrows('s', '{}');
SELECT t.write('s', 'box', NULL), t.write('s', 'e', '{"from": "z", "v": 2, "w": 2}'), t.write('far s', 'e', '{"from": "box", "v": 3, "w": 1}');
SELECT is(conflict || paths::text, 'update_update{/v,/from}', 'a reference that would dangle is in conflict, too, the last one') FROM diagsync.conflicts('s') WHERE entity_id = 'e';
SELECT is(t.tried(format('SELECT diagsync.%s', call), 's'), want, call) FROM (VALUES
	('pull(''s'', on_conflict => ''local'')', '{"v": 2, "w": 2, "from": "z"} | {"v": 3, "w": 1, "from": "box"} | e z pending 2/0/0'),
	('pull(''s'', on_conflict => ''public'')', '{"v": 3, "w": 2, "from": "box"} | {"v": 3, "w": 1, "from": "box"} | box e z pending 1/0/0'),
	('push(''s'', on_conflict => ''local'')', '{"v": 2, "w": 2, "from": "z"} | {"v": 2, "w": 2, "from": "z"} | e z in_sync 0/0/0')) AS v (call, want);
-- What neither side would keep does not count.
SELECT t.arrows('q', '{}');
SELECT t.write('q', 'z', NULL), t.write('q', 'e', '{"from": "box", "v": 2, "w": 1}'), t.write('far q', 'e', '{"from": "z", "v": 3, "w": 3}');
SELECT is(t.changes('q'), 'e:both:update>update:update_update z:local:delete>:', 'a reference that one side has turned away is in no conflict');
SELECT is(t.tried('SELECT diagsync.pull(''q'', on_conflict => ''public'')', 'q'), '{"v": 3, "w": 3, "from": "box"} | {"v": 3, "w": 3, "from": "z"} | box e pending 2/0/0', '... and stays turned');
-- References in elements.
SELECT t.arrows('i', '{"keys": {"/in": "id"}}');
SELECT t.write('i', 'e', '{"v": 1, "in": [{"id": "p", "of": "box"}, {"id": "q", "of": "z"}]}'), t.write('far i', 'box', NULL);
SELECT is(conflict || paths::text, 'dangling{/in/id=p/of}', 'a reference in an element') FROM diagsync.conflicts('i') WHERE entity_id = 'e';
SELECT is(t.tried('SELECT diagsync.pull(''i'', on_conflict => ''local'')', 'i'), '{"v": 1, "in": [{"id": "p", "of": "box"}, {"id": "q", "of": "z"}]} | {"v": 1, "w": 1, "from": "z", "fromSide": "left"} | box e z pending 2/0/0', '... is kept with what it leads to');
SELECT is(t.tried('SELECT diagsync.push(''i''), diagsync.pull(''i'', on_conflict => ''public'')', 'i') ~ '"of": "box"', false, '... or given up');
SELECT * FROM finish();
ROLLBACK;
