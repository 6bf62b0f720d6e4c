-- References (docs/merging.md): no sync leaves an entity behind that refers to
-- one which the other end deleted, unless somebody wanted that.
BEGIN;
\ir ../../common/pgtap/helpers.sql
SELECT plan(836);

-- As of now, also after a sync in the same statement.
CREATE OR REPLACE FUNCTION t.status(local text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN t.show(diagsync.status(local));
END $$;

-- ---- Scenes ------------------------------------------------------------------------

-- A pair whose local end has the references /from, /to, /parent, /members and
-- /start/id in its policy.
CREATE FUNCTION t.linked(l text, docs jsonb, policy jsonb DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM t.pair(l, 'far ' || l, docs);
	PERFORM diagsync.set_merge_policy(l, '{"references": ["/from", "/to", "/parent", "/members", "/start/id"]}'::jsonb || policy);
	RETURN l;
END $$;

-- One end deletes "box", the other makes "arrow" refer to it: inserts it,
-- turns it from "y" to "box", or only edits it. Beside that each end changes
-- something of its own: x, y. The arrow has either name, to come before and
-- after the box.
CREATE FUNCTION t.scene(l text, deleter text, how text, arrow text DEFAULT 'arrow', beside boolean DEFAULT true) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	d text := CASE deleter WHEN 'local' THEN l ELSE 'far ' || l END;
	r text := CASE deleter WHEN 'local' THEN 'far ' || l ELSE l END;
BEGIN
	PERFORM t.linked(l, '{"box": {"v": 1}, "x": {"v": 1}, "y": {"v": 1}}'::jsonb || CASE how
		WHEN 'insert' THEN '{}'
		WHEN 'turn' THEN jsonb_build_object(arrow, '{"from": "y", "v": 1}'::jsonb)
		WHEN 'edit' THEN jsonb_build_object(arrow, '{"from": "box", "v": 1}'::jsonb) END);
	PERFORM t.write(d, 'box', NULL), t.write(r, arrow, '{"from": "box", "v": 2}');
	IF beside THEN
		PERFORM t.write(l, 'x', '{"v": 2}'), t.write('far ' || l, 'y', '{"v": 2}');
	END IF;
	RETURN l;
END $$;

-- Set when the box was deleted and when the arrow was edited.
CREATE FUNCTION t.times(l text, deleted timestamptz, referred timestamptz, arrow text DEFAULT 'arrow', box text DEFAULT 'box') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM t.edited(l, arrow, referred), t.edited('far ' || l, arrow, referred);
	SET LOCAL session_replication_role = replica;
	UPDATE diagsync_local.base SET changed_at = deleted WHERE diagram_id = l AND id = box;
	UPDATE diagsync_public.tombstone SET deleted_at = deleted WHERE diagram_id = 'far ' || l AND id = box;
	SET LOCAL session_replication_role = origin;
END $$;

-- A copy as "arrow>box2 box1": ids, what they refer to, and v.
CREATE FUNCTION t.see(diagram text) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(e, ' ' ORDER BY e COLLATE "C"), 'nothing') FROM (
		SELECT replace(id, 'wire', 'arrow') || coalesce('>' || (doc ->> 'from'), '') || coalesce(doc ->> 'v', '') AS e FROM diagsync.entity WHERE diagram_id = diagram) AS x $$;

-- The references of a copy that lead nowhere.
CREATE FUNCTION t.dangling(diagram text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(format('%s>%s', id, target), ' ' ORDER BY id) FROM (
		SELECT id, target FROM diagsync.entity, LATERAL (
			SELECT doc ->> key AS target FROM unnest('{from,to,parent}'::text[]) AS key WHERE jsonb_typeof(doc -> key) = 'string'
			UNION ALL SELECT m #>> '{}' FROM jsonb_array_elements(CASE jsonb_typeof(doc -> 'members') WHEN 'array' THEN doc -> 'members' ELSE '[]' END) AS m
			UNION ALL SELECT doc #>> '{start,id}' WHERE jsonb_typeof(doc #> '{start,id}') = 'string') AS t
		 WHERE diagram_id = diagram) AS r
	 WHERE NOT EXISTS (SELECT FROM diagsync.entity AS e WHERE e.diagram_id = diagram AND e.id = target) $$;

-- The conflicts as "arrow:local_change>public_change:kind:paths", without those
-- of a deleted entity.
CREATE FUNCTION t.conflicts(l text) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(format('%s:%s>%s:%s%s', entity_id, local_change, public_change, conflict,
		CASE WHEN 'delete' IN (local_change, public_change) THEN '' ELSE ':' || (SELECT string_agg(path, ',' ORDER BY path) FROM unnest(paths) AS path) END), ' ' ORDER BY entity_id), '') FROM diagsync.conflicts(l) $$;

-- Everything about a pair, to say that it did not change.
CREATE FUNCTION t.pair_state(l text) RETURNS text LANGUAGE sql AS $$
	SELECT md5(concat_ws(' ', t.docs(l), t.docs('far ' || l), (SELECT json_agg(b ORDER BY id) FROM diagsync_local.base AS b WHERE diagram_id = l),
		(SELECT json_agg(d ORDER BY id) FROM diagsync_public.tombstone AS d WHERE diagram_id = 'far ' || l), (SELECT json_agg(d ORDER BY id) FROM diagsync.directory AS d WHERE id IN (l, 'far ' || l)))) $$;

-- A push or pull after a dry run, and what the dry run said where that was
-- something else.
CREATE FUNCTION t.sync(l text, direction text, rule text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	before text := t.pair_state(l);
	dry diagsync.sync_result;
	r diagsync.sync_result;
BEGIN
	IF direction = 'push' THEN dry := diagsync.push(l, on_conflict => rule, dry_run => true);
	ELSE dry := diagsync.pull(l, on_conflict => rule, dry_run => true); END IF;
	IF t.pair_state(l) <> before THEN RETURN 'the dry run wrote something'; END IF;
	IF direction = 'push' THEN r := diagsync.push(l, on_conflict => rule, expected_plan => dry.plan);
	ELSE r := diagsync.pull(l, on_conflict => rule, expected_plan => dry.plan); END IF;
	RETURN t.show(r) || CASE WHEN t.show(r) = t.show(dry) AND r.plan = dry.plan THEN '' ELSE ', but the dry run: ' || t.show(dry) END;
END $$;

-- Bring both ends together, without any conflict: what is left then.
CREATE FUNCTION t.together(l text, first text DEFAULT 'pull') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	a text := CASE first WHEN 'pull' THEN t.show(diagsync.pull(l)) ELSE t.show(diagsync.push(l)) END;
	b text := t.status(l);
	c text := CASE first WHEN 'pull' THEN t.show(diagsync.push(l)) ELSE t.show(diagsync.pull(l)) END;
BEGIN
	IF a NOT LIKE 'yes % 0/0%' OR b LIKE 'conflict%' OR c NOT LIKE 'yes % 0/0%' THEN RETURN format('%s: %s; %s; %s; %s', first, a, b, c, t.conflicts(l)); END IF;
	IF t.status(l) <> 'in_sync 0/0/0' OR t.changes(l) <> '' THEN RETURN t.status(l) || ' ' || t.changes(l); END IF;
	IF t.docs(l) <> t.docs('far ' || l) THEN RETURN format('%s | %s', t.see(l), t.see('far ' || l)); END IF;
	IF t.base(l) <> '{}' THEN RETURN 'base rows: ' || t.base(l); END IF;
	RETURN t.see(l) || coalesce(', dangling: ' || t.dangling(l), '');
END $$;

-- ---- What is shown -------------------------------------------------------------------

CREATE FUNCTION t.shown(l text, deleter text, how text) RETURNS text LANGUAGE sql AS $$
	SELECT t.scene(l, deleter, how);
	SELECT t.status(l) || ' ' || t.conflicts(l) $$;
SELECT is(t.shown(format('s %s %s', deleter, how), deleter, how), want, format('%s side deletes the box, the other one refers to it: %s', deleter, how)) FROM (VALUES
	('local', 'insert', 'conflict 2/2/2 arrow:>insert:dangling:/from box:delete>:dangling'),
	('local', 'turn', 'conflict 2/2/2 arrow:>update:dangling:/from box:delete>:dangling'),
	('local', 'edit', 'conflict 2/2/2 arrow:>update:dangling:/from box:delete>:dangling'),
	('public', 'insert', 'conflict 2/2/2 arrow:insert>:dangling:/from box:>delete:dangling'),
	('public', 'turn', 'conflict 2/2/2 arrow:update>:dangling:/from box:>delete:dangling'),
	('public', 'edit', 'conflict 2/2/2 arrow:update>:dangling:/from box:>delete:dangling')) AS v (deleter, how, want);
SELECT is(t.changes('s local insert'), 'arrow:public:>insert:dangling box:local:delete>:dangling x:local:update>: y:public:>update:', 'changes() has them among the others');
SELECT is(t.changes('s public insert'), 'arrow:local:insert>:dangling box:public:>delete:dangling x:local:update>: y:public:>update:', '... from either side');
SELECT is(jsonb_build_array(base, local, public), '[null, null, {"v": 2, "from": "box"}]', 'the three versions of the one') FROM diagsync.conflicts('s local insert') WHERE entity_id = 'arrow';
SELECT is(jsonb_build_array(base, local, public), '[{"v": 1}, null, {"v": 1}]', '... and of the other') FROM diagsync.conflicts('s local insert') WHERE entity_id = 'box';
SELECT is(t.status(l), (SELECT t.show(s) FROM diagsync.status_all() AS s WHERE local_id = l), 'status_all counts the same') FROM unnest(ARRAY['s local insert', 's public edit']) AS l;
-- It goes as it came.
SELECT diagsync.set_merge_policy('s local insert', '{"references": ["/to"]}');
SELECT is(t.status('s local insert'), 'pending 2/2/0', 'not where the policy has no such reference');
SELECT diagsync.set_merge_policy('s local insert', '{"references": ["/to", "/from"]}');
SELECT is(t.status('s local insert'), 'conflict 2/2/2', '... but where it has');
SAVEPOINT s;
SELECT t.write('s local insert', 'box', '{"v": 1}');
SELECT is(t.status('s local insert'), 'pending 1/2/0', 'the deletion undone');
ROLLBACK TO s;
SELECT t.write('far s local insert', 'arrow', '{"from": "y"}');
SELECT is(t.status('s local insert'), 'pending 2/2/0', 'the reference turned elsewhere');
ROLLBACK TO s;
SELECT t.write('far s local insert', 'arrow', NULL);
SELECT is(t.status('s local insert'), 'pending 2/1/0', 'the referring entity deleted');
ROLLBACK TO s;

-- ---- Each direction, each rule ------------------------------------------------------------

CREATE FUNCTION t.try(deleter text, how text, direction text, rule text, batch int, arrow text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	l text := concat_ws(' ', deleter, how, direction, rule, batch, arrow);
	have text;
	versions text;
BEGIN
	PERFORM set_config('diagsync.batch_size', batch::text, true);
	PERFORM t.scene(l, deleter, how, arrow);
	IF rule LIKE 'newest%' THEN
		-- "newest local": the local side was the later one.
		PERFORM t.times(l, CASE WHEN deleter = split_part(rule, ' ', 2) THEN '2020-01-02Z' ELSE '2020-01-01Z' END::timestamptz,
			CASE WHEN deleter = split_part(rule, ' ', 2) THEN '2020-01-01Z' ELSE '2020-01-02Z' END::timestamptz, arrow);
	END IF;
	versions := (SELECT string_agg(version, ' ') FROM diagsync.conflicts(l));
	have := concat_ws('; ', t.sync(l, direction, split_part(rule, ' ', 1)), t.status(l), t.see(l), t.see('far ' || l));
	IF rule IN ('abort', 'skip') THEN
		-- They stay, whatever is synced after that.
		PERFORM diagsync.pull(l, on_conflict => 'skip'), diagsync.push(l, on_conflict => 'skip'), diagsync.pull(l, on_conflict => 'skip'), diagsync.refresh(l);
		IF t.status(l) <> 'conflict 1/1/2' OR versions IS DISTINCT FROM (SELECT string_agg(version, ' ') FROM diagsync.conflicts(l)) THEN
			have := have || '; then ' || t.status(l) || ' ' || t.conflicts(l);
		END IF;
		PERFORM diagsync.pull(l, on_conflict => 'public');
	END IF;
	have := have || '; ' || t.together(l);
	PERFORM set_config('diagsync.batch_size', '1000', true);
	RETURN have;
END $$;
CREATE TABLE t.rule (deleter text, how text, direction text, rule text, want text);
INSERT INTO t.rule VALUES
	('local', 'insert', 'push', 'abort', 'no +0 ~0 -0 0/2; conflict 2/2/2; x2 y1; arrow>box2 box1 x1 y2; arrow>box2 box1 x2 y2'),
	('local', 'insert', 'push', 'skip', 'no +0 ~1 -0 0/2; conflict 1/2/2; x2 y1; arrow>box2 box1 x2 y2; arrow>box2 box1 x2 y2'),
	('local', 'insert', 'push', 'local', 'yes +0 ~1 -2 2/0; pending 0/1/0; x2 y1; x2 y2; x2 y2'),
	('local', 'insert', 'push', 'public', 'yes +0 ~1 -0 2/0; pending 0/1/0; arrow>box2 box1 x2 y1; arrow>box2 box1 x2 y2; arrow>box2 box1 x2 y2'),
	('local', 'insert', 'push', 'both', 'yes +0 ~1 -0 2/0; pending 0/1/0; arrow>box2 box1 x2 y1; arrow>box2 box1 x2 y2; arrow>box2 box1 x2 y2'),
	('local', 'insert', 'pull', 'abort', 'no +0 ~0 -0 0/2; conflict 2/2/2; x2 y1; arrow>box2 box1 x1 y2; arrow>box2 box1 x2 y2'),
	('local', 'insert', 'pull', 'skip', 'no +0 ~1 -0 0/2; conflict 2/1/2; x2 y2; arrow>box2 box1 x1 y2; arrow>box2 box1 x2 y2'),
	('local', 'insert', 'pull', 'local', 'yes +0 ~1 -0 2/0; pending 3/0/0; x2 y2; arrow>box2 box1 x1 y2; x2 y2'),
	('local', 'insert', 'pull', 'public', 'yes +2 ~1 -0 2/0; pending 1/0/0; arrow>box2 box1 x2 y2; arrow>box2 box1 x1 y2; arrow>box2 box1 x2 y2'),
	('local', 'insert', 'pull', 'both', 'yes +2 ~1 -0 2/0; pending 1/0/0; arrow>box2 box1 x2 y2; arrow>box2 box1 x1 y2; arrow>box2 box1 x2 y2'),
	('public', 'insert', 'push', 'abort', 'no +0 ~0 -0 0/2; conflict 2/2/2; arrow>box2 box1 x2 y1; x1 y2; x2 y2'),
	('public', 'insert', 'push', 'skip', 'no +0 ~1 -0 0/2; conflict 1/2/2; arrow>box2 box1 x2 y1; x2 y2; x2 y2'),
	('public', 'insert', 'push', 'local', 'yes +2 ~1 -0 2/0; pending 0/1/0; arrow>box2 box1 x2 y1; arrow>box2 box1 x2 y2; arrow>box2 box1 x2 y2'),
	('public', 'insert', 'push', 'public', 'yes +0 ~1 -0 2/0; pending 0/2/0; box1 x2 y1; x2 y2; x2 y2'),
	('public', 'insert', 'push', 'both', 'yes +2 ~1 -0 2/0; pending 0/1/0; arrow>box2 box1 x2 y1; arrow>box2 box1 x2 y2; arrow>box2 box1 x2 y2'),
	('public', 'insert', 'pull', 'abort', 'no +0 ~0 -0 0/2; conflict 2/2/2; arrow>box2 box1 x2 y1; x1 y2; x2 y2'),
	('public', 'insert', 'pull', 'skip', 'no +0 ~1 -0 0/2; conflict 2/1/2; arrow>box2 box1 x2 y2; x1 y2; x2 y2'),
	('public', 'insert', 'pull', 'local', 'yes +0 ~1 -0 2/0; pending 3/0/0; arrow>box2 box1 x2 y2; x1 y2; arrow>box2 box1 x2 y2'),
	('public', 'insert', 'pull', 'public', 'yes +0 ~1 -2 2/0; pending 1/0/0; x2 y2; x1 y2; x2 y2'),
	('public', 'insert', 'pull', 'both', 'yes +0 ~1 -0 2/0; pending 3/0/0; arrow>box2 box1 x2 y2; x1 y2; arrow>box2 box1 x2 y2'),
	('local', 'turn', 'push', 'skip', 'no +0 ~1 -0 0/2; conflict 1/2/2; arrow>y1 x2 y1; arrow>box2 box1 x2 y2; arrow>box2 box1 x2 y2'),
	('local', 'turn', 'push', 'local', 'yes +0 ~2 -1 2/0; pending 0/1/0; arrow>y1 x2 y1; arrow>y1 x2 y2; arrow>y1 x2 y2'),
	('local', 'turn', 'push', 'public', 'yes +0 ~1 -0 2/0; pending 0/1/0; arrow>box2 box1 x2 y1; arrow>box2 box1 x2 y2; arrow>box2 box1 x2 y2'),
	('local', 'turn', 'pull', 'skip', 'no +0 ~1 -0 0/2; conflict 2/1/2; arrow>y1 x2 y2; arrow>box2 box1 x1 y2; arrow>box2 box1 x2 y2'),
	('local', 'turn', 'pull', 'local', 'yes +0 ~1 -0 2/0; pending 3/0/0; arrow>y1 x2 y2; arrow>box2 box1 x1 y2; arrow>y1 x2 y2'),
	('local', 'turn', 'pull', 'public', 'yes +1 ~2 -0 2/0; pending 1/0/0; arrow>box2 box1 x2 y2; arrow>box2 box1 x1 y2; arrow>box2 box1 x2 y2'),
	('public', 'turn', 'push', 'local', 'yes +1 ~2 -0 2/0; pending 0/1/0; arrow>box2 box1 x2 y1; arrow>box2 box1 x2 y2; arrow>box2 box1 x2 y2'),
	('public', 'turn', 'push', 'public', 'yes +0 ~1 -0 2/0; pending 0/2/0; arrow>y1 box1 x2 y1; arrow>y1 x2 y2; arrow>y1 x2 y2'),
	('public', 'turn', 'pull', 'local', 'yes +0 ~1 -0 2/0; pending 3/0/0; arrow>box2 box1 x2 y2; arrow>y1 x1 y2; arrow>box2 box1 x2 y2'),
	('public', 'turn', 'pull', 'public', 'yes +0 ~2 -1 2/0; pending 1/0/0; arrow>y1 x2 y2; arrow>y1 x1 y2; arrow>y1 x2 y2'),
	-- The reference was there before, so giving up the edit leaves it: its end
	-- deleted the box and left its own reference.
	('local', 'edit', 'push', 'local', 'yes +0 ~2 -1 2/0; pending 0/1/0; arrow>box1 x2 y1; arrow>box1 x2 y2; arrow>box1 x2 y2, dangling: arrow>box'),
	('local', 'edit', 'push', 'public', 'yes +0 ~1 -0 2/0; pending 0/1/0; arrow>box2 box1 x2 y1; arrow>box2 box1 x2 y2; arrow>box2 box1 x2 y2'),
	('local', 'edit', 'pull', 'both', 'yes +1 ~2 -0 2/0; pending 1/0/0; arrow>box2 box1 x2 y2; arrow>box2 box1 x1 y2; arrow>box2 box1 x2 y2'),
	('public', 'edit', 'pull', 'local', 'yes +0 ~1 -0 2/0; pending 3/0/0; arrow>box2 box1 x2 y2; arrow>box1 x1 y2; arrow>box2 box1 x2 y2'),
	('public', 'edit', 'push', 'local', 'yes +1 ~2 -0 2/0; pending 0/1/0; arrow>box2 box1 x2 y1; arrow>box2 box1 x2 y2; arrow>box2 box1 x2 y2');
INSERT INTO t.rule SELECT deleter, how, direction, 'newest ' || rule, want FROM t.rule WHERE rule IN ('local', 'public');
SELECT is(replace(t.try(deleter, how, direction, rule, batch, arrow), 'wire', 'arrow'), want, format('deleted by the %s side, %s; %s, %s, in batches of %s, %s', deleter, how, direction, rule, batch, arrow))
  FROM t.rule, unnest('{1,1000}'::int[]) AS batch, unnest('{arrow,wire}'::text[]) AS arrow ORDER BY deleter, how, direction, rule, batch, arrow;

-- ---- Each resolution of each of the two -----------------------------------------------------

-- The pairs that are noted as accepted.
CREATE FUNCTION t.accepted(l text) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(DISTINCT least(id, a) || '-' || greatest(id, a), ' '), 'none') FROM diagsync_local.base, unnest(accepted) AS a WHERE diagram_id = l $$;
CREATE FUNCTION t.settle(deleter text, how text, entity text, resolution text, doc jsonb, first text, accepts boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	l text := concat_ws(' ', 'r', deleter, how, entity, resolution, first);
	r diagsync.change;
	c diagsync.change;
	have text;
BEGIN
	PERFORM t.scene(l, deleter, how, 'arrow', false);
	IF resolution LIKE 'newest%' THEN
		PERFORM t.times(l, CASE WHEN deleter = split_part(resolution, ' ', 2) THEN '2020-01-02Z' ELSE '2020-01-01Z' END::timestamptz,
			CASE WHEN deleter = split_part(resolution, ' ', 2) THEN '2020-01-01Z' ELSE '2020-01-02Z' END::timestamptz);
	END IF;
	IF t.status(l) <> 'conflict 1/1/2' OR t.accepted(l) <> 'none' THEN RETURN 'before: ' || t.status(l) || t.accepted(l); END IF;
	SELECT * INTO c FROM diagsync.conflicts(l) WHERE entity_id = entity;
	r := diagsync.resolve(l, entity, split_part(resolution, ' ', 1), doc, c.version);
	IF r.conflict IS NOT NULL OR r.entity_id <> entity THEN RETURN 'returned: ' || r; END IF;
	have := concat_ws('; ', t.status(l), t.see(l));
	-- Edited once more, a reference that was kept in spite of the deletion is no
	-- new conflict.
	IF accepts THEN
		BEGIN
			PERFORM t.write(CASE deleter WHEN 'local' THEN 'far ' || l ELSE l END, 'arrow', '{"from": "box", "v": 3}');
			RAISE SQLSTATE 'TT000' USING MESSAGE = t.status(l);
		EXCEPTION WHEN SQLSTATE 'TT000' THEN
			IF sqlerrm LIKE 'conflict%' THEN have := have || ', but edited again ' || sqlerrm; END IF;
		END;
	END IF;
	-- A full comparison says the same, and no other sync is in the way.
	IF t.show(diagsync.refresh(l)) <> t.status(l) THEN RETURN have || ', but refreshed ' || t.status(l); END IF;
	have := have || '; ' || t.together(l, first);
	IF t.accepted(l) <> 'none' THEN RETURN have || ', still accepted'; END IF;
	PERFORM diagsync.refresh(l);
	RETURN have || CASE t.status(l) WHEN 'in_sync 0/0/0' THEN '' ELSE ', at last ' || t.status(l) END;
END $$;
CREATE TABLE t.settled (deleter text, how text, entity text, resolution text, doc jsonb, want text);
INSERT INTO t.settled VALUES
	('local', 'insert', 'box', 'local', NULL, 'pending 1/1/0; x1 y1; arrow>box2 x1 y1, dangling: arrow>box'),
	('local', 'insert', 'box', 'public', NULL, 'pending 0/1/0; box1 x1 y1; arrow>box2 box1 x1 y1'),
	('local', 'insert', 'box', 'both', NULL, 'pending 0/1/0; box1 x1 y1; arrow>box2 box1 x1 y1'),
	('local', 'insert', 'box', 'merged', '{"v": 9}', 'pending 1/1/0; box9 x1 y1; arrow>box2 box9 x1 y1'),
	('local', 'insert', 'box', 'newest local', NULL, 'pending 1/1/0; x1 y1; arrow>box2 x1 y1, dangling: arrow>box'),
	('local', 'insert', 'box', 'newest public', NULL, 'pending 0/1/0; box1 x1 y1; arrow>box2 box1 x1 y1'),
	('local', 'insert', 'arrow', 'local', NULL, 'pending 2/0/0; x1 y1; x1 y1'),
	('local', 'insert', 'arrow', 'public', NULL, 'pending 1/0/0; arrow>box2 x1 y1; arrow>box2 x1 y1, dangling: arrow>box'),
	('local', 'insert', 'arrow', 'both', NULL, 'in_sync 0/0/0; arrow>box2 box1 x1 y1; arrow>box2 box1 x1 y1'),
	('local', 'insert', 'arrow', 'merged', '{"from": "y", "v": 9}', 'pending 2/0/0; arrow>y9 x1 y1; arrow>y9 x1 y1'),
	('local', 'insert', 'arrow', 'newest local', NULL, 'pending 2/0/0; x1 y1; x1 y1'),
	('public', 'insert', 'box', 'local', NULL, 'pending 2/0/0; arrow>box2 box1 x1 y1; arrow>box2 box1 x1 y1'),
	('public', 'insert', 'box', 'public', NULL, 'pending 1/0/0; arrow>box2 x1 y1; arrow>box2 x1 y1, dangling: arrow>box'),
	('public', 'insert', 'box', 'both', NULL, 'pending 2/0/0; arrow>box2 box1 x1 y1; arrow>box2 box1 x1 y1'),
	('public', 'insert', 'box', 'merged', '{"v": 9}', 'pending 2/0/0; arrow>box2 box9 x1 y1; arrow>box2 box9 x1 y1'),
	('public', 'insert', 'box', 'newest public', NULL, 'pending 1/0/0; arrow>box2 x1 y1; arrow>box2 x1 y1, dangling: arrow>box'),
	('public', 'insert', 'box', 'newest local', NULL, 'pending 2/0/0; arrow>box2 box1 x1 y1; arrow>box2 box1 x1 y1'),
	('public', 'insert', 'arrow', 'local', NULL, 'pending 1/1/0; arrow>box2 box1 x1 y1; arrow>box2 x1 y1, dangling: arrow>box'),
	('public', 'insert', 'arrow', 'public', NULL, 'pending 0/1/0; box1 x1 y1; x1 y1'),
	('public', 'insert', 'arrow', 'both', NULL, 'pending 2/0/0; arrow>box2 box1 x1 y1; arrow>box2 box1 x1 y1'),
	('public', 'insert', 'arrow', 'merged', '{"from": "y", "v": 9}', 'pending 1/1/0; arrow>y9 box1 x1 y1; arrow>y9 x1 y1'),
	('public', 'insert', 'arrow', 'newest public', NULL, 'pending 0/1/0; box1 x1 y1; x1 y1'),
	('local', 'turn', 'arrow', 'local', NULL, 'pending 2/0/0; arrow>y1 x1 y1; arrow>y1 x1 y1'),
	('local', 'turn', 'arrow', 'public', NULL, 'pending 1/0/0; arrow>box2 x1 y1; arrow>box2 x1 y1, dangling: arrow>box'),
	('local', 'turn', 'arrow', 'both', NULL, 'in_sync 0/0/0; arrow>box2 box1 x1 y1; arrow>box2 box1 x1 y1'),
	('local', 'turn', 'box', 'local', NULL, 'pending 1/1/0; arrow>y1 x1 y1; arrow>box2 x1 y1, dangling: arrow>box'),
	('public', 'turn', 'arrow', 'local', NULL, 'pending 1/1/0; arrow>box2 box1 x1 y1; arrow>box2 x1 y1, dangling: arrow>box'),
	('public', 'turn', 'arrow', 'public', NULL, 'pending 0/1/0; arrow>y1 box1 x1 y1; arrow>y1 x1 y1'),
	('public', 'turn', 'box', 'public', NULL, 'pending 1/0/0; arrow>box2 x1 y1; arrow>box2 x1 y1, dangling: arrow>box'),
	('public', 'turn', 'box', 'local', NULL, 'pending 2/0/0; arrow>box2 box1 x1 y1; arrow>box2 box1 x1 y1'),
	('public', 'edit', 'box', 'both', NULL, 'pending 2/0/0; arrow>box2 box1 x1 y1; arrow>box2 box1 x1 y1'),
	('local', 'edit', 'arrow', 'both', NULL, 'in_sync 0/0/0; arrow>box2 box1 x1 y1; arrow>box2 box1 x1 y1');
SELECT is(t.settle(deleter, how, entity, resolution, doc, first, want LIKE '%dangling%'), want, format('deleted by the %s side, %s; %s resolved as %s, then %s first', deleter, how, entity, resolution, first))
  FROM t.settled, unnest('{pull,push}'::text[]) AS first ORDER BY deleter, how, entity, resolution, first;

-- "merged" is an edit of the local side, and looked at again.
SELECT t.scene('again 1', 'public', 'insert', beside => false);
SELECT t.scene('again ' || n, 'local', 'insert', beside => false) FROM generate_series(2, 4) AS n;
SELECT is(jsonb_build_array(entity_id, conflict, paths, local), '["arrow", "dangling", ["/from"], {"from": "box", "v": 9}]', 'merged into what dangles: it comes back with that') FROM diagsync.resolve('again 1', 'arrow', 'merged', '{"from": "box", "v": 9}');
SELECT alike(t.status('again 1'), 'conflict %/2', '... and both are in conflict still');
SELECT t.write('again 2', 'y', NULL);
SELECT t.write('far again 2', 'y', '{"v": 1}');
SELECT is(jsonb_build_array(entity_id, conflict), '["arrow", null]', 'merged into what refers to another deleted entity of its own end') FROM diagsync.resolve('again 2', 'arrow', 'merged', '{"from": "y", "v": 9}');
SELECT is(jsonb_build_array(entity_id, conflict), '["arrow", null]', 'merged into what dangles not') FROM diagsync.resolve('again 3', 'arrow', 'merged', '{"from": "y", "v": 9}');
SELECT is(t.together('again 3'), 'arrow>y9 x1 y1', '... settles it');

SELECT is(jsonb_build_array(entity_id, conflict), '["arrow", null]', 'merged into what the local side itself deleted') FROM diagsync.resolve('again 4', 'arrow', 'merged', '{"from": "box", "v": 9}');

-- A version that moved on.
SELECT t.scene('moved', 'public', 'insert', beside => false);
SELECT version FROM diagsync.conflicts('moved') WHERE entity_id = 'arrow' \gset
SELECT t.write('moved', 'arrow', '{"from": "box", "v": 3}');
SELECT is(jsonb_build_array(conflict, local), '["dangling", {"from": "box", "v": 3}]', 'where it has moved on, nothing is written') FROM diagsync.resolve('moved', 'arrow', 'public', expected => :'version');
SELECT is(t.status('moved'), 'conflict 1/1/2', '... and it is still there');

-- ---- What was accepted -------------------------------------------------------------------

SELECT t.scene('acc', 'local', 'insert', beside => false);
SELECT diagsync.resolve('acc', 'box', 'local');
SELECT is(pg_typeof(accepted)::text, 'text[]', 'accepted is an array of ids') FROM diagsync_local.base WHERE diagram_id = 'acc' LIMIT 1;
SELECT is(t.status('acc') || ' ' || t.changes('acc'), 'pending 1/1/0 arrow:public:>insert: box:local:delete>:', 'accepted: each is an ordinary change');
SELECT t.write('far acc', 'arrow', '{"from": "box", "v": 3}');
SELECT is(t.status('acc'), 'pending 1/1/0', 'and stays so when the other is edited');
SAVEPOINT s;
SELECT t.write('far acc', 'second', '{"to": "box"}');
SELECT is(t.status('acc') || ' ' || t.conflicts('acc'), 'conflict 1/2/2 box:delete>:dangling second:>insert:dangling:/to', 'a new reference is a new conflict');
SELECT is(t.show(diagsync.push('acc')), 'no +0 ~0 -0 0/2', 'which a push finds');
SELECT diagsync.resolve('acc', 'second', 'public');
SELECT is(t.status('acc') || ' ' || t.accepted('acc'), 'pending 1/1/0 arrow-box box-second', 'accepted as well');
SELECT is(t.together('acc', 'push'), 'arrow>box3 second x1 y1, dangling: arrow>box second>box', 'both are kept');
ROLLBACK TO s;
SELECT is(t.show(diagsync.pull('acc')) || ' ' || t.status('acc'), 'yes +1 ~0 -0 0/0 pending 1/0/0', 'the reference is pulled');
SELECT t.write('far acc', 'second', '{"members": ["x", "box"]}');
SELECT is(t.status('acc') || ' ' || t.conflicts('acc'), 'conflict 1/1/2 box:delete>:dangling second:>insert:dangling:/members', 'a new one is a conflict still');
SELECT is(t.sync('acc', 'push', 'local') || ' ' || t.together('acc'), 'yes +0 ~0 -2 2/0 arrow>box3 x1 y1, dangling: arrow>box', '... that rules settle');
ROLLBACK TO s;
SELECT is(t.show(diagsync.push('acc')) || ' ' || t.status('acc'), 'yes +0 ~0 -1 0/0 pending 0/1/0', 'or the deletion is pushed first');
SELECT is(t.base('acc'), '{}', '... and nothing is remembered');
SELECT is(t.together('acc'), 'arrow>box3 x1 y1, dangling: arrow>box', '... nor needed');
ROLLBACK TO s;
-- From the other end.
SELECT t.scene('acc2', 'public', 'insert', beside => false);
SELECT diagsync.resolve('acc2', 'arrow', 'local');
SELECT t.write('acc2', 'arrow', '{"from": "box", "v": 3}');
SELECT is(t.status('acc2'), 'pending 1/1/0', 'a reference that is kept in spite of the deletion, edited again');
SELECT t.write('acc2', 'second', '{"start": {"id": "box"}}');
SELECT is(t.status('acc2') || ' ' || t.conflicts('acc2'), 'conflict 2/1/2 box:>delete:dangling second:insert>:dangling:/start/id', 'a new one is a conflict');
SELECT is(t.sync('acc2', 'pull', 'public'), 'yes +0 ~0 -2 2/0', 'that rules settle');
SELECT is(t.together('acc2'), 'arrow>box3 x1 y1, dangling: arrow>box', 'but for the one that was accepted');
-- An aborted push forgets nothing, nor does one of something else.
SELECT t.scene('acc3', 'public', 'insert');
SELECT diagsync.resolve('acc3', 'arrow', 'local');
SELECT t.write('acc3', 'y', '{"v": 7}');
SELECT is(t.show(diagsync.push('acc3')) || ' ' || t.accepted('acc3'), 'no +0 ~0 -0 0/1 arrow-box', 'a push that aborts');
SELECT is(t.show(diagsync.pull('acc3', on_conflict => 'public')) || ' ' || t.status('acc3') || ' ' || t.accepted('acc3'), 'yes +0 ~1 -1 1/0 pending 2/0/0 arrow-box', 'a pull that takes the deletion');
SELECT is(t.together('acc3'), 'arrow>box2 x2 y2, dangling: arrow>box', 'and the rest');
-- Nor does a conflict of the same entity that is settled: its base moves on.
SELECT t.scene('acc4', 'public', 'edit', beside => false);
SELECT diagsync.resolve('acc4', 'arrow', 'local');
SELECT t.write('far acc4', 'arrow', '{"from": "box", "v": 9}');
SELECT is(t.status('acc4') || ' ' || t.conflicts('acc4'), 'conflict 1/2/1 arrow:update>update:update_update:', 'a reference that is kept in spite of the deletion, in conflict otherwise');
SELECT is(t.sync('acc4', 'pull', 'local') || ' ' || t.accepted('acc4') || ' ' || (t.base('acc4') -> 'arrow')::text, 'yes +0 ~0 -1 1/0 arrow-box {"v": 9, "from": "box"}', 'settled, it is still accepted');
SELECT is(t.together('acc4'), 'arrow>box2 x1 y1, dangling: arrow>box', '... and goes its way');

-- ---- What is a reference, and what is none ---------------------------------------------------

CREATE FUNCTION t.look(docs jsonb, local jsonb, public jsonb, policy jsonb DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	l text := 'look ' || (SELECT count(*) FROM diagsync.directory);
BEGIN
	PERFORM t.linked(l, docs, policy);
	PERFORM t.write(l, key, value) FROM jsonb_each(local);
	PERFORM t.write('far ' || l, key, value) FROM jsonb_each(public);
	RETURN t.status(l) || ' ' || t.conflicts(l);
END $$;
SELECT is(t.look('{"box": {}, "z": {}}', '{"box": null}', public), want, format('box is deleted, the other end has %s', public)) FROM (VALUES
	('{"a": {"from": "box"}}'::jsonb, 'conflict 1/1/2 a:>insert:dangling:/from box:delete>:dangling'),
	('{"a": {"from": "box", "to": "box"}}', 'conflict 1/1/2 a:>insert:dangling:/from,/to box:delete>:dangling'),
	('{"a": {"from": "z", "to": "box"}}', 'conflict 1/1/2 a:>insert:dangling:/to box:delete>:dangling'),
	('{"a": {"from": "box"}, "b": {"parent": "box"}}', 'conflict 1/2/3 a:>insert:dangling:/from b:>insert:dangling:/parent box:delete>:dangling'),
	('{"a": {"members": ["z", "box"]}}', 'conflict 1/1/2 a:>insert:dangling:/members box:delete>:dangling'),
	('{"a": {"members": ["box", "box"]}}', 'conflict 1/1/2 a:>insert:dangling:/members box:delete>:dangling'),
	('{"a": {"from": ["box"]}}', 'conflict 1/1/2 a:>insert:dangling:/from box:delete>:dangling'),
	('{"a": {"members": "box"}}', 'conflict 1/1/2 a:>insert:dangling:/members box:delete>:dangling'),
	('{"a": {"start": {"id": "box"}}}', 'conflict 1/1/2 a:>insert:dangling:/start/id box:delete>:dangling'),
	('{"z": {"from": "box"}}', 'conflict 1/1/2 box:delete>:dangling z:>update:dangling:/from'),
	('{"a": {"from": "nothing"}}', 'pending 1/1/0 '),
	('{"a": {"from": "z"}}', 'pending 1/1/0 '),
	('{"a": {"from": "a"}}', 'pending 1/1/0 '),
	('{"a": {"from": null}}', 'pending 1/1/0 '),
	('{"a": {"from": {"id": "box"}}}', 'pending 1/1/0 '),
	('{"a": {"members": [{"id": "box"}, ["box"], 1, null]}}', 'pending 1/1/0 '),
	('{"a": {"start": "box"}}', 'pending 1/1/0 '),
	('{"a": {"label": "box"}}', 'pending 1/1/0 '),
	('{"a": {"from": "Box"}}', 'pending 1/1/0 '),
	('{"a": {"from": ""}}', 'pending 1/1/0 ')) AS v (public, want);
SELECT is(t.look(docs, local, public, policy), want, what) FROM (VALUES
	('an id of digits', '{"5": {}}'::jsonb, '{"5": null}'::jsonb, '{"a": {"from": "5"}}'::jsonb, '{}'::jsonb, 'conflict 1/1/2 5:delete>:dangling a:>insert:dangling:/from'),
	('a number is no id', '{"5": {}}', '{"5": null}', '{"a": {"from": 5}}', '{}', 'pending 1/1/0 '),
	('an unchanged entity refers to it', '{"box": {}, "a": {"from": "box"}}', '{"box": null}', '{}', '{}', 'pending 1/0/0 '),
	('... to what the other end deleted', '{"box": {}, "a": {"from": "box"}}', '{}', '{"box": null}', '{}', 'pending 0/1/0 '),
	('the same end refers to it', '{"box": {}}', '{"box": null, "a": {"from": "box"}}', '{}', '{}', 'pending 2/0/0 '),
	('the same end changed what refers to it', '{"box": {}, "a": {"from": "box"}}', '{"box": null, "a": {"from": "box", "v": 1}}', '{}', '{}', 'pending 2/0/0 '),
	('the other end referred to it, and does no more', '{"box": {}, "a": {"from": "box"}}', '{"box": null}', '{"a": {}}', '{}', 'pending 1/1/0 '),
	('what referred to it is deleted by the other end', '{"box": {}, "a": {"from": "box"}}', '{"box": null}', '{"a": null}', '{}', 'pending 1/1/0 '),
	('it refers to itself', '{"box": {"from": "box"}}', '{"box": null}', '{}', '{}', 'pending 1/0/0 '),
	('it refers to itself and is changed there', '{"box": {"from": "box"}}', '{"box": null}', '{"box": {"from": "box", "v": 1}}', '{}', 'conflict 1/1/1 box:delete>update:delete_update'),
	('an edit that was undone refers to it', '{"box": {}, "a": {"from": "box"}}', '{"box": null}', '{"a": {"from": "box"}}', '{}', 'pending 1/0/0 '),
	('inserted and deleted again, and never there', '{}', '{"box": null}', '{"a": {"from": "box"}}', '{}', 'pending 0/1/0 '),
	('two deleted, one refers to both', '{"a": {}, "b": {}}', '{"a": null, "b": null}', '{"c": {"from": "a", "to": "b"}}', '{}', 'conflict 2/1/3 a:delete>:dangling b:delete>:dangling c:>insert:dangling:/from,/to'),
	('each deletes what the other refers to', '{"a": {}, "b": {}}', '{"a": null, "c": {"to": "b"}}', '{"b": null, "d": {"to": "a"}}', '{}', 'conflict 2/2/4 a:delete>:dangling b:>delete:dangling c:insert>:dangling:/to d:>insert:dangling:/to'),
	('they conflict anyway: each keeps its kind', '{"box": {}, "a": {}}', '{"box": null, "a": {"v": 1}}', '{"box": {"v": 1}, "a": {"from": "box"}}', '{}', 'conflict 2/2/2 a:update>update:update_update: box:delete>update:delete_update'),
	('the deleted one conflicts anyway', '{"box": {}}', '{"box": null}', '{"box": {"v": 1}, "a": {"from": "box"}}', '{}', 'conflict 1/2/2 a:>insert:dangling:/from box:delete>update:delete_update'),
	('changed by both, the merged version refers to it', '{"box": {}, "a": {"from": "z", "v": 1}, "z": {}}', '{"box": null, "a": {"from": "z", "v": 2}}', '{"a": {"from": "box", "v": 1}}', '{"granularity": "property"}', 'conflict 2/1/2 a:update>update:dangling:/from box:delete>:dangling'),
	('changed by both, the merged version refers to it no more', '{"box": {}, "a": {"from": "box", "v": 1}, "z": {}}', '{"box": null, "a": {"from": "z", "v": 1}}', '{"a": {"from": "box", "v": 2}}', '{"granularity": "property"}', 'pending 2/1/0 '),
	('changed by both in the same way', '{"box": {}}', '{"box": null, "a": {"from": "box"}}', '{"a": {"from": "box"}}', '{}', 'pending 1/0/0 '),
	('an ignored difference is no change', '{"box": {}, "a": {"from": "box", "t": 1}}', '{"box": null}', '{"a": {"from": "box", "t": 2}}', '{"ignore": ["/t"]}', 'pending 1/0/0 ')) AS v (what, docs, local, public, policy, want);
-- An entity that conflicts anyway keeps that kind; the one that it refers to does not come off.
SELECT t.linked('anyway', '{"box": {}, "a": {"v": 1}}');
SELECT t.write('anyway', 'box', NULL), t.write('anyway', 'a', '{"v": 2}'), t.write('far anyway', 'a', '{"from": "box", "v": 1}');
SELECT is(conflict, 'update_update', 'a referring entity that conflicts anyway keeps that kind') FROM diagsync.conflicts('anyway') WHERE entity_id = 'a';
SELECT diagsync.push('anyway', on_conflict => 'public'), diagsync.pull('anyway', on_conflict => 'public'), diagsync.push('anyway', on_conflict => 'public');
SELECT is(t.docs('anyway') -> 'a', '{"from": "box", "v": 1}', '... resolved for the referring side, its version is kept');
SELECT is(t.dangling('anyway') || t.dangling('far anyway'), NULL, '... and nothing dangles');

-- Changed by both: the merged version is what counts, to the end.
SELECT t.linked('merges', '{"box": {}, "a": {"from": "z", "v": 1}, "z": {}}', '{"granularity": "property"}');
SELECT t.write('merges', 'box', NULL), t.write('merges', 'a', '{"from": "z", "v": 2}'), t.write('far merges', 'a', '{"from": "box", "v": 1}');
SAVEPOINT s;
SELECT diagsync.push('merges', on_conflict => 'public');
SELECT is(t.together('merges'), 'a>box2 box z', 'merged and dangling, resolved for the public side: its reference, and the box');
ROLLBACK TO s;
SELECT diagsync.push('merges', on_conflict => 'local');
SELECT is(t.together('merges'), 'a>z2 z', '... for the local side: its reference, and no box');
ROLLBACK TO s;
SELECT diagsync.resolve('merges', 'box', 'public');
SELECT is(t.together('merges'), 'a>box2 box z', '... the box restored: it merges');
ROLLBACK TO s;
SELECT diagsync.resolve('merges', 'box', 'local');
SELECT is(t.together('merges'), 'a>box2 z, dangling: a>box', '... its deletion kept: it merges all the same');
ROLLBACK TO s;

-- ---- The deleted entity conflicts anyway ----------------------------------------------------

-- Edited here, deleted there, and a new connection here.
SELECT t.linked('ud', '{"box": {"v": 1}}');
SELECT t.write('ud', 'box', '{"v": 2}'), t.write('ud', 'arrow', '{"from": "box"}'), t.write('far ud', 'box', NULL);
SELECT is(t.conflicts('ud'), 'arrow:insert>:dangling:/from box:update>delete:update_delete', 'edited here, deleted there, and a new connection here');
SAVEPOINT s;
SELECT is(conflict, 'dangling', 'resolved for the deletion: it comes back as dangling') FROM diagsync.resolve('ud', 'box', 'public');
SELECT alike(t.status('ud'), 'conflict %', '... it is still to be settled');
SELECT is(t.show(diagsync.push('ud')) LIKE 'no %', true, '... and no push passes over it');
SELECT is(t.sync('ud', 'push', 'public') LIKE 'yes %' AND coalesce(t.dangling('ud'), t.dangling('far ud')) IS NULL, true, '... a rule settles it');
ROLLBACK TO s;
SELECT is(conflict, NULL, 'resolved for the edit: it is settled') FROM diagsync.resolve('ud', 'box', 'local');
SELECT is(t.together('ud'), 'arrow>box box2', '... with the connection');
ROLLBACK TO s;
SELECT is(t.sync('ud', direction, rule) LIKE 'yes %' AND coalesce(t.dangling('ud'), t.dangling('far ud')) IS NULL, true, format('... by %s, %s', direction, rule)) FROM (VALUES ('push', 'both')) AS v (direction, rule);
SELECT is(t.together('ud'), 'arrow>box box2', '... both are kept');
ROLLBACK TO s;
-- The same from the other end.
SELECT t.linked('du', '{"box": {"v": 1}}');
SELECT t.write('du', 'box', NULL), t.write('far du', 'box', '{"v": 2}'), t.write('far du', 'arrow', '{"from": "box"}');
SELECT is(t.conflicts('du'), 'arrow:>insert:dangling:/from box:delete>update:delete_update', 'deleted here, edited there, and a new connection there');
SAVEPOINT s;
SELECT is(conflict, 'dangling', 'resolved for the deletion: it comes back as dangling') FROM diagsync.resolve('du', 'box', 'local');
SELECT is(t.conflicts('du'), 'arrow:>insert:dangling:/from box:delete>:dangling', '... as conflicts() has it');
SELECT is(conflict, NULL, '... and resolved once more it stays deleted') FROM diagsync.resolve('du', 'box', 'local');
SELECT is(t.together('du'), 'arrow>box, dangling: arrow>box', '... for good');
ROLLBACK TO s;
SELECT is(conflict, NULL, 'resolved for the edit: it is settled') FROM diagsync.resolve('du', 'box', 'public');
SELECT is(t.together('du'), 'arrow>box box2', '... with the connection');
ROLLBACK TO s;
SELECT is(t.sync('du', direction, rule) LIKE 'yes %' AND coalesce(t.dangling('du'), t.dangling('far du')) IS NULL, true, format('... by %s, %s', direction, rule)) FROM (VALUES ('push', 'local')) AS v (direction, rule);
SELECT is(t.together('du'), 'nothing', '... all of it is gone');
ROLLBACK TO s;

-- ---- Chains -------------------------------------------------------------------------------------

-- a refers to b, b to c; one end deletes all, the other connects something to a.
CREATE FUNCTION t.chain(l text, deleter text, direction text, rule text, batch int, turn boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	d text := CASE deleter WHEN 'local' THEN l ELSE 'far ' || l END;
	r text := CASE deleter WHEN 'local' THEN 'far ' || l ELSE l END;
	have text;
BEGIN
	PERFORM set_config('diagsync.batch_size', batch::text, true);
	-- The ids in one order or the other.
	IF turn THEN
		PERFORM t.linked(l, '{"c": {"to": "b"}, "b": {"to": "a"}, "a": {}, "z": {}}');
		PERFORM t.write(d, id, NULL) FROM unnest('{a,b,c}'::text[]) AS id;
		PERFORM t.write(r, 'x', '{"to": "c"}');
	ELSE
		PERFORM t.linked(l, '{"a": {"to": "b"}, "b": {"to": "c"}, "c": {}, "z": {}}');
		PERFORM t.write(d, id, NULL) FROM unnest('{a,b,c}'::text[]) AS id;
		PERFORM t.write(r, 'x', '{"to": "a"}');
	END IF;
	IF rule LIKE 'newest%' THEN
		PERFORM t.times(l, CASE rule WHEN 'newest deleted' THEN '2020-01-03Z' ELSE '2020-01-01Z' END::timestamptz, '2020-01-02Z', 'x', id) FROM unnest('{a,b,c}'::text[]) AS id;
	END IF;
	have := t.sync(l, direction, split_part(rule, ' ', 1));
	PERFORM set_config('diagsync.batch_size', '1000', true);
	IF have NOT LIKE 'yes %' OR have LIKE '%dry run%' THEN RETURN have; END IF;
	RETURN t.together(l);
END $$;
SELECT is(t.chain(format('chain %s %s %s %s %s', deleter, direction, rule, batch, turn), deleter, direction, rule, batch, turn),
	CASE WHEN rule IN (deleter, 'newest deleted') THEN 'z' ELSE 'a b c x z' END,
	format('a chain deleted by the %s side, and a new reference to its head; %s, %s, in batches of %s, %s', deleter, direction, rule, batch, CASE WHEN turn THEN 'downwards' ELSE 'upwards' END))
  FROM unnest('{local,public}'::text[]) AS deleter, unnest('{push,pull}'::text[]) AS direction, unnest('{local,public,both,newest deleted,newest referred}'::text[]) AS rule,
	unnest('{1,1000}'::int[]) AS batch, unnest('{t,f}'::boolean[]) AS turn ORDER BY deleter, direction, rule, batch, turn;
-- The other end inserts a chain whose end is deleted here: giving up one
-- reference leaves another.
CREATE FUNCTION t.new_chain(l text, direction text, rule text, batch int, turn boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	have text;
BEGIN
	PERFORM set_config('diagsync.batch_size', batch::text, true);
	PERFORM t.linked(l, '{"m": {}, "z": {}}');
	PERFORM t.write(l, 'm', NULL);
	IF turn THEN PERFORM t.write('far ' || l, 'a', '{"to": "m"}'), t.write('far ' || l, 'n', '{"to": "a"}'), t.write('far ' || l, 'x', '{"to": "n"}');
	ELSE PERFORM t.write('far ' || l, 'x', '{"to": "m"}'), t.write('far ' || l, 'n', '{"to": "x"}'), t.write('far ' || l, 'a', '{"to": "n"}'); END IF;
	have := t.sync(l, direction, rule);
	PERFORM set_config('diagsync.batch_size', '1000', true);
	IF have LIKE '%dry run%' THEN RETURN have; END IF;
	-- What was given up may leave conflicts of its own, to be settled the same way.
	PERFORM diagsync.pull(l, on_conflict => rule), diagsync.push(l, on_conflict => rule), diagsync.pull(l, on_conflict => rule);
	RETURN t.together(l);
END $$;
SELECT is(t.new_chain(format('new chain %s %s %s %s', direction, rule, batch, turn), direction, rule, batch, turn),
	CASE rule WHEN 'local' THEN 'z' ELSE 'a m n x z' END, format('a new chain that leads to what was deleted here; %s, %s, in batches of %s, %s', direction, rule, batch, CASE WHEN turn THEN 'downwards' ELSE 'upwards' END))
  FROM unnest('{push,pull}'::text[]) AS direction, unnest('{local,public,both}'::text[]) AS rule, unnest('{1,1000}'::int[]) AS batch, unnest('{t,f}'::boolean[]) AS turn ORDER BY direction, rule, batch, turn;

-- ---- The newest of several -----------------------------------------------------------------------

CREATE FUNCTION t.several(l text, deleter text, direction text, batch int, deleted jsonb, referring jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	d text := CASE deleter WHEN 'local' THEN l ELSE 'far ' || l END;
	r text := CASE deleter WHEN 'local' THEN 'far ' || l ELSE l END;
	have text;
BEGIN
	PERFORM set_config('diagsync.batch_size', batch::text, true);
	PERFORM t.linked(l, '{"box": {}, "crate": {}, "z": {}}');
	PERFORM t.write(d, key, NULL) FROM jsonb_each(deleted);
	PERFORM t.write(r, key, value - 'at') FROM jsonb_each(referring);
	PERFORM t.edited(r, key, ('2020-01-01 0' || (value ->> 'at') || ':00Z')::timestamptz) FROM jsonb_each(referring);
	SET LOCAL session_replication_role = replica;
	UPDATE diagsync_local.base SET changed_at = ('2020-01-01 0' || (deleted ->> id) || ':00Z')::timestamptz WHERE diagram_id = l AND deleted ? id;
	UPDATE diagsync_public.tombstone SET deleted_at = ('2020-01-01 0' || (deleted ->> id) || ':00Z')::timestamptz WHERE diagram_id = 'far ' || l AND deleted ? id;
	SET LOCAL session_replication_role = origin;
	have := t.sync(l, direction, 'newest');
	PERFORM set_config('diagsync.batch_size', '1000', true);
	IF have NOT LIKE 'yes %' OR have LIKE '%dry run%' THEN RETURN have; END IF;
	RETURN t.together(l);
END $$;
SELECT is(t.several(format('several %s %s %s %s', deleter, direction, batch, n), deleter, direction, batch, deleted, referring), want,
	format('deleted by the %s side %s, %s; %s, newest, in batches of %s', deleter, deleted, referring, direction, batch))
  FROM (VALUES
	(1, '{"box": 2}'::jsonb, '{"a": {"to": "box", "at": 1}, "c": {"to": "box", "at": 1}}'::jsonb, 'crate z'),
	(2, '{"box": 2}', '{"a": {"to": "box", "at": 3}, "c": {"to": "box", "at": 3}}', 'a box c crate z'),
	(3, '{"box": 2}', '{"a": {"to": "box", "at": 1}, "c": {"to": "box", "at": 3}}', 'a box c crate z'),
	(4, '{"box": 2}', '{"a": {"to": "box", "at": 3}, "c": {"to": "box", "at": 1}}', 'a box c crate z'),
	(5, '{"box": 4, "crate": 4}', '{"a": {"from": "box", "to": "crate", "at": 3}}', 'z'),
	(6, '{"box": 2, "crate": 2}', '{"a": {"members": ["box", "crate"], "at": 3}}', 'a box crate z'),
	(7, '{"box": 2, "crate": 4}', '{"a": {"members": ["box", "crate"], "at": 3}}', 'box z'),
	(8, '{"box": 2, "crate": 4}', '{"a": {"to": "box", "at": 3}, "c": {"to": "crate", "at": 3}}', 'a box z')) AS v (n, deleted, referring, want),
	unnest('{local,public}'::text[]) AS deleter, unnest('{push,pull}'::text[]) AS direction, unnest('{1,1000}'::int[]) AS batch ORDER BY n, deleter, direction, batch;

-- ---- At random ---------------------------------------------------------------------------------------

-- Two ends that insert, delete and turn at random, settled by each rule. At the
-- end both are the same, and no reference dangles but those that an end left
-- dangling itself: where it deleted the one and had the other as it is.
CREATE FUNCTION t.random_edits(diagram text, chains boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	one text;
BEGIN
	FOR i IN 1 .. 8 LOOP
		-- Without chains a refers to b only, and b to nothing.
		one := (CASE WHEN chains THEN '{e}' ELSE '{a,b}' END::text[])[1 + floor(random() * CASE WHEN chains THEN 1 ELSE 2 END)] || floor(random() * CASE WHEN chains THEN 14 ELSE 7 END);
		IF random() < 0.4 THEN
			-- A tidy application: it deletes what refers to it as well.
			PERFORM t.write(diagram, e.id, NULL) FROM diagsync.entity AS e WHERE e.diagram_id = diagram AND (e.id = one OR e.doc ->> 'to' = one);
		ELSIF one LIKE 'b%' THEN
			PERFORM t.write(diagram, one, jsonb_build_object('v', floor(random() * 3)));
		ELSE
			PERFORM t.write(diagram, one, jsonb_build_object('v', floor(random() * 3), 'to', e.id)) FROM diagsync.entity AS e WHERE e.diagram_id = diagram AND e.id <> one AND e.id NOT LIKE 'a%' ORDER BY random() LIMIT 1;
		END IF;
	END LOOP;
	-- Whatever dangles by now goes, too.
	WHILE t.dangling(diagram) IS NOT NULL LOOP
		PERFORM t.write(diagram, e.id, NULL) FROM diagsync.entity AS e WHERE e.diagram_id = diagram AND e.doc ? 'to'
			AND NOT EXISTS (SELECT FROM diagsync.entity AS o WHERE o.diagram_id = diagram AND o.id = e.doc ->> 'to');
	END LOOP;
END $$;
CREATE FUNCTION t.random_round(l text, rule text, direction text, batch int, policy jsonb, chains boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	have text;
	was text;
BEGIN
	PERFORM t.linked(l, CASE WHEN chains
		THEN (SELECT jsonb_object_agg('e' || n, CASE WHEN n = 0 THEN '{"v": 0}' ELSE jsonb_build_object('v', 0, 'to', 'e' || n / 2) END) FROM generate_series(0, 9) AS n)
		ELSE (SELECT jsonb_object_agg('b' || n, '{"v": 0}'::jsonb) || jsonb_object_agg('a' || n, jsonb_build_object('v', 0, 'to', 'b' || n / 2)) FROM generate_series(0, 4) AS n) END, policy);
	FOR round IN 1 .. 4 LOOP
		PERFORM t.random_edits(l, chains), t.random_edits('far ' || l, chains);
		was := t.changes(l);
		PERFORM set_config('diagsync.batch_size', batch::text, true);
		have := t.sync(l, direction, rule);
		PERFORM set_config('diagsync.batch_size', '1000', true);
		IF have NOT LIKE 'yes %' OR have LIKE '%dry run%' THEN RETURN format('round %s: %s after %s', round, have, was); END IF;
		have := t.together(l);
		IF have LIKE '%dangling%' OR have !~ '^[abe]|^nothing' THEN RETURN format('round %s: %s after %s', round, have, was); END IF;
	END LOOP;
	RETURN NULL;
END $$;
SET LOCAL diagsync.max_deleted_fraction = 1;
SELECT setseed(0.25);
SELECT is(t.random_round(format('random %s %s %s %s %s %s', chains, rule, direction, batch, policy, n), rule, direction, batch, policy, chains), NULL,
	format('edits at random, %s; %s, %s, in batches of %s, %s, %s', CASE WHEN chains THEN 'chains' ELSE 'no chains' END, direction, rule, batch, policy, n))
  FROM unnest('{f,t}'::boolean[]) AS chains, unnest('{local,public,both,newest}'::text[]) AS rule, unnest('{push,pull}'::text[]) AS direction, unnest('{1,1000}'::int[]) AS batch,
	unnest(ARRAY['{}', '{"granularity": "property"}']::jsonb[]) AS policy, generate_series(1, 4) AS n ORDER BY chains, rule, direction, batch, policy, n;

-- "both" of one entity leaves references to others in conflict alone.
SELECT t.linked('alone', '{"box": {"v": 1}, "arrow": {"v": 1}}', '{"references": ["/from"]}');
SELECT t.write('alone', 'box', '{"v": 2}'), t.write('alone', 'arrow', '{"v": 1, "from": "box"}'), t.write('far alone', 'box', '{"v": 3}'), t.write('far alone', 'arrow', '{"v": 3}');
SELECT is(local, '{"v": 1, "from": "box"}', 'both of an arrow, whose box is in conflict, too') FROM diagsync.resolve('alone', 'arrow', 'both');

-- "both" accepts nothing: what it keeps does not dangle.
SELECT t.linked('kept', '{"box": {"v": 1}}', '{"references": ["/from"]}');
SELECT t.write('far kept', 'box', NULL), t.write('kept', 'arrow', '{"from": "box"}');
SELECT is(conflict, NULL, 'both of an arrow whose box the shared copy deleted') FROM diagsync.resolve('kept', 'arrow', 'both');
SELECT is_empty($$ SELECT id, accepted FROM diagsync_local.base WHERE diagram_id = 'kept' AND accepted IS NOT NULL $$, '... accepts nothing');
SELECT is(t.docs('kept'), '{"box": {"v": 1}, "arrow": {"from": "box"}}', '... and keeps the box');

-- What the merge keeps is not deleted.
SELECT t.linked('merged', '{"box": {"v": 1}}', '{"references": ["/from"], "latest": [""]}');
SELECT t.write('merged', 'box', NULL), t.write('far merged', 'box', '{"v": 2}'), t.write('far merged', 'arrow', '{"from": "box"}'), t.edited('far merged', 'box', '2100-01-01Z');
SELECT is(t.status('merged'), 'pending 1/2/0', 'a deletion that an edit outdoes leaves nothing dangling');

-- What a resolution is about is in the version that the user was shown.
SELECT t.linked('shown', '{"box": {"v": 1}}', '{"references": ["/from"]}');
SELECT t.write('shown', 'box', NULL), t.write('far shown', 'arrow', '{"from": "box"}');
SELECT version FROM diagsync.conflicts('shown') WHERE entity_id = 'box' \gset
SELECT t.write('far shown', 'more', '{"from": "box"}');
SELECT is(conflict, 'dangling', 'one more reference than was shown: nothing is accepted') FROM diagsync.resolve('shown', 'box', 'local', expected => :'version');
SELECT version FROM diagsync.conflicts('shown') WHERE entity_id = 'box' \gset
SELECT is(conflict, NULL, 'as it was shown: both are') FROM diagsync.resolve('shown', 'box', 'local', expected => :'version');
SELECT is(accepted, '{arrow,more}', '... once each') FROM diagsync_local.base WHERE diagram_id = 'shown' AND id = 'box';

-- An entity that is deleted here and edited there, referred to and referring: kept
-- by the rule "newest" for the sake of an edit, it keeps what it refers to.
SELECT t.linked('kept too', '{"c": {"v": 0}, "d": {"v": 0, "from": "c"}, "a": {"v": 0, "from": "c"}}', '{"references": ["/from"]}');
SELECT t.write('kept too', 'd', NULL), t.write('kept too', 'c', NULL), t.write('far kept too', 'd', '{"v": 6, "from": "c"}'), t.write('far kept too', 'a', '{"v": 5, "from": "d"}');
SELECT t.edited('far kept too', 'd', '2020-01-01Z'), t.edited('far kept too', 'a', '2100-01-01Z');
SELECT diagsync.push('kept too', on_conflict => 'newest'), diagsync.pull('kept too');
SELECT is(t.docs('far kept too'), '{"c": {"v": 0}, "d": {"v": 6, "from": "c"}, "a": {"v": 5, "from": "d"}}', 'kept for the sake of an edit, with what it refers to');

-- The shared copy deleted a box and redirected an arrow. A push that lets it have
-- its way pulls neither without the other.
SELECT t.linked('halfway', '{"box": {}, "arrow": {"from": "box"}}', '{"references": ["/from"]}');
SELECT t.write('far halfway', 'box', NULL), t.write('far halfway', 'arrow', '{}'), t.write('halfway', 'note', '{"from": "box"}');
SELECT is(t.show(diagsync.push('halfway', on_conflict => 'public')), 'yes +0 ~0 -0 2/0', 'the shared copy has its way');
SELECT is(t.docs('halfway'), '{"box": {}, "arrow": {"from": "box"}}', '... and its deletion is pulled with the rest');
SELECT t.write('halfway', 'arrow', '{"from": "box", "v": 1}');
SELECT is((SELECT array_agg(entity_id || ' ' || conflict ORDER BY entity_id) FROM diagsync.conflicts('halfway')), '{"arrow update_update","box dangling"}', 'an edit in between is in conflict with it');

-- Many that refer to one, one that refers to many: no look at all for each.
SELECT t.linked('many', (SELECT jsonb_object_agg('box' || n, '{"v": 1}'::jsonb) FROM generate_series(1, 5000) AS n), '{"references": ["/from", "/all"]}');
SELECT diagsync.remove('many', (SELECT array_agg('box' || n) FROM generate_series(1, 5000) AS n));
SELECT diagsync.put('far many', (SELECT jsonb_agg(jsonb_build_object('id', 'arrow' || n, 'from', 'box1')) FROM generate_series(1, 5000) AS n)
	|| jsonb_build_object('id', 'group', 'all', (SELECT jsonb_agg('box' || n) FROM generate_series(1, 5000) AS n)));
SET LOCAL statement_timeout = '60s';
SELECT is(t.status('many'), 'conflict 5000/5001/10001', '5,000 that refer to one, and one that refers to 5,000');
SELECT is(conflict, NULL, '... accepted in one go') FROM diagsync.resolve('many', 'box1', 'local');
SELECT is(t.status('many'), 'conflict 5000/5001/5000', '... which the next look remembers');
RESET statement_timeout;

SELECT * FROM finish();
ROLLBACK;
