-- What may be in a document: how deep it is nested, how long it is when it is
-- printed, whose id it repeats; by every way in which it can be written.
BEGIN;
\ir ../../common/pgtap/helpers.sql
\ir ../../common/pgtap/users.sql
SELECT no_plan();

-- A document of so many levels.
CREATE FUNCTION t.deep(levels int, leaf text DEFAULT '1') RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
	SELECT (repeat('{"n": ', levels) || leaf || repeat('}', levels))::jsonb $$;
CREATE FUNCTION t.deep_in_arrays(levels int) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
	SELECT jsonb_build_object('n', (repeat('[', levels - 1) || repeat(']', levels - 1))::jsonb) $$;

-- The error of a command with all that it says; null where there is none.
CREATE FUNCTION t.all_of_error(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	EXECUTE command;
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' ', sqlstate, sqlerrm, detail, hint);
END $$;

-- ---- Ways to write a document ------------------------------------------------

SELECT t.pair('l', 'p', '{"a": {"v": 1}, "c": {"v": 1}}'), t.pair('l2', 'p2', '{}', 'private');
SELECT t.write('l', 'c', '{"v": 2}'), t.write('p', 'c', '{"v": 3}');
CREATE TABLE t.way (command text);
INSERT INTO t.way VALUES
	('INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES (''l'', ''x'', $doc)'),
	('INSERT INTO diagsync_local.entity (diagram_id, id, doc) SELECT ''l'', id, CASE id WHEN ''x'' THEN $doc ELSE ''{}'' END FROM unnest(''{w,x,y}''::text[]) AS id'),
	('INSERT INTO diagsync_public.entity (diagram_id, id, doc) VALUES (''p'', ''x'', $doc)'),
	('INSERT INTO diagsync_private.entity (diagram_id, id, doc) VALUES (''p2'', ''x'', $doc)'),
	('UPDATE diagsync_local.entity SET doc = $doc WHERE diagram_id = ''l'' AND id = ''a'''),
	('UPDATE diagsync_public.entity SET doc = $doc WHERE diagram_id = ''p'' AND id = ''a'''),
	('INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES (''l'', ''a'', ''{}'') ON CONFLICT (diagram_id, id) DO UPDATE SET doc = $doc'),
	('MERGE INTO diagsync_local.entity AS e USING (VALUES (''a'')) AS v (id) ON e.id = v.id AND e.diagram_id = ''l'' WHEN MATCHED THEN UPDATE SET doc = $doc'),
	('WITH e AS (INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES (''l'', ''x'', $doc) RETURNING id) SELECT * FROM e'),
	('INSERT INTO diagsync_api.local_entities (diagram, id, doc) VALUES (''l'', ''x'', $doc)'),
	('UPDATE diagsync_api.public_entities SET doc = $doc WHERE diagram = ''p'' AND id = ''a'''),
	('SELECT diagsync.put(''l'', jsonb_build_array($doc || ''{"id": "x"}''))'),
	('SELECT diagsync.put(''p'', jsonb_build_array($doc || ''{"id": "a"}''))'),
	('SELECT diagsync.resolve(''l'', ''c'', ''merged'', $doc)');
-- What comes of a command with that document: the error, or null.
CREATE FUNCTION t.writes(command text, doc jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT t.all_of_error(replace(command, '$doc', quote_literal(doc) || '::jsonb')) $$;

-- ---- Depth -------------------------------------------------------------------

SELECT is(current_setting('diagsync.max_depth'), '200', 'the limit of depth');
SELECT alike(t.writes(command, doc), '54000 entity "_" of diagram "%" is nested too deep%200 levels%diagsync.max_depth%', 'too deep, of ' || kind || ': ' || command)
  FROM t.way, (VALUES ('objects', t.deep(201)), ('arrays', t.deep_in_arrays(201)), ('many', t.deep(5000)), ('empty ones', t.deep(200, '{}'))) AS v (kind, doc);
SELECT is(t.docs('l') || t.docs('p') || t.docs('p2'), '{"a": {"v": 1}, "c": {"v": 3}}', 'none was written');
SELECT is(t.writes(command, doc), NULL, 'as deep as may be: ' || command)
  FROM t.way, (VALUES (t.deep(200)), (t.deep_in_arrays(200))) AS v (doc) WHERE command LIKE 'UPDATE%';
SELECT is(t.error($$ INSERT INTO diagsync_local.entity (diagram_id, id, doc) SELECT 'l', 'n' || n, t.deep(n) FROM generate_series(1, 200) AS n $$), NULL, 'all depths that may be');
SELECT is(t.error($$ INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('l', 'wide', jsonb_build_object('list', (SELECT jsonb_agg(t.deep(100)) FROM generate_series(1, 500)))) $$), NULL, 'many that are not deep');
SELECT alike(t.all_of_error($$ INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('l', 'last', jsonb_build_object('list', jsonb_build_array(1, '', t.deep(10), t.deep(199), 2))) $$), '54000 %"last"%', 'one of them that is');
SET LOCAL diagsync.max_depth = 1000;
SELECT is(t.error($$ INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('l', 'deepest', t.deep(1000)) $$), NULL, 'the limit raised');
SELECT alike(t.all_of_error($$ INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('l', 'deeper', t.deep(1001)) $$), '54000 %"deeper"%1000 levels%', 'as far as it can be');
SELECT throws_ok('SET diagsync.max_depth = 1001', '22023');
RESET diagsync.max_depth;
SELECT is(t.show(diagsync.pull('l', on_conflict => 'local')), 'yes +0 ~0 -0 1/0', 'what is stored is not asked again: pull');
SELECT is(t.show(diagsync.push('l')), 'yes +202 ~1 -0 0/0', '... push');
SELECT diagsync.clone('p', 'l3'), diagsync.share('l2', 'p4') FROM diagsync.unlink('l2');
SELECT ok(t.docs('l3') = t.docs('p') AND t.docs('l') = t.docs('p'), '... clone');
SELECT alike(t.all_of_error($$ UPDATE diagsync_local.entity SET doc = doc || '{"v": 1}' WHERE diagram_id = 'l3' AND id = 'deepest' $$), '54000 %', 'an edit of it is');
SELECT is(t.error($$ UPDATE diagsync_local.entity SET doc = '{"n": 1}' WHERE diagram_id = 'l3' AND id = 'deepest' $$), NULL, 'it can be made less deep');
SELECT is(t.error($$ DELETE FROM diagsync_local.entity WHERE diagram_id = 'l' AND id = 'deepest' $$), NULL, 'or deleted');

-- ---- Entities that are deeper than anything can be gone into ----------------------

-- Writes past all triggers, as something older than the limit is stored.
CREATE FUNCTION t.store(diagram text, entity text, document jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL session_replication_role = replica;
	EXECUTE format('UPDATE %s SET doc = $3, rev = diagsync.revision() WHERE diagram_id = $1 AND id = $2', t.table_of(diagram)) USING diagram, entity, document;
	SET LOCAL session_replication_role = origin;
END $$;
CREATE FUNCTION t.old_ones(local text, public text, levels int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM t.pair(local, public, '{"both": {"v": 1}, "here": {"v": 1}, "small": {"v": 1}, "there": {"v": 1}}');
	PERFORM diagsync.set_merge_policy(local, '{"granularity": "property", "ignore": ["/clock"]}');
	PERFORM diagsync.refresh(local);
	PERFORM t.write(local, id, '{"v": 2}') FROM unnest('{both,here,small}'::text[]) AS id;
	PERFORM t.write(public, 'both', '{"v": 3}');
	PERFORM t.store(public, id, t.deep(levels, CASE id WHEN 'here' THEN '2' ELSE '1' END)) FROM unnest('{both,here,there}'::text[]) AS id;
	UPDATE diagsync_local.base SET doc = t.deep(levels, '2') WHERE diagram_id = local AND id = 'here';
END $$;
SELECT t.old_ones('o' || n, 'q' || n, levels) FROM (VALUES (1, 1001), (2, 3000), (3, 3000), (4, 3000), (5, 3000), (6, 3000)) AS v (n, levels);
SELECT is(t.changes('o1'), 'both:both:update>update:update_update here:local:update>: small:local:update>: there:public:>update:', 'what they are');
SELECT is(t.status('o2'), 'conflict 3/2/1', 'the status');
SELECT is((SELECT array_agg(entity_id || paths::text) FROM diagsync.conflicts('o2')), '{"both{\"\"}"}', 'what conflicts, conflicts as a whole');
SELECT is(t.show(diagsync.push('o2')), 'no +0 ~0 -0 0/1', 'push: a conflict as any other');
SELECT is(t.show(diagsync.push('o2', on_conflict => 'skip')), 'no +0 ~2 -0 0/1', '... skipped, all else is pushed');
SELECT is(t.show(diagsync.pull('o2', on_conflict => 'skip')), 'no +0 ~1 -0 0/1', '... and pulled');
SELECT is(t.show(diagsync.push('o3', on_conflict => 'local')), 'yes +0 ~3 -0 1/0', 'settled for the local version');
SELECT is(t.show(diagsync.pull('o4', on_conflict => 'public')), 'yes +0 ~2 -0 1/0', 'for the shared one');
SELECT ok(t.docs('o4') -> id = t.docs('q4') -> id, '... which is pulled: ' || id) FROM unnest('{both,there}'::text[]) AS id;
SELECT is((diagsync.resolve('o5', 'both', 'both')).conflict, NULL, 'both are kept');
SET LOCAL max_stack_depth = '100kB';
SELECT is(t.status('o6'), 'conflict 3/2/1', 'with a small stack nothing else');
SELECT is(t.show(diagsync.pull('o6', on_conflict => 'public')), 'yes +0 ~2 -0 1/0', '... nor for a sync');
RESET max_stack_depth;

-- ---- Size ------------------------------------------------------------------------

-- As many bytes are counted as are printed.
SELECT t.as('ann', 'SELECT diagsync.create_diagram(''Sizes'', id => ''sizes'')');
CREATE FUNCTION t.counted(doc jsonb) RETURNS bigint LANGUAGE sql AS $$
	SELECT substring(t.as('ann', format('INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES (''sizes'', ''x'', %L)', doc)) FROM 'It has (\d+) bytes as text')::bigint $$;
SET LOCAL diagsync.max_entity_size = 1;
SELECT is(t.counted(d), octet_length(d::text)::bigint, left(what, 60))
  FROM (SELECT what, jsonb_build_object('fill', repeat('x', 1024), 'v', what::jsonb) FROM unnest(ARRAY['null', 'true', 'false', '""', '"é\"\\\b\f\n\r\t\u0001\u001f/\u007f"', '[]', '{}', '[[], {}, [1], [1, 2], {"a": 1, "b": [2]}]',
		'{"\"\n": 1, "ß": {"": null}}', '[{"a": {"b": [true, false, null]}}]'])  AS what
	UNION ALL SELECT number, jsonb_build_object('fill', repeat('x', 1024), 'v', number::jsonb) FROM unnest(ARRAY['0', '0.0', '0.00000', '-0.5', '0.05', '0.00001', '1', '9', '10', '99', '100', '999', '1000', '9999', '10000', '-12345', '99999999', '100000000',
		'1.0', '1.50', '1234.5678', '-1234.56789', '1e10', '1e-10', '1e62', '1e63', '1e64', '1e255', '1e256', '1e1000', '-1e1000', '123456e-70', '1e-63', '1e-64', '1e-1000', '1e16000', '1e-16383', '1.1e131000', '1e131071', '-9.9e131071']) AS number
	UNION ALL SELECT 'random ' || n, jsonb_build_object('fill', repeat('x', 1024), 'v', ((CASE WHEN random() < .5 THEN '-' ELSE '' END) || (random() * 1e6)::numeric(20, 9) || 'e' || (random() * 300 - 150)::int)::jsonb) FROM generate_series(1, 100) AS n) AS v (what, d);
SELECT alike(t.as('ann', format('INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES (''sizes'', ''bomb'', %L)', '{"n": [1e131071]}')), '54000 entity "bomb" of diagram "sizes" is too large%131081 bytes as text%', 'a number of ten bytes');
RESET diagsync.max_entity_size;

-- ---- Ids ---------------------------------------------------------------------------

SELECT t.pair('i', 'j', '{"a": {"v": 1}, "c": {"v": 1}}'), t.pair('i2', 'j2', '{}', 'private');
SELECT t.write('i', 'c', '{"v": 2}'), t.write('j', 'c', '{"v": 3}');
UPDATE t.way SET command = replace(replace(replace(command, '''l''', '''i'''), '''p''', '''j'''), '''p2''', '''j2''');
SELECT alike(t.writes(command, doc), '22023 the document of entity "_" of diagram "%" has another "' || key || '"%It is "other"%', key || ' of another: ' || command)
  FROM t.way, (VALUES ('id', '{"id": "other"}'::jsonb), ('_id', '{"_id": "other"}')) AS v (key, doc) WHERE command NOT LIKE '%put(%' OR key <> 'id';
SELECT is(t.writes(command, doc::jsonb), NULL, doc) FROM unnest(ARRAY['{"id": "a"}', '{"_id": "a"}', '{"id": "a", "_id": "a"}', '{"id": 7}', '{"id": null, "_id": ["b"]}', '{"in": {"id": "b"}}', '{}', '{"id": 7, "_id": "a"}']) AS doc,
	t.way WHERE command LIKE 'UPDATE diagsync_local%';

-- Whether a document repeats the id is no difference, at either end and in the base.
CREATE FUNCTION t.shape(doc jsonb, id text, shape text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT CASE shape WHEN 'id' THEN jsonb_build_object('id', id) WHEN '_id' THEN jsonb_build_object('_id', id) WHEN 'both' THEN jsonb_build_object('id', id, '_id', id) ELSE '{}' END || doc $$;
CREATE TABLE t.shapes AS SELECT row_number() OVER () AS n, b, l, p FROM unnest('{"",id,_id,both}'::text[]) AS b, unnest('{"",id,_id,both}'::text[]) AS l, unnest('{"",id,_id,both}'::text[]) AS p;
SELECT t.make('s');
INSERT INTO diagsync_local.entity (diagram_id, id, doc) SELECT 's', k || n, t.shape('{"x": 1, "y": 1}', k || n, b) FROM t.shapes, unnest('{same,here,there,clash,twice,gone}'::text[]) AS k;
SELECT diagsync.share('s', 'far s'), diagsync.set_merge_policy('s', '{"granularity": "property"}'), diagsync.refresh('s');
-- Each is written anew at both ends in another shape, and with an edit or without.
UPDATE diagsync_local.entity AS e SET doc = t.shape(CASE k WHEN 'same' THEN '{"x": 1, "y": 1}' WHEN 'there' THEN '{"x": 1, "y": 1}' WHEN 'gone' THEN '{"x": 1, "y": 1}' ELSE '{"x": 2, "y": 1}'::jsonb END, id, l)
  FROM t.shapes, unnest('{same,here,there,clash,twice,gone}'::text[]) AS k WHERE diagram_id = 's' AND id = k || n;
UPDATE diagsync_public.entity AS e SET doc = t.shape(CASE k WHEN 'same' THEN '{"x": 1, "y": 1}' WHEN 'here' THEN '{"x": 1, "y": 1}' WHEN 'there' THEN '{"x": 1, "y": 2}' WHEN 'clash' THEN '{"x": 3, "y": 1}' ELSE '{"x": 2, "y": 1}'::jsonb END, id, p)
  FROM t.shapes, unnest('{same,here,there,clash,twice}'::text[]) AS k WHERE diagram_id = 'far s' AND id = k || n;
DELETE FROM diagsync_public.entity WHERE diagram_id = 'far s' AND id LIKE 'gone%';
SELECT is((SELECT string_agg(DISTINCT rtrim(entity_id, '0123456789') || ' ' || side || ' ' || coalesce(conflict, 'no'), ', ') FROM diagsync.changes('s')),
	'clash both update_update, gone public no, here local no, there public no', 'only the edits are changes');
SELECT is(t.status('s'), 'conflict 128/192/64', 'the status');
SELECT is(t.show(diagsync.pull('s', on_conflict => 'public')), 'yes +0 ~128 -64 64/0', 'a pull');
SELECT is(t.show(diagsync.push('s')), 'yes +0 ~64 -0 0/0', 'a push');
SELECT is(t.status('s'), 'in_sync 0/0/0', 'nothing is left');
SELECT is((SELECT count(*) FROM diagsync_local.entity AS l JOIN diagsync_public.entity AS p USING (id)
	WHERE l.diagram_id = 's' AND p.diagram_id = 'far s' AND l.doc - '{id,_id}'::text[] <> p.doc - '{id,_id}'::text[]), 0::bigint, 'all else of them is equal');

-- Two copies that differ in nothing else are in sync when they are linked, and what is
-- edited then is a change of one side.
SELECT t.make('s2'), t.make('s3');
INSERT INTO diagsync_local.entity (diagram_id, id, doc) SELECT d, 'e' || n, t.shape('{"x": 1, "y": 1}', 'e' || n, CASE d WHEN 's2' THEN b ELSE l END) FROM t.shapes, unnest('{s2,s3}'::text[]) AS d;
INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('s2', 'number', '{"id": 7}'), ('s3', 'number', '{}');
SELECT diagsync.share('s3', 'far s3'), diagsync.link('s2', 'far s3');
SELECT is((SELECT array_agg(id) FROM diagsync_local.base WHERE diagram_id = 's2'), '{number}', 'linked copies are equal but for a number');
SELECT t.write('s2', 'e' || n, t.shape('{"x": 2, "y": 1}', 'e' || n, p)) FROM t.shapes;
SELECT is((SELECT string_agg(DISTINCT entity_id ^@ 'e' || ' ' || side || ' ' || coalesce(conflict, 'no'), ', ') FROM diagsync.changes('s2')), 'false both insert_insert, true local no', 'what is edited then is a local change');

-- put() and plain SQL write the same entity.
SELECT diagsync.put('i', '[{"id": "z", "x": 1}]');
SELECT diagsync.push('i', on_conflict => 'skip');
SELECT t.write('i', 'z', '{"x": 1}');
SELECT is((SELECT count(*) FROM diagsync.changes('i') WHERE entity_id = 'z'), 0::bigint, 'written without the id');
SELECT is(diagsync.put('i', '[{"id": "z", "x": 1}]'), 0, 'put again');
SELECT is(diagsync.put('i', '[{"id": "z", "x": 2}]'), 1, 'and changed');
SELECT t.make('k', '{"z": {"x": 2}}'), diagsync.link('k', 'j');
SELECT is((SELECT array_agg(entity_id || ' ' || side ORDER BY entity_id) FROM diagsync.changes('k') WHERE entity_id = 'z'), '{"z both"}', 'linked copies');

-- A number that an application has there is content.
SELECT t.pair('g', 'h', '{"panel-3": {"id": 3, "x": 1}}');
SELECT t.write('g', 'panel-3', '{"id": 4, "x": 1}'), t.write('h', 'panel-3', '{"id": 3, "x": 2}');
SELECT is(t.changes('g'), 'panel-3:both:update>update:update_update', 'an id that is a number is a property like any other');
SELECT diagsync.set_merge_policy('g', '{"granularity": "property"}');
SELECT diagsync.push('g');
SELECT is(t.docs('h'), '{"panel-3": {"id": 4, "x": 2}}', '... and merges');

SELECT * FROM finish();
ROLLBACK;
