-- Keeping both versions with references (docs/merging.md, "Keeping both"):
-- references follow what their author meant. (both.sql has the rest.)
BEGIN;
\ir ../../common/pgtap/helpers.sql
SELECT plan(291);

-- As of now, also after a sync in the same statement.
CREATE OR REPLACE FUNCTION t.status(local text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN t.show(diagsync.status(local));
END $$;

-- New ids are shown as the old one with a star.
CREATE FUNCTION t.starred(value text) RETURNS text LANGUAGE sql AS $$
	SELECT regexp_replace(value, '([a-z]+)-[0-9a-f]{8}', '\1*', 'g') $$;

-- A pair that both ends have edited.
CREATE FUNCTION t.edited_by_both(l text, docs jsonb, mine jsonb, theirs jsonb, policy jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM t.pair(l, 'far ' || l, docs), diagsync.set_merge_policy(l, policy);
	PERFORM t.write(l, key, value) FROM jsonb_each(mine);
	PERFORM t.write('far ' || l, key, value) FROM jsonb_each(theirs);
END $$;

-- Both versions of every conflict are kept, in one of four ways; then all is
-- synced. Returns what both ends have then.
CREATE FUNCTION t.keep(l text, way text, batch int, docs jsonb, mine jsonb, theirs jsonb, policy jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	public jsonb;
	dry diagsync.sync_result;
	r diagsync.sync_result;
	one text;
	left_of text[];
BEGIN
	PERFORM t.edited_by_both(l, docs, mine, theirs, policy);
	PERFORM set_config('diagsync.batch_size', batch::text, true);
	public := t.docs('far ' || l);
	CASE way
		WHEN 'push' THEN
			dry := diagsync.push(l, on_conflict => 'both', dry_run => true);
			r := diagsync.push(l, on_conflict => 'both', expected_plan => dry.plan);
		WHEN 'pull' THEN
			dry := diagsync.pull(l, on_conflict => 'both', dry_run => true);
			r := diagsync.pull(l, on_conflict => 'both', expected_plan => dry.plan);
		ELSE
			left_of := ARRAY(SELECT entity_id FROM diagsync.conflicts(l) ORDER BY CASE way WHEN 'resolve upwards' THEN entity_id END, entity_id DESC);
			FOREACH one IN ARRAY left_of LOOP
				-- One resolution may settle two.
				CONTINUE WHEN NOT EXISTS (SELECT FROM diagsync.conflicts(l) WHERE entity_id = one);
				PERFORM diagsync.resolve(l, one, 'both');
			END LOOP;
	END CASE;
	PERFORM set_config('diagsync.batch_size', '1000', true);
	IF r IS NOT NULL AND (NOT r.success OR t.show(r) <> t.show(dry) OR r.plan <> dry.plan) THEN RETURN format('%s, the dry run %s', t.show(r), t.show(dry)); END IF;
	IF way <> 'push' AND t.docs('far ' || l) <> public THEN RETURN 'the shared copy was written: ' || t.docs('far ' || l); END IF;
	IF t.status(l) LIKE 'conflict%' THEN RETURN t.status(l) || ' ' || t.changes(l); END IF;
	PERFORM diagsync.pull(l), diagsync.push(l);
	IF t.status(l) <> 'in_sync 0/0/0' OR t.docs(l) <> t.docs('far ' || l) OR t.base(l) <> '{}' THEN RETURN format('%s: %s | %s', t.status(l), t.docs(l), t.docs('far ' || l)); END IF;
	RETURN t.starred(t.docs(l)::text)::jsonb;
END $$;

CREATE TABLE t.case_of (n int GENERATED ALWAYS AS IDENTITY, what text, docs jsonb, mine jsonb, theirs jsonb, kept jsonb, policy jsonb DEFAULT '{"references": ["/from", "/to", "/parent", "/members", "/start/id"]}');
INSERT INTO t.case_of (what, docs, mine, theirs, kept) VALUES
	('an entity that the local side inserted', '{"box": {"v": 1}}', '{"box": {"v": 2}, "arrow": {"from": "box"}}', '{"box": {"v": 3}}',
		'{"box": {"v": 3}, "box*": {"v": 2}, "arrow": {"from": "box*"}}'),
	('several of them', '{"box": {"v": 1}, "y": {}}', '{"box": {"v": 2}, "arrow": {"from": "box", "to": "y"}, "another": {"to": "box"}, "cart": {"parent": "box"}, "knot": {"start": {"id": "box", "at": 1}}}', '{"box": {"v": 3}}',
		'{"box": {"v": 3}, "box*": {"v": 2}, "y": {}, "arrow": {"from": "box*", "to": "y"}, "another": {"to": "box*"}, "cart": {"parent": "box*"}, "knot": {"start": {"id": "box*", "at": 1}}}'),
	('both references of one', '{"box": {"v": 1}}', '{"box": {"v": 2}, "arrow": {"from": "box", "to": "box"}}', '{"box": {"v": 3}}',
		'{"box": {"v": 3}, "box*": {"v": 2}, "arrow": {"from": "box*", "to": "box*"}}'),
	('a reference that the local side turned there', '{"box": {"v": 1}, "y": {}, "arrow": {"from": "y"}}', '{"box": {"v": 2}, "arrow": {"from": "box"}}', '{"box": {"v": 3}}',
		'{"box": {"v": 3}, "box*": {"v": 2}, "y": {}, "arrow": {"from": "box*"}}'),
	('a reference that the local side added', '{"box": {"v": 1}, "arrow": {"v": 1}}', '{"box": {"v": 2}, "arrow": {"v": 1, "from": "box"}}', '{"box": {"v": 3}}',
		'{"box": {"v": 3}, "box*": {"v": 2}, "arrow": {"v": 1, "from": "box*"}}'),
	('a reference that was there', '{"box": {"v": 1}, "arrow": {"from": "box"}}', '{"box": {"v": 2}}', '{"box": {"v": 3}}',
		'{"box": {"v": 3}, "box*": {"v": 2}, "arrow": {"from": "box"}}'),
	('a reference that was there, in an entity that the local side edited', '{"box": {"v": 1}, "arrow": {"from": "box"}}', '{"box": {"v": 2}, "arrow": {"from": "box", "v": 2}}', '{"box": {"v": 3}}',
		'{"box": {"v": 3}, "box*": {"v": 2}, "arrow": {"from": "box", "v": 2}}'),
	('one that was there, one that the local side added', '{"box": {"v": 1}, "arrow": {"from": "box"}}', '{"box": {"v": 2}, "arrow": {"from": "box", "to": "box"}}', '{"box": {"v": 3}}',
		'{"box": {"v": 3}, "box*": {"v": 2}, "arrow": {"from": "box", "to": "box*"}}'),
	('of an entity that the public side inserted', '{"box": {"v": 1}}', '{"box": {"v": 2}}', '{"box": {"v": 3}, "arrow": {"from": "box"}}',
		'{"box": {"v": 3}, "box*": {"v": 2}, "arrow": {"from": "box"}}'),
	('that the public side turned there', '{"box": {"v": 1}, "y": {}, "arrow": {"from": "y"}}', '{"box": {"v": 2}}', '{"box": {"v": 3}, "arrow": {"from": "box"}}',
		'{"box": {"v": 3}, "box*": {"v": 2}, "y": {}, "arrow": {"from": "box"}}'),
	('of an entity that both inserted alike', '{"box": {"v": 1}}', '{"box": {"v": 2}, "arrow": {"from": "box"}}', '{"box": {"v": 3}, "arrow": {"from": "box"}}',
		'{"box": {"v": 3}, "box*": {"v": 2}, "arrow": {"from": "box"}}'),
	('that both turned there', '{"box": {"v": 1}, "y": {}, "arrow": {"from": "y"}}', '{"box": {"v": 2}, "arrow": {"from": "box"}}', '{"box": {"v": 3}, "arrow": {"from": "box"}}',
		'{"box": {"v": 3}, "box*": {"v": 2}, "y": {}, "arrow": {"from": "box"}}'),
	('of each side''s own entities', '{"box": {"v": 1}}', '{"box": {"v": 2}, "mine": {"from": "box"}}', '{"box": {"v": 3}, "theirs": {"from": "box"}}',
		'{"box": {"v": 3}, "box*": {"v": 2}, "mine": {"from": "box*"}, "theirs": {"from": "box"}}'),
	('of the local version to itself', '{"box": {"v": 1}}', '{"box": {"v": 2, "parent": "box", "id": "box"}}', '{"box": {"v": 3}}',
		'{"box": {"v": 3}, "box*": {"v": 2, "parent": "box*", "id": "box*"}}'),
	('of the local version to itself, that was there', '{"box": {"v": 1, "parent": "box", "members": ["box", "x"]}}', '{"box": {"v": 2, "parent": "box", "members": ["box", "x"]}}', '{"box": {"v": 3, "parent": "box", "members": ["box", "x"]}}',
		'{"box": {"v": 3, "parent": "box", "members": ["box", "x"]}, "box*": {"v": 2, "parent": "box*", "members": ["box*", "x"]}}'),
	('in an array of an entity that the local side inserted', '{"box": {"v": 1}, "y": {}}', '{"box": {"v": 2}, "arrow": {"members": ["y", "box"]}}', '{"box": {"v": 3}}',
		'{"box": {"v": 3}, "box*": {"v": 2}, "y": {}, "arrow": {"members": ["y", "box*"]}}'),
	('in an array that the local side added it to', '{"box": {"v": 1}, "arrow": {"members": ["y"]}}', '{"box": {"v": 2}, "arrow": {"members": ["y", "box"]}}', '{"box": {"v": 3}}',
		'{"box": {"v": 3}, "box*": {"v": 2}, "arrow": {"members": ["y", "box*"]}}'),
	('in an array that it was in', '{"box": {"v": 1}, "arrow": {"members": ["box"]}}', '{"box": {"v": 2}, "arrow": {"members": ["z", "box"]}}', '{"box": {"v": 3}}',
		'{"box": {"v": 3}, "box*": {"v": 2}, "arrow": {"members": ["z", "box"]}}'),
	('the rest stays as it is', '{"box": {"v": 1}}', '{"box": {"v": 2}, "arrow": {"label": "box", "from": {"id": "box"}, "to": "boxes", "list": ["box"], "box": "box", "members": [["box"], {"id": "box"}, 5]}}', '{"box": {"v": 3}}',
		'{"box": {"v": 3}, "box*": {"v": 2}, "arrow": {"label": "box", "from": {"id": "box"}, "to": "boxes", "list": ["box"], "box": "box", "members": [["box"], {"id": "box"}, 5]}}'),
	('inserted by both', '{"y": {}}', '{"box": {"v": 2}, "arrow": {"from": "box"}}', '{"box": {"v": 3}}',
		'{"box": {"v": 3}, "box*": {"v": 2}, "y": {}, "arrow": {"from": "box*"}}'),
	('inserted by both, referring to itself', '{"y": {}}', '{"box": {"v": 2, "parent": "box"}, "arrow": {"from": "box"}}', '{"box": {"v": 3, "parent": "box"}}',
		'{"box": {"v": 3, "parent": "box"}, "box*": {"v": 2, "parent": "box*"}, "y": {}, "arrow": {"from": "box*"}}'),
	('edited here, deleted there: it keeps its id', '{"box": {"v": 1}}', '{"box": {"v": 2}, "arrow": {"from": "box"}}', '{"box": null}',
		'{"box": {"v": 2}, "arrow": {"from": "box"}}'),
	('deleted here, edited there: it keeps its id', '{"box": {"v": 1}}', '{"box": null}', '{"box": {"v": 3}, "arrow": {"from": "box"}}',
		'{"box": {"v": 3}, "arrow": {"from": "box"}}'),
	('two that refer to each other', '{"box": {"v": 1}, "arrow": {"v": 1}}', '{"box": {"v": 2, "to": "arrow"}, "arrow": {"v": 2, "to": "box"}}', '{"box": {"v": 3}, "arrow": {"v": 3}}',
		'{"box": {"v": 3}, "arrow": {"v": 3}, "box*": {"v": 2, "to": "arrow*"}, "arrow*": {"v": 2, "to": "box*"}}'),
	('two that referred to each other', '{"box": {"v": 1, "to": "arrow"}, "arrow": {"v": 1, "to": "box"}}', '{"box": {"v": 2, "to": "arrow"}, "arrow": {"v": 2, "to": "box"}}', '{"box": {"v": 3, "to": "arrow"}, "arrow": {"v": 3, "to": "box"}}',
		'{"box": {"v": 3, "to": "arrow"}, "arrow": {"v": 3, "to": "box"}, "box*": {"v": 2, "to": "arrow"}, "arrow*": {"v": 2, "to": "box"}}'),
	('two that both sides made refer to each other', '{"box": {"v": 1}, "arrow": {"v": 1}}', '{"box": {"v": 2, "to": "arrow"}, "arrow": {"v": 2, "to": "box"}}', '{"box": {"v": 3, "to": "arrow"}, "arrow": {"v": 3, "to": "box"}}',
		'{"box": {"v": 3, "to": "arrow"}, "arrow": {"v": 3, "to": "box"}, "box*": {"v": 2, "to": "arrow"}, "arrow*": {"v": 2, "to": "box"}}'),
	('two, one refers to the other', '{"box": {"v": 1}, "arrow": {"v": 1, "from": "y"}, "y": {}}', '{"box": {"v": 2}, "arrow": {"v": 2, "from": "box"}}', '{"box": {"v": 3}, "arrow": {"v": 3, "from": "y"}}',
		'{"box": {"v": 3}, "arrow": {"v": 3, "from": "y"}, "box*": {"v": 2}, "arrow*": {"v": 2, "from": "box*"}, "y": {}}'),
	('two, and a third that refers to both', '{"box": {"v": 1}, "arrow": {"v": 1}}', '{"box": {"v": 2}, "arrow": {"v": 2}, "knot": {"from": "box", "to": "arrow", "members": ["arrow", "knot", "box"]}}', '{"box": {"v": 3}, "arrow": {"v": 3}}',
		'{"box": {"v": 3}, "arrow": {"v": 3}, "box*": {"v": 2}, "arrow*": {"v": 2}, "knot": {"from": "box*", "to": "arrow*", "members": ["arrow*", "knot", "box*"]}}'),
	('a circle of three, inserted by both', '{"y": {}}', '{"arrow": {"v": 2, "to": "box"}, "box": {"v": 2, "to": "knot"}, "knot": {"v": 2, "to": "arrow"}}', '{"arrow": {"v": 3}, "box": {"v": 3}, "knot": {"v": 3}}',
		'{"arrow": {"v": 3}, "box": {"v": 3}, "knot": {"v": 3}, "arrow*": {"v": 2, "to": "box*"}, "box*": {"v": 2, "to": "knot*"}, "knot*": {"v": 2, "to": "arrow*"}, "y": {}}');
INSERT INTO t.case_of (what, docs, mine, theirs, kept, policy) VALUES
	('merged with what the public side changed', '{"box": {"v": 1}, "y": {}, "arrow": {"from": "y", "v": 1}}', '{"box": {"v": 2}, "arrow": {"from": "box", "v": 1}}', '{"box": {"v": 3}, "arrow": {"from": "y", "v": 3}}',
		'{"box": {"v": 3}, "box*": {"v": 2}, "y": {}, "arrow": {"from": "box*", "v": 3}}', '{"granularity": "property", "references": ["/from"]}'),
	('merged, and the public side turned it there, too', '{"box": {"v": 1}, "y": {}, "arrow": {"from": "y", "v": 1}}', '{"box": {"v": 2}, "arrow": {"from": "box", "v": 2}}', '{"box": {"v": 3}, "arrow": {"from": "box", "v": 1, "w": 1}}',
		'{"box": {"v": 3}, "box*": {"v": 2}, "y": {}, "arrow": {"from": "box", "v": 2, "w": 1}}', '{"granularity": "property", "references": ["/from"]}'),
	('only what the policy names', '{"box": {"v": 1}}', '{"box": {"v": 2, "to": "box", "from": "box"}, "arrow": {"from": "box", "to": "box"}}', '{"box": {"v": 3}}',
		'{"box": {"v": 3}, "box*": {"v": 2, "to": "box*", "from": "box"}, "arrow": {"from": "box", "to": "box*"}}', '{"references": ["/to"]}'),
	('no references, no change', '{"box": {"v": 1}}', '{"box": {"v": 2, "to": "box", "id": "box", "_id": "box"}, "arrow": {"to": "box"}}', '{"box": {"v": 3}}',
		'{"box": {"v": 3}, "box*": {"v": 2, "to": "box", "id": "box*", "_id": "box*"}, "arrow": {"to": "box"}}', '{"granularity": "property"}'),
	('no policy', '{"box": {"v": 1}}', '{"box": {"v": 2, "to": "box", "id": "box"}, "arrow": {"to": "box"}}', '{"box": {"v": 3}}',
		'{"box": {"v": 3}, "box*": {"v": 2, "to": "box", "id": "box*"}, "arrow": {"to": "box"}}', NULL);

SELECT is(t.keep(format('%s %s %s', n, way, batch), way, batch, docs, mine, theirs, policy), kept::text, format('%s; %s, in batches of %s', what, way, batch))
  FROM t.case_of, (VALUES ('push', 1), ('push', 1000), ('pull', 1), ('pull', 1000), ('resolve upwards', 1000), ('resolve downwards', 1000)) AS w (way, batch)
 WHERE NOT (what IN ('two that referred to each other', 'two that both sides made refer to each other') AND way LIKE 'resolve%') ORDER BY n, way, batch;
-- Resolved one after the other, the first copy is an entity like any that the
-- local side inserted when the second is made.
SELECT is(t.keep(format('%s %s', n, way), way, 1000, docs, mine, theirs, policy)::jsonb, kept || want, format('%s; %s', what, way))
  FROM t.case_of, (VALUES ('resolve upwards', '{"arrow*": {"v": 2, "to": "box*"}}'::jsonb), ('resolve downwards', '{"box*": {"v": 2, "to": "arrow*"}}')) AS w (way, want)
 WHERE what IN ('two that referred to each other', 'two that both sides made refer to each other') ORDER BY n, way;
-- The names turned round, so that the box comes last.
CREATE FUNCTION t.turned(docs jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT replace(replace(docs::text, '"arrow', '"wire'), '"another', '"writ')::jsonb $$;
SELECT is(t.keep(format('turned %s %s %s', n, way, batch), way, batch, t.turned(docs), t.turned(mine), t.turned(theirs), policy), t.turned(kept)::text, format('turned: %s; %s, in batches of %s', what, way, batch))
  FROM t.case_of, (VALUES ('push', 1), ('pull', 1)) AS w (way, batch) ORDER BY n, way, batch;

-- ---- Step by step ------------------------------------------------------------------

SELECT t.edited_by_both('l', '{"box": {"v": 1}, "arrow": {"from": "y", "v": 1}}', '{"box": {"v": 2}, "arrow": {"from": "box", "v": 2}, "knot": {"to": "box"}}', '{"box": {"v": 3}, "arrow": {"from": "y", "v": 3}}',
	'{"references": ["/from", "/to"]}');
SELECT (diagsync.resolve('l', 'box', 'both')).entity_id AS new \gset
SELECT is(t.docs('l') - 'arrow', jsonb_build_object('box', '{"v": 3}'::jsonb, :'new', '{"v": 2}'::jsonb, 'knot', jsonb_build_object('to', :'new')), 'resolved: the new references lead to the new id');
SELECT is(t.base('l') -> 'knot', 'null', 'in what is still an insert');
SELECT is(jsonb_build_array(conflict, base, local, public), jsonb_build_array('update_update', '{"from": "y", "v": 1}'::jsonb, jsonb_build_object('from', :'new', 'v', 2), '{"from": "y", "v": 3}'::jsonb),
	'and in the local version of an entity that is in conflict itself') FROM diagsync.conflicts('l');
SELECT is(t.status('l'), 'conflict 3/1/1', 'nothing else has changed');
SELECT is(t.show(diagsync.push('l', on_conflict => 'local')), 'yes +2 ~1 -0 1/0', 'all is pushed');
SELECT is(t.docs('far l') -> 'arrow', jsonb_build_object('from', :'new', 'v', 2), 'with the references');

-- Who set the reference stays its editor.
SELECT t.edited_by_both('m', '{"box": {"v": 1}}', '{"box": {"v": 2}, "arrow": {"from": "box"}}', '{"box": {"v": 3}}', '{"references": ["/from"]}');
SELECT is(t.show(diagsync.push('m', on_conflict => 'both', dry_run => true)), 'yes +2 ~0 -0 1/0', 'the figures of a push: the copy, and the referring entity');
SELECT is(t.show(diagsync.push('m', on_conflict => 'both')), 'yes +2 ~0 -0 1/0', '... and of the real one');
SELECT is(t.status('m'), 'in_sync 0/0/0', 'all at once');
SELECT is(t.starred(t.docs('far m')::text)::jsonb, '{"box": {"v": 3}, "box*": {"v": 2}, "arrow": {"from": "box*"}}', 'complete');

-- What was pushed before is everybody's, and stays.
SELECT t.edited_by_both('n', '{"box": {"v": 1}}', '{"arrow": {"from": "box"}}', '{}', '{"references": ["/from"]}');
SELECT diagsync.push('n');
SELECT t.write('n', 'box', '{"v": 2}'), t.write('far n', 'box', '{"v": 3}');
SELECT diagsync.pull('n', on_conflict => 'both');
SELECT is(t.docs('n') -> 'arrow', '{"from": "box"}', 'a reference that was pushed before the conflict stays');
SELECT is(t.status('n'), 'pending 1/0/0', '... and is no change');

-- The same entity once more: references to the first copy stay there.
SELECT diagsync.push('n');
SELECT id AS first FROM diagsync_local.entity WHERE diagram_id = 'n' AND doc = '{"v": 2}' \gset
SELECT t.write('n', 'knot', jsonb_build_object('from', :'first')), t.write('n', 'wire', '{"from": "box"}');
SELECT t.write('n', 'box', '{"v": 4}'), t.write('far n', 'box', '{"v": 5}');
SELECT (diagsync.resolve('n', 'box', 'both')).entity_id AS second \gset
SELECT is(t.docs('n') -> 'knot' ->> 'from', :'first', 'a reference to the first copy stays');
SELECT is(t.docs('n') -> 'wire' ->> 'from', :'second', 'a new one to the entity goes to the second');

-- Many, over several batches.
SET LOCAL diagsync.batch_size = 7;
SELECT t.edited_by_both('many', (SELECT jsonb_object_agg('e' || n, '{"v": 1}'::jsonb) FROM generate_series(1, 60) AS n),
	(SELECT jsonb_object_agg('e' || n, jsonb_build_object('v', 2, 'to', 'e' || 1 + n * 7 % 60)) FROM generate_series(1, 60) AS n),
	(SELECT jsonb_object_agg('e' || n, jsonb_build_object('v', CASE WHEN n % 3 = 0 THEN 3 ELSE 1 END)) FROM generate_series(1, 60) AS n), '{"references": ["/to"]}');
SELECT is(t.status('many'), 'conflict 60/20/20', 'sixty that refer to each other, twenty in conflict');
SELECT is(t.show(diagsync.push('many', on_conflict => 'both', dry_run => true)), 'yes +20 ~40 -0 20/0', 'dry run');
SELECT is(t.show(diagsync.push('many', on_conflict => 'both')), 'yes +20 ~40 -0 20/0', 'pushed');
SELECT is(t.docs('many'), t.docs('far many'), 'both ends agree');
SELECT is_empty($$ SELECT l.id, l.doc, r.id FROM diagsync_local.entity AS l LEFT JOIN diagsync_local.entity AS r ON r.diagram_id = l.diagram_id AND r.id = l.doc ->> 'to'
	WHERE l.diagram_id = 'many' AND l.doc ? 'to' AND (r.doc ->> 'v') IS DISTINCT FROM '2' $$, 'every reference that was set leads to a version of the one who set it');

SELECT * FROM finish();
ROLLBACK;
