-- Limits of users: syncs a minute, the size of an entity, the entities of a
-- diagram and of one put(); and the log of syncs. What needs sessions, a restart or
-- shared memory is in test/tap/013_rate_limit.pl.
BEGIN;
\ir ../../common/pgtap/helpers.sql
\ir ../../common/pgtap/users.sql
SELECT no_plan();

-- Whether syncs are counted in shared memory. Else they are by the log, which a
-- test can set back.
SELECT current_setting('server_version_num')::int >= 170000 OR current_setting('shared_preload_libraries') ~ 'diagsync' AS shared \gset

-- Somebody nobody has counted yet: a JWT user with two entities in conflict, one
-- only here and one only there; linked as NAME to NAME-p. NAME-u is unlinked.
CREATE FUNCTION t.user(username text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM t.pair(username, username || '-p', '{"a": {"v": 1}, "b": {"v": 1}, "c": {"v": 1}, "d": {"v": 1}}');
	PERFORM t.write(username, 'a', '{"v": 2}'), t.write(username || '-p', 'a', '{"v": 3}'), t.write(username, 'b', '{"v": 2}'), t.write(username || '-p', 'b', '{"v": 3}');
	PERFORM t.write(username, 'here', '{"v": 2}'), t.write(username || '-p', 'there', '{"v": 3}'), t.write(username, 'c', '{"v": 2}'), t.write(username || '-p', 'd', NULL);
	PERFORM t.make(username || '-u', '{"a": {"v": 1}}'), t.make(username || '-v', '{"a": {"v": 2}}', 'public');
	PERFORM diagsync.set_owner(id, 'sub:' || username) FROM diagsync.directory WHERE id LIKE username || '%';
END $$;
CREATE FUNCTION t.calls(name text, command text) RETURNS text LANGUAGE sql AS $$
	SELECT t.as('web', format(command, name), login => 'auth', claims => json_build_object('sub', name)::text) $$;

-- ---- Syncs a minute ---------------------------------------------------------------------------

SET LOCAL diagsync.sync_rate_limit = DEFAULT;
SELECT is(current_setting('diagsync.sync_rate_limit'), '120', 'the default');
SELECT t.user('dora'), t.user('emil');
SELECT is(count(*) FILTER (WHERE r LIKE '(t,%'), 120::bigint, '120 calls are answered') FROM (SELECT t.calls('dora', 'SELECT diagsync.pull(%L, on_conflict => ''public'')') AS r FROM generate_series(1, 120)) AS x;
CREATE TABLE t.before AS SELECT t.everything() AS everything;
SELECT matches(t.calls('dora', 'SELECT diagsync.pull(%L)'), '^53400 .*"sub:dora".*\m([1-9]|[1-5][0-9]|60) second', 'one more is refused, and says how long to wait');
SELECT is(t.everything(), everything, '... and leaves nothing, nor does it change anything') FROM t.before;
SELECT alike(t.calls('dora', c), '53400 %', 'so is ' || c) FROM unnest(ARRAY['SELECT diagsync.push(%1$L)', 'SELECT diagsync.share(%1$L || ''-u'', ''new'')', 'SELECT diagsync.clone(%1$L || ''-p'')', 'SELECT diagsync.link(%1$L || ''-u'', %1$L || ''-v'')',
	'SELECT diagsync.resolve(%1$L, ''a'', ''local'')', 'SELECT diagsync.refresh(%1$L)', 'SELECT diagsync.push(%1$L, dry_run => true)', 'SELECT diagsync.pull(%1$L, %1$L || ''-p'')', 'SELECT diagsync_api.push(%1$L)', 'SELECT diagsync_api.pull(%1$L)']) AS c;
SELECT unalike(coalesce(t.calls('dora', c), ''), '_____ %', 'not refused: ' || c) FROM unnest(ARRAY['SELECT diagsync.status(%1$L)', 'SELECT diagsync.status_all()', 'SELECT diagsync.changes(%1$L)', 'SELECT diagsync.conflicts(%1$L)', 'SELECT diagsync.put(%1$L, ''[{"id": "x"}]'')',
	'SELECT diagsync.remove(%1$L, ''{x}'')', 'SELECT diagsync.create_diagram(''x'')', 'SELECT diagsync.unlink(%1$L)', 'SELECT diagsync.access(%1$L)', 'SELECT diagsync.drop_diagram(%1$L)']) AS c;
SELECT matches(t.calls('dora', 'SELECT diagsync.push(''nix'')'), '^(53400|42704) ', 'a call that would fail anyway');
SELECT alike(t.calls('emil', 'SELECT diagsync.pull(%L, on_conflict => ''skip'')'), '(f,%', 'another principal of the same role is not affected');
SELECT alike(t.as('ann', 'SELECT diagsync.pull(''L'')'), '(t,%', 'nor is another role');
SET LOCAL diagsync.sync_rate_limit = 0;
SELECT alike(t.calls('dora', 'SELECT diagsync.clone(%L || ''-p'')'), '________-%', '0 is no limit');
SET LOCAL diagsync.sync_rate_limit = 1;
-- Which calls count.
SELECT t.user(u) FROM unnest('{u1,u2,u3,u4,u5,u6,u7,u8,v1,v2}'::text[]) AS u;
SELECT unalike(coalesce(t.calls(u, c), ''), '_____ %', 'the only one: ' || c) || E'\n' || alike(t.calls(u, 'SELECT diagsync.refresh(%L)'), '53400 %', '... counts')
  FROM (VALUES ('u1', 'SELECT diagsync.push(%L, on_conflict => ''skip'')'), ('u2', 'SELECT diagsync.pull(%L)'), ('u3', 'SELECT diagsync.share(%1$L || ''-u'')'), ('u4', 'SELECT diagsync.clone(%1$L || ''-p'', ''x'' || %1$L)'),
	('u5', 'SELECT diagsync.link(%1$L || ''-u'', %1$L || ''-v'')'), ('u6', 'SELECT diagsync.resolve(%L, ''a'', ''local'')'), ('u7', 'SELECT diagsync.refresh(%L)'), ('u8', 'SELECT diagsync_api.push(%L)')) AS x (u, c);
SELECT t.calls('v1', c) FROM unnest(ARRAY['SELECT diagsync.status(%L)', 'SELECT diagsync.changes(%L)', 'SELECT diagsync.conflicts(%L)', 'SELECT count(*) FROM diagsync.status_all()', 'SELECT diagsync.put(%L, ''[{"id": "x"}]'')', 'SELECT diagsync.create_diagram(''x'')', 'SELECT diagsync.status(%L)']) AS c \g /dev/null
SELECT alike(t.calls('v1', 'SELECT diagsync.refresh(%L)'), '(v1,%', 'what is no sync does not count');
SELECT is(count(*), 5::bigint, 'superusers have no limit') FROM (SELECT diagsync.refresh('v2') FROM generate_series(1, 5)) AS r;
SET LOCAL diagsync.sync_rate_limit = 2;
SELECT alike(t.calls('v1', 'SELECT diagsync.refresh(%L)'), '(v1,%', 'a raised limit counts at once');
SELECT alike(t.calls('v1', 'SELECT diagsync.refresh(%L)'), '53400 %', '... up to what it is');
\if :shared
SELECT skip('the count is in shared memory', 7);
\else
-- The window.
UPDATE diagsync.sync_log SET called_at = called_at - interval '50 seconds' WHERE principal = 'sub:v1';
SELECT matches(t.calls('v1', 'SELECT diagsync.refresh(%L)'), '\m([1-9]|10) second', 'later, less is left to wait');
UPDATE diagsync.sync_log SET called_at = called_at - interval '11 seconds' WHERE principal = 'sub:v1';
SELECT alike(t.calls('v1', 'SELECT diagsync.refresh(%L)'), '(v1,%', 'after a minute it is over') || E'\n' || alike(t.calls('v1', 'SELECT diagsync.refresh(%L)'), '(v1,%', '... for as many calls');
SELECT alike(t.calls('v1', 'SELECT diagsync.refresh(%L)'), '53400 %', '... and no more');
UPDATE diagsync.sync_log SET called_at = called_at - interval '30 seconds' WHERE principal = 'sub:v1' AND called_at = (SELECT max(called_at) FROM diagsync.sync_log WHERE principal = 'sub:v1');
SELECT matches(t.calls('v1', 'SELECT diagsync.refresh(%L)'), '\m(2[5-9]|30) second', 'the wait is for the oldest of those that count');
UPDATE diagsync.sync_log SET called_at = now() + interval '1 day' WHERE principal = 'sub:v1';
SELECT matches(t.calls('v1', 'SELECT diagsync.refresh(%L)'), '^\(v1,|\m([1-9]|[1-5][0-9]|60) second', 'calls that lie in the future (the clock was set back) keep nobody out for longer than a minute');
SAVEPOINT s;
DELETE FROM diagsync.sync_log WHERE principal = 'sub:v1';
SELECT is(t.calls('v1', 'SELECT diagsync.push(''nix'')'), '42704 diagram "nix" does not exist', 'without shared memory, calls that fail do not count') FROM generate_series(1, 3) LIMIT 1;
ROLLBACK TO s;
\endif

-- ---- The log ---------------------------------------------------------------------------------------

SET LOCAL diagsync.sync_rate_limit = 0;
SELECT t.user('lea');
DELETE FROM diagsync.sync_log;
CREATE FUNCTION t.logs(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	begun timestamptz := clock_timestamp();
	answer text := t.calls('lea', command);
	log text;
BEGIN
	SELECT string_agg(format('%s %s>%s %s +%s ~%s -%s m%s r%s c%s', action, local_id, public_id, CASE WHEN success THEN 'yes' ELSE 'no' END, inserted, updated, deleted, merged, resolved, conflicts)
		|| CASE WHEN principal = 'sub:lea' THEN '' ELSE ' by ' || principal END || CASE WHEN called_at BETWEEN begun AND clock_timestamp() THEN '' ELSE ' at ' || called_at END
		|| CASE WHEN duration_ms > 0 AND duration_ms < 1000 * extract(epoch FROM clock_timestamp() - begun) THEN '' ELSE ' took ' || duration_ms END, ', ')
	  INTO log FROM diagsync.sync_log;
	DELETE FROM diagsync.sync_log;
	RETURN coalesce(log, 'nothing') || CASE WHEN answer ~ '^[0-9A-Z]{5} ' THEN ' ' || left(answer, 5) ELSE '' END;
END $$;
SELECT is(t.logs(c), w, c)
  FROM (VALUES
	('SELECT diagsync.push(%L)', 'push lea>lea-p no +0 ~0 -0 m0 r0 c2'),
	('SELECT diagsync.push(%L, dry_run => true)', 'nothing'),
	('SELECT diagsync.push(%L, expected_plan => ''x'', on_conflict => ''skip'')', 'push lea>lea-p no +0 ~0 -0 m0 r0 c2'),	-- nothing is written
	('SELECT diagsync.push(%L, on_conflict => ''skip'')', 'push lea>lea-p no +1 ~1 -0 m0 r0 c2'),
	('SELECT diagsync.pull(%L, on_conflict => ''skip'')', 'pull lea>lea-p no +1 ~0 -1 m0 r0 c2'),
	('SELECT diagsync.resolve(%L, ''a'', ''public'')', 'resolve lea>lea-p yes + ~ - m r1 c'),
	('SELECT diagsync.resolve(%L, ''a'', ''public'')', 'nothing 55000'),
	('SELECT diagsync.resolve(%L, ''b'', ''local'', NULL, ''x'')', 'resolve lea>lea-p no + ~ - m r0 c'),
	('SELECT diagsync.push(%L, on_conflict => ''local'')', 'push lea>lea-p yes +0 ~1 -0 m0 r1 c0'),
	('SELECT diagsync.pull(%L)', 'pull lea>lea-p yes +0 ~0 -0 m0 r0 c0'),
	('SELECT diagsync.push(''nix'')', 'nothing 42704'), ('SELECT diagsync.push(%L, ''L'')', 'nothing 42704'), ('SELECT diagsync.push(%L, on_conflict => ''x'')', 'nothing 22023'),
	('SELECT diagsync.share(%1$L || ''-u'', ''lea-s'')', 'share lea-u>lea-s yes +1 ~ - m r c'),
	('SELECT diagsync.share(%1$L || ''-u'', ''lea-s'')', 'nothing 55000'),
	('SELECT diagsync.clone(''lea-s'', ''lea-c'')', 'clone lea-c>lea-s yes +1 ~ - m r c'),
	('SELECT diagsync.clone(''lea-s'', ''lea-c'')', 'nothing 42710'),
	('SELECT diagsync.unlink(%1$L || ''-u'')', 'nothing'),
	('SELECT diagsync.link(%1$L || ''-u'', ''lea-v'')', 'link lea-u>lea-v yes + ~ - m r c'),
	('SELECT diagsync.refresh(%1$L || ''-u'')', 'refresh lea-u>lea-v yes + ~ - m r c'),
	('SELECT diagsync.status(%L)', 'nothing'), ('SELECT diagsync.changes(%L)', 'nothing'), ('SELECT diagsync.put(%L, ''[]'')', 'nothing')) AS v (c, w);
SELECT diagsync.set_merge_policy('lea', '{"granularity": "property"}');
SELECT t.write('lea', 'c', '{"v": 2, "here": 1}'), t.write('lea-p', 'c', '{"v": 2, "there": 1}');
SELECT is(t.logs('SELECT diagsync.push(%L)'), 'push lea>lea-p yes +0 ~1 -0 m1 r0 c0', 'merged');
SELECT t.calls('lea', 'SELECT diagsync.pull(%L)'), t.as('ann', 'SELECT diagsync.pull(''L'')'), diagsync.pull('L') \g /dev/null
SELECT is((SELECT string_agg(principal, ' ' ORDER BY called_at) FROM diagsync.sync_log), 'sub:lea role:regress_ann role:' || current_user, 'everybody is in the log, superusers as well');
SELECT is(t.calls('lea', 'SELECT string_agg(principal, '' '') FROM diagsync.sync_log'), 'sub:lea', 'but everybody sees their own alone');
SELECT is(t.as('ann', 'SELECT string_agg(principal, '' '') FROM diagsync.sync_log'), 'role:regress_ann', '... also who owns the other end');
SELECT is(t.as('ano', 'SELECT count(*) FROM diagsync.sync_log'), '42501 permission denied for table sync_log', '... and who may not sync, nothing');
-- A diagram that is dropped stays in the log.
SELECT diagsync.drop_diagram('lea');
SELECT is(t.calls('lea', 'SELECT count(*) FROM diagsync.sync_log WHERE local_id = %L'), '1', 'the log outlives the diagram');

-- Pruning.
CREATE FUNCTION t.pruned(days text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	pruned int;
BEGIN
	DELETE FROM diagsync.sync_log;
	INSERT INTO diagsync.sync_log (principal, action, local_id, public_id, called_at, duration_ms, success)
		SELECT 'role:x', 'push', a, 'p', now() - a::interval, 1, true FROM unnest('{1 minute,23 hours,25 hours,47 hours,49 hours,89 days,91 days,1000 days}'::text[]) AS a;
	PERFORM set_config('diagsync.sync_log_days', days, true);
	pruned := diagsync.prune();
	RETURN (SELECT pruned || ': ' || coalesce(string_agg(local_id, ', ' ORDER BY called_at DESC), '') FROM diagsync.sync_log);
END $$;
SELECT is(current_setting('diagsync.sync_log_days'), '90', 'the log is kept for 90 days');
SELECT is(t.pruned(d), '0: ' || w, 'diagsync.sync_log_days = ' || d)
  FROM (VALUES ('90', '1 minute, 23 hours, 25 hours, 47 hours, 49 hours, 89 days'), ('2', '1 minute, 23 hours, 25 hours, 47 hours'), ('1', '1 minute, 23 hours'), ('0', ''), ('-1', '1 minute, 23 hours, 25 hours, 47 hours, 49 hours, 89 days, 91 days, 1000 days')) AS v (d, w);
DELETE FROM diagsync.sync_log;

-- ---- How large an entity may be ---------------------------------------------------------------------

SELECT t.user('max');
-- A document of so many bytes of text in it, which is some bytes more as a whole.
CREATE FUNCTION t.doc(bytes int) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('v', repeat('x', bytes)) $$;
GRANT EXECUTE ON FUNCTION t.doc TO PUBLIC;
SELECT is(length(t.doc(2048 - 9)::text), 2048, 'how many bytes are around it');
SET LOCAL diagsync.max_entity_size = 2;
CREATE TABLE t.way (n int GENERATED ALWAYS AS IDENTITY, command text, answer text);
INSERT INTO t.way (command, answer) VALUES
	('INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES (''max'', ''x'', $doc)', '1 rows'),
	('UPDATE diagsync_local.entity SET doc = $doc WHERE diagram_id = ''max'' AND id = ''c''', '1 rows'),
	('INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES (''max'', ''c'', ''{}'') ON CONFLICT (diagram_id, id) DO UPDATE SET doc = $doc', '1 rows'),
	('MERGE INTO diagsync_local.entity AS e USING (VALUES (''c'')) AS v (id) ON e.id = v.id AND e.diagram_id = ''max'' WHEN MATCHED THEN UPDATE SET doc = $doc', '1 rows'),
	('INSERT INTO diagsync_api.local_entities (diagram, id, doc) VALUES (''max'', ''x'', $doc)', '1 rows'),
	('INSERT INTO diagsync_public.entity (diagram_id, id, doc) VALUES (''max-p'', ''x'', $doc)', '1 rows'),
	('SELECT (diagsync.resolve(''max'', ''a'', ''merged'', $doc)).entity_id', 'a');
CREATE FUNCTION t.sized(command text, bytes int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	BEGIN
		answer := t.calls('max', replace(replace(command, '%', '%%'), '$doc', format('t.doc(%s)', bytes)));
		RAISE EXCEPTION USING errcode = 'XX999';
	EXCEPTION WHEN SQLSTATE 'XX999' THEN
		RETURN answer;
	END;
END $$;
SELECT is(t.sized(command, 2048 - 9), answer, 'as large as is allowed: ' || command) FROM t.way ORDER BY n;
SELECT matches(t.sized(command, b), '^54000 .*"(x|c|a)" of diagram "max(-p)?".* diagsync.max_entity_size', format('%s bytes too large: %s', b - 2048 + 9, command)) FROM t.way, unnest('{2040,4096,1000000}'::int[]) AS b ORDER BY n, b;
-- put() keeps the id in the document: 11 bytes more.
SELECT is(t.sized('SELECT diagsync.put(''max'', jsonb_build_array($doc || ''{"id": "x"}''))', 2000), '1', 'put');
SELECT alike(t.sized('SELECT diagsync.put(''max'', jsonb_build_array(''{"id": "y"}''::jsonb, $doc || ''{"id": "x"}''))', 2048), '54000 entity "x" %', 'put of one that is too large among others');
SELECT is(t.docs('max') ? 'y', false, '... writes none of them');
-- One that is too large already may be deleted and looked at, and changed to a smaller one.
SET LOCAL diagsync.max_entity_size = 0;
SELECT t.write('max', 'large', t.doc(5000)), t.write('max-p', 'far large', t.doc(5000));
SET LOCAL diagsync.max_entity_size = 2;
SELECT is(t.sized('UPDATE diagsync_local.entity SET doc = ''{}'' WHERE diagram_id = ''max'' AND id = ''large''', 0), '1 rows', 'one that is too large may become smaller');
SELECT is(t.sized('DELETE FROM diagsync_local.entity WHERE diagram_id = ''max'' AND id = ''large''', 0), '1 rows', '... or be deleted');
SELECT alike(t.sized('UPDATE diagsync_local.entity SET doc = $doc WHERE diagram_id = ''max'' AND id = ''large''', 4000), '54000 %', '... but not be edited');
SELECT lives_ok($$ SELECT t.write('max', 'by superuser', t.doc(5000)), diagsync.put('max', jsonb_build_array(t.doc(5000) || '{"id": "by superuser, too"}')) $$, 'superusers have no limit');
SET LOCAL diagsync.max_entity_size = 0;
SELECT is(t.sized('INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES (''max'', ''x'', $doc)', 1000000), '1 rows', '0 is no limit');

-- ---- How many entities ----------------------------------------------------------------------------------

-- max has 7 (with the three of above), max-p 6; 8 are allowed.
SELECT diagsync.remove('max', '{large,by superuser,"by superuser, too"}'), diagsync.remove('max-p', '{far large}');
SELECT diagsync.put('max', '[{"id": "n1"}, {"id": "n2"}]');
SELECT is((SELECT count(*) FROM diagsync.entity WHERE diagram_id = 'max'), 7::bigint, 'the local one has 7');
SELECT is((SELECT count(*) FROM diagsync.entity WHERE diagram_id = 'max-p'), 4::bigint, 'its shared copy 4');
SET LOCAL diagsync.max_entities = 8;
SELECT is(t.sized(c, 10), w, c)
  FROM (VALUES
	('INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES (''max'', ''x'', ''{}'')', '1 rows'),
	('SELECT diagsync.put(''max'', ''[{"id": "x"}, {"id": "a"}, {"id": "b"}]'')', '3'),
	('INSERT INTO diagsync_local.entity (diagram_id, id, doc) SELECT ''max'', id, ''{}'' FROM unnest(''{a,b,c,here,x}''::text[]) AS id ON CONFLICT (diagram_id, id) DO UPDATE SET doc = ''{}''', '5 rows'),
	('INSERT INTO diagsync_local.entity (diagram_id, id, doc) SELECT ''max'', id, ''{}'' FROM unnest(''{a,b,c,d,x}''::text[]) AS id ON CONFLICT DO NOTHING', '1 rows'),
	('SELECT (diagsync.resolve(''max'', ''a'', ''both'')).side', 'local'),
	('INSERT INTO diagsync_local.entity (diagram_id, id, doc) SELECT ''max-u'', ''x'' || g, ''{}'' FROM generate_series(1, 7) AS g', '7 rows'),
	('SELECT (diagsync.pull(''max'', on_conflict => ''skip'')).inserted', '1'),
	('SELECT (diagsync.push(''max'', on_conflict => ''skip'')).inserted', '3'),
	('SELECT diagsync.clone(''max-p'', ''max-c'')', 'max-c'),
	('SELECT diagsync.share(''max-u'', ''max-s'')', 'max-s')) AS v (c, w);
SET LOCAL diagsync.max_entities = 7;
SELECT alike(t.sized(c, 10), '54000 diagram "max%" has too many entities%7 are allowed%diagsync.max_entities%', 'one too many: ' || c)
  FROM unnest(ARRAY[
	'INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES (''max'', ''x'', ''{}'')',
	'SELECT diagsync.put(''max'', ''[{"id": "x"}, {"id": "a"}, {"id": "b"}]'')',
	'INSERT INTO diagsync_local.entity (diagram_id, id, doc) SELECT ''max'', id, ''{}'' FROM unnest(''{a,b,c,here,x}''::text[]) AS id ON CONFLICT (diagram_id, id) DO UPDATE SET doc = ''{}''',
	'INSERT INTO diagsync_local.entity (diagram_id, id, doc) SELECT ''max'', id, ''{}'' FROM unnest(''{a,b,c,d,x}''::text[]) AS id ON CONFLICT DO NOTHING',
	'INSERT INTO diagsync_api.local_entities (diagram, id, doc) VALUES (''max'', ''x'', ''{}'')',
	'INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES (''max-u'', ''x'', ''{}''), (''max'', ''x'', ''{}''), (''max-u'', ''y'', ''{}'')',
	'WITH gone AS (DELETE FROM diagsync_local.entity WHERE diagram_id = ''max'' AND id = ''nix'') INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES (''max'', ''x'', ''{}'')',
	'MERGE INTO diagsync_local.entity AS e USING (VALUES (''x'')) AS v (id) ON e.id = v.id AND e.diagram_id = ''max'' WHEN NOT MATCHED THEN INSERT (diagram_id, id, doc) VALUES (''max'', v.id, ''{}'')',
	'SELECT (diagsync.resolve(''max'', ''a'', ''both'')).side',
	'INSERT INTO diagsync_local.entity (diagram_id, id, doc) SELECT ''max-u'', ''x'' || g, ''{}'' FROM generate_series(1, 7) AS g']) AS c;
SELECT is(t.sized(c, 10), w, 'a full diagram: ' || c)
  FROM (VALUES
	('UPDATE diagsync_local.entity SET doc = ''{}'' WHERE diagram_id = ''max''', '7 rows'),
	('SELECT diagsync.put(''max'', ''[{"id": "a"}, {"id": "b"}]'')', '2'),
	('INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES (''max'', ''a'', ''{}'') ON CONFLICT (diagram_id, id) DO UPDATE SET doc = ''{}''', '1 rows'),
	('SELECT diagsync.remove(''max'', ''{a,b}'')', '2'),
	('SELECT (diagsync.push(''max'', on_conflict => ''skip'')).inserted', '3'),
	('SELECT (diagsync.resolve(''max'', ''a'', ''local'')).side', 'local')) AS v (c, w);
SET LOCAL diagsync.max_entities = 6;
SELECT is(t.sized(c, 10), w, 'an over-full diagram: ' || c)
  FROM (VALUES ('UPDATE diagsync_local.entity SET doc = ''{"w": 1}'' WHERE diagram_id = ''max''', '7 rows'), ('SELECT diagsync.remove(''max'', ''{a}'')', '1'), ('SELECT diagsync.put(''max'', ''[{"id": "a"}]'')', '1'), ('SELECT (diagsync.status(''max'')).conflicts', '2')) AS v (c, w);
-- Syncs: into the shared copy, into the local one, and what they make anew. The shared copy has "there".
SELECT alike(t.sized('SELECT (diagsync.push(''max'', on_conflict => ''skip'')).refused->0->>''reason''', 0), 'diagram "max-p" has too many %', 'push');
SELECT alike(t.sized('SELECT (diagsync.pull(''max'', on_conflict => ''skip'')).refused->0->>''reason''', 0), 'diagram "max" has too many %', 'pull');
SELECT alike(t.sized('SELECT (diagsync.push(''max'', on_conflict => ''both'')).refused->0->>''reason''', 0), 'diagram "max%" has too many %', 'push, both');
SELECT alike(t.sized('SELECT (diagsync.pull(''max'', on_conflict => ''both'')).refused->0->>''reason''', 0), 'diagram "max" has too many %', 'pull, both');
SET LOCAL diagsync.max_entities = 3;
SELECT alike(t.sized('SELECT diagsync.clone(''max-p'', ''max-c'')', 0), '54000 diagram "max-c" has too many %', 'clone');
SELECT t.write('max-u', 'e' || g, '{}') FROM generate_series(1, 3) AS g;
SELECT alike(t.sized('SELECT diagsync.share(''max-u'', ''max-s'')', 0), '54000 diagram "max-s" has too many %', 'share');
SELECT is((SELECT count(*) FROM diagsync.directory WHERE id IN ('max-c', 'max-s')), 0::bigint, '... and neither leaves anything');
SELECT is(t.sized('SELECT diagsync.link(''max-u'', ''max-v'')', 0), '', 'link copies nothing');
SELECT lives_ok($$ SELECT diagsync.clone('max-p', 'max-c'), diagsync.put('max', '[{"id": "x"}]'), t.write('max', 'y', '{}') $$, 'superusers have no limit');
-- Statement by statement in a transaction, and two diagrams each for itself.
SET LOCAL diagsync.max_entities = 2;
SELECT t.as('ann', $$ SELECT diagsync.create_diagram('1', 'local', 'ann1') || diagsync.create_diagram('2', 'local', 'ann2') $$);
SELECT is(t.as('ann', format('INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES (%L, %L, ''{}''), (%L, %L, ''{}'')', d, i, 'ann2', i)), w, format('%s %s', d, i))
  FROM (VALUES ('ann1', '1', '2 rows'), ('ann1', '2', '2 rows')) AS v (d, i, w);
SELECT alike(t.as('ann', format('SELECT diagsync.put(%L, ''[{"id": "3"}]'')', d)), '54000 diagram "' || d || '" %', 'full: ' || d) FROM unnest('{ann1,ann2}'::text[]) AS d;
SELECT is(t.as('ann', 'SELECT diagsync.remove(''ann1'', ''{1}'') + diagsync.put(''ann1'', ''[{"id": "3"}]'')'), '2', 'room that was made is room');
SELECT is(t.as('ano', $$ SELECT diagsync.remove('U', '{a}') + diagsync.put('U', '[{"id": "c"}]') $$), '2', 'anonymous callers');
SELECT alike(t.as('ano', $$ INSERT INTO diagsync_public.entity (diagram_id, id, doc) VALUES ('U', 'd', '{}') $$), '54000 diagram "U" %', '... have the limit as well');
SET LOCAL diagsync.max_entities = 0;

-- ---- One put() ----------------------------------------------------------------------------------------------

SET LOCAL diagsync.max_put_entities = 3;
CREATE FUNCTION t.many(n int) RETURNS jsonb LANGUAGE sql AS $$ SELECT coalesce(jsonb_agg(jsonb_build_object('id', 'm' || g)), '[]') FROM generate_series(1, n) AS g $$;
GRANT EXECUTE ON FUNCTION t.many TO PUBLIC;
SELECT is(t.as('ann', 'SELECT diagsync.put(''ann1'', t.many(3))'), '3', 'as many as are allowed');
SELECT matches(t.as('ann', format('SELECT diagsync.put(''ann1'', t.many(%s))', n)), '^54000 .*"ann1".*3 are allowed.*diagsync.max_put_entities', n || ' at once') FROM unnest('{4,5,1000}'::int[]) AS n;
SELECT alike(t.as('ann', 'SELECT diagsync.put(''ann1'', ''[{"id": "a"}, {"id": "a"}, {"id": "a"}, {"id": "a"}]'')'), '_____ %', 'the same one four times');
SELECT alike(t.as('ann', 'SELECT diagsync_api.put(''ann1'', t.many(4))'), '54000 %', 'by way of the REST schema');
SELECT alike(t.as('eve', 'SELECT diagsync.put(''ann1'', t.many(4))'), '42704 %', 'a stranger learns nothing by it');
SELECT is(t.as('ann', 'INSERT INTO diagsync_local.entity (diagram_id, id, doc) SELECT ''ann1'', ''n'' || g, ''{}'' FROM generate_series(1, 10) AS g'), '10 rows', 'plain SQL is not put()');
SELECT is(diagsync.put('ann1', t.many(9)), 6, 'superusers have no limit');
SET LOCAL diagsync.max_put_entities = 0;
SELECT is(t.as('ann', 'SELECT diagsync.put(''ann1'', t.many(2000))'), '1991', '0 is no limit');

-- ---- The size of a diagram, and of what an owner has -------------------------------------------------

-- Text that does not compress.
CREATE FUNCTION t.noise(bytes int) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(md5(random()::text), '') FROM generate_series(1, bytes / 32) $$;
CREATE FUNCTION t.random_doc(bytes int) RETURNS text LANGUAGE sql AS $$ SELECT quote_literal(jsonb_build_object('t', t.noise(bytes))) $$;
SELECT t.make('sized', '{"a": {"v": 1}, "b": {"v": 1}}', 'public'), t.make('sized2', '{"a": {"v": 1}}');
UPDATE diagsync.directory SET owner = (SELECT owner FROM diagsync.directory WHERE id = 'ann1') WHERE id LIKE 'sized%';
CREATE TABLE t.writing AS SELECT * FROM (VALUES
	('insert', 'INSERT INTO diagsync_public.entity (diagram_id, id, doc) VALUES (''sized'', ''%s'', %s)'),
	('update', 'UPDATE diagsync_public.entity SET doc = %2$s WHERE diagram_id = ''sized'' AND id = ''a'''),
	('upsert', 'INSERT INTO diagsync_public.entity (diagram_id, id, doc) VALUES (''sized'', ''b'', %2$s) ON CONFLICT (diagram_id, id) DO UPDATE SET doc = excluded.doc'),
	('put', 'SELECT diagsync.put(''sized'', jsonb_build_array(%2$s::jsonb || ''{"id": "d"}''))')) AS w (name, command);
SET LOCAL diagsync.max_diagram_size = '20kB';
SELECT unalike(coalesce(t.as('eve', format(command, 'c', t.random_doc(4000))), ''), '_____ %', name || ': as long as there is room') FROM t.writing;
SELECT alike(t.as('eve', format(command, 'e', t.random_doc(20000))), '54000 diagram "sized" is too large%20480 are allowed%', name || ': more than there is room for') FROM t.writing;
SELECT is(diagsync.put('sized', jsonb_build_array(jsonb_build_object('id', 'e', 't', t.noise(30000)))), 1, 'superusers have no limit');
SELECT alike(t.as('eve', format(command, 'f', t.random_doc(4000))), '54000 %', name || ': nothing more into what is too large already') FROM t.writing WHERE name = 'insert';
SELECT diagsync.remove('sized', '{a,b,c,d,e}');
SELECT unalike(coalesce(t.as('eve', format(command, 'c', t.random_doc(4000))), ''), '_____ %', 'there is room again after a deletion') FROM t.writing WHERE name = 'insert';
SET LOCAL diagsync.max_diagram_size = 0;
SET LOCAL diagsync.max_owner_size = '20kB';
SELECT alike(t.as('eve', format(command, 'e', t.random_doc(30000))), '54000 there is no more room for diagram "sized"%20480 bytes together%', name || ': what the owner may have in all') FROM t.writing WHERE name <> 'update';
SET LOCAL diagsync.max_owner_size = 0;

-- The owner's own limits.
SELECT is(t.as('ann', 'SELECT diagsync.limits(''sized'')'), format('(,1,,%s)', (diagsync.limits('sized')).size), 'no limit, and what there is');
SELECT alike(t.as('eve', 'SELECT diagsync.set_limits(''sized'', 1)'), '42501 %', 'others set none');
SELECT alike(t.as('eve', 'SELECT diagsync.limits(''sized2'')'), '42704 %', '... and see none of what they may not see');
SELECT is(t.as('ann', 'SELECT diagsync.set_limits(''sized'', 3, 9000)'), '', 'the owner does');
SELECT is(l.max_entities || ' ' || l.max_size, '3 9000', '... which limits() shows') FROM diagsync.limits('sized') AS l;
SELECT alike(t.as('eve', 'SELECT diagsync.put(''sized'', t.many(3))'), '54000 diagram "sized" has too many entities%3 are allowed%diagsync.set_limits()%', 'entities');
SELECT alike(t.as('eve', format(command, '', t.random_doc(9000))), '54000 diagram "sized" is too large%9000 are allowed%diagsync.set_limits()%', 'bytes') FROM t.writing WHERE name = 'put';
SET LOCAL diagsync.max_entities = 2;
SELECT is((diagsync.limits('sized')).max_entities, 2, 'the lower one holds');
SELECT alike(t.as('eve', 'SELECT diagsync.put(''sized'', t.many(2))'), '54000 %2 are allowed%diagsync.max_entities%', '... for writers');
SET LOCAL diagsync.max_entities = 0;
SELECT alike(t.as('ann', format('SELECT diagsync.set_limits(''sized'', %s)', l)), '22023 %', l || ' is none') FROM unnest('{0,-1}'::text[]) AS l;
SELECT is(t.as('ann', 'SELECT diagsync.set_limits(''sized'')'), '', 'and takes them back');
SELECT is(t.as('eve', 'SELECT diagsync.put(''sized'', t.many(9))'), '9', '... for as many as one likes');

-- ---- How many diagrams -----------------------------------------------------------------------------------

SET LOCAL diagsync.max_diagrams = 3;
SELECT unalike(t.calls('dia', 'SELECT diagsync.create_diagram(%L)'), '_____ %', 'as many as are allowed: ' || n) FROM generate_series(1, 3) AS n;
SELECT alike(t.calls('dia', c), '54000 "sub:dia" has too many diagrams%3 are allowed%', 'one more: ' || c)
  FROM unnest(ARRAY['SELECT diagsync.create_diagram(%L)', 'SELECT diagsync.clone(''sized'')']) AS c;
SELECT unalike(t.calls('eli', 'SELECT diagsync.create_diagram(%L)'), '_____ %', 'another owner is not affected');
SET LOCAL diagsync.max_diagrams = 0;
SET LOCAL diagsync.create_rate_limit = 2;
SELECT unalike(t.calls('fay', 'SELECT diagsync.create_diagram(%L)'), '_____ %', 'in a minute: ' || n) FROM generate_series(1, 2) AS n;
SELECT matches(t.calls('fay', c), '^53400 too many new diagrams.*"sub:fay".*\m([1-9]|[1-5][0-9]|60) second', 'too many in a minute: ' || c)
  FROM unnest(ARRAY['SELECT diagsync.create_diagram(%L)', 'SELECT diagsync.clone(''sized'')']) AS c;
SET LOCAL diagsync.create_rate_limit = 0;

-- ---- Ids and names -----------------------------------------------------------------------------------------

SELECT alike(t.calls('gus', format('SELECT diagsync.create_diagram(%%L, id => %L)', id)), '22023 %', 'no part of a path: ' || id) FROM unnest('{.,..,a/..,../a,a/../b,./a,a/./b}'::text[]) AS id;
SELECT is(t.calls('gus', format('SELECT diagsync.create_diagram(%%L, id => %L)', id)), id, 'but this is: ' || id) FROM unnest('{...,a..b,.a,a.,/,//}'::text[]) AS id;
SELECT alike(t.calls('gus', 'SELECT diagsync.create_diagram(repeat(%L, 400))'), '22023 %too long%', 'a name has a length');

SELECT * FROM finish();
ROLLBACK;
