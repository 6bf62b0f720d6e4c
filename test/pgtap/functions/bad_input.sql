-- Bad input: a clear error with an SQLSTATE that names the diagram and the
-- entity, or the defined answer; nothing changes.
BEGIN;
\ir ../../common/pgtap/helpers.sql

SELECT t.pair('l', 'p', '{"a": {"v": 1}, "b": {"v": 1}}');
SELECT t.pair('l2', 'p2', '{"a": {"v": 1}}', 'private');
SELECT t.make('u', '{"a": {"v": 1}}');
SELECT t.make('s', '{"a": {"v": 1}}', 'public');
-- A conflict, a deletion, changes of each side.
SELECT t.write('l', 'a', '{"v": 2}'), t.write('p', 'a', '{"v": 3}'), t.write('l', 'b', NULL), t.write('p', 'n', '{"v": 3}');

CREATE TABLE t.bad (n int GENERATED ALWAYS AS IDENTITY, command text, errcode text, says text);

-- ---- Null arguments ---------------------------------------------------------------------------

-- Every function with good arguments; those in [] may be null, which is the same
-- as leaving them out.
CREATE TABLE t.good (f text, arguments text[]);
INSERT INTO t.good VALUES
	('create_diagram', '{name:''N'',storage_type:''local'',[id:''new''],[description:''d'']}'),
	('drop_diagram', '{id:''u''}'),
	('set_storage_type', '{id:''s'',storage_type:''private''}'),
	('share', '{local:''u'',[public:''up''],storage_type:''public''}'),
	('clone', '{public:''p'',[local:''lp''],[name:''N'']}'),
	('link', '{local:''u'',public:''s''}'),
	('unlink', '{local:''l''}'),
	('put', ARRAY['diagram:''l''', $$entities:'[{"id": "x"}]'$$]),
	('remove', '{diagram:''l'',"ids:''{a}''"}'),
	('status', '{local:''l'',[public:''p'']}'),
	('changes', '{local:''l''}'),
	('conflicts', '{local:''l''}'),
	('push', '{local:''l'',[public:''p''],on_conflict:''skip'',dry_run:true,[expected_plan:''x'']}'),
	('pull', '{local:''l'',[public:''p''],on_conflict:''skip'',dry_run:true,[expected_plan:''x'']}'),
	('resolve', '{local:''l'',entity_id:''a'',resolution:''local'',[doc:null],[expected:''x'']}'),
	('discard', '{local:''l'',"[entities:''{a}'']",allow_deletions:false}'),
	('refresh', '{local:''l''}'),
	('set_merge_policy', '{diagram:''l'',"[policy:''{}'']"}'),
	('add_member', '{diagram:''s'',principal:''role:x'',role:''reader''}'),
	('remove_member', '{diagram:''s'',principal:''role:x''}'),
	('set_owner', '{diagram:''l'',principal:''role:x''}'),
	('create_token', '{diagram:''s'',role:''reader'',[expires_in:''1 day''],[label:''x'']}'),
	('grant_usage', '{role:''regress_bad_input'',anonymous:false}'),
	('revoke_usage', '{role:''regress_bad_input''}'),
	('prune', '{"[idle:''1 day'']"}');
CREATE ROLE regress_bad_input;

-- The call with one argument null.
CREATE FUNCTION t.call(f text, arguments text[], null_one text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
	SELECT format('SELECT diagsync.%s(%s)', f, string_agg(regexp_replace(CASE WHEN a = null_one
		THEN regexp_replace(a, ':.*', ' => null') ELSE regexp_replace(btrim(a, '[]'), ':', ' => ') END, '^\[', ''), ', ' ORDER BY n))
	  FROM unnest(arguments) WITH ORDINALITY AS x (a, n) $$;

INSERT INTO t.bad (command, errcode, says)
SELECT t.call(f, arguments, a), '22004', '"' || split_part(a, ':', 1) || '"'
  FROM t.good, unnest(arguments) WITH ORDINALITY AS x (a, n) WHERE a NOT LIKE '[%' ORDER BY f, n;

-- ---- Diagrams ------------------------------------------------------------------------------------

-- Unknown ones, as every argument that names an existing diagram.
INSERT INTO t.bad (command, errcode, says)
SELECT t.call(f, array_replace(arguments, '[public:''p'']', '[public:''nix'']')), '42704', '"nix"'
  FROM t.good WHERE f IN ('status', 'push', 'pull') ORDER BY f;
INSERT INTO t.bad (command, errcode, says)
SELECT t.call(f, array_replace(arguments, arguments[1], regexp_replace(arguments[1], ':.*', ':''nix'''))), '42704', '"nix"'
  FROM t.good WHERE f NOT IN ('create_diagram', 'prune') ORDER BY f;
INSERT INTO t.bad (command, errcode, says) VALUES
	($$ SELECT diagsync.link('u', 'nix') $$, '42704', '"nix"'),
	($$ SELECT diagsync.status('') $$, '42704', '""'),
	($$ SELECT diagsync.status(E'two\nlines') $$, '42704', E'"two\nlines"'),
	($$ SELECT diagsync.status('it''s "quoted" 😀') $$, '42704', 'it''s "quoted" 😀'),
	-- Unlinked.
	($$ SELECT diagsync.push('u') $$, '55000', '"u"'),
	($$ SELECT diagsync.pull('u') $$, '55000', '"u"'),
	($$ SELECT diagsync.status('u', 'p') $$, '55000', '"u"'),
	($$ SELECT diagsync.resolve('u', 'a', 'local') $$, '55000', '"u"'),
	($$ SELECT diagsync.unlink('u') $$, '55000', '"u"'),
	-- Linked elsewhere.
	($$ SELECT diagsync.push('l', 'p2') $$, '55000', '"l"'),
	($$ SELECT diagsync.pull('l', 'p2') $$, '55000', '"l"'),
	($$ SELECT diagsync.status('l', 'p2') $$, '55000', '"l"'),
	($$ SELECT diagsync.push('l2', 'p') $$, '55000', '"p"'),
	-- Of another storage type than their place in a link asks for.
	($$ SELECT diagsync.push('p') $$, '42809', '"p"'),
	($$ SELECT diagsync.pull('p2') $$, '42809', '"p2"'),
	($$ SELECT diagsync.push('p', 'l') $$, '42809', '"p"'),
	($$ SELECT diagsync.status('s') $$, '42809', '"s"'),
	($$ SELECT diagsync.changes('s') $$, '42809', '"s"'),
	($$ SELECT diagsync.conflicts('s') $$, '42809', '"s"'),
	($$ SELECT diagsync.refresh('s') $$, '42809', '"s"'),
	($$ SELECT diagsync.resolve('s', 'a', 'local') $$, '42809', '"s"'),
	($$ SELECT diagsync.share('s') $$, '42809', '"s"'),
	($$ SELECT diagsync.clone('u') $$, '42809', '"u"'),
	($$ SELECT diagsync.link('s', 'p') $$, '42809', '"s"'),
	($$ SELECT diagsync.link('u', 'l') $$, '42809', '"l"'),
	($$ SELECT diagsync.unlink('s') $$, '42809', '"s"'),
	-- Ids of the wrong shape.
	($$ SELECT diagsync.create_diagram('N', id => '') $$, '22023', 'id'),
	($$ SELECT diagsync.create_diagram('N', id => repeat('x', 256)) $$, '22023', 'id'),
	($$ SELECT diagsync.create_diagram('N', id => repeat('😀', 256)) $$, '22023', 'id'),
	($$ SELECT diagsync.share('u', '') $$, '22023', 'id'),
	($$ SELECT diagsync.clone('p', repeat('x', 256)) $$, '22023', 'id'),
	($$ SELECT diagsync.create_diagram('N', '') $$, '22023', ''),
	($$ SELECT diagsync.create_diagram('N', 'secret') $$, '22023', '"secret"'),
	($$ SELECT diagsync.create_diagram('N', id => 'l') $$, '42710', '"l"'),
	($$ SELECT diagsync.share('u', 'p') $$, '42710', '"p"'),
	($$ SELECT diagsync.clone('p', 'u') $$, '42710', '"u"'),
	($$ SELECT diagsync.prune('-1 hour') $$, '22023', 'negative');

-- ---- Rules and resolutions -----------------------------------------------------------------------

INSERT INTO t.bad (command, errcode, says)
SELECT format('SELECT diagsync.%s(''l'', on_conflict => %L)', f, rule), '22023', rule
  FROM unnest('{push,pull}'::text[]) AS f, unnest(ARRAY['', 'mine', 'ABORT', 'merged', 'local ']) AS rule ORDER BY 1;
INSERT INTO t.bad (command, errcode, says)
SELECT format('SELECT diagsync.resolve(''l'', ''a'', %L)', rule), '22023', 'entity "a" of diagram "l"'
  FROM unnest(ARRAY['', 'mine', 'LOCAL', 'abort', 'skip', 'local ']) AS rule;
INSERT INTO t.bad (command, errcode, says) VALUES
	($$ SELECT diagsync.resolve('l', 'b', 'local') $$, '55000', 'entity "b" of diagram "l"'),
	($$ SELECT diagsync.resolve('l', 'n', 'public') $$, '55000', 'entity "n" of diagram "l"'),
	($$ SELECT diagsync.resolve('l', 'nix', 'both') $$, '55000', 'entity "nix" of diagram "l"'),
	($$ SELECT diagsync.resolve('l', '', 'both') $$, '55000', 'entity "" of diagram "l"'),
	($$ SELECT diagsync.resolve('l', repeat('x', 300), 'newest') $$, '55000', 'of diagram "l"'),
	($$ SELECT diagsync.resolve('l', 'a', 'merged') $$, '22004', 'entity "a" of diagram "l"'),
	($$ SELECT diagsync.resolve('l', 'a', 'merged', '[]') $$, '22023', 'entity "a" of diagram "l"'),
	($$ SELECT diagsync.resolve('l', 'a', 'merged', 'null') $$, '22023', 'entity "a" of diagram "l"'),
	($$ SELECT diagsync.resolve('l', 'b', 'merged', '{}') $$, '55000', 'entity "b" of diagram "l"');

-- ---- put and remove ---------------------------------------------------------------------------------

INSERT INTO t.bad (command, errcode, says)
SELECT format('SELECT diagsync.put(%L, %L)', d, entities), '22023', '"' || d || '"'
  FROM unnest('{l,p,p2}'::text[]) AS d, unnest(ARRAY['{}', '{"id": "x"}', '1', '"x"', 'null', '[1]', '["x"]', '[null]', '[[]]', '[[{"id": "x"}]]',
	'[{}]', '[{"_id": "x"}]', '[{"id": ""}]', '[{"id": 1}]', '[{"id": null}]', '[{"id": ["x"]}]', '[{"id": {"id": "x"}}]',
	'[{"id": "ok"}, {"id": "x"}, {"id": "x"}]', '[{"id": "ok"}, 7]', '[{"id": "' || repeat('é', 401) || '"}]']) AS entities;
INSERT INTO t.bad (command, errcode, says) VALUES
	($$ SELECT diagsync.put('l', '[{"id": "twice", "v": 1}, {"id": "twice", "v": 1}]') $$, '22023', '"twice"'),
	($$ SELECT diagsync.put('l', '[{"id": "ok"}, {"v": 2}]') $$, '22023', 'entity 2'),
	($$ SELECT diagsync.remove('l', ARRAY['a', NULL]) $$, '22004', '"ids"');

-- ---- Plain SQL -----------------------------------------------------------------------------------------

INSERT INTO t.bad (command, errcode, says)
SELECT format('INSERT INTO diagsync_%s.entity (diagram_id, id, doc) VALUES (%L, ''x'', ''{}'')', s, d), CASE d WHEN 'nix' THEN '42704' ELSE '42809' END, '"' || d || '"'
  FROM (VALUES ('local', 'nix'), ('public', 'nix'), ('private', 'nix'), ('local', 'p'), ('local', 'p2'), ('public', 'l'), ('public', 'p2'), ('private', 'l'), ('private', 'p')) AS v (s, d);
-- Documents that are no objects and ids of the wrong shape.
INSERT INTO t.bad (command, errcode, says)
SELECT format('INSERT INTO diagsync_%s.entity (diagram_id, id, doc) VALUES (%L, %L, %L)', s, d, id, doc), '23514', 'entity'
  FROM (VALUES ('local', 'l'), ('public', 'p'), ('private', 'p2')) AS v (s, d),
	(VALUES ('x', '[]'), ('x', '1'), ('x', '"text"'), ('x', 'null'), ('', '{}'), (repeat('é', 401), '{}')) AS w (id, doc);
INSERT INTO t.bad (command, errcode, says)
SELECT format('UPDATE diagsync_%s.entity SET doc = ''[]'' WHERE diagram_id = %L AND id = ''a''', s, d), '23514', 'entity'
  FROM (VALUES ('local', 'l'), ('public', 'p'), ('private', 'p2')) AS v (s, d);
INSERT INTO t.bad (command, errcode, says) VALUES
	($$ INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('l', 'x', NULL) $$, '23502', 'doc'),
	($$ INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('l', NULL, '{}') $$, '23502', 'id'),
	($$ INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES (NULL, 'x', '{}') $$, '23502', 'diagram_id'),
	($$ INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('l', 'a', '{}') $$, '23505', 'entity_pkey');
-- TRUNCATE of every table.
INSERT INTO t.bad (command, errcode, says)
SELECT format('TRUNCATE %s', t), '0A000', '"' || t || '"' FROM unnest('{diagsync.directory,diagsync.member,diagsync.access_token,diagsync.known_role,diagsync.sync_log,diagsync_local.entity,diagsync_local.base,
	diagsync_public.entity,diagsync_public.tombstone,diagsync_private.entity,diagsync_private.tombstone}'::text[]) AS t;
INSERT INTO t.bad (command, errcode, says) VALUES
	('TRUNCATE diagsync_local.entity, diagsync_local.base CASCADE', '0A000', '"diagsync_local.entity"');
-- A key change.
INSERT INTO t.bad (command, errcode, says)
SELECT format('UPDATE diagsync_%s.entity SET %s WHERE diagram_id = %L AND id = ''a''', s, change, d), '0A000', '"a" of diagram "' || d || '"'
  FROM (VALUES ('local', 'l'), ('public', 'p'), ('private', 'p2')) AS v (s, d),
	unnest('{"id = ''x''","diagram_id = ''s''","id = ''x'', diagram_id = ''s''"}'::text[]) AS change;
-- The directory.
INSERT INTO t.bad (command, errcode, says)
SELECT format('UPDATE diagsync.directory SET %s WHERE id = %L', change, d), '0A000', '"' || d || '"'
  FROM (VALUES ('l', 'id = ''x'''), ('p', 'id = ''x'''), ('p', 'storage_type = ''private'''), ('p', 'storage_type = NULL'), ('u', 'storage_type = ''public'''),
	('l', 'public_copy_id = ''p2'''), ('l', 'public_copy_id = NULL'), ('u', 'public_copy_id = ''p'''), ('p', 'public_copy_id = ''l''')) AS v (d, change);
INSERT INTO t.bad (command, errcode, says)
SELECT format('DELETE FROM diagsync.directory WHERE id = %L', d), '0A000', '"' || d || '"' FROM unnest('{l,p,u,s}'::text[]) AS d;
INSERT INTO t.bad (command, errcode, says) VALUES
	($$ INSERT INTO diagsync.directory (id, name, storage_type) VALUES ('x', 'X', 'secret') $$, '23514', 'storage_type'),
	($$ INSERT INTO diagsync.directory (id, name) VALUES ('', 'X') $$, '23514', 'id_length'),
	($$ INSERT INTO diagsync.directory (id, name, storage_type, public_copy_id) VALUES ('x', 'X', 'public', 'p') $$, '23514', 'link'),
	($$ INSERT INTO diagsync.directory (id, name, storage_type, public_copy_id) VALUES ('x', 'X', 'local', 'x') $$, '23514', 'link'),
	($$ UPDATE diagsync.directory SET merge_policy = '{"granularity": "property"}' WHERE id = 'l' $$, '0A000', 'l');

SELECT plan((SELECT count(*)::int FROM t.bad) + 24);
SELECT t.refuses(command, errcode, says) FROM t.bad ORDER BY n;

-- ---- Defined answers -------------------------------------------------------------------------------------

-- A null that may be null is as good as none.
SAVEPOINT s;
SELECT is(t.error(t.call(f, arguments, a)), NULL, t.call(f, arguments, a))
  FROM t.good, unnest(arguments) WITH ORDINALITY AS x (a, n)
 WHERE a LIKE '[%' AND f IN ('status', 'push', 'pull', 'resolve', 'prune') AND (f, n) <> ('resolve', 5) ORDER BY f, n;
ROLLBACK TO s;
SELECT is(t.error($$ SELECT diagsync.resolve('l', 'a', 'local', doc => null, expected => null) $$), NULL, 'resolve with both null');
ROLLBACK TO s;
SELECT is(t.error($$ SELECT diagsync.create_diagram('N', id => null, description => null) $$), NULL, 'create_diagram with nulls');
SELECT is(t.error($$ SELECT diagsync.share('u', null) $$), NULL, 'share with a null');
SELECT is(t.error($$ SELECT diagsync.clone('p', null, null) $$), NULL, 'clone with nulls');
ROLLBACK TO s;

-- Nothing to do is no error.
SELECT is(diagsync.put('l', '[]'), 0, 'put nothing');
SELECT is(diagsync.remove('l', '{}'), 0, 'remove nothing');
SELECT is(diagsync.remove('l', ARRAY['nix', '', repeat('x', 300)]), 0, 'remove what is not there');

-- Ids with quotes, newlines, emoji and letters of all kinds go through every function.
SELECT t.pair('odd', 'odd far', (SELECT jsonb_object_agg(id, '{"v": 1}'::jsonb) FROM unnest(ARRAY['it''s', 'say "hi"', E'two\nlines', E'\t', '\', '😀', 'Größe', ' ', '%s', '{}', 'NULL', 'a/b~c']) AS id));
SELECT t.write('odd', id, '{"v": 2}'), t.write('odd far', id, '{"v": 3}') FROM diagsync_local.entity WHERE diagram_id = 'odd';
SELECT is(t.status('odd'), 'conflict 12/12/12', 'odd ids in conflict');
SELECT is((SELECT count(*) FROM diagsync.conflicts('odd') AS c, LATERAL diagsync.resolve('odd', c.entity_id, 'local', expected => c.version) AS r WHERE r.local = '{"v": 2}'), 12::bigint, 'each resolved by its id');
SELECT is(t.show(diagsync.push('odd')), 'yes +0 ~12 -0 0/0', 'and pushed');
SELECT is(t.docs('odd'), t.docs('odd far'), 'both ends agree');
SELECT is(diagsync.remove('odd', (SELECT array_agg(id) FROM diagsync_local.entity WHERE diagram_id = 'odd')), 12, 'and removed');
SELECT is(t.show(diagsync.push('odd', allow_deletions => true)), 'yes +0 ~0 -12 0/0', 'at both ends');

-- Once more, after all these errors: the session is as good as new.
SELECT is(t.status('l'), 'conflict 2/2/1', 'the status is what it was');
SELECT is(t.show(diagsync.push('l', on_conflict => 'local')), 'yes +0 ~1 -1 1/0', 'and the session works');
SELECT is(t.show(diagsync.pull('l')), 'yes +1 ~0 -0 0/0', 'both ways');
SELECT is(t.docs('l'), t.docs('p'), 'both ends agree');

SELECT * FROM finish();
ROLLBACK;
