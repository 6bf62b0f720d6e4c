-- set_storage_type: a shared diagram moves between public and private with its
-- links; one from before storage types existed behaves as public and gets its
-- type.
BEGIN;
\ir ../../common/pgtap/helpers.sql
SELECT plan(71);

-- ---- Public and private ------------------------------------------------------------------

SELECT t.pair('l', 'p', '{"a": {"v": 1}, "b": {"v": 1}, "c": {"v": 1}, "d": {"v": 1}}');
SELECT diagsync.clone('p', 'l2');
SELECT t.write('l', 'a', '{"v": 2}'), t.write('p', 'a', '{"v": 3}'), t.write('l', 'b', '{"v": 2}'), t.write('p', 'c', NULL), t.write('p', 'e', '{"v": 3}');
SELECT t.edited('p', 'd', '2020-01-01Z', 'role:somebody');
-- A neighbour that stays what it is.
SELECT t.pair('nl', 'n', '{"a": {"v": 1}}');
SELECT t.write('n', 'a', NULL);

-- All that the two links and the shared copy say, but in which table it is.
CREATE FUNCTION t.says() RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_array(t.status('l'), t.status('l2'), t.changes('l'), t.changes('l2'), t.base('l'), t.docs('p'),
		(SELECT jsonb_agg(to_jsonb(c) ORDER BY entity_id) FROM diagsync.changes('l') AS c),
		(SELECT jsonb_agg(to_jsonb(d) - 'storage_type' ORDER BY id) FROM diagsync.directory AS d WHERE id IN ('l', 'l2', 'p')),
		(SELECT jsonb_agg(jsonb_build_array(id, doc, rev, modified_at, modified_by) ORDER BY id) FROM diagsync.entity WHERE diagram_id = 'p'),
		(SELECT jsonb_agg(to_jsonb(s) ORDER BY id) FROM (SELECT * FROM diagsync_public.tombstone WHERE diagram_id = 'p'
			UNION ALL SELECT * FROM diagsync_private.tombstone WHERE diagram_id = 'p') AS s)) $$;
CREATE FUNCTION t.counts() RETURNS text LANGUAGE sql AS $$
	SELECT format('public %s+%s private %s+%s', (SELECT count(*) FROM diagsync_public.entity), (SELECT count(*) FROM diagsync_public.tombstone),
		(SELECT count(*) FROM diagsync_private.entity), (SELECT count(*) FROM diagsync_private.tombstone)) $$;

SELECT t.says() AS before \gset
SELECT is(t.status('l'), 'conflict 2/3/1', 'the links before');
SELECT is(t.counts(), 'public 4+2 private 0+0', 'where the rows are before');
SELECT lives_ok($$ SELECT diagsync.set_storage_type('p', 'private') $$, 'public to private');
SELECT is(storage_type, 'private', 'it is private') FROM diagsync.directory WHERE id = 'p';
SELECT is(t.says(), :'before'::jsonb, 'links, status, documents, revisions and tombstones are as before');
SELECT is(t.counts(), 'public 0+1 private 4+1', 'but in the tables of private diagrams');
SELECT t.refuses($$ INSERT INTO diagsync_public.entity (diagram_id, id, doc) VALUES ('p', 'x', '{}') $$, '42809', '"p"', 'the public table does not take its entities any more');
SELECT t.write('p', 'd', NULL);
SELECT is(t.status('l'), 'conflict 2/4/1', 'changes are tracked there');
SELECT t.write('p', 'd', '{"v": 1}');
SELECT t.edited('p', 'd', '2020-01-01Z', 'role:somebody');
SELECT lives_ok($$ SELECT diagsync.set_storage_type('p', 'public') $$, 'and back');
SELECT is(t.counts(), 'public 4+3 private 0+0', 'where it was (and a tombstone more)');
SELECT is(t.status('l'), 'conflict 2/3/1', 'with the same status');
SELECT lives_ok($$ SELECT diagsync.set_storage_type('p', 'public') $$, 'to what it is already');
SELECT is(t.status('l'), 'conflict 2/3/1', 'changes nothing');
SELECT diagsync.set_storage_type('p', 'private');
SELECT is(t.show(diagsync.pull('l', on_conflict => 'public')), 'yes +1 ~1 -1 1/0', 'a pull from there');
SELECT is(t.show(diagsync.push('l')), 'yes +0 ~1 -0 0/0', 'a push to there');
SELECT is(t.docs('l'), t.docs('p'), 'both ends agree');
SELECT is(t.show(diagsync.pull('l2')), 'yes +1 ~2 -1 0/0', 'the other link too');
SELECT is(t.status('nl'), 'pending 0/1/0', 'the neighbour is as it was');

-- What is pending from before the move is not missed after it.
SELECT t.write('p', 'last', '{"v": 1}'), t.write('p', 'd', NULL);
SELECT diagsync.set_storage_type('p', 'public');
SELECT is(t.show(diagsync.pull('l')), 'yes +1 ~0 -1 0/0', 'changes made before the move are pulled after it');

-- ---- Refused ---------------------------------------------------------------------------------

SELECT t.make('u', '{"a": {}}');
SELECT t.refuses(format('SELECT diagsync.set_storage_type(%L, %L)', d, s), '55000', format('"%s"', d), format('%s cannot become %s', d, s))
  FROM (VALUES ('p', 'local'), ('l', 'public'), ('l', 'private'), ('u', 'public'), ('u', 'private')) AS v (d, s);
SELECT lives_ok($$ SELECT diagsync.set_storage_type('u', 'local') $$, 'a local diagram is local already');
SELECT t.refuses($$ SELECT diagsync.set_storage_type('p', 'secret') $$, '22023', 'secret', 'an unknown storage type');
SELECT t.refuses($$ SELECT diagsync.set_storage_type('p', 'PUBLIC') $$, '22023', 'PUBLIC', '... in capitals as well');
SELECT t.refuses($$ SELECT diagsync.set_storage_type('nix', 'public') $$, '42704', '"nix"', 'an unknown diagram');

-- ---- From before storage types existed ---------------------------------------------------------

-- Three of them, each with two entities and a tombstone.
CREATE FUNCTION t.legacy(diagram text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO diagsync.directory (id, name) VALUES (diagram, 'Old');
	INSERT INTO diagsync_public.entity (diagram_id, id, doc) SELECT diagram, id, '{"v": 1}' FROM unnest('{a,b,gone}'::text[]) AS id;
	DELETE FROM diagsync_public.entity WHERE diagram_id = diagram AND id = 'gone';
END $$;
SELECT lives_ok(format('SELECT t.legacy(%L)', 'old ' || type), 'a diagram without a storage type takes writes like a public one, to be ' || type)
  FROM unnest('{local,public,private}'::text[]) AS type;
SELECT is(diagsync.put('old local', '[{"id": "c"}, {"id": "d"}]'), 2, 'put as well');
SELECT is(diagsync.remove('old local', '{c}'), 1, 'and remove');
SELECT is((SELECT storage_type FROM diagsync.entity WHERE diagram_id = 'old local' AND id = 'd'), 'public', 'the view shows them among the public ones');
SELECT t.refuses($$ INSERT INTO diagsync_private.entity (diagram_id, id, doc) VALUES ('old local', 'x', '{}') $$, '42809', '"old local"', 'the other tables do not take its entities');
SELECT t.refuses($$ INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('old local', 'x', '{}') $$, '42809', '"old local"', '... neither of them');
SELECT is((SELECT count(*) FROM diagsync_public.tombstone WHERE diagram_id = 'old local'), 2::bigint, 'deletions leave tombstones');

-- The sync functions ask for the storage type.
SELECT t.refuses(command, '55000', '"old public"', command) FROM unnest(ARRAY[
	$$ SELECT diagsync.push('old public') $$, $$ SELECT diagsync.pull('old public') $$, $$ SELECT diagsync.status('old public') $$,
	$$ SELECT * FROM diagsync.changes('old public') $$, $$ SELECT * FROM diagsync.conflicts('old public') $$,
	$$ SELECT diagsync.resolve('old public', 'a', 'local') $$, $$ SELECT diagsync.refresh('old public') $$, $$ SELECT diagsync.share('old public') $$,
	$$ SELECT diagsync.clone('old public') $$, $$ SELECT diagsync.link('u', 'old public') $$, $$ SELECT diagsync.link('old public', 'p') $$,
	$$ SELECT diagsync.unlink('old public') $$]) AS command;
CREATE FUNCTION t.hint(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE hint text;
BEGIN
	EXECUTE command;
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN hint;
END $$;
SELECT matches(t.hint($$ SELECT diagsync.push('old public') $$), 'diagsync.set_storage_type', 'and say how to set it');

SELECT t.edited('old ' || type, 'a', '2020-01-01Z', 'role:somebody') FROM unnest('{local,public,private}'::text[]) AS type;
SELECT lives_ok(format('SELECT diagsync.set_storage_type(%L, %L)', 'old ' || type, type), 'it becomes ' || type)
  FROM unnest('{local,public,private}'::text[]) AS type;
SELECT is(storage_type, type, '... in the directory: ' || type) FROM diagsync.directory, unnest('{local,public,private}'::text[]) AS type WHERE id = 'old ' || type;
SELECT is((SELECT count(DISTINCT id) FROM diagsync.entity WHERE storage_type = type AND diagram_id = 'old ' || type AND id IN ('a', 'b') AND doc = '{"v": 1}'),
	2::bigint, '... with its entities: ' || type) FROM unnest('{local,public,private}'::text[]) AS type;
SELECT is((SELECT count(*) FROM diagsync.entity WHERE diagram_id = 'old ' || type), CASE type WHEN 'local' THEN 3 ELSE 2 END::bigint, '... once: ' || type)
  FROM unnest('{local,public,private}'::text[]) AS type;
SELECT is((SELECT modified_by || modified_at::date FROM diagsync.entity WHERE diagram_id = 'old ' || type AND id = 'a'), 'role:somebody2020-01-01',
	'... and who edited them: ' || type) FROM unnest('{local,public,private}'::text[]) AS type;
SELECT is((SELECT count(*) FROM diagsync_public.tombstone WHERE diagram_id = 'old local'), 0::bigint, 'a local one has no tombstones');
SELECT is(diagsync.share('old local', 'now shared'), 'now shared', 'a local one can be shared');
SELECT t.write('old local', 'a', '{"v": 2}');
SELECT is(t.show(diagsync.push('old local')), 'yes +0 ~1 -0 0/0', 'and pushed');
SELECT is(diagsync.clone('old ' || type, 'of old ' || type), 'of old ' || type, type || ' ones can be cloned') FROM unnest('{public,private}'::text[]) AS type;
SELECT t.refuses($$ SELECT diagsync.set_storage_type('old local', 'public') $$, '55000', '"old local"', 'it gets a type once');

SELECT * FROM finish();
ROLLBACK;
