-- Cost follows what changed, never the size of the diagram: buffers touched
-- with ten changes in a diagram of 1,000 entities and in one of 200,000,
-- beside other diagrams in the same tables.
\ir ../../common/pgtap/helpers.sql
SELECT plan(27);

-- Buffers that a query hits, reads and dirties.
CREATE FUNCTION t.buffers(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ' || query INTO plan;
	plan := plan -> 0 -> 'Plan';
	RETURN (plan ->> 'Shared Hit Blocks')::bigint + (plan ->> 'Shared Read Blocks')::bigint + (plan ->> 'Shared Dirtied Blocks')::bigint;
END $$;

-- A shared diagram of so many entities.
CREATE FUNCTION t.fill(local text, public text, entities int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM diagsync.create_diagram(local, id => local);
	INSERT INTO diagsync_local.entity (diagram_id, id, doc)
		SELECT local, 'entity-' || n, jsonb_build_object('id', 'entity-' || n, 'text', md5(n::text), 'position', jsonb_build_array(n, n)) FROM generate_series(1, entities) AS n;
	PERFORM diagsync.share(local, public);
END $$;
SELECT t.fill('before', 'far before', 20000);
SELECT t.fill('small', 'far small', 1000);
SELECT t.fill('large', 'far large', 200000);
SELECT t.fill('other', 'far other', 20000);
VACUUM (ANALYZE) diagsync_local.entity, diagsync_local.base, diagsync_public.entity, diagsync_public.tombstone, diagsync.directory;

-- Ten changes all over a diagram: six updates, two deletions, two inserts.
CREATE FUNCTION t.change(diagram text, round int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	size int := CASE WHEN diagram LIKE '%large' THEN 200000 ELSE 1000 END;
BEGIN
	FOR i IN 0..7 LOOP
		PERFORM t.write(diagram, 'entity-' || (1 + i * size / 8 + round), CASE WHEN i < 6 THEN jsonb_build_object('round', round, 'i', i) END);
	END LOOP;
	PERFORM t.write(diagram, 'new-' || round || '-' || i, '{}') FROM generate_series(1, 2) AS i;
END $$;

-- Every call once before it is measured: plans and catalog caches are the
-- session's, not the diagram's.
CREATE TABLE t.measured (n int GENERATED ALWAYS AS IDENTITY, what text, diagram text, buffers bigint);
CREATE PROCEDURE t.measure(what text, query text) LANGUAGE plpgsql AS $$
DECLARE
	d text;
BEGIN
	FOREACH d IN ARRAY '{small,large}'::text[] LOOP
		INSERT INTO t.measured (what, diagram, buffers) VALUES (what, d, t.buffers(format(query, d)));
		COMMIT;
	END LOOP;
END $$;
CREATE PROCEDURE t.run(round int) LANGUAGE plpgsql AS $$
DECLARE
	d text;
BEGIN
	TRUNCATE t.measured;
	CALL t.measure('status, nothing changed', 'SELECT diagsync.status(%L)');
	CALL t.measure('changes, nothing changed', 'SELECT * FROM diagsync.changes(%L)');
	CALL t.measure('push, nothing changed', 'SELECT diagsync.push(%L)');
	CALL t.measure('pull, nothing changed', 'SELECT diagsync.pull(%L)');
	FOREACH d IN ARRAY '{small,large}'::text[] LOOP PERFORM t.change(d, round); COMMIT; END LOOP;
	CALL t.measure('status, 10 local changes', 'SELECT diagsync.status(%L)');
	CALL t.measure('changes, 10 local changes', 'SELECT * FROM diagsync.changes(%L)');
	CALL t.measure('dry run, 10 local changes', 'SELECT diagsync.push(%L, dry_run => true)');
	CALL t.measure('push, 10 local changes', 'SELECT diagsync.push(%L)');
	CALL t.measure('status after the push', 'SELECT diagsync.status(%L)');
	FOREACH d IN ARRAY '{far small,far large}'::text[] LOOP PERFORM t.change(d, round + 1); COMMIT; END LOOP;
	CALL t.measure('status, 10 public changes', 'SELECT diagsync.status(%L)');
	CALL t.measure('push, 10 public changes', 'SELECT diagsync.push(%L)');
	CALL t.measure('pull, 10 public changes', 'SELECT diagsync.pull(%L)');
	CALL t.measure('status after the pull', 'SELECT diagsync.status(%L)');
	FOREACH d IN ARRAY '{small,large}'::text[] LOOP PERFORM t.change(d, round + 2), t.change('far ' || d, round + 3); PERFORM t.write('far ' || d, 'new-' || round + 2 || '-1', '{"clash": 1}'); COMMIT; END LOOP;
	CALL t.measure('status, both sides and a conflict', 'SELECT diagsync.status(%L)');
	CALL t.measure('resolve', 'SELECT diagsync.resolve(%L, ''new-' || round + 2 || '-1'', ''newest'')');
	CALL t.measure('pull, both sides', 'SELECT diagsync.pull(%L)');
	CALL t.measure('push, both sides', 'SELECT diagsync.push(%L)');
	FOREACH d IN ARRAY '{small,large}'::text[] LOOP
		PERFORM t.write(d, 'mine' || i, '{}') FROM generate_series(1, 10) AS i;
		PERFORM t.write('far ' || d, 'mine' || i, '{"far": true}') FROM generate_series(1, 10) AS i;
		COMMIT;
	END LOOP;
	CALL t.measure('push of 10 conflicts', 'SELECT diagsync.push(%L, on_conflict => ''both'')');
	FOREACH d IN ARRAY '{small,large}'::text[] LOOP
		PERFORM t.write(d, 'mine' || i, NULL) FROM generate_series(1, 10) AS i;
		PERFORM diagsync.push(d);
		COMMIT;
	END LOOP;
END $$;
CALL t.run(10);
CALL t.run(20);
CALL t.run(30);

-- The difference of the two, with a few buffers for what indexes of any size do.
SELECT cmp_ok(l.buffers::numeric, '<', 1.3 * s.buffers + 3, format('%s: as cheap in a large diagram as in a small one', what))
	|| E'\n' || diag(format('%s: %s buffers in a small diagram, %s in a large one', what, s.buffers, l.buffers))
  FROM t.measured AS s JOIN t.measured AS l USING (what) WHERE s.diagram = 'small' AND l.diagram = 'large' ORDER BY s.n;
SELECT cmp_ok(buffers, '<', 60::bigint, format('%s takes a few index probes: %s diagram', what, diagram))
	FROM t.measured WHERE what IN ('status, nothing changed', 'status after the push', 'status after the pull') ORDER BY n;
SELECT is(t.status('small') || ', ' || t.status('large'), 'in_sync 0/0/0, in_sync 0/0/0', 'all that was measured was right');
SELECT is((SELECT count(*) FROM diagsync_public.entity WHERE diagram_id LIKE 'far %e' AND id LIKE 'new-%')
	= (SELECT count(*) FROM diagsync_local.entity WHERE diagram_id IN ('large', 'before') AND id LIKE 'new-%'), true, '... and complete');

-- All links at once.
SELECT diag(format('status_all of four links: %s buffers', t.buffers('SELECT * FROM diagsync.status_all()')));
SELECT cmp_ok(t.buffers('SELECT * FROM diagsync.status_all()'), '<', 300::bigint, 'status_all takes a few probes a link');

SELECT * FROM finish();
