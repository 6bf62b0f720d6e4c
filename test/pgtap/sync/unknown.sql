-- Differences that no record explains: rows changed or deleted past the triggers
-- (session_replication_role, half a restore), records that are gone. Conflicts of
-- kind "unknown" in every comparison, until somebody settles them.
BEGIN;
\ir ../../common/pgtap/helpers.sql

-- Write an entity past all triggers; as of long ago, with a revision that every
-- link has seen.
CREATE FUNCTION t.quietly(diagram text, entity text, document jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL session_replication_role = replica;
	IF document IS NULL THEN
		EXECUTE format('DELETE FROM %s WHERE diagram_id = $1 AND id = $2', t.table_of(diagram)) USING diagram, entity;
	ELSE
		EXECUTE format('INSERT INTO %s (diagram_id, id, doc, rev) VALUES ($1, $2, $3, 3)
			ON CONFLICT (diagram_id, id) DO UPDATE SET doc = excluded.doc', t.table_of(diagram)) USING diagram, entity, document;
	END IF;
	SET LOCAL session_replication_role = origin;
END $$;
-- The records of an entity are lost.
CREATE FUNCTION t.lose_records(local text, far text, entity text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL session_replication_role = replica;
	DELETE FROM diagsync_local.base WHERE diagram_id = local AND id = entity;
	DELETE FROM diagsync_public.tombstone WHERE diagram_id = far AND id = entity;
	DELETE FROM diagsync_private.tombstone WHERE diagram_id = far AND id = entity;
	SET LOCAL session_replication_role = origin;
END $$;

-- What happens to entity e, which both ends have as {"v": 1}; "seen at once": by
-- status, without comparing in full; "newest": the end with the later time, where they
-- have not the same.
CREATE TABLE t.loss (n int GENERATED ALWAYS AS IDENTITY, what text, at_once boolean, change text, newest text DEFAULT 'public');
INSERT INTO t.loss (what, at_once, change) VALUES
	('the local row is changed quietly', false, 'both:update>update'),
	('the shared row is changed quietly', false, 'both:update>update'),
	('both are changed quietly', false, 'both:update>update'),
	('the local row is deleted quietly', false, 'local:delete>'),
	('the shared row is deleted quietly', false, 'public:>delete'),
	('edited here, then deleted quietly', true, 'local:delete>'),
	('edited here, deleted quietly there', true, 'both:update>delete'),
	('edited and undone here, deleted quietly there', true, 'public:>delete'),
	('deleted and made again here, then deleted quietly', true, 'local:delete>'),
	('deleted and made again there, then deleted quietly', false, 'public:>delete'),
	('a local row appears quietly', false, 'public:>delete'),
	('a shared row appears quietly', false, 'local:delete>'),
	('deleted there and pulled, then the local row is back quietly', false, 'public:>delete'),
	('deleted here and pushed, then the shared row is back quietly', false, 'local:delete>'),
	('edited here, and the base row is lost', false, 'both:update>update'),
	('deleted here, and the base row is lost', false, 'local:delete>'),
	('inserted here, and the base row is lost', false, 'public:>delete'),
	('deleted there, and the tombstone is lost', false, 'public:>delete');
UPDATE t.loss SET newest = 'local' WHERE what = 'edited here, and the base row is lost';

CREATE FUNCTION t.lost(l text, n int, storage_type text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	p text := 'far ' || l;
BEGIN
	PERFORM t.pair(l, p, '{"z": {}}'::jsonb || CASE WHEN n IN (11, 12, 17) THEN '{}' ELSE '{"e": {"v": 1}}' END::jsonb, storage_type);
	PERFORM diagsync.pull(l);
	CASE n
		WHEN 1 THEN PERFORM t.quietly(l, 'e', '{"v": 2}');
		WHEN 2 THEN PERFORM t.quietly(p, 'e', '{"v": 3}');
		WHEN 3 THEN PERFORM t.quietly(l, 'e', '{"v": 2}'), t.quietly(p, 'e', '{"v": 3}');
		WHEN 4 THEN PERFORM t.quietly(l, 'e', NULL);
		WHEN 5 THEN PERFORM t.quietly(p, 'e', NULL);
		WHEN 6 THEN PERFORM t.write(l, 'e', '{"v": 2}'); PERFORM t.quietly(l, 'e', NULL);
		WHEN 7 THEN PERFORM t.write(l, 'e', '{"v": 2}'); PERFORM t.quietly(p, 'e', NULL);
		WHEN 8 THEN PERFORM t.write(l, 'e', '{"v": 2}'); PERFORM t.write(l, 'e', '{"v": 1}'); PERFORM t.quietly(p, 'e', NULL);
		WHEN 9 THEN PERFORM t.write(l, 'e', NULL); PERFORM t.write(l, 'e', '{"v": 2}'); PERFORM t.quietly(l, 'e', NULL);
		WHEN 10 THEN PERFORM t.write(p, 'e', NULL); PERFORM t.write(p, 'e', '{"v": 3}'); PERFORM diagsync.pull(l); PERFORM t.quietly(p, 'e', NULL);
		WHEN 11 THEN PERFORM t.quietly(l, 'e', '{"v": 2}');
		WHEN 12 THEN PERFORM t.quietly(p, 'e', '{"v": 3}');
		WHEN 13 THEN PERFORM t.write(p, 'e', NULL); PERFORM diagsync.pull(l); PERFORM t.quietly(l, 'e', '{"v": 1}');
		WHEN 14 THEN PERFORM t.write(l, 'e', NULL); PERFORM diagsync.push(l); PERFORM t.quietly(p, 'e', '{"v": 1}');
		WHEN 15 THEN PERFORM t.write(l, 'e', '{"v": 2}'); PERFORM t.lose_records(l, p, 'e');
		WHEN 16 THEN PERFORM t.write(l, 'e', NULL); PERFORM t.lose_records(l, p, 'e');
		WHEN 17 THEN PERFORM t.write(l, 'e', '{"v": 2}'); PERFORM t.lose_records(l, p, 'e');
		WHEN 18 THEN PERFORM t.write(p, 'e', NULL); PERFORM t.lose_records(l, p, 'e');
	END CASE;
END $$;

-- How a link comes to compare in full, though what it has seen holds.
CREATE FUNCTION t.look(l text, way text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	CASE way
		WHEN 'refresh' THEN PERFORM diagsync.refresh(l);
		WHEN 'policy' THEN PERFORM diagsync.set_merge_policy(l, '{"granularity": "property"}');
		WHEN 'refreshed twice, then pruned' THEN PERFORM diagsync.refresh(l), diagsync.refresh(l), diagsync.prune();
		WHEN 'refreshed, then another policy' THEN PERFORM diagsync.refresh(l), diagsync.set_merge_policy(l, '{"granularity": "property"}');
		WHEN 'skipped by a push' THEN PERFORM diagsync.set_merge_policy(l, '{}'), diagsync.push(l, on_conflict => 'skip');
		WHEN 'skipped by a pull' THEN PERFORM diagsync.set_merge_policy(l, '{}'), diagsync.pull(l, on_conflict => 'skip');
	END CASE;
END $$;

CREATE TABLE t.outcome (n int GENERATED ALWAYS AS IDENTITY, test text, have text, want text);

-- Everything that compares says so, and changes nothing.
CREATE FUNCTION t.check_readers(what text, l text, change text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	was jsonb := jsonb_build_array(t.docs(l), t.docs('far ' || l));
	counts text := format('conflict %s/%s/1', (change NOT LIKE 'public%')::int, (change NOT LIKE 'local%')::int);
BEGIN
	INSERT INTO t.outcome (test, have, want) VALUES
		(what || ': status', t.status(l), counts),
		(what || ': status_all', (SELECT t.show(s) FROM diagsync.status_all() AS s WHERE local_id = l), counts),
		(what || ': changes', t.changes(l), 'e:' || change || ':unknown'),
		(what || ': conflicts', (SELECT string_agg(entity_id || ' ' || paths::text, ',') FROM diagsync.conflicts(l)), 'e {""}'),
		(what || ': dry run of a push', t.show(diagsync.push(l, dry_run => true)), 'no +0 ~0 -0 0/1'),
		(what || ': dry run of a pull', t.show(diagsync.pull(l, dry_run => true)), 'no +0 ~0 -0 0/1'),
		(what || ': push', t.show(diagsync.push(l)), 'no +0 ~0 -0 0/1'),
		(what || ': pull', t.show(diagsync.pull(l)), 'no +0 ~0 -0 0/1'),
		(what || ': push, skip', t.show(diagsync.push(l, on_conflict => 'skip')), 'no +0 ~0 -0 0/1'),
		(what || ': pull, skip', t.show(diagsync.pull(l, on_conflict => 'skip')), 'no +0 ~0 -0 0/1'),
		(what || ': refresh', t.show(diagsync.refresh(l)), counts),
		(what || ': changes as before', t.changes(l), 'e:' || change || ':unknown'),
		(what || ': nothing is written', jsonb_build_array(t.docs(l), t.docs('far ' || l))::text, was::text);
END $$;

-- What each rule makes of it, and that it is settled then.
CREATE FUNCTION t.check_rule(what text, l text, call text, rule text, newest text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	mine jsonb := t.docs(l) -> 'e';
	theirs jsonb := t.docs('far ' || l) -> 'e';
	version text := (SELECT c.version FROM diagsync.conflicts(l) AS c);
	plan text;
	want jsonb;
	copies int := CASE WHEN rule = 'both' AND mine IS NOT NULL AND theirs IS NOT NULL THEN 1 ELSE 0 END;
BEGIN
	want := CASE rule WHEN 'local' THEN mine WHEN 'public' THEN theirs WHEN 'both' THEN coalesce(theirs, mine)
		WHEN 'merged' THEN '{"m": 1}' ELSE CASE newest WHEN 'local' THEN mine ELSE coalesce(theirs, mine) END END;
	CASE call
		WHEN 'push' THEN
			plan := (diagsync.push(l, on_conflict => rule, dry_run => true)).plan;
			INSERT INTO t.outcome (test, have, want) SELECT what, s.success || ' ' || s.resolved || ' ' || s.conflicts, 'true 1 0'
				FROM diagsync.push(l, on_conflict => rule, expected_plan => plan) AS s;
		WHEN 'pull' THEN
			plan := (diagsync.pull(l, on_conflict => rule, dry_run => true)).plan;
			INSERT INTO t.outcome (test, have, want) SELECT what, s.success || ' ' || s.resolved || ' ' || s.conflicts, 'true 1 0'
				FROM diagsync.pull(l, on_conflict => rule, expected_plan => plan) AS s;
		WHEN 'resolve' THEN
			INSERT INTO t.outcome (test, have, want) SELECT what, coalesce(c.conflict, 'none'), 'none'
				FROM diagsync.resolve(l, 'e', rule, CASE rule WHEN 'merged' THEN '{"m": 1}'::jsonb END, version) AS c;
	END CASE;
	INSERT INTO t.outcome (test, have, want) VALUES
		(what || ': it holds that version', (t.docs(l) -> 'e')::text, want::text),
		(what || ': no conflict is left', ((diagsync.refresh(l)).conflicts)::text, '0'),
		(what || ': the rest is synced', t.show(diagsync.push(l)) || ' ' || t.show(diagsync.pull(l)),
			CASE WHEN call = 'push' OR want IS NOT DISTINCT FROM theirs AND copies = 0 THEN 'yes +0 ~0 -0 0/0 yes +0 ~0 -0 0/0'
				WHEN copies = 1 OR theirs IS NULL THEN 'yes +1 ~0 -0 0/0 yes +0 ~0 -0 0/0'
				WHEN want IS NULL THEN 'yes +0 ~0 -1 0/0 yes +0 ~0 -0 0/0' ELSE 'yes +0 ~1 -0 0/0 yes +0 ~0 -0 0/0' END),
		(what || ': both ends agree', (t.docs(l) = t.docs('far ' || l))::text || ' ' || (SELECT count(*) FROM jsonb_object_keys(t.docs(l))),
			'true ' || (1 + copies + (want IS NOT NULL)::int)),
		(what || ': without a base row', t.base(l)::text, '{}'),
		(what || ': for good', t.show(diagsync.refresh(l)), 'in_sync 0/0/0');
END $$;

CREATE PROCEDURE t.run(storage_type text, ways text[]) LANGUAGE plpgsql AS $$
DECLARE
	c t.loss;
	way text;
	call text;
	rule text;
	l text;
BEGIN
	FOR c IN SELECT * FROM t.loss ORDER BY n LOOP
		l := format('%s: %s', storage_type, c.what);
		PERFORM t.lost(l, c.n, storage_type);
		INSERT INTO t.outcome (test, have, want) VALUES (l || ': before it is compared in full', (t.status(l) LIKE 'conflict%')::text, c.at_once::text);
		FOREACH way IN ARRAY ways LOOP
			l := format('%s: %s; %s', storage_type, c.what, way);
			PERFORM t.lost(l, c.n, storage_type);
			PERFORM t.look(l, way);
			PERFORM t.check_readers(l, l, c.change);
			FOREACH call IN ARRAY '{push,pull,resolve}'::text[] LOOP
				FOREACH rule IN ARRAY '{local,public,both,newest,merged}'::text[] LOOP
					CONTINUE WHEN (rule = 'merged' AND call <> 'resolve') OR (way NOT IN ('refresh', 'policy'));
					l := format('%s: %s; %s; %s, %s', storage_type, c.what, way, call, rule);
					PERFORM t.lost(l, c.n, storage_type);
					PERFORM t.look(l, way);
					PERFORM t.check_rule(l, l, call, rule, c.newest);
				END LOOP;
			END LOOP;
		END LOOP;
	END LOOP;
END $$;
CALL t.run('public', '{refresh,policy,"refreshed twice, then pruned","refreshed, then another policy",skipped by a push,skipped by a pull}');
CALL t.run('private', '{refresh}');

-- What was missing is written again, and then deleted at the other end: that is known.
SELECT t.pair('again', 'far again', '{"e": {"v": 1}, "z": {}}');
SELECT t.quietly('again', 'e', NULL), diagsync.refresh('again');
SELECT t.write('again', 'e', '{"v": 2}');
INSERT INTO t.outcome (test, have, want) SELECT 'written again', t.changes('again'), 'e:local:update>:';
SELECT t.write('far again', 'e', NULL);
INSERT INTO t.outcome (test, have, want) SELECT 'written again, then deleted there', t.changes('again'), 'e:both:update>delete:update_delete';
-- Not that one which the other end lacks was deleted here, and made again.
SELECT t.pair('gone', 'far gone', '{"e": {"v": 1}, "z": {}}');
SELECT t.quietly('far gone', 'e', NULL), diagsync.refresh('gone');
SELECT t.write('gone', 'e', NULL), t.write('gone', 'e', '{"v": 2}');
INSERT INTO t.outcome (test, have, want) SELECT 'made again here', t.changes('gone'), 'e:both:update>delete:unknown';

SELECT plan((SELECT count(*)::int FROM t.outcome));
SELECT is(have, want, test) FROM t.outcome ORDER BY n;

SELECT * FROM finish();
ROLLBACK;
