-- Memory is bounded by a batch whatever a function goes through: entities with
-- large documents, diagrams, links, diagrams of one statement. Each is called in
-- a connection of its own with few of them and with many, and what the backend grows
-- by must not differ.
\ir ../../common/pgtap/helpers.sql

SELECT pg_stat_file('/proc/self/status', true) IS NULL AS no_proc \gset
\if :no_proc
SELECT plan(1);
SELECT skip('there is no /proc to measure memory with', 1);
SELECT * FROM finish();
\quit
\endif

-- The most address space that this backend ever had, in kB: shared buffers are in it from the start.
CREATE FUNCTION t.memory() RETURNS bigint LANGUAGE sql AS $$
	SELECT (regexp_match(pg_read_file('/proc/' || pg_backend_pid() || '/status'), 'VmPeak:\s+(\d+) kB'))[1]::bigint $$;
CREATE TABLE t.measured (n int GENERATED ALWAYS AS IDENTITY, what text, size text, kb bigint);
-- What a call makes the backend grow by; the same with next to nothing goes before.
CREATE PROCEDURE t.measure(what text, size text, call text) LANGUAGE plpgsql AS $$
DECLARE
	before bigint;
BEGIN
	EXECUTE format(call, 'tiny');
	COMMIT;
	before := t.memory();
	EXECUTE format(call, size);
	INSERT INTO t.measured (what, size, kb) VALUES (what, size, t.memory() - before);
	COMMIT;
END $$;

CREATE FUNCTION t.how_many(size text) RETURNS int LANGUAGE sql AS $$ SELECT CASE size WHEN 'tiny' THEN 2 WHEN 'small' THEN 1500 ELSE 12000 END $$;
-- Documents that are stored apart, as large ones are.
CREATE FUNCTION t.large(v int) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('v', v, 't', string_agg(md5(i::text || v::text), '')) FROM generate_series(1, 70) AS i $$;

-- ---- Many entities ---------------------------------------------------------------------------
SELECT diagsync.create_diagram('L', id => size) FROM unnest('{tiny,small,large}'::text[]) AS size;
INSERT INTO diagsync_local.entity (diagram_id, id, doc) SELECT size, 'e' || n, doc
	FROM t.large(1) AS doc, unnest('{tiny,small,large}'::text[]) AS size, generate_series(1, t.how_many(size)) AS n;
\c -
CALL t.measure('share', 'small', 'SELECT diagsync.share(%1$L, ''far %1$s'')');
-- The tiny one is there by now.
CREATE OR REPLACE PROCEDURE t.measure_next(what text, size text, call text) LANGUAGE plpgsql AS $$
DECLARE
	before bigint;
BEGIN
	PERFORM diagsync.status('tiny'), diagsync.push('tiny'), diagsync.pull('tiny');
	COMMIT;
	before := t.memory();
	EXECUTE format(call, size);
	INSERT INTO t.measured (what, size, kb) VALUES (what, size, t.memory() - before);
	COMMIT;
END $$;
\c -
CALL t.measure_next('share', 'large', 'SELECT diagsync.share(%1$L, ''far %1$s'')');
\c -
CALL t.measure_next('clone', 'small', 'SELECT diagsync.clone(''far %1$s'', ''clone of %1$s'')');
\c -
CALL t.measure_next('clone', 'large', 'SELECT diagsync.clone(''far %1$s'', ''clone of %1$s'')');
UPDATE diagsync_public.entity SET doc = t.large(2) WHERE diagram_id LIKE 'far %';
\c -
CALL t.measure_next('status', 'small', 'SELECT diagsync.status(%L)');
\c -
CALL t.measure_next('status', 'large', 'SELECT diagsync.status(%L)');
\c -
CALL t.measure_next('changes', 'small', 'SELECT count(*) FROM diagsync.changes(%L)');
\c -
CALL t.measure_next('changes', 'large', 'SELECT count(*) FROM diagsync.changes(%L)');
\c -
CALL t.measure_next('pull', 'small', 'SELECT diagsync.pull(%L)');
\c -
CALL t.measure_next('pull', 'large', 'SELECT diagsync.pull(%L)');
UPDATE diagsync_local.entity SET doc = t.large(3) WHERE diagram_id IN ('small', 'large');
\c -
CALL t.measure_next('push', 'small', 'SELECT diagsync.push(%L)');
\c -
CALL t.measure_next('push', 'large', 'SELECT diagsync.push(%L)');
UPDATE diagsync_local.entity SET doc = t.large(4) WHERE diagram_id IN ('small', 'large');
UPDATE diagsync_public.entity SET doc = t.large(5) WHERE diagram_id LIKE 'far %';
\c -
CALL t.measure_next('pull of conflicts that keeps both', 'small', 'SELECT diagsync.pull(%L, on_conflict => ''both'')');
\c -
CALL t.measure_next('pull of conflicts that keeps both', 'large', 'SELECT diagsync.pull(%L, on_conflict => ''both'')');
\c -
CALL t.measure_next('refresh', 'small', 'SELECT diagsync.refresh(''clone of %s'')');
\c -
CALL t.measure_next('refresh', 'large', 'SELECT diagsync.refresh(''clone of %s'')');
\c -
CALL t.measure_next('unlink and link', 'small', 'SELECT diagsync.unlink(''clone of %1$s''), diagsync.link(''clone of %1$s'', ''far %1$s'')');
\c -
CALL t.measure_next('unlink and link', 'large', 'SELECT diagsync.unlink(''clone of %1$s''), diagsync.link(''clone of %1$s'', ''far %1$s'')');
\c -
CALL t.measure_next('set_storage_type', 'small', 'SELECT diagsync.set_storage_type(''far %s'', ''private'')');
\c -
CALL t.measure_next('set_storage_type', 'large', 'SELECT diagsync.set_storage_type(''far %s'', ''private'')');
\c -
CALL t.measure_next('drop_diagram', 'small', 'SELECT diagsync.drop_diagram(''far %s'')');
\c -
CALL t.measure_next('drop_diagram', 'large', 'SELECT diagsync.drop_diagram(''far %s'')');

-- put() and remove() get all at once, so they may take 1 kB for each; what makes the
-- argument is not counted.
CREATE TABLE t.given AS SELECT size, jsonb_agg(jsonb_build_object('id', letter || n)) AS entities, array_agg(letter || n) AS ids
	FROM (VALUES ('small', 'p'), ('large', 'q')) AS v (size, letter), generate_series(1, t.how_many(size)) AS n GROUP BY size;
\c -
CALL t.measure_next('put', 'small', 'SELECT diagsync.put(''tiny'', entities) FROM t.given WHERE size = %L');
\c -
CALL t.measure_next('put', 'large', 'SELECT diagsync.put(''tiny'', entities) FROM t.given WHERE size = %L');
\c -
CALL t.measure_next('remove', 'small', 'SELECT diagsync.remove(''tiny'', ids) FROM t.given WHERE size = %L');
\c -
CALL t.measure_next('remove', 'large', 'SELECT diagsync.remove(''tiny'', ids) FROM t.given WHERE size = %L');

-- ---- Many diagrams, each with a link whose policy is large -----------------------------------
SELECT count(diagsync.create_diagram('D', 'public', id => size || n)) FROM unnest('{small,large}'::text[]) AS size, generate_series(1, t.how_many(size) / 4) AS n;
-- Statements that touch all of them.
\c -
CALL t.measure_next('insert into many diagrams', 'small', 'INSERT INTO diagsync_public.entity (diagram_id, id, doc) SELECT %1$L || n, ''e'', ''{}'' FROM generate_series(1, t.how_many(%1$L) / 4) AS n');
\c -
CALL t.measure_next('insert into many diagrams', 'large', 'INSERT INTO diagsync_public.entity (diagram_id, id, doc) SELECT %1$L || n, ''e'', ''{}'' FROM generate_series(1, t.how_many(%1$L) / 4) AS n');
SELECT count(diagsync.clone(size || n, size || ' copy' || n)) FROM unnest('{small,large}'::text[]) AS size, generate_series(1, t.how_many(size) / 4) AS n;
-- Policies of many ignored properties, as an administrator may set them.
SET session_replication_role = replica;
UPDATE diagsync.directory SET merge_policy = (SELECT jsonb_build_object('ignore', jsonb_agg('/' || md5(i::text))) FROM generate_series(1, 100) AS i), owner = 'role:' || substring(id FROM '^[a-z]+') WHERE id ~ ' copy';
RESET session_replication_role;
CREATE FUNCTION t.owned(size text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', size);
	SELECT count(*) INTO n FROM diagsync.status_all();
	RESET ROLE;
	RETURN n;
END $$;
CREATE ROLE small; CREATE ROLE large;
SELECT diagsync.grant_usage('small'), diagsync.grant_usage('large');
GRANT USAGE ON SCHEMA t TO small, large;
\c -
CALL t.measure_next('status_all', 'small', 'SELECT t.owned(%L)');
\c -
CALL t.measure_next('status_all', 'large', 'SELECT t.owned(%L)');
\c -
CALL t.measure_next('update of many diagrams', 'small', 'UPDATE diagsync_local.entity SET doc = ''{"v": 1}'' WHERE diagram_id ~ (%L || '' copy'')');
\c -
CALL t.measure_next('update of many diagrams', 'large', 'UPDATE diagsync_local.entity SET doc = ''{"v": 1}'' WHERE diagram_id ~ (%L || '' copy'')');
\c -
CALL t.measure_next('delete of many diagrams', 'small', 'DELETE FROM diagsync_public.entity WHERE diagram_id ~ (''^'' || %L || ''\d+$'')');
SELECT diagsync.prune() AS none \gset
\c -
CALL t.measure_next('prune', 'small', 'SELECT diagsync.prune(''0 seconds'')');
\c -
CALL t.measure_next('delete of many diagrams', 'large', 'DELETE FROM diagsync_public.entity WHERE diagram_id ~ (''^'' || %L || ''\d+$'')');
\c -
CALL t.measure_next('prune', 'large', 'SELECT diagsync.prune(''0 seconds'')');

-- ---- Many links of one diagram ---------------------------------------------------------------
SELECT count(diagsync.create_diagram('D', 'public', id => 'hub ' || size)) FROM unnest('{small,large}'::text[]) AS size;
INSERT INTO diagsync_public.entity (diagram_id, id, doc) SELECT 'hub ' || size, 'e', '{}' FROM unnest('{small,large}'::text[]) AS size;
SELECT count(diagsync.clone('hub ' || size, size || ' spoke' || n)) FROM unnest('{small,large}'::text[]) AS size, generate_series(1, t.how_many(size) / 8) AS n;
SET session_replication_role = replica;
UPDATE diagsync.directory SET merge_policy = (SELECT jsonb_build_object('ignore', jsonb_agg('/' || md5(i::text))) FROM generate_series(1, 100) AS i) WHERE id ~ ' spoke';
RESET session_replication_role;
DELETE FROM diagsync_public.entity WHERE diagram_id ~ '^hub';
\c -
CALL t.measure_next('drop_diagram with many links', 'small', 'SELECT diagsync.drop_diagram(''hub %s'')');
\c -
CALL t.measure_next('prune with many links', 'large', 'SELECT diagsync.prune(''0 seconds'')');
\c -
CALL t.measure_next('drop_diagram with many links', 'large', 'SELECT diagsync.drop_diagram(''hub %s'')');

SELECT no_plan();
-- A hundred bytes of each entity, kept by share() or clone(), come to 2 MB.
SELECT cmp_ok(l.kb - s.kb, '<', CASE WHEN what IN ('put', 'remove') THEN 10500 WHEN what IN ('share', 'clone') THEN 1536 ELSE 4096 END::bigint, what || ': as little memory for many as for few')
	|| E'\n' || diag(format('%s: %s kB for few, %s kB for many', what, s.kb, l.kb))
  FROM t.measured AS s JOIN t.measured AS l USING (what) WHERE s.size = 'small' AND l.size = 'large' ORDER BY s.n;
SELECT cmp_ok(kb, '<', 4096::bigint, what || ' takes little') FROM t.measured WHERE what = 'prune with many links';
SELECT is((SELECT count(*) FROM diagsync_public.tombstone), 0::bigint, 'all of it has been done');
SELECT * FROM finish();
