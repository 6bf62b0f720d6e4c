-- The time of an edit: when its statement was opened, by the clock, and never earlier
-- than that of the version that it replaces; "newest" and "latest" go by it.
BEGIN;
\ir ../../common/pgtap/helpers.sql
SELECT no_plan();

-- When an entity was edited, or deleted.
CREATE FUNCTION t.time_of(diagram text, which text) RETURNS timestamptz LANGUAGE sql AS $$
	SELECT coalesce((SELECT modified_at FROM diagsync.entity WHERE diagram_id = diagram AND id = which),
		(SELECT changed_at FROM diagsync_local.base WHERE diagram_id = diagram AND id = which),
		(SELECT deleted_at FROM diagsync_public.tombstone WHERE diagram_id = diagram AND id = which),
		(SELECT deleted_at FROM diagsync_private.tombstone WHERE diagram_id = diagram AND id = which)) $$;

-- ---- The clock --------------------------------------------------------------------------------

SELECT cmp_ok(diagsync.edit_time(), '>=', statement_timestamp(), 'where nothing is edited it is the clock');
SELECT is(provolatile, 's', 'edit_time() is stable: COPY inserts many rows at once') FROM pg_proc WHERE oid = 'diagsync.edit_time()'::regprocedure;

-- Every statement of a transaction has its own, of a procedure too; in each of the three
-- tables, by plain SQL and by the functions.
SELECT t.pair('l', 'p'), t.pair('m', 'q', '{}', 'private');
CREATE TABLE t.edit (n int GENERATED ALWAYS AS IDENTITY, diagram text, what text, before timestamptz, at timestamptz, after timestamptz);
CREATE PROCEDURE t.edit_all(diagram text) LANGUAGE plpgsql AS $$
DECLARE
	command text;
	started timestamptz;
BEGIN
	FOREACH command IN ARRAY ARRAY['INSERT INTO %1$s (diagram_id, id, doc) VALUES (%2$L, ''e'', ''{}'')',
		'UPDATE %1$s SET doc = ''{"v": 1}'' WHERE diagram_id = %2$L', 'DELETE FROM %1$s WHERE diagram_id = %2$L',
		'SELECT diagsync.put(%2$L, ''[{"id": "e"}]'')', 'SELECT diagsync.put(%2$L, ''[{"id": "e", "v": 1}]'')', 'SELECT diagsync.remove(%2$L, ''{e}'')',
		'INSERT INTO %1$s (diagram_id, id, doc) VALUES (%2$L, ''e'', ''{}'') ON CONFLICT (diagram_id, id) DO UPDATE SET doc = excluded.doc',
		'INSERT INTO %1$s (diagram_id, id, doc) VALUES (%2$L, ''e'', ''{"v": 2}'') ON CONFLICT (diagram_id, id) DO UPDATE SET doc = excluded.doc',
		'MERGE INTO %1$s AS e USING (VALUES (%2$L, ''e'')) AS v (d, i) ON e.diagram_id = v.d AND e.id = v.i WHEN MATCHED THEN DELETE',
		'MERGE INTO %1$s AS e USING (VALUES (%2$L, ''e'')) AS v (d, i) ON e.diagram_id = v.d AND e.id = v.i WHEN NOT MATCHED THEN INSERT (diagram_id, id, doc) VALUES (d, i, ''{}'')'] LOOP
		PERFORM pg_sleep(0.001);
		started := clock_timestamp();
		EXECUTE format(command, t.table_of(diagram), diagram);
		INSERT INTO t.edit (diagram, what, before, at, after) VALUES (diagram, format(command, '...', diagram), started, t.time_of(diagram, 'e'), clock_timestamp());
	END LOOP;
END $$;
CALL t.edit_all('l');
CALL t.edit_all('p');
CALL t.edit_all('q');
SELECT ok(at BETWEEN before AND after, format('%s: %s at %s, from %s to %s', diagram, what, at, before, after)) FROM t.edit ORDER BY n;
SELECT is(count(DISTINCT at), 30::bigint, 'each has another') FROM t.edit;

-- A statement has one, however long it takes: that of its beginning.
SELECT clock_timestamp() AS started \gset
INSERT INTO diagsync_local.entity (diagram_id, id, doc)
	SELECT 'l', 'slow ' || g, '{}' FROM (SELECT g, pg_sleep(0.01) FROM generate_series(1, 5) AS g) AS s
	ON CONFLICT (diagram_id, id) DO UPDATE SET doc = '{"never": true}';
SELECT is(count(DISTINCT modified_at), 1::bigint, 'a slow INSERT has one time') FROM diagsync_local.entity WHERE id LIKE 'slow%';
SELECT cmp_ok(max(modified_at), '<', :'started'::timestamptz + interval '0.05 s', '... that of its beginning') FROM diagsync_local.entity WHERE id LIKE 'slow%';
INSERT INTO diagsync_local.entity (diagram_id, id, doc)
	SELECT 'l', 'slow ' || g, '{}' FROM (SELECT g, pg_sleep(0.01) FROM generate_series(4, 8) AS g) AS s
	ON CONFLICT (diagram_id, id) DO UPDATE SET doc = '{"again": true}';
SELECT is(count(DISTINCT modified_at), 1::bigint, 'what it inserts and what it updates have the same') FROM diagsync_local.entity WHERE id IN ('slow 4', 'slow 5', 'slow 6', 'slow 8');
UPDATE diagsync_local.entity SET doc = jsonb_build_object('v', pg_sleep(0.01)::text) WHERE diagram_id = 'l' AND id LIKE 'slow%';
SELECT is(count(DISTINCT modified_at), 1::bigint, 'a slow UPDATE has one time') FROM diagsync_local.entity WHERE id LIKE 'slow%';
DELETE FROM diagsync_local.entity WHERE diagram_id = 'l' AND id LIKE 'slow%' AND pg_sleep(0.01)::text = '';
SELECT is(count(DISTINCT changed_at), 1::bigint, 'so has a slow DELETE') FROM diagsync_local.base WHERE id LIKE 'slow%';
COPY diagsync_public.entity (diagram_id, id, doc) FROM stdin;
p	copied 1	{}
p	copied 2	{}
\.
SELECT is(count(DISTINCT modified_at), 1::bigint, 'and COPY') FROM diagsync_public.entity WHERE id LIKE 'copied%';

-- What a trigger edits within a statement is later than what the statement edits.
CREATE FUNCTION t.edit_more() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
	PERFORM pg_sleep(0.001);
	INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('m', 'more ' || NEW.id, '{}');
	RETURN NULL; END$$;
CREATE TRIGGER more AFTER INSERT ON diagsync_local.entity FOR EACH ROW WHEN (NEW.diagram_id = 'l') EXECUTE FUNCTION t.edit_more();
INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('l', '1', '{}'), ('l', '2', '{}');
DROP TRIGGER more ON diagsync_local.entity;
SELECT is(array_agg(id ORDER BY modified_at, id), '{1,2,more 1,more 2}', 'an edit of a trigger has a time of its own') FROM diagsync_local.entity WHERE id ~ '^(more )?[12]$';

-- ---- Never earlier than what it replaces ---------------------------------------------------------
-- As if the clock had been set back since.

CREATE FUNCTION t.later(diagram text, command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format(command, t.table_of(diagram), diagram);
	RETURN coalesce((t.time_of(diagram, 'e') AT TIME ZONE 'UTC')::date::text, 'none');
END $$;
SELECT t.pair('f' || d, 'g' || d, '{"e": {"v": 1}}', d) FROM unnest('{public,private}'::text[]) AS d;
CREATE TABLE t.end AS SELECT unnest('{fpublic,gpublic,gprivate}'::text[]) AS diagram;
SELECT t.edited(diagram, 'e', '2100-01-01Z') FROM t.end;
SELECT is(t.later(diagram, 'UPDATE %s SET doc = ''{"v": 2}'' WHERE diagram_id = %L'), '2100-01-01', 'an update of what is later: ' || diagram) FROM t.end;
SELECT is(t.later(diagram, 'DELETE FROM %s WHERE diagram_id = %L'), '2100-01-01', 'its deletion: ' || diagram) FROM t.end;
SELECT is(t.later(diagram, 'INSERT INTO %s (diagram_id, id, doc) VALUES (%L, ''e'', ''{}'')'), '2100-01-01', 'made again: ' || diagram) FROM t.end;
SELECT is(t.later(diagram, 'SELECT diagsync.remove(%2$L, ''{e}'')'), '2100-01-01', 'remove(): ' || diagram) FROM t.end;
SELECT is(t.later(diagram, 'SELECT diagsync.put(%2$L, ''[{"id": "e"}]'')'), '2100-01-01', 'put(): ' || diagram) FROM t.end;
SELECT is(t.later(diagram, 'WITH gone AS (DELETE FROM %1$s WHERE diagram_id = %2$L RETURNING *) INSERT INTO %1$s (diagram_id, id, doc) SELECT %2$L, id, ''{"v": 3}'' FROM gone'),
	'2100-01-01', 'deleted and made by one command: ' || diagram) FROM t.end;
SELECT is(t.later(diagram, 'WITH made AS (INSERT INTO %1$s (diagram_id, id, doc) SELECT %2$L, ''other'', ''{}''), gone AS (DELETE FROM %1$s WHERE diagram_id = %2$L AND id = ''e'') SELECT'),
	'2100-01-01', 'deleted beside an insert: ' || diagram) FROM t.end;
SELECT is(t.later(diagram, 'INSERT INTO %s (diagram_id, id, doc, modified_at) VALUES (%L, ''e'', ''{}'', ''2020-01-01Z'')'), '2100-01-01', 'a time of its own is not earlier: ' || diagram) FROM t.end;
SELECT is(t.later(diagram, 'DELETE FROM %s WHERE diagram_id = %L'), '2100-01-01', 'deleted: ' || diagram) FROM t.end;
SELECT is(t.later(diagram, 'INSERT INTO %1$s (diagram_id, id, doc) SELECT %2$L, ''new '' || g, ''{}'' FROM generate_series(1, 200) AS g; INSERT INTO %1$s (diagram_id, id, doc) SELECT %2$L, x, ''{}'' FROM unnest(array_fill(''e''::text, ''{1}'') || (SELECT array_agg(''many '' || g) FROM generate_series(1, 200) AS g)) AS x'),
	'2100-01-01', 'made with many others: ' || diagram) FROM t.end;
SELECT ok((SELECT max(modified_at) FROM diagsync.entity WHERE id LIKE 'many%' OR id LIKE 'new%') <= clock_timestamp(), '... which are of now');
SELECT is((SELECT count(*) FROM diagsync.entity WHERE rev <> pg_current_xact_id()::text::bigint), 0::bigint, 'all have the revision of now');

-- The records of an insert can come before those of the deletion beside it, of what was never deleted before.
SELECT t.pair('h' || d, 'i' || d, '{"e": {"v": 1}, "f": {"v": 1}}', d) FROM unnest('{public,private}'::text[]) AS d;
SELECT t.edited(diagram, 'e', '2100-01-01Z'), t.edited(diagram, 'f', '2100-01-01Z') FROM unnest('{hpublic,ipublic,iprivate}'::text[]) AS diagram;
SELECT is(t.later(diagram, 'WITH gone AS (DELETE FROM %1$s WHERE diagram_id = %2$L RETURNING *) INSERT INTO %1$s (diagram_id, id, doc) SELECT %2$L, ''e'', ''{"v": 4}'' FROM gone LIMIT 1'),
	'2100-01-01', 'made before the command is done that deletes it: ' || diagram) FROM unnest('{hpublic,ipublic,iprivate}'::text[]) AS diagram;

-- ---- "newest" and "latest" mean it --------------------------------------------------------------------
-- In one transaction, and so with the same now().

CREATE FUNCTION t.later_wins(first text, second text, way text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	local text := format('w %s %s %s', first, second, way);
	far text := 'far ' || local;
	side text;
BEGIN
	PERFORM t.pair(local, far, '{"e": {"v": 1}}', CASE WHEN first = 'local' THEN 'public' ELSE 'private' END);
	FOREACH side IN ARRAY ARRAY[first, second] LOOP
		PERFORM pg_sleep(0.001);
		PERFORM t.write(CASE WHEN side ~ 'local' THEN local ELSE far END, 'e', CASE WHEN side ~ 'deletes' THEN NULL ELSE jsonb_build_object('v', side) END);
	END LOOP;
	CASE way
		WHEN 'push' THEN PERFORM diagsync.push(local, on_conflict => 'newest');
		WHEN 'pull' THEN PERFORM diagsync.pull(local, on_conflict => 'newest');
		WHEN 'resolve' THEN PERFORM diagsync.resolve(local, 'e', 'newest');
		WHEN 'latest' THEN PERFORM diagsync.set_merge_policy(local, '{"latest": ["/v"]}'), diagsync.pull(local);
	END CASE;
	RETURN coalesce(t.docs(local) -> 'e' ->> 'v', CASE WHEN first ~ 'deletes' THEN first ELSE second END);
END $$;
SELECT is(t.later_wins(first, second, way), second, format('%s: %s, then %s', way, first, second))
  FROM (VALUES ('local', 'public'), ('public', 'local'), ('local deletes', 'public'), ('public', 'local deletes'), ('public deletes', 'local'), ('local', 'public deletes')) AS v (first, second),
	unnest('{push,pull,resolve,latest}'::text[]) AS way WHERE way <> 'latest' OR first || second !~ 'deletes';

-- A merged document is newer than the two that it is made of.
SELECT t.pair('mine', 'theirs', '{"e": {"v": 1}}');
SELECT t.write('mine', 'e', '{"v": 2}'), t.write('theirs', 'e', '{"v": 3}');
SELECT clock_timestamp() AS started \gset
SELECT diagsync.resolve('mine', 'e', 'merged', '{"v": 4}');
SELECT ok(t.time_of('mine', 'e') BETWEEN :'started' AND clock_timestamp(), 'merged: when it was merged');
SELECT t.write('theirs', 'e', '{"v": 5}'), t.edited('theirs', 'e', '2100-01-01Z');
SELECT diagsync.resolve('mine', 'e', 'merged', '{"v": 6}');
SELECT is(t.time_of('mine', 'e'), '2100-01-01Z'::timestamptz, '... and not earlier than what it was merged from');

SELECT * FROM finish();
ROLLBACK;
