-- Cost follows what changed with a merge policy, too: buffers touched with ten
-- changes in a diagram of 1,000 entities and in one of 100,000, with granularity
-- property, ignored properties, groups and references. (cost.sql has the rest.)
\ir ../../common/pgtap/helpers.sql
SELECT plan(28);

-- Buffers that a query hits, reads and dirties.
CREATE FUNCTION t.buffers(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ' || query INTO plan;
	plan := plan -> 0 -> 'Plan';
	RETURN (plan ->> 'Shared Hit Blocks')::bigint + (plan ->> 'Shared Read Blocks')::bigint + (plan ->> 'Shared Dirtied Blocks')::bigint;
END $$;

-- A shared diagram of so many entities, each of which refers to two others.
CREATE FUNCTION t.fill(local text, public text, entities int, policy jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM diagsync.create_diagram(local, id => local);
	INSERT INTO diagsync_local.entity (diagram_id, id, doc)
		SELECT local, 'entity-' || n, jsonb_build_object('text', md5(n::text), 'position', jsonb_build_object('x', n, 'y', n), 'seen', 0, 'color', 'red',
			'from', 'entity-' || 1 + n * 31 % entities, 'to', 'entity-' || 1 + n * 77 % entities) FROM generate_series(1, entities) AS n;
	PERFORM diagsync.share(local, public), diagsync.set_merge_policy(local, policy), diagsync.refresh(local);
END $$;
SELECT t.fill('before', 'far before', 20000, NULL);
SELECT t.fill(local, 'far ' || local, entities, policy) FROM (VALUES ('plain', 1000, NULL),
	('small', 1000, '{"granularity": "property", "ignore": ["/seen"], "tolerance": 0.001, "groups": [["/position"]], "references": ["/from", "/to", "/members"]}'::jsonb),
	('large', 100000, '{"granularity": "property", "ignore": ["/seen"], "tolerance": 0.001, "groups": [["/position"]], "references": ["/from", "/to", "/members"]}')) AS v (local, entities, policy);
SELECT t.fill('other', 'far other', 20000, NULL);
VACUUM (ANALYZE) diagsync_local.entity, diagsync_local.base, diagsync_public.entity, diagsync_public.tombstone, diagsync.directory;

-- The nth of eight places all over a diagram, and the one beside it.
CREATE FUNCTION t.place(diagram text, i int, round int) RETURNS text LANGUAGE sql AS $$
	SELECT 'entity-' || (1 + i * CASE WHEN diagram LIKE '%large' THEN 100000 ELSE 1000 END / 8 + round) $$;
-- Ten changes: six updates of one property, two deletions, two inserts that
-- refer to what is there.
CREATE FUNCTION t.change(diagram text, round int, property text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 0..5 LOOP
		PERFORM t.write(diagram, id, doc || jsonb_build_object(property, round)) FROM diagsync.entity WHERE diagram_id = diagram AND id = t.place(diagram, i, round);
	END LOOP;
	PERFORM t.write(diagram, t.place(diagram, i, round), NULL) FROM generate_series(6, 7) AS i;
	PERFORM t.write(diagram, 'new-' || round || '-' || property || '-' || i, jsonb_build_object('from', t.place(diagram, 0, round), 'members', jsonb_build_array(t.place(diagram, 1, round), t.place(diagram, 2, round)))) FROM generate_series(1, 2) AS i;
END $$;

-- Every call once before it is measured: plans and catalog caches are the
-- session's, not the diagram's.
CREATE TABLE t.measured (n int GENERATED ALWAYS AS IDENTITY, what text, diagram text, buffers bigint);
CREATE PROCEDURE t.measure(what text, query text) LANGUAGE plpgsql AS $$
DECLARE
	d text;
BEGIN
	FOREACH d IN ARRAY '{plain,small,large}'::text[] LOOP
		INSERT INTO t.measured (what, diagram, buffers) VALUES (what, d, t.buffers(format(query, d)));
		COMMIT;
	END LOOP;
END $$;
CREATE TABLE t.states (n int GENERATED ALWAYS AS IDENTITY, at text, diagram text, state text);
CREATE PROCEDURE t.run(round int) LANGUAGE plpgsql AS $$
DECLARE
	d text;
BEGIN
	TRUNCATE t.measured;
	TRUNCATE t.states;
	CALL t.measure('status, nothing changed', 'SELECT diagsync.status(%L)');
	CALL t.measure('changes, nothing changed', 'SELECT * FROM diagsync.changes(%L)');
	CALL t.measure('push, nothing changed', 'SELECT diagsync.push(%L)');
	CALL t.measure('pull, nothing changed', 'SELECT diagsync.pull(%L)');
	FOREACH d IN ARRAY '{plain,small,large}'::text[] LOOP PERFORM t.change(d, round, 'color'); COMMIT; END LOOP;
	CALL t.measure('status, 10 local changes', 'SELECT diagsync.status(%L)');
	CALL t.measure('changes, 10 local changes', 'SELECT * FROM diagsync.changes(%L)');
	CALL t.measure('dry run, 10 local changes', 'SELECT diagsync.push(%L, dry_run => true)');
	CALL t.measure('push, 10 local changes', 'SELECT diagsync.push(%L)');
	CALL t.measure('status after the push', 'SELECT diagsync.status(%L)');
	FOREACH d IN ARRAY '{plain,small,large}'::text[] LOOP PERFORM t.change('far ' || d, round + 1, 'text'); COMMIT; END LOOP;
	CALL t.measure('status, 10 public changes', 'SELECT diagsync.status(%L)');
	CALL t.measure('pull, 10 public changes', 'SELECT diagsync.pull(%L)');
	CALL t.measure('status after the pull', 'SELECT diagsync.status(%L)');
	-- Six that merge, two that both deleted, four inserted.
	FOREACH d IN ARRAY '{plain,small,large}'::text[] LOOP PERFORM t.change(d, round + 2, 'color'), t.change('far ' || d, round + 2, 'text'); COMMIT; END LOOP;
	INSERT INTO t.states (at, diagram, state) SELECT 'merges', x, t.status(x) FROM unnest('{plain,small,large}'::text[]) AS x;
	CALL t.measure('status, both sides', 'SELECT diagsync.status(%L)');
	CALL t.measure('pull, both sides', 'SELECT diagsync.pull(%L, on_conflict => ''skip'')');
	CALL t.measure('push, both sides', 'SELECT diagsync.push(%L, on_conflict => ''local'')');
	-- Ten references to what the other end deletes.
	FOREACH d IN ARRAY '{plain,small,large}'::text[] LOOP
		PERFORM t.write(d, t.place(d, 3, round + 3), NULL);
		PERFORM t.write('far ' || d, 'ref-' || round || '-' || i, jsonb_build_object('from', t.place(d, 3, round + 3), 'to', 'entity-5')) FROM generate_series(1, 10) AS i;
		COMMIT;
	END LOOP;
	INSERT INTO t.states (at, diagram, state) SELECT 'dangling', x, t.status(x) FROM unnest('{plain,small,large}'::text[]) AS x;
	CALL t.measure('status, 10 dangling', 'SELECT diagsync.status(%L)');
	CALL t.measure('resolve, 10 dangling', 'SELECT CASE WHEN %L <> ''plain'' THEN diagsync.resolve(%1$L, ''ref-' || round || '-1'', ''public'') END');
	CALL t.measure('pull, 10 dangling', 'SELECT diagsync.pull(%L, on_conflict => ''public'')');
	CALL t.measure('push, 10 dangling', 'SELECT diagsync.push(%L, on_conflict => ''public'')');
	FOREACH d IN ARRAY '{plain,small,large}'::text[] LOOP
		PERFORM diagsync.pull(d, on_conflict => 'public'), diagsync.push(d, on_conflict => 'public');
		COMMIT;
	END LOOP;
END $$;
CALL t.run(10);
CALL t.run(20);
CALL t.run(30);

-- The difference of the two, with a few buffers for what indexes of any size do.
SELECT cmp_ok(l.buffers::numeric, '<', 1.3 * s.buffers + 3, format('%s: as cheap in a large diagram as in a small one', what))
	|| E'\n' || diag(format('%s: %s buffers in a small diagram, %s in a large one; without a policy %s', what, s.buffers, l.buffers, p.buffers))
  FROM t.measured AS s JOIN t.measured AS l USING (what) JOIN t.measured AS p USING (what) WHERE s.diagram = 'small' AND l.diagram = 'large' AND p.diagram = 'plain' ORDER BY s.n;
SELECT cmp_ok(s.buffers, '<=', p.buffers + 3, format('%s: as cheap as without a policy', what))
  FROM t.measured AS s JOIN t.measured AS p USING (what) WHERE s.diagram = 'small' AND p.diagram = 'plain' AND (what LIKE '%nothing changed' OR what LIKE 'status after%') ORDER BY s.n;
SELECT is(string_agg(diagram || ' ' || state, ', ' ORDER BY n), 'plain conflict 8/8/6, small pending 8/8/0, large pending 8/8/0', 'all that was measured was right: merges') FROM t.states WHERE at = 'merges';
SELECT is(string_agg(diagram || ' ' || state, ', ' ORDER BY n), 'plain pending 1/10/0, small conflict 1/10/11, large conflict 1/10/11', '... and references') FROM t.states WHERE at = 'dangling';
SELECT is(string_agg(t.status(x), ', '), 'in_sync 0/0/0, in_sync 0/0/0, in_sync 0/0/0', '... and the end') FROM unnest('{plain,small,large}'::text[]) AS x;

SELECT * FROM finish();
