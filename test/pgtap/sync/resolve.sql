-- resolve: one conflict at a time. What each resolution leaves behind is in
-- include/cells.sql; here is the call itself.
BEGIN;
\ir ../../common/pgtap/helpers.sql
SELECT plan(44);

SELECT t.pair('l', 'p', '{"a": {"v": 1}, "b": {"v": 1}, "d": {"v": 1}, "q": {"v": 1}}');
SELECT t.write('l', 'a', '{"v": 2}'), t.write('p', 'a', '{"v": 3}');
SELECT t.write('l', 'b', '{"v": 2}'), t.write('p', 'b', '{"v": 3}');
SELECT t.write('l', 'd', NULL), t.write('p', 'd', '{"v": 3}');
SELECT t.edited('l', 'a', '2020-01-01 01:00Z', 'role:alice'), t.edited('p', 'a', '2020-01-01 02:00Z', 'role:bob');

-- ---- What the user is shown ------------------------------------------------------

SELECT version AS shown FROM diagsync.conflicts('l') WHERE entity_id = 'a' \gset
SELECT is(to_jsonb(c) - 'version', jsonb_build_object('entity_id', 'a', 'side', 'both', 'local_change', 'update', 'public_change', 'update',
	'conflict', 'update_update', 'paths', '[""]'::jsonb, 'base', '{"v": 1}'::jsonb, 'local', '{"v": 2}'::jsonb, 'public', '{"v": 3}'::jsonb,
	'local_modified_at', to_jsonb('2020-01-01 01:00Z'::timestamptz), 'local_modified_by', 'role:alice',
	'public_modified_at', to_jsonb('2020-01-01 02:00Z'::timestamptz), 'public_modified_by', 'role:bob'), 'conflicts() shows all three versions')
  FROM diagsync.conflicts('l') AS c WHERE entity_id = 'a';
SELECT is(c, ch, 'as changes() does') FROM diagsync.conflicts('l') AS c JOIN diagsync.changes('l') AS ch USING (entity_id) WHERE entity_id = 'a';
SELECT isnt(version, :'shown'::text, 'other documents have another version') FROM diagsync.conflicts('l') WHERE entity_id = 'd';
SELECT is(jsonb_build_array(local, public, local_modified_by), jsonb_build_array(NULL::jsonb, '{"v": 3}'::jsonb, 'role:' || current_user), 'who deleted it is shown too')
  FROM diagsync.conflicts('l') WHERE entity_id = 'd';

-- ---- A version that moved on -----------------------------------------------------

SELECT t.state() AS before \gset
SELECT is(r, c, 'a resolution for another version returns the entity as it is') FROM diagsync.conflicts('l') AS c,
	diagsync.resolve('l', 'a', 'local', expected => 'another') AS r WHERE c.entity_id = 'a';
SELECT is(t.state(), :'before', 'and writes nothing');
SELECT t.write('p', 'a', '{"v": 4}');
SELECT t.state() AS before \gset
SELECT is(jsonb_build_array(public, conflict), jsonb_build_array('{"v": 4}'::jsonb, 'update_update'), 'the shared copy moved on: ' || resolution)
  FROM unnest('{local,public,both,newest,merged}'::text[]) AS resolution,
	diagsync.resolve('l', 'a', resolution, CASE resolution WHEN 'merged' THEN '{"v": 9}'::jsonb END, :'shown');
SELECT is(t.state(), :'before', 'nothing is written');
SELECT t.write('p', 'a', '{"v": 3}');
SELECT is(version, :'shown'::text, 'the same three versions are the same version') FROM diagsync.conflicts('l') WHERE entity_id = 'a';
SELECT t.write('p', 'a', '{"v": 2}');
SELECT is(jsonb_build_array(local_change, public_change, conflict), jsonb_build_array(NULL::text, NULL::text, NULL::text), 'where they agree by now, expected returns that')
  FROM diagsync.resolve('l', 'a', 'local', expected => :'shown');
SELECT t.refuses($$ SELECT diagsync.resolve('l', 'a', 'local') $$, '55000', 'entity "a" of diagram "l"', 'without expected it is an error');
SELECT t.write('l', 'a', '{"v": 1}'), t.write('p', 'a', '{"v": 3}');
SELECT is(jsonb_build_array(side, public_change, conflict), jsonb_build_array('public', 'update', NULL::text), 'where no conflict is left, expected returns what is')
  FROM diagsync.resolve('l', 'a', 'local', expected => :'shown');
SELECT t.write('l', 'a', '{"v": 2.0}'), t.write('p', 'a', '{"v": 3.00}');
SELECT is(version, :'shown'::text, 'a version is of the values') FROM diagsync.conflicts('l') WHERE entity_id = 'a';

-- ---- The version that was shown ----------------------------------------------------

SELECT is(jsonb_build_array(side, local_change, public_change, conflict, base, local, public),
	jsonb_build_array('local', 'update', NULL::text, NULL::text, '{"v": 3}'::jsonb, '{"v": 2}'::jsonb, '{"v": 3}'::jsonb),
	'local: a local change on top of the public one') FROM diagsync.resolve('l', 'a', 'local', expected => :'shown');
SELECT is(t.docs('p') -> 'a', '{"v": 3}', 'the shared copy is not written');
SELECT is(t.status('l'), 'conflict 3/2/2', 'the other conflicts stay');
SELECT t.refuses($$ SELECT diagsync.resolve('l', 'a', 'local') $$, '55000', 'entity "a" of diagram "l"', 'a conflict is resolved once');
SELECT is(jsonb_build_array(side, local_change, public_change, conflict, local, public),
	jsonb_build_array(NULL::text, NULL::text, NULL::text, NULL::text, '{"v": 3}'::jsonb, '{"v": 3}'::jsonb), 'public: nothing is left')
  FROM diagsync.resolve('l', 'b', 'public');
SELECT is(jsonb_build_array(side, local_change, base, local, public), jsonb_build_array('local', 'delete', '{"v": 3}'::jsonb, NULL::jsonb, '{"v": 3}'::jsonb), 'local: a deletion is one still')
  FROM diagsync.resolve('l', 'd', 'local');
SELECT is(t.status('l'), 'pending 2/0/0', 'no conflict is left');
SELECT is(t.show(diagsync.push('l')), 'yes +0 ~1 -1 0/0', 'and the push sends the local ones');
SELECT is(t.docs('p'), t.docs('l'), 'both ends agree');

-- ---- merged ------------------------------------------------------------------------

SELECT t.write('l', 'q', '{"v": 2}'), t.write('p', 'q', '{"v": 3}');
SELECT t.refuses($$ SELECT diagsync.resolve('l', 'q', 'merged') $$, '22004', 'entity "q" of diagram "l"', 'merged needs a document');
SELECT t.refuses(format($$ SELECT diagsync.resolve('l', 'q', 'merged', %L) $$, doc), '22023', 'entity "q" of diagram "l"', 'an object: not ' || doc)
  FROM unnest(ARRAY['[]', '"text"', '1', 'true', 'null']) AS doc;
SELECT t.refuses(format($$ SELECT diagsync.resolve('l', 'q', %L, '{}') $$, resolution), '22023', 'entity "q" of diagram "l"', 'a document with ' || resolution || ' has no meaning')
  FROM unnest('{local,public,both,newest}'::text[]) AS resolution;
SELECT is(jsonb_build_array(side, local_change, base, local, public), jsonb_build_array('local', 'update', '{"v": 3}'::jsonb, '{"mine": 2, "theirs": 3}'::jsonb, '{"v": 3}'::jsonb),
	'merged: the caller''s document on top of the public one')
  FROM diagsync.resolve('l', 'q', 'merged', '{"mine": 2, "theirs": 3}');
SELECT is(modified_by, 'role:' || current_user, 'by the caller') FROM diagsync_local.entity WHERE diagram_id = 'l' AND id = 'q';
SELECT is(t.show(diagsync.push('l')), 'yes +0 ~1 -0 0/0', 'and the push sends it');

-- Merged into just what one of the ends has.
SELECT t.write('l', 'q', '{"v": 2}'), t.write('p', 'q', '{"v": 3}');
SELECT is(jsonb_build_array(side, local_change, local), jsonb_build_array(NULL::text, NULL::text, '{"v": 3}'::jsonb), 'merged into the public version: nothing is left')
  FROM diagsync.resolve('l', 'q', 'merged', '{"v": 3.0}');
SELECT is(t.status('l'), 'in_sync 0/0/0', '... to sync');
SELECT t.write('l', 'q', NULL), t.write('p', 'q', '{"v": 4}');
SELECT is(jsonb_build_array(local_change, local), jsonb_build_array('update', '{"v": 5}'::jsonb), 'merged where the local end had deleted it') FROM diagsync.resolve('l', 'q', 'merged', '{"v": 5}');
SELECT diagsync.push('l');
SELECT t.write('l', 'q', '{"v": 6}'), t.write('p', 'q', NULL);
SELECT is(jsonb_build_array(local_change, local, base), jsonb_build_array('insert', '{"v": 7}'::jsonb, NULL::jsonb), 'merged where the shared copy had deleted it') FROM diagsync.resolve('l', 'q', 'merged', '{"v": 7}');
SELECT is(t.show(diagsync.push('l')), 'yes +1 ~0 -0 0/0', '... it is made again there');

SELECT * FROM finish();
ROLLBACK;
