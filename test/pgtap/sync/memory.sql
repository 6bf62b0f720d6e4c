-- Memory is bounded by a batch, not by the number of changes: 300,000 of them
-- pulled, pushed, and in conflict, each in a connection of its own whose
-- growth is measured.
\ir ../../common/pgtap/helpers.sql

SELECT pg_stat_file('/proc/self/status', true) IS NULL AS no_proc \gset
\if :no_proc
SELECT plan(1);
SELECT skip('there is no /proc to measure memory with', 1);
SELECT * FROM finish();
\quit
\endif

-- The most memory that this backend ever had, in kB.
CREATE FUNCTION t.memory() RETURNS bigint LANGUAGE sql AS $$
	SELECT (regexp_match(pg_read_file('/proc/' || pg_backend_pid() || '/status'), 'VmHWM:\s+(\d+) kB'))[1]::bigint $$;
CREATE TABLE t.measured (n int GENERATED ALWAYS AS IDENTITY, what text, kb bigint, result text);

-- Shared buffers count once they are touched, so touch them all before.
CREATE FUNCTION t.touch() RETURNS bigint LANGUAGE sql SET enable_seqscan = off SET enable_bitmapscan = off SET enable_indexonlyscan = off
	SET max_parallel_workers_per_gather = 0 AS $$
	SELECT count(doc) FROM (SELECT doc FROM diagsync_local.entity WHERE diagram_id >= '' UNION ALL SELECT doc FROM diagsync_public.entity WHERE diagram_id >= ''
		UNION ALL SELECT doc FROM diagsync_local.base WHERE diagram_id >= '') AS everything $$;
-- What a call makes the backend grow by. A small call goes before: caches.
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

SELECT t.pair('tiny', 'far tiny', '{"a": {}}');
SELECT diagsync.create_diagram('L', id => 'l');
INSERT INTO diagsync_local.entity (diagram_id, id, doc)
	SELECT 'l', 'entity-' || n, jsonb_build_object('text', md5(n::text)) FROM generate_series(1, 300000) AS n;
SELECT diagsync.share('l', 'p');

UPDATE diagsync_public.entity SET doc = doc || '{"far": 1}' WHERE diagram_id = 'p';
VACUUM (ANALYZE) diagsync_public.entity, diagsync_local.entity;
\c -
CALL t.measure('status of 300,000 changes', 't.status(''l'')');
\c -
CALL t.measure('a pull of 300,000 changes', 't.show(diagsync.pull(''l''))');
UPDATE diagsync_local.entity SET doc = doc || '{"near": 1}' WHERE diagram_id = 'l';
VACUUM (ANALYZE) diagsync_public.entity, diagsync_local.entity, diagsync_local.base;
\c -
CALL t.measure('a dry run of 300,000 changes', 't.show(diagsync.push(''l'', dry_run => true))');
\c -
CALL t.measure('a push of 300,000 changes', 't.show(diagsync.push(''l''))');
UPDATE diagsync_local.entity SET doc = '{"near": 2}' WHERE diagram_id = 'l';
UPDATE diagsync_public.entity SET doc = '{"far": 2}' WHERE diagram_id = 'p';
VACUUM (ANALYZE) diagsync_public.entity, diagsync_local.entity, diagsync_local.base;
\c -
CALL t.measure('a pull that 300,000 conflicts abort', 't.show(diagsync.pull(''l''))');
\c -
CALL t.measure('a push that resolves 300,000 conflicts', 't.show(diagsync.push(''l'', on_conflict => ''newest''))');
UPDATE diagsync_local.entity SET doc = '{"near": 3}' WHERE diagram_id = 'l';
UPDATE diagsync_public.entity SET doc = '{"far": 3}' WHERE diagram_id = 'p';
VACUUM (ANALYZE) diagsync_public.entity, diagsync_local.entity, diagsync_local.base;
\c -
CALL t.measure('a resolution of 300,000 conflicts', '(SELECT format(''%s %s'', outcome, count(*)) FROM diagsync.resolve_all(''l'', ''public'') GROUP BY outcome)');

SELECT plan(17);
SELECT cmp_ok(kb, '<', 100000::bigint, what || ' does not let the backend grow by 100 MB')
	|| E'\n' || diag(format('%s: %s MB', what, round(kb / 1024.0, 1))) FROM t.measured ORDER BY n;
SELECT is(m.result, v.result, what) FROM t.measured AS m JOIN (VALUES (1, 'pending 0/300000/0'), (2, 'yes +0 ~300000 -0 0/0'), (3, 'yes +0 ~300000 -0 0/0'),
	(4, 'yes +0 ~300000 -0 0/0'), (5, 'no +0 ~0 -0 0/300000'), (6, 'yes +0 ~0 -0 300000/0'), (7, 'resolved 300000')) AS v (n, result) USING (n) ORDER BY n;
SELECT is(t.status('l'), 'in_sync 0/0/0', 'in sync');
SELECT is(doc, '{"far": 3}', 'each as it should be') FROM diagsync_local.entity WHERE diagram_id = 'l' GROUP BY doc;
SELECT is((SELECT count(*) FROM diagsync_local.base), 0::bigint, 'no base row is left');

SELECT * FROM finish();
