-- What row-level security costs: reading 100,000 entities of a private diagram as
-- a member, next to reading them as the owner of the tables. Nothing is asked once
-- for each row but a comparison; the directory is looked at once for each diagram.
\ir ../../common/pgtap/helpers.sql
SET synchronous_commit = off;
SELECT plan(19);

CREATE ROLE regress_cost_member;
CREATE ROLE regress_cost_stranger;
CREATE ROLE regress_cost_web;
SELECT diagsync.grant_usage(r) FROM unnest('{regress_cost_member,regress_cost_stranger,regress_cost_web}'::text[]) AS r;

-- Documents of 300 bytes in P; ten of them in each of 200 others, in turns, of which
-- the member may read every other one.
CREATE FUNCTION t.doc(n int) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('id', 'e' || n, 'type', 'rectangle', 'x', n % 1000, 'y', n / 1000, 'text', repeat(md5(n::text), 6), 'locked', false) $$;
SELECT diagsync.create_diagram('P', 'private', 'P');
INSERT INTO diagsync_private.entity (diagram_id, id, doc) SELECT 'P', 'e' || n, t.doc(n) FROM generate_series(1, 100000) AS n;
SELECT diagsync.add_member('P', 'role:regress_cost_member', 'reader');
SELECT count(diagsync.create_diagram('D' || n, 'private', 'D' || n)) FROM generate_series(1, 200) AS n;
INSERT INTO diagsync_private.entity (diagram_id, id, doc) SELECT 'D' || n % 200 + 1, 'e' || n, t.doc(n) FROM generate_series(1, 2000) AS n;
SELECT count(diagsync.add_member('D' || n, 'role:regress_cost_member', 'writer')::text) FROM generate_series(1, 200, 2) AS n;
SELECT diagsync.create_token('P', 'reader') AS token \gset
VACUUM (ANALYZE) diagsync_private.entity, diagsync.directory, diagsync.member, diagsync.access_token;
SELECT cmp_ok(avg(pg_column_size(doc)), '>=', 290::numeric, 'documents of 300 bytes') FROM diagsync_private.entity WHERE diagram_id = 'P';

-- ---- Time ---------------------------------------------------------------------------------------

-- Milliseconds that a query takes as a role; with a token, as its bearer.
CREATE FUNCTION t.ms(username text, query text, token text DEFAULT '', times int DEFAULT 1) RETURNS double precision LANGUAGE plpgsql AS $$
DECLARE
	begun timestamptz;
	ended timestamptz;
BEGIN
	PERFORM set_config('diagsync.token', token, true);
	IF username <> 'owner' THEN
		PERFORM set_config('role', username, true);
	END IF;
	begun := clock_timestamp();
	FOR i IN 1..times LOOP
		EXECUTE query USING 'e' || (i * 7919 % 100000 + 1);
	END LOOP;
	ended := clock_timestamp();
	PERFORM set_config('role', 'none', true), set_config('diagsync.token', '', true);
	RETURN 1000 * extract(epoch FROM ended - begun);
END $$;

CREATE TABLE t.query (n int GENERATED ALWAYS AS IDENTITY, what text, query text, times int NOT NULL DEFAULT 1);
INSERT INTO t.query (what, query, times) VALUES
	('count(*)', 'SELECT count(*) FROM diagsync_private.entity WHERE diagram_id = ''P''', 1),
	('documents', 'SELECT sum(length(doc::text)) FROM diagsync_private.entity WHERE diagram_id = ''P''', 1),
	('documents of all diagrams', 'SELECT sum(length(doc::text)) FROM diagsync_private.entity', 1),
	('documents in order', 'SELECT sum(length(d)) FROM (SELECT doc::text AS d FROM diagsync_private.entity WHERE diagram_id = ''P'' ORDER BY id OFFSET 0) AS x', 1),
	('documents by the view', 'SELECT sum(length(doc::text)) FROM diagsync.entity WHERE diagram_id = ''P''', 1),
	('primary key, 1,000 times', 'SELECT doc FROM diagsync_private.entity WHERE diagram_id = ''P'' AND id = $1', 1000);
CREATE TABLE t.round (round int, n int, who text, ms double precision);
CREATE FUNCTION t.ratio(what text, who text) RETURNS numeric LANGUAGE sql AS $$
	SELECT round((min(ms) FILTER (WHERE r.who = ratio.who) / min(ms) FILTER (WHERE r.who = 'owner'))::numeric, 2) FROM t.round AS r JOIN t.query AS q USING (n) WHERE q.what = ratio.what $$;
-- In turns, so that whatever else the machine does meets all; and again until the
-- best of all rounds is what was promised, on a machine that does much else. What is
-- slower will not become so by trying.
CREATE PROCEDURE t.measure(token text) LANGUAGE plpgsql AS $$
DECLARE
	q t.query;
BEGIN
	FOR r IN 1..120 LOOP
		FOR q IN SELECT * FROM t.query ORDER BY n LOOP
			INSERT INTO t.round VALUES (r, q.n, 'owner', t.ms('owner', q.query, '', q.times));
			INSERT INTO t.round VALUES (r, q.n, 'member', t.ms('regress_cost_member', q.query, '', q.times));
			INSERT INTO t.round VALUES (r, q.n, 'bearer', t.ms('regress_cost_stranger', q.query, token, q.times));
		END LOOP;
		COMMIT;
		EXIT WHEN r >= 7 AND (SELECT max(t.ratio(what, who)) FROM t.query, unnest('{member,bearer}'::text[]) AS who WHERE what LIKE 'documents%') <= 1.2;
	END LOOP;
END $$;
SET jit = off;
SET max_parallel_workers_per_gather = 0;
CALL t.measure(:'token');

SELECT diag(max(round) || ' rounds') FROM t.round;
SELECT diag(format('%s: owner %s ms, member %s (%s times), bearer of a token %s (%s times); best: %s and %s times', what, round(owner::numeric, 2), round(member::numeric, 2), round((member / owner)::numeric, 2),
	round(bearer::numeric, 2), round((bearer / owner)::numeric, 2), round((best_member / best_owner)::numeric, 2), round((best_bearer / best_owner)::numeric, 2)))
  FROM (SELECT n, what, percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) FILTER (WHERE who = 'owner') AS owner, percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) FILTER (WHERE who = 'member') AS member,
	percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) FILTER (WHERE who = 'bearer') AS bearer, min(ms) FILTER (WHERE who = 'owner') AS best_owner, min(ms) FILTER (WHERE who = 'member') AS best_member, min(ms) FILTER (WHERE who = 'bearer') AS best_bearer
	FROM t.round JOIN t.query USING (n) GROUP BY n, what) AS x ORDER BY n;

-- The promise is for reading documents; the best of all rounds is what the machine
-- disturbs least. The others have room, so as to tell but of a change of kind.
SELECT cmp_ok(t.ratio('documents', 'member'), '<=', 1.2, 'reading documents as a member takes no more than 1.2 times as long');
SELECT cmp_ok(t.ratio('documents', 'bearer'), '<=', 1.2, '... nor as the bearer of a token');
SELECT cmp_ok(t.ratio('documents in order', 'member'), '<=', 1.2, '... nor by the primary key');
SELECT cmp_ok(t.ratio('documents by the view', 'member'), '<=', 1.2, '... nor by the view');
SELECT cmp_ok(t.ratio('count(*)', 'member'), '<=', 2.5, 'nor does counting take long');
SELECT cmp_ok(t.ratio('primary key, 1,000 times', 'member'), '<=', 4.0, '... nor one entity at a time');

-- ---- Buffers --------------------------------------------------------------------------------------

-- How many buffers a query hits and reads as a role, once its plan and the
-- catalog's caches are warm.
CREATE FUNCTION t.buffers(username text, query text, token text DEFAULT '') RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
BEGIN
	PERFORM set_config('diagsync.token', token, true);
	IF username <> 'owner' THEN
		PERFORM set_config('role', username, true);
	END IF;
	FOR i IN 1..2 LOOP
		EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ' || query INTO plan;
	END LOOP;
	PERFORM set_config('role', 'none', true), set_config('diagsync.token', '', true);
	RETURN (plan -> 0 -> 'Plan' ->> 'Shared Hit Blocks')::bigint + (plan -> 0 -> 'Plan' ->> 'Shared Read Blocks')::bigint;
END $$;
CREATE FUNCTION t.plan(username text, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
BEGIN
	IF username <> 'owner' THEN
		PERFORM set_config('role', username, true);
	END IF;
	EXECUTE 'EXPLAIN (COSTS OFF, FORMAT JSON) ' || query INTO plan;
	PERFORM set_config('role', 'none', true);
	RETURN plan::text;
END $$;
CREATE FUNCTION t.more(query text, username text, token text DEFAULT '') RETURNS bigint LANGUAGE sql AS $$ SELECT t.buffers(username, query, token) - t.buffers('owner', query) $$;

\set one 'SELECT sum(length(doc::text)) FROM diagsync_private.entity WHERE diagram_id = ''P'''
\set all 'SELECT count(*) FROM diagsync_private.entity'
-- By the index, lest a scan of the table asks for the other diagrams as well.
SET enable_seqscan = off;
SELECT diag(format('buffers more than the owner: member %s, bearer %s of %s; all 201 diagrams %s; stranger %s', t.more(:'one', 'regress_cost_member'), t.more(:'one', 'regress_cost_stranger', :'token'), t.buffers('owner', :'one'), t.more(:'all', 'regress_cost_member'),
	t.more(:'all', 'regress_cost_stranger')));
SELECT cmp_ok(t.more(:'one', 'regress_cost_member'), '<=', 20::bigint, 'reading 100,000 entities looks at the directory and the members once');
SELECT cmp_ok(t.more(:'one', 'regress_cost_stranger', :'token'), '<=', 20::bigint, '... or at the token');
SELECT cmp_ok(t.more(:'all', 'regress_cost_member'), '<=', 201::bigint * 20, 'reading 201 diagrams looks once at each, not at each row');
SELECT cmp_ok(t.more(:'all', 'regress_cost_stranger'), '<=', 201::bigint * 20, '... also where none may be read');
SELECT cmp_ok(t.more('SELECT doc FROM diagsync_private.entity WHERE diagram_id = ''P'' AND id = ''e5000''', 'regress_cost_member'), '<=', 20::bigint, 'one entity costs the same look');
-- A write asks once, too.
BEGIN;
SELECT diagsync.add_member('P', 'role:regress_cost_member', 'writer');
SELECT t.buffers('regress_cost_member', 'UPDATE diagsync_private.entity SET doc = doc || ''{"w": 1}'' WHERE diagram_id = ''P'' AND id < ''e15''') AS member, count(*) AS rows FROM diagsync_private.entity WHERE diagram_id = 'P' AND id < 'e15' \gset
ROLLBACK;
BEGIN;
SELECT t.buffers('owner', 'UPDATE diagsync_private.entity SET doc = doc || ''{"w": 1}'' WHERE diagram_id = ''P'' AND id < ''e15''') AS owner \gset
ROLLBACK;
SELECT diag(format('buffers of an update of %s: owner %s, member %s', :rows, :owner, :member));
SELECT cmp_ok(:member::numeric / :owner, '<=', 1.1, 'an update of 5,500 rows looks once');

-- The same indexes, and what the owner may have in parallel, members may, too.
SELECT matches(t.plan('regress_cost_member', 'SELECT doc FROM diagsync_private.entity WHERE diagram_id = ''P'' AND id = ''e5''') , '"Index Cond": "\(\(diagram_id = ''P''::text\) AND \(id = ''e5''::text\)\)"', 'a member''s lookup is by the whole key');
SELECT matches(t.plan('regress_cost_member', 'SELECT max(rev) FROM diagsync_private.entity WHERE diagram_id = ''P'''), 'entity_rev', '... the greatest revision by its index');
SELECT matches(t.plan('regress_cost_member', 'SELECT id, name FROM diagsync.directory WHERE id = ''P'''), 'directory_pkey', '... a diagram by its key');
RESET enable_seqscan;
SET max_parallel_workers_per_gather = 2;
SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
SELECT matches(t.plan('owner', :'one'), 'Workers Planned', 'the owner''s plan is parallel');
SELECT matches(t.plan('regress_cost_member', :'one'), 'Workers Planned', '... and so is the member''s');
SET ROLE regress_cost_member;
SELECT sum(length(doc::text)) AS got FROM diagsync_private.entity WHERE diagram_id = 'P' \gset
RESET ROLE;
SELECT is(:got::bigint, (SELECT sum(length(doc::text)) FROM diagsync_private.entity WHERE diagram_id = 'P'), '... with the same answer');

SELECT * FROM finish();
SELECT diagsync.revoke_usage(r) FROM unnest('{regress_cost_member,regress_cost_stranger,regress_cost_web}'::text[]) AS r;
DROP ROLE regress_cost_member, regress_cost_stranger, regress_cost_web;
