-- Attempts to learn of what one may not see: error messages, counts, unique
-- violations, leaky functions and operators, statistics. What is hidden answers
-- word for word as what does not exist.
BEGIN;
\ir ../../common/pgtap/helpers.sql
\ir ../../common/pgtap/users.sql
SELECT no_plan();

SELECT t.as('ann', $$ SELECT diagsync.put('L', '[{"id": "a", "secret": "v2"}, {"id": "n"}]') $$), t.as('ben', $$ SELECT diagsync.put('P', '[{"id": "a", "secret": "v3"}]') $$),
	t.as('ann', $$ SELECT diagsync.remove('P', '{b}') $$);
-- Eve's own: E unlinked, F linked to the public U, G to a diagram of Ann's that eve has been let out of.
SELECT t.as('eve', $$ SELECT diagsync.clone('U', 'F') $$), t.as('ann', $$ SELECT diagsync.create_diagram('Was open', 'private', 'Q') $$), t.as('ann', $$ SELECT diagsync.add_member('Q', 'role:regress_eve', 'writer') $$);
SELECT t.as('ann', $$ SELECT diagsync.put('Q', '[{"id": "a"}]') $$), t.as('eve', $$ SELECT diagsync.clone('Q', 'G') $$), t.as('eve', $$ SELECT diagsync.put('G', '[{"id": "a", "v": 2}]') $$),
	t.as('ann', $$ SELECT diagsync.remove_member('Q', 'role:regress_eve') $$);
CREATE TABLE t.token AS SELECT split_part(t.as('ann', $$ SELECT diagsync.create_token('P', 'reader') $$), '.', 1) AS id;

-- ---- Errors ------------------------------------------------------------------------------------------------

-- Every function with a hidden private diagram and a hidden local one in every place, and with none.
CREATE TABLE t.call (n int GENERATED ALWAYS AS IDENTITY, command text);
INSERT INTO t.call (command) VALUES
	('SELECT diagsync.access(%1$L)'), ('SELECT diagsync.drop_diagram(%1$L)'), ('SELECT diagsync.set_storage_type(%1$L, ''public'')'), ('SELECT diagsync.set_storage_type(%1$L, ''local'')'),
	('SELECT diagsync.set_merge_policy(%1$L, ''{}'')'), ('SELECT diagsync.set_merge_policy(%1$L, NULL)'), ('SELECT diagsync.set_owner(%1$L, ''role:regress_eve'')'),
	('SELECT diagsync.add_member(%1$L, ''role:regress_eve'', ''admin'')'), ('SELECT diagsync.remove_member(%1$L, ''role:regress_eve'')'), ('SELECT diagsync.remove_member(%1$L, ''role:regress_ben'')'),
	('SELECT diagsync.create_token(%1$L)'), ('SELECT diagsync.put(%1$L, ''[]'')'), ('SELECT diagsync.put(%1$L, ''[{"id": "a"}]'')'), ('SELECT diagsync.put(%1$L, ''[{"id": "new"}]'')'),
	('SELECT diagsync.remove(%1$L, ''{a}'')'), ('SELECT diagsync.remove(%1$L, ''{nix}'')'), ('SELECT diagsync.remove(%1$L, ''{}'')'),
	('SELECT diagsync.share(%1$L)'), ('SELECT diagsync.share(%1$L, ''new'')'), ('SELECT diagsync.share(%1$L, ''U'')'), ('SELECT diagsync.clone(%1$L)'), ('SELECT diagsync.clone(%1$L, ''new'')'), ('SELECT diagsync.clone(%1$L, ''E'')'),
	('SELECT diagsync.link(%1$L, ''U'')'), ('SELECT diagsync.link(''E'', %1$L)'), ('SELECT diagsync.link(''F'', %1$L)'), ('SELECT diagsync.link(''U'', %1$L)'), ('SELECT diagsync.link(%1$L, ''nix'')'), ('SELECT diagsync.link(%1$L, %1$L)'),
	('SELECT diagsync.unlink(%1$L)'), ('SELECT diagsync.status(%1$L)'), ('SELECT diagsync.status(%1$L, ''U'')'), ('SELECT diagsync.status(''E'', %1$L)'), ('SELECT diagsync.status(''F'', %1$L)'), ('SELECT diagsync.status(''G'', %1$L)'), ('SELECT diagsync.status(''U'', %1$L)'),
	('SELECT diagsync.changes(%1$L)'), ('SELECT diagsync.conflicts(%1$L)'), ('SELECT diagsync.refresh(%1$L)'),
	('SELECT diagsync.push(%1$L)'), ('SELECT diagsync.push(%1$L, ''U'')'), ('SELECT diagsync.push(%1$L, ''P'')'), ('SELECT diagsync.push(''E'', %1$L)'), ('SELECT diagsync.push(''F'', %1$L)'), ('SELECT diagsync.push(''G'', %1$L)'), ('SELECT diagsync.push(''U'', %1$L)'), ('SELECT diagsync.push(%1$L, dry_run => true)'),
	('SELECT diagsync.pull(%1$L)'), ('SELECT diagsync.pull(%1$L, ''U'')'), ('SELECT diagsync.pull(''E'', %1$L)'), ('SELECT diagsync.pull(''F'', %1$L)'), ('SELECT diagsync.pull(%1$L, expected_plan => ''x'')'),
	('SELECT diagsync.resolve(%1$L, ''a'', ''local'')'), ('SELECT diagsync.resolve(%1$L, ''nix'', ''local'')'), ('SELECT diagsync.resolve(%1$L, ''a'', ''merged'', ''{}'')'), ('SELECT diagsync.resolve(%1$L, ''a'', ''both'', NULL, ''x'')'),
	('SELECT diagsync.may_read(%1$L)'), ('SELECT diagsync.may_write(%1$L)'), ('SELECT diagsync.may_administer(%1$L)'), ('SELECT diagsync.check_may_write(%1$L)'),
	('SELECT diagsync_api.push(%1$L)'), ('SELECT diagsync_api.status(%1$L)'), ('SELECT diagsync_api.status(''F'', %1$L)'), ('SELECT diagsync_api.drop_diagram(%1$L)'), ('SELECT diagsync_api.access(%1$L)'),
	('SELECT count(*) FROM diagsync_api.diagrams WHERE _id = %1$L'), ('SELECT count(*) FROM diagsync_api.entities WHERE diagram = %1$L'),
	('SELECT left(set_config(''request.headers'', json_build_object(''x-diagsync-diagram'', %1$L, ''x-diagsync-storage'', ''private'')::text, true), 0) || diagsync.check_request()::text'),
	('SELECT left(set_config(''request.headers'', json_build_object(''x-diagsync-diagram'', %1$L, ''x-diagsync-storage'', ''public'')::text, true), 0) || diagsync.check_request()::text'),
	('INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES (%1$L, ''a'', ''{}'')'), ('INSERT INTO diagsync_public.entity (diagram_id, id, doc) VALUES (%1$L, ''a'', ''{}'')'),
	('INSERT INTO diagsync_private.entity (diagram_id, id, doc) VALUES (%1$L, ''a'', ''{}'')'), ('INSERT INTO diagsync_private.entity (diagram_id, id, doc) VALUES (%1$L, ''z'', ''{}'')'),
	('INSERT INTO diagsync_private.entity (diagram_id, id, doc) VALUES (%1$L, ''a'', ''{}'') ON CONFLICT DO NOTHING'), ('INSERT INTO diagsync_private.entity (diagram_id, id, doc) VALUES (%1$L, ''a'', ''{}'') ON CONFLICT (diagram_id, id) DO UPDATE SET doc = ''{}'''),
	('INSERT INTO diagsync_private.entity (diagram_id, id, doc) VALUES (%1$L, ''a'', ''[]'')'), ('INSERT INTO diagsync_private.entity (diagram_id, id, doc) VALUES (%1$L, '''', ''{}'')'),
	('INSERT INTO diagsync_private.entity (diagram_id, id, doc) SELECT %1$L, ''x'' || g, ''{}'' FROM generate_series(1, 3) AS g'),
	('INSERT INTO diagsync_api.private_entities (diagram, id, doc) VALUES (%1$L, ''a'', ''{}'')'),
	('UPDATE diagsync_private.entity SET doc = ''{}'' WHERE diagram_id = %1$L'), ('UPDATE diagsync_private.entity SET doc = ''[]'' WHERE diagram_id = %1$L'), ('UPDATE diagsync_local.entity SET doc = ''[]'' WHERE diagram_id = %1$L'),
	('UPDATE diagsync_private.entity SET diagram_id = ''E'' WHERE diagram_id = %1$L'), ('UPDATE diagsync_local.entity SET diagram_id = %1$L WHERE diagram_id = ''F'''), ('UPDATE diagsync_public.entity SET diagram_id = %1$L WHERE diagram_id = ''U'''),
	('DELETE FROM diagsync_private.entity WHERE diagram_id = %1$L'), ('DELETE FROM diagsync_local.entity WHERE diagram_id = %1$L'), ('UPDATE diagsync.directory SET name = ''x'' WHERE id = %1$L'), ('UPDATE diagsync.directory SET name = NULL WHERE id = %1$L'),
	('SELECT count(*) FROM diagsync.directory WHERE id = %1$L'), ('SELECT count(*) FROM diagsync.directory WHERE public_copy_id = %1$L'), ('SELECT count(*) FROM diagsync.entity WHERE diagram_id = %1$L'), ('SELECT count(*) FROM diagsync_private.tombstone WHERE diagram_id = %1$L'),
	('SELECT count(*) FROM diagsync_local.base WHERE diagram_id = %1$L'), ('SELECT count(*) FROM diagsync.member WHERE diagram_id = %1$L'), ('SELECT count(id) FROM diagsync.access_token WHERE diagram_id = %1$L'),
	('SELECT count(*) FROM diagsync.sync_log WHERE %1$L IN (local_id, public_id)'), ('SELECT count(*) FROM diagsync.status_all() WHERE %1$L IN (local_id, public_id)');
CREATE TABLE t.answer AS SELECT n, command, d, replace(t.as('eve', format(command, d)), '"' || d || '"', '"X"') AS answer FROM t.call, unnest('{P,L,nix}'::text[]) AS d;
SELECT is(a.answer, b.answer, format('%s: %s hidden is as none', a.command, a.d)) FROM t.answer AS a JOIN t.answer AS b USING (n) WHERE b.d = 'nix' AND a.d <> 'nix' ORDER BY n, a.d;
-- Anonymous callers, too.
CREATE TABLE t.anonymous AS SELECT n, command, d, replace(t.as('ano', format(command, d)), '"' || d || '"', '"X"') AS answer FROM t.call, unnest('{P,L,nix}'::text[]) AS d;
SELECT is(a.answer, b.answer, format('anonymous, %s: %s hidden is as none', a.command, a.d)) FROM t.anonymous AS a JOIN t.anonymous AS b USING (n) WHERE b.d = 'nix' AND a.d <> 'nix' ORDER BY n, a.d;
-- The link to where eve has been let out of: the same whether there is something new or not.
SELECT is(t.as('eve', format('SELECT diagsync.%s', c)), '42704 diagram "Q" does not exist', c) FROM unnest(ARRAY['push(''G'')', 'pull(''G'')', 'push(''G'', ''Q'')', 'pull(''G'', on_conflict => ''local'')', 'changes(''G'')', 'conflicts(''G'')',
	'refresh(''G'')', 'resolve(''G'', ''a'', ''public'')', 'push(''G'', dry_run => true)', 'status(''G'', ''Q'')', 'clone(''Q'')', 'link(''E'', ''Q'')']) AS c;
SELECT is(t.as('eve', 'SELECT diagsync.status(''G'')'), t.as('eve', 'SELECT s FROM diagsync.status_all() AS s WHERE local_id = ''G'''), 'status and status_all agree');
SELECT is(t.as('eve', 'SELECT concat_ws('' '', state, coalesce(public_changes::text, ''-''), coalesce(diverged::text, ''-'')) FROM diagsync.status(''G'')'), 'unlinked - -', '... on nothing but that');
CREATE TABLE t.before AS SELECT t.as('eve', 'SELECT diagsync.status(''G'')') AS status, t.as('eve', 'SELECT concat_ws('' '', d.public_version, d.seen, d.last_pulled_at) FROM diagsync.directory AS d WHERE id = ''G''') AS entry;
SELECT t.as('ann', $$ SELECT diagsync.put('Q', '[{"id": "a", "v": 9}, {"id": "more"}]') $$);
SELECT is(t.as('eve', 'SELECT diagsync.status(''G'')'), status, 'edits of the shared copy do not show') FROM t.before;
SELECT is(t.as('eve', 'SELECT concat_ws('' '', d.public_version, d.seen, d.last_pulled_at) FROM diagsync.directory AS d WHERE id = ''G'''), entry, '... in the directory either') FROM t.before;
-- Tokens: their ids.
SELECT is(t.as('eve', format('SELECT diagsync.revoke_token(%L)', id)), replace(t.as('eve', 'SELECT diagsync.revoke_token(''nix'')'), 'nix', id), 'a token''s id is as none') FROM t.token;

-- ---- Counts ---------------------------------------------------------------------------------------------------

SELECT is(t.as('eve', 'SELECT string_agg(' || c || ', '' '' ORDER BY ' || c || ') FROM ' || r), want, 'eve sees of ' || r)
  FROM (VALUES ('diagsync.directory', 'id', 'E F G U'), ('diagsync_private.entity', 'diagram_id', NULL), ('diagsync_local.entity', 'diagram_id || id', 'Fa Fb Ga'), ('diagsync_public.entity', 'diagram_id || id', 'Ua Ub'),
	('diagsync_private.tombstone', 'id', NULL), ('diagsync_local.base', 'diagram_id', 'G'), ('diagsync.member', 'principal', NULL), ('diagsync.access_token', 'id', NULL), ('diagsync.sync_log', 'local_id || action', 'Fclone Gclone'),
	('diagsync.status_all()', 'local_id || state', 'Fin_sync Gunlinked')) AS v (r, c, want);
SELECT is(t.as('ray', 'SELECT string_agg(principal || diagram_id || role, '' '') FROM diagsync.member'), 'role:regress_rayPreader', 'a reader sees their own membership, not who else is one');
SELECT is(t.as('ray', 'SELECT count(*) FROM diagsync.sync_log'), '0', '... nor what others sync');
-- A link of another's to a public diagram says nothing of that other.
SELECT is(t.as('ann', 'SELECT count(*) FROM diagsync.directory WHERE public_copy_id = ''U'''), '0', 'the owner of a public diagram does not see who has a copy');
SELECT is(t.as('ann', 'SELECT count(*) FROM diagsync.sync_log WHERE public_id = ''U'''), '0', '... in the log either');

-- ---- Leaky functions and operators --------------------------------------------------------------------------------

-- They tell what they were shown by a setting. Cheap, so that the planner would ask
-- them first if it might.
CREATE SCHEMA eve AUTHORIZATION regress_eve;
GRANT USAGE ON SCHEMA eve TO regress_ray;
SELECT t.as('eve', c) FROM unnest(ARRAY[
	$$ CREATE FUNCTION eve.spy(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 0.0001 AS 'BEGIN PERFORM set_config(''spy.seen'', coalesce(current_setting(''spy.seen'', true), '''') || '' '' || $1, true); RETURN true; END' $$,
	$$ CREATE FUNCTION eve.spy(text, text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 0.0001 AS 'BEGIN PERFORM set_config(''spy.seen'', coalesce(current_setting(''spy.seen'', true), '''') || '' '' || $1 || '' '' || $2, true); RETURN true; END' $$,
	$$ CREATE FUNCTION eve.spy(jsonb, jsonb) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 0.0001 AS 'BEGIN PERFORM set_config(''spy.seen'', coalesce(current_setting(''spy.seen'', true), '''') || '' '' || $1 || '' '' || $2, true); RETURN true; END' $$,
	$$ CREATE OPERATOR eve.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = eve.spy, RESTRICT = eqsel, JOIN = eqjoinsel) $$,
	$$ CREATE OPERATOR eve.<<< (LEFTARG = text, RIGHTARG = text, FUNCTION = eve.spy, RESTRICT = scalarltsel, JOIN = scalarltjoinsel) $$,
	$$ CREATE OPERATOR eve.=== (LEFTARG = jsonb, RIGHTARG = jsonb, FUNCTION = eve.spy, RESTRICT = eqsel) $$]) AS c;
SELECT t.refused('eve', 'ALTER FUNCTION eve.spy(text) LEAKPROOF', '42501');
ANALYZE diagsync.directory, diagsync_private.entity, diagsync_local.entity, diagsync_private.tombstone, diagsync_local.base, diagsync.member, diagsync.access_token, diagsync.sync_log;
CREATE FUNCTION t.spied(username text, query text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('spy.seen', '', true);
	PERFORM t.as(username, query);
	RETURN btrim(current_setting('spy.seen'));
END $$;
SELECT is(t.spied('eve', 'SELECT count(*) FROM diagsync.directory WHERE eve.spy(id) AND id = ''U'''), 'U', 'the spy works');
SELECT is(t.spied('eve', q), '', 'sees nothing: ' || q) FROM unnest(ARRAY[
	'SELECT count(*) FROM diagsync_private.entity WHERE eve.spy(diagram_id)', 'SELECT count(*) FROM diagsync_private.entity WHERE eve.spy(doc::text)', 'SELECT count(*) FROM diagsync_private.entity WHERE eve.spy(id) AND diagram_id = ''P''',
	'SELECT count(*) FROM diagsync_private.entity WHERE diagram_id = ''P'' AND id > '''' AND eve.spy(modified_by)', 'SELECT count(*) FROM diagsync_private.entity WHERE doc OPERATOR(eve.===) ''{}''', 'SELECT count(*) FROM diagsync_private.entity WHERE id OPERATOR(eve.===) ''x''',
	'SELECT count(*) FROM diagsync_private.entity WHERE CASE WHEN eve.spy(id) THEN 1 / 0 > 0 END', 'SELECT count(*) FROM diagsync_private.entity AS e JOIN diagsync_private.entity AS f ON e.id OPERATOR(eve.===) f.id', 'SELECT count(*) FROM (VALUES (''a'')) AS v (id) JOIN diagsync_private.entity AS e ON eve.spy(e.id, v.id)',
	'SELECT count(*) FROM (VALUES (''a'')) AS v (id) LEFT JOIN diagsync_private.entity AS e ON e.id OPERATOR(eve.===) v.id', 'SELECT count(*) FROM diagsync_private.tombstone WHERE eve.spy(id)', 'SELECT count(*) FROM diagsync.access_token WHERE eve.spy(id)', 'SELECT count(*) FROM diagsync.member WHERE eve.spy(principal)',
	'SELECT count(*) FROM diagsync_api.private_entities WHERE eve.spy(id)', 'UPDATE diagsync_private.entity SET doc = ''{}'' WHERE eve.spy(id)', 'UPDATE diagsync_private.entity SET doc = CASE WHEN eve.spy(id) THEN ''{}''::jsonb END', 'DELETE FROM diagsync_private.entity WHERE eve.spy(id)',
	'DELETE FROM diagsync_private.entity USING (VALUES (''a'')) AS v (id) WHERE eve.spy(entity.id, v.id)', 'SELECT count(*) FROM (SELECT FROM diagsync_private.entity WHERE eve.spy(id) FOR UPDATE) AS r', 'SELECT count(*) FROM diagsync_private.entity GROUP BY eve.spy(id)', 'SELECT eve.spy(id) FROM diagsync_private.entity',
	'EXPLAIN SELECT FROM diagsync_private.entity WHERE id OPERATOR(eve.===) ''x''', 'EXPLAIN SELECT FROM diagsync_private.entity WHERE diagram_id OPERATOR(eve.<<<) ''x''', 'EXPLAIN SELECT FROM diagsync_private.entity WHERE doc OPERATOR(eve.===) ''{}''',
	'EXPLAIN SELECT FROM diagsync_private.entity AS e JOIN diagsync_private.entity AS f ON e.id OPERATOR(eve.===) f.id', 'EXPLAIN SELECT FROM diagsync.access_token WHERE id OPERATOR(eve.===) ''x''']) AS q;
SELECT unalike(t.spied('eve', q), '%' || h || '%', 'does not see ' || h || ': ' || q) FROM unnest(ARRAY['SELECT count(*) FROM diagsync.directory WHERE eve.spy(id || '':'')', 'SELECT count(*) FROM diagsync.directory WHERE id <> ''x'' AND eve.spy(id || '':'')',
	'SELECT count(*) FROM diagsync.entity WHERE eve.spy(diagram_id || '':'')', 'SELECT count(*) FROM diagsync_local.base WHERE eve.spy(diagram_id || '':'')', 'SELECT count(*) FROM diagsync.sync_log WHERE eve.spy(local_id || '':'')', 'UPDATE diagsync.directory SET name = ''x'' WHERE eve.spy(id || '':'')',
	'EXPLAIN SELECT FROM diagsync.directory WHERE id OPERATOR(eve.===) ''x''', 'EXPLAIN SELECT FROM diagsync.directory WHERE owner OPERATOR(eve.<<<) ''x''', 'SELECT count(*) FROM diagsync.directory AS d JOIN diagsync.entity AS e ON eve.spy(d.id || '':'', e.diagram_id || '':'')']) AS q, unnest('{L:,P:,ann,Q:}'::text[]) AS h
	WHERE h <> 'ann' OR q LIKE '%owner%';
-- A division that fails for hidden rows alone.
SELECT is(t.as('eve', $$ SELECT count(*) FROM diagsync_private.entity WHERE 1 / (CASE doc ->> 'secret' WHEN 'v3' THEN 0 ELSE 1 END) = 1 $$), '0', 'no error tells of a hidden row');
SELECT is(t.as('eve', $$ SELECT count(*) FROM diagsync_private.entity WHERE (doc ->> 'secret')::int > 0 $$), '0', 'nor does a cast');
SELECT is(t.as('eve', $$ SELECT count(*) FROM diagsync.directory WHERE owner::int > 0 AND id = 'P' $$), '0', '... of the directory');
-- Statistics.
SELECT is(t.as('eve', $$ SELECT count(*) FROM pg_stats WHERE schemaname LIKE 'diagsync%' $$), '0', 'no statistics of tables with policies');
-- What a definer knows is not what the caller knows.
SELECT is(t.as('ann', 'SELECT count(*) FROM diagsync_private.entity WHERE diagram_id = ''P'''), '1', 'it was there all the time');

SELECT * FROM finish();
ROLLBACK;
