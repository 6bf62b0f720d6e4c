-- Large documents, with many keys, and nested deep or far too deep: through
-- merge() and through syncs. Nothing takes more than a minute, and memory is
-- bounded by a batch.
\ir ../../common/pgtap/helpers.sql

-- ---- Documents ---------------------------------------------------------------------

-- Text of about so many bytes that does not compress well.
CREATE FUNCTION t.text(bytes int, seed int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT string_agg(md5(n::text || seed), '') FROM generate_series(1, bytes / 32) AS n $$;
-- Keys k1 to kn, or others.
CREATE FUNCTION t.wide(n int, value text, letter text DEFAULT 'k') RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
	SELECT jsonb_object_agg(letter || i, value) FROM generate_series(1, n) AS i $$;
-- A document inside so many others.
CREATE FUNCTION t.deep(n int, leaf jsonb, before text DEFAULT '{"n":', after text DEFAULT '}') RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
	SELECT (repeat(before, n) || leaf || repeat(after, n))::jsonb $$;

CREATE TABLE t.big (what text PRIMARY KEY, base jsonb, local jsonb, public jsonb, merged jsonb, paths text[]);
INSERT INTO t.big
SELECT '1 MB of text', jsonb_build_object('text', x, 'a', 1, 'b', 1), jsonb_build_object('text', x, 'a', 2, 'b', 1), jsonb_build_object('text', x, 'a', 1, 'b', 2),
	jsonb_build_object('text', x, 'a', 2, 'b', 2), '{}'::text[] FROM t.text(1000000, 1) AS x
UNION ALL
SELECT '1 MB of text against another', jsonb_build_object('text', t.text(1000000, 1)), jsonb_build_object('text', t.text(1000000, 2)), jsonb_build_object('text', t.text(1000000, 3)), NULL, '{/text}'
UNION ALL
SELECT '1 MB of text here, a property there', jsonb_build_object('text', t.text(1000000, 1)), jsonb_build_object('text', t.text(1000000, 2)), jsonb_build_object('text', t.text(1000000, 1), 'v', 1),
	jsonb_build_object('text', t.text(1000000, 2), 'v', 1), '{}'
UNION ALL
SELECT '1 MB in arrays', jsonb_build_object('list', x, 'a', 1, 'b', 1), jsonb_build_object('list', x, 'a', 2, 'b', 1), jsonb_build_object('list', x, 'a', 1, 'b', 2),
	jsonb_build_object('list', x, 'a', 2, 'b', 2), '{}' FROM (SELECT jsonb_agg(jsonb_build_array(n, n / 7.0, md5(n::text))) AS x FROM generate_series(1, 15000) AS n) AS l
UNION ALL
SELECT '10,000 keys, different on each side', t.wide(10000, 'base'), t.wide(10000, 'local'), t.wide(10000, 'public'), NULL::jsonb,
	(SELECT array_agg('/k' || n ORDER BY length(n::text), n::text COLLATE "C") FROM generate_series(1, 10000) AS n)
UNION ALL
SELECT '10,000 keys, equal on each side', t.wide(10000, 'base'), t.wide(10000, 'both'), t.wide(10000, 'both'), t.wide(10000, 'both'), '{}'
UNION ALL
SELECT '10,000 keys, half of them changed by each side', t.wide(10000, 'base'), t.wide(10000, 'base') || t.wide(5000, 'local'),
	t.wide(10000, 'public') || t.wide(5000, 'base'), t.wide(10000, 'public') || t.wide(5000, 'local'), '{}'
UNION ALL
SELECT '10,000 keys inserted by each side', '{"v": 1}', t.wide(10000, 'local', 'l') || '{"v": 1}', t.wide(10000, 'public', 'p') || '{"v": 1}', t.wide(10000, 'local', 'l') || t.wide(10000, 'public', 'p') || '{"v": 1}', '{}'
UNION ALL
SELECT '10,000 keys deleted by each side', t.wide(10000, 'base', 'l') || t.wide(10000, 'base', 'p') || '{"v": 1}', t.wide(10000, 'base', 'l') || '{"v": 1}', t.wide(10000, 'base', 'p') || '{"v": 1}', '{"v": 1}', '{}'
UNION ALL
SELECT '10,000 objects, one property of each changed by each side', o.base, o.local, o.public, o.merged, '{}'
  FROM (SELECT jsonb_object_agg('k' || n, '{"a": 1, "b": 1}'::jsonb) AS base, jsonb_object_agg('k' || n, '{"a": 2, "b": 1}'::jsonb) AS local,
	jsonb_object_agg('k' || n, '{"a": 1, "b": 2}'::jsonb) AS public, jsonb_object_agg('k' || n, '{"a": 2, "b": 2}'::jsonb) AS merged FROM generate_series(1, 10000) AS n) AS o
UNION ALL
SELECT '990 deep', t.deep(990, '{"a": 1, "b": 1}'), t.deep(990, '{"a": 2, "b": 1}'), t.deep(990, '{"a": 1, "b": 2}'), t.deep(990, '{"a": 2, "b": 2}'), '{}'
UNION ALL
SELECT '990 deep, in conflict', t.deep(990, '{"a": 1, "b": 1}'), t.deep(990, '{"a": 2, "b": 1}'), t.deep(990, '{"a": 3, "b": 2}'), NULL, ARRAY[repeat('/n', 990) || '/a']
UNION ALL
SELECT '990 deep here, replaced there', t.deep(990, '{"a": 1}'), t.deep(990, '{"a": 2}'), '{"n": 5}', NULL, '{/n}'
UNION ALL
SELECT '990 deep arrays', jsonb_build_object('list', t.deep(990, '1', '[', ']'), 'v', 1), jsonb_build_object('list', t.deep(990, '2', '[', ']'), 'v', 1), jsonb_build_object('list', t.deep(990, '1', '[', ']'), 'v', 2),
	jsonb_build_object('list', t.deep(990, '2', '[', ']'), 'v', 2), '{}'
UNION ALL
SELECT '990 deep arrays in conflict', jsonb_build_object('list', t.deep(990, '1', '[', ']')), jsonb_build_object('list', t.deep(990, '2', '[', ']')), jsonb_build_object('list', t.deep(990, '3', '[', ']')), NULL, '{/list}';

-- ---- Memory -----------------------------------------------------------------------------------

-- Measured first, each call in a connection of its own.

-- The most memory that this backend ever had, in kB; null where there is no
-- /proc to read it from. Shared buffers count once they are touched, so touch
-- them all before.
CREATE FUNCTION t.memory() RETURNS bigint LANGUAGE sql AS $$
	SELECT (regexp_match(pg_read_file('/proc/' || pg_backend_pid() || '/status', 0, 100000, true), 'VmHWM:\s+(\d+) kB'))[1]::bigint $$;
CREATE TABLE t.filler AS SELECT n, repeat('x', 1000) AS text FROM generate_series(1, (SELECT setting::bigint * 9 FROM pg_settings WHERE name = 'shared_buffers')) AS n;
CREATE INDEX ON t.filler (n);
VACUUM (ANALYZE) t.filler;
CREATE FUNCTION t.touch() RETURNS bigint LANGUAGE sql SET enable_seqscan = off SET enable_bitmapscan = off SET enable_indexonlyscan = off SET max_parallel_workers_per_gather = 0 AS $$
	SELECT count(text) FROM t.filler WHERE n > 0 $$;
CREATE TABLE t.measured (n int GENERATED ALWAYS AS IDENTITY, what text, kb bigint, result text);
CREATE PROCEDURE t.measure(what text, call text) LANGUAGE plpgsql AS $$
DECLARE
	before bigint;
	result text;
BEGIN
	PERFORM t.touch(), diagsync.push('tiny'), diagsync.pull('tiny'), diagsync.status('tiny');
	before := t.memory();
	EXECUTE 'SELECT ' || call INTO result;
	INSERT INTO t.measured (what, kb, result) VALUES (what, t.memory() - before, result);
END $$;
SELECT t.pair('tiny', 'far tiny', '{"a": {}}'), diagsync.set_merge_policy('tiny', '{"granularity": "property"}');
-- Sixty entities of 1 MB, that both ends edit.
SELECT diagsync.create_diagram('M', id => 'm');
INSERT INTO diagsync_local.entity (diagram_id, id, doc) SELECT 'm', 'e' || n, jsonb_build_object('text', t.text(1000000, n), 'a', 1, 'b', 1) FROM generate_series(1, 60) AS n;
SELECT diagsync.share('m', 'far m'), diagsync.set_merge_policy('m', '{"granularity": "property"}');
UPDATE diagsync_local.entity SET doc = doc || '{"a": 2}' WHERE diagram_id = 'm';
UPDATE diagsync_public.entity SET doc = doc || '{"b": 2}' WHERE diagram_id = 'far m';
\c -
SET diagsync.batch_size = 3;
CALL t.measure('status of 60 merges of 1 MB', 't.status(''m'')');
\c -
SET diagsync.batch_size = 3;
CALL t.measure('a push of 60 merges of 1 MB', 't.show(diagsync.push(''m''))');
\c -
CALL t.measure('300 calls of merge() with 1 MB', 'count(m.merged) FROM t.big, generate_series(1, 300) AS i, LATERAL diagsync.merge(base, local, public, jsonb_build_object(''granularity'', ''property'', ''tolerance'', 1.0 / i)) AS m WHERE what = ''1 MB in arrays''');
-- ---- The results of these ------------------------------------------------------------

SET statement_timeout = '60s';
SELECT plan(71);
SELECT ok(coalesce(kb < 100000, true), what || ' do not let the backend grow by 100 MB')
	|| E'\n' || diag(format('%s: %s MB', what, coalesce(round(kb / 1024.0, 1)::text, 'unknown'))) FROM t.measured ORDER BY n;
SELECT is(m.result, v.result, what) FROM t.measured AS m JOIN (VALUES (1, 'pending 60/60/0'), (2, 'yes +0 ~60 -0 0/0, merged is 60'), (3, '300')) AS v (n, result) USING (n) ORDER BY n;

-- ---- merge() -------------------------------------------------------------------------

-- (ok() rather than is(), which would print them.)
SELECT ok(m.merged IS NOT DISTINCT FROM b.merged AND m.paths = b.paths AND m.conflict = (b.paths <> '{}'), what)
  FROM t.big AS b, diagsync.merge(base, local, public, '{"granularity": "property"}') AS m ORDER BY what;
SELECT ok(cardinality(base_values) = cardinality(b.paths) AND cardinality(local_values) = cardinality(b.paths) AND cardinality(public_values) = cardinality(b.paths), what || ': a value for each path')
  FROM t.big AS b, diagsync.merge(base, local, public, '{"granularity": "property"}') AS m WHERE b.paths <> '{}' ORDER BY what;
SELECT ok(m.conflict = (local <> public) AND m.merged IS NOT DISTINCT FROM CASE WHEN local = public THEN local END, what || ': by entity') FROM t.big AS b, diagsync.merge(base, local, public) AS m ORDER BY what;
-- Policies of many pointers, and of long ones.
SELECT ok(NOT conflict, 'a policy that ignores 10,000 keys') FROM t.big AS b, diagsync.merge(base, local, public,
	jsonb_build_object('granularity', 'property', 'ignore', (SELECT jsonb_agg('/k' || n) FROM generate_series(1, 10000) AS n))) WHERE what = '10,000 keys, different on each side';
SELECT is(cardinality(m.paths), 10000, 'a policy of one group of 10,000 keys') FROM t.big AS b, diagsync.merge(base, local, public,
	jsonb_build_object('granularity', 'property', 'groups', jsonb_build_array((SELECT jsonb_agg('/k' || n) FROM generate_series(1, 10000) AS n)))) AS m
	WHERE what = '10,000 keys, half of them changed by each side';
SELECT ok(NOT conflict AND m.merged = public, 'a policy that has a pointer 990 deep') FROM t.big AS b, diagsync.merge(base, local, public,
	jsonb_build_object('granularity', 'property', 'ignore', jsonb_build_array(repeat('/n', 990) || '/a'))) AS m WHERE what = '990 deep, in conflict';

-- ---- Too large ----------------------------------------------------------------------------

SELECT alike(t.error($$ SELECT diagsync.merge('{"a": "", "b": ""}', jsonb_build_object('a', x, 'b', ''), jsonb_build_object('a', '', 'b', x), '{"granularity": "property"}')
	FROM repeat('x', 140000000) AS x $$), '54000 a document would be larger than %', 'two texts that do not fit into one document');

-- ---- Too deep ---------------------------------------------------------------------------

-- Either it is right, or 54001: PostgreSQL's own parser may be the one to say so.
CREATE FUNCTION t.too_deep(n int, leaf text DEFAULT '{"a": %s, "b": %s}', before text DEFAULT '{"a":', after text DEFAULT '}') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	r diagsync.merge_result;
BEGIN
	r := diagsync.merge(t.deep(n, format(leaf, 1, 1)::jsonb, before, after), t.deep(n, format(leaf, 2, 1)::jsonb, before, after), t.deep(n, format(leaf, 1, 2)::jsonb, before, after), '{"granularity": "property"}');
	RETURN CASE WHEN r.merged = t.deep(n, format(leaf, 2, 2)::jsonb, before, after) OR r.conflict AND before = '[' THEN 'right' ELSE 'wrong' END;
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate;
END $$;
SELECT is(t.too_deep(1000), 'right', '1,000 deep is none too much');
SELECT ok(t.too_deep(n) IN ('right', '54001'), format('%s deep: right, or 54001', n)) FROM unnest('{2000,3000,5000,10000,100000,1000000}'::int[]) AS n;
SELECT ok(t.too_deep(n, '[%s, %s]', '[', ']') IN ('right', '54001'), format('%s deep in arrays: right, or 54001', n)) FROM unnest('{3000,10000,1000000}'::int[]) AS n;
SELECT is(t.too_deep(1000000), '54001', 'a million is too much');
SELECT is(t.error(format('SELECT diagsync.merge(%L, ''{}'', ''{}'')', repeat('{"a":', 1000000) || '1' || repeat('}', 1000000))) LIKE '54001 %', true, 'as a literal, too');
SELECT is(t.error($$ SELECT diagsync.merge('{}', '{}', '{}', (repeat('[', 1000000) || repeat(']', 1000000))::jsonb) $$) LIKE '54001 %', true, 'nor as a policy');

-- Documents that came in with a larger stack than there is now.
CREATE TABLE t.stored AS SELECT t.deep(2000, '{"a": 1, "b": 1}') AS base, t.deep(2000, '{"a": 2, "b": 1}') AS local, t.deep(2000, '{"a": 1, "b": 2}') AS public;
SELECT lives_ok($$ SELECT diagsync.merge(base, local, public, '{"granularity": "property"}') FROM t.stored $$, '2,000 deep with the default stack');
SET max_stack_depth = '100kB';
SELECT ok(t.error($$ SELECT diagsync.merge(base, local, public, '{"granularity": "property"}') FROM t.stored $$) LIKE '54001 %', 'and 54001 with a small one');
SELECT ok(coalesce(t.error($$ SELECT diagsync.merge(base, local, public) FROM t.stored $$), '54001 ') LIKE '54001 %', '... by entity, perhaps');
RESET max_stack_depth;
SELECT is(merged, '{"a": 2, "b": 2}', 'the session goes on') FROM diagsync.merge('{"a": 1, "b": 1}', '{"a": 2, "b": 1}', '{"a": 1, "b": 2}', '{"granularity": "property"}');

-- ---- Syncs ----------------------------------------------------------------------------------

-- All of them in one diagram.
SET diagsync.max_depth = 1000;
SELECT t.pair('l', 'p', (SELECT jsonb_object_agg(what, base) FROM t.big));
SELECT diagsync.set_merge_policy('l', '{"granularity": "property"}');
SELECT t.write('l', what, local), t.write('p', what, public) FROM t.big;
SELECT is(t.status('l'), format('conflict %s/%s/%s', count(*) FILTER (WHERE local <> public), count(*) FILTER (WHERE local <> public), count(*) FILTER (WHERE paths <> '{}')), 'in a diagram: the status') FROM t.big;
SELECT ok(bool_and(c.paths = b.paths) AND count(*) = 5, 'conflicts() has the paths') FROM diagsync.conflicts('l') AS c JOIN t.big AS b ON entity_id = what;
SELECT is(t.show(diagsync.push('l', on_conflict => 'skip', dry_run => true)), format('no +0 ~%s -0 0/5, merged is %1$s', count(*)), 'a dry run') FROM t.big WHERE paths = '{}' AND local <> public;
SELECT is(t.show(diagsync.push('l', on_conflict => 'skip')), format('no +0 ~%s -0 0/5, merged is %1$s', count(*)), 'a push') FROM t.big WHERE paths = '{}' AND local <> public;
SELECT ok(count(*) = 10 AND bool_and(l.doc = merged AND p.doc = merged), 'merges each at both ends') FROM t.big AS b JOIN diagsync_local.entity AS l ON l.diagram_id = 'l' AND l.id = what
	JOIN diagsync_public.entity AS p ON p.diagram_id = 'p' AND p.id = what WHERE paths = '{}';
SELECT is(t.show(diagsync.pull('l', on_conflict => 'public')), 'yes +0 ~5 -0 5/0', 'a pull that settles the others');
SELECT ok(t.docs('l') = t.docs('p'), 'both ends agree');
SELECT t.pair('l2', 'p2', (SELECT jsonb_object_agg(what, base) FROM t.big WHERE paths = '{}'));
SELECT diagsync.set_merge_policy('l2', '{"granularity": "property"}');
SELECT t.write('l2', what, local), t.write('p2', what, public) FROM t.big WHERE paths = '{}';
SELECT is(t.show(diagsync.pull('l2')), format('yes +0 ~%s -0 0/0, merged is %1$s', count(*)), 'a pull that merges') FROM t.big WHERE paths = '{}' AND local <> public;
SELECT diagsync.push('l2');
SELECT ok(t.docs('l2') = t.docs('p2') AND t.docs('l2') = (SELECT jsonb_object_agg(what, merged) FROM t.big WHERE paths = '{}'), 'and a push');

SELECT * FROM finish();
