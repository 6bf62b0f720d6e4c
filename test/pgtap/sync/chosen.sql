-- push and pull of chosen entities, and what has to go along with them.
BEGIN;
\ir ../../common/pgtap/helpers.sql
SELECT plan(78);

-- The figures of a sync, and what went along.
CREATE FUNCTION t.shows(r diagsync.sync_result) RETURNS text LANGUAGE sql AS $$
	SELECT t.show(r) || coalesce(' with ' || (r).included::text, '') $$;
-- A sync, of which the dry run says the same.
CREATE FUNCTION t.tried(direction text, l text, chosen text[], rule text DEFAULT 'abort') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	dry text;
	have text;
BEGIN
	IF direction = 'push' THEN
		dry := t.shows(diagsync.push(l, on_conflict => rule, dry_run => true, entities => chosen));
		have := t.shows(diagsync.push(l, on_conflict => rule, entities => chosen));
	ELSE
		dry := t.shows(diagsync.pull(l, on_conflict => rule, dry_run => true, entities => chosen));
		have := t.shows(diagsync.pull(l, on_conflict => rule, entities => chosen));
	END IF;
	RETURN CASE WHEN dry = have THEN have ELSE format('%s, but the dry run said %s', have, dry) END;
END $$;
-- What is recorded of the link, and of all entities but these.
CREATE FUNCTION t.rest(l text, but text[]) RETURNS text LANGUAGE sql AS $$
	SELECT md5(concat((SELECT row(seen, seen_own, compare_in_full)::text FROM diagsync.directory WHERE id = l),
		(SELECT string_agg(b::text, ' ' ORDER BY id) FROM diagsync_local.base AS b WHERE diagram_id = l AND id <> ALL (but)),
		(SELECT string_agg(e::text, ' ' ORDER BY diagram_id, id) FROM diagsync.entity AS e WHERE diagram_id IN (l, 'far ' || l) AND id <> ALL (but)))) $$;

-- ---- Without references ---------------------------------------------------------------

SELECT t.pair('l', 'far l', '{"a": {"v": 1}, "b": {"v": 1}, "c": {"v": 1}, "d": {"v": 1}}');
SELECT t.write('l', 'a', '{"v": 2}'), t.write('l', 'b', NULL), t.write('l', 'n', '{"v": 2}');
SELECT t.write('far l', 'c', '{"v": 3}'), t.write('far l', 'd', NULL), t.write('far l', 'm', '{"v": 3}');
SELECT is(t.status('l'), 'pending 3/3/0', 'three changes on each side');
SELECT t.rest('l', '{a,n}') AS rest \gset
SELECT is(t.tried('push', 'l', '{n,a}'), 'yes +1 ~1 -0 0/0 with {}', 'a push of two');
SELECT is(t.docs('far l'), '{"a": {"v": 2}, "b": {"v": 1}, "c": {"v": 3}, "m": {"v": 3}, "n": {"v": 2}}', '... sends these');
SELECT is(t.rest('l', '{a,n}'), :'rest', '... and leaves the others, their bases, and what was seen');
SELECT is(t.status('l'), 'pending 1/3/0', '... which are still to be synced');
SELECT is(t.base('l'), '{"b": {"v": 1}}', '... the bases of those that were pushed are gone');
SELECT t.rest('l', '{c,d}') AS rest \gset
SELECT is(t.tried('pull', 'l', '{c,d}'), 'yes +0 ~1 -1 0/0 with {}', 'a pull of two');
SELECT is(t.docs('l'), '{"a": {"v": 2}, "c": {"v": 3}, "n": {"v": 2}}', '... takes these');
SELECT is(t.rest('l', '{c,d}'), :'rest', '... and leaves the others');
SELECT is(t.status('l'), 'pending 1/1/0', '... of which one is left on each side');
SELECT is(t.tried('pull', 'l', '{c,d}'), 'yes +0 ~0 -0 0/0 with {}', 'again: nothing to do');
SELECT is(t.tried('push', 'l', '{c,m}'), 'yes +0 ~0 -0 0/0 with {}', 'a push of what only the other side has changed');
SELECT is(t.tried('pull', 'l', '{}'), 'yes +0 ~0 -0 0/0 with {}', 'none are none');
SELECT is(t.tried('pull', 'l', '{nobody,m,m}'), 'yes +1 ~0 -0 0/0 with {}', 'an id that neither copy has is passed over, one given twice counts once');
SELECT is(t.tried('push', 'l', NULL), 'yes +0 ~0 -1 0/0', 'null is all');
SELECT is(t.status('l'), 'in_sync 0/0/0', 'nothing is left');
SELECT is(t.tried('pull', 'l', NULL), 'yes +0 ~0 -0 0/0', 'a pull of all sees what was pulled before');
SELECT t.refuses($$SELECT diagsync.push('l', entities => '{a,NULL}')$$, '22004', 'argument "entities" for diagram "l" must not contain nulls');
SELECT t.refuses($$SELECT diagsync.pull('l', entities => ARRAY[repeat('x', 401)])$$, '22023', 'argument "entities" for diagram "l" is too long');

-- After a chosen pull a later edit of either side is found, also after all was pulled.
SELECT t.write('far l', 'a', '{"v": 4}'), t.write('far l', 'c', '{"v": 4}');
SELECT is(t.tried('pull', 'l', '{a}'), 'yes +0 ~1 -0 0/0 with {}', 'one of two');
SELECT t.write('l', 'a', '{"v": 5}'), t.write('far l', 'a', '{"v": 6}');
SELECT is(t.changes('l'), 'a:both:update>update:update_update c:public:>update:', 'edited again on both sides: a conflict');
SELECT is(t.tried('pull', 'l', '{c}'), 'yes +0 ~1 -0 0/0 with {}', 'a conflict of others is none of its business');
SELECT is(t.tried('pull', 'l', '{a,c}'), 'no +0 ~0 -0 0/1 with {}', 'its own conflict is');
SELECT is(t.tried('push', 'l', '{a}', 'skip'), 'no +0 ~0 -0 0/1 with {}', '... and skipped');
SELECT is(t.tried('push', 'l', '{a}', 'local'), 'yes +0 ~1 -0 1/0 with {}', '... and settled');
SELECT is(t.docs('far l')->'a', '{"v": 5}', '... for the local side');
SELECT is(t.status('l'), 'in_sync 0/0/0', '... nothing is left');

-- "both" makes one copy.
SELECT t.write('l', 'a', '{"v": 7}'), t.write('far l', 'a', '{"v": 8}'), t.write('l', 'c', '{"v": 7}'), t.write('far l', 'c', '{"v": 8}');
SELECT is(t.tried('pull', 'l', '{a}', 'both'), 'yes +1 ~1 -0 1/0 with {}', 'both, of one conflict');
SELECT is(t.status('l'), 'conflict 2/1/1', '... the copy is a local change, the other conflict is as it was');

-- ---- The plan, the log ------------------------------------------------------------------

SELECT t.pair('p', 'far p', '{"a": {"v": 1}, "b": {"v": 1}}');
SELECT t.write('p', 'a', '{"v": 2}'), t.write('p', 'b', '{"v": 2}');
SELECT plan AS plan FROM diagsync.push('p', dry_run => true, entities => '{a}') \gset
SELECT is(t.shows(diagsync.push('p', expected_plan => :'plan')), 'no +0 ~2 -0 0/0', 'the plan of some is not that of all');
SELECT t.write('p', 'b', '{"v": 3}');
SELECT is(t.shows(diagsync.push('p', expected_plan => :'plan', entities => '{a}')), 'yes +0 ~1 -0 0/0 with {}', '... and nobody else disturbs it');
SELECT is((SELECT entities::jsonb->0->>'id' FROM diagsync.preview_push('p', entities => '{b}')), 'b', 'a preview of some');
SELECT is((SELECT jsonb_array_length(entities::jsonb) FROM diagsync.preview_pull('p', entities => '{b}')), 0, '... in the other direction');
SELECT ok(last_pushed_at = now(), 'it counts as a push') FROM diagsync.directory WHERE id = 'p';
SELECT results_eq($$SELECT success, updated FROM diagsync.sync_log WHERE local_id = 'p' AND action = 'push' AND updated > 0$$, $$VALUES (true, 1)$$, 'the log has it');

-- ---- Deletions ----------------------------------------------------------------------------

SELECT t.pair('d', 'far d', (SELECT jsonb_object_agg(i, '{"v": 1}'::jsonb) FROM generate_series(1, 20) AS i));
SELECT diagsync.remove('d', (SELECT array_agg(i::text) FROM generate_series(1, 15) AS i));
SELECT is((diagsync.push('d')).refused_deletions, 15, 'so many deletions are not done unasked');
SELECT is(t.tried('push', 'd', (SELECT array_agg(i::text) FROM generate_series(1, 14) AS i)), 'yes +0 ~0 -14 0/0 with {}', '... but those that are named are asked for');
SELECT is(t.status('d'), 'pending 1/0/0', '... one is left');

-- What is missing without a record is in doubt when it is named, too.
SELECT t.pair('u', 'far u', '{"a": {"v": 1}, "b": {"v": 1}}');
SET LOCAL session_replication_role = replica;
DELETE FROM diagsync_public.entity WHERE diagram_id = 'far u' AND id = 'a';
DELETE FROM diagsync_local.entity WHERE diagram_id = 'u' AND id = 'b';
SET LOCAL session_replication_role = origin;
SELECT is(t.tried('pull', 'u', '{a,b}'), 'no +0 ~0 -0 0/2 with {}', 'rows that were lost past the triggers are no deletions');
SELECT is(t.tried('push', 'u', '{a,b}', 'skip'), 'no +0 ~0 -0 0/2 with {}', '... in either direction');
SELECT is(t.docs('u'), '{"a": {"v": 1}}', '... nothing is deleted');
SELECT is(t.docs('far u'), '{"b": {"v": 1}}', '... or comes back');

-- ---- References ------------------------------------------------------------------------------

CREATE FUNCTION t.graph(l text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM t.make(l, '{"x": {}, "y": {}, "z": {}, "e": {"from": "x", "to": "y"}, "f": {"from": "y", "to": "z"}}');
	PERFORM diagsync.set_merge_policy(l, '{"granularity": "property", "references": ["/from", "/to", "/parent"]}');
	RETURN diagsync.share(l, 'far ' || l);
END $$;

SELECT t.graph('r');
SELECT t.write('r', 'n1', '{"parent": "g"}'), t.write('r', 'n2', '{}'), t.write('r', 'g', '{"parent": "top"}'), t.write('r', 'top', '{}'),
	t.write('r', 'e2', '{"from": "n1", "to": "x"}'), t.write('r', 'y', '{"v": 2}');
SELECT t.rest('r', '{n1,g,top,e2}') AS rest \gset
SELECT is(t.tried('push', 'r', '{e2}'), 'yes +4 ~0 -0 0/0 with {g,n1,top}', 'a new edge takes its new node along, and the groups that is in');
SELECT is(t.rest('r', '{n1,g,top,e2}'), :'rest', '... and nothing else');
SELECT is(t.status('r'), 'pending 2/0/0', '... the rest is still to be pushed');
SELECT t.write('far r', 'm1', '{}'), t.write('far r', 'm2', '{"parent": "m1"}'), t.write('far r', 'm3', '{}');
SELECT is(t.tried('pull', 'r', '{m2}'), 'yes +2 ~0 -0 0/0 with {m1}', 'so does a pull');
SELECT is(t.tried('push', 'r', '{y}'), 'yes +0 ~1 -0 0/0 with {}', 'what others refer to goes alone');

-- A deletion takes along what no longer refers to it.
SELECT t.graph('s');
SELECT t.write('s', 'x', NULL), t.write('s', 'e', NULL), t.write('s', 'f', '{"from": "x2", "to": "z"}'), t.write('s', 'x2', '{}');
SELECT is(t.tried('push', 's', '{x}'), 'yes +0 ~0 -2 0/0 with {e}', 'a node goes with its edge');
SELECT is(t.status('s'), 'pending 2/0/0', '... another edge stays');
SELECT t.write('s', 'y', NULL);
SELECT is(t.tried('push', 's', '{y}'), 'yes +1 ~1 -1 0/0 with {f,x2}', 'one that leads elsewhere now goes along, and what it leads to');
SELECT t.write('far s', 'z', NULL), t.write('far s', 'f', NULL), t.write('far s', 'k', '{}');
SELECT is(t.tried('pull', 's', '{z}'), 'yes +0 ~0 -2 0/0 with {f}', 'so does a pull');
SELECT is(t.docs('s'), '{"x2": {}}', '... and takes nothing else');

-- What would dangle is settled together.
SELECT t.graph('v');
SELECT t.write('v', 'x', NULL), t.write('v', 'e', NULL), t.write('far v', 'h', '{"from": "x", "to": "z"}'), t.write('v', 'q', '{}');
SELECT is(t.tried('push', 'v', '{h}'), 'no +0 ~0 -0 0/2 with {e,x}', 'what the shared copy refers to anew was deleted here: both are in conflict');
SELECT is(t.tried('push', 'v', '{x}'), 'no +0 ~0 -0 0/2 with {e,h}', 'a new edge of the shared copy leads to what is deleted');
SELECT is(t.tried('push', 'v', '{x}', 'skip'), 'no +0 ~0 -1 0/2 with {e,h}', '... the old edge can go');
SELECT is(t.tried('push', 'v', '{x}', 'local'), 'yes +0 ~0 -2 2/0 with {h}', '... for the local side both nodes and edge go');
SELECT is(t.docs('far v'), '{"f": {"to": "z", "from": "y"}, "y": {}, "z": {}}', '... nothing dangles');
SELECT is(t.status('v'), 'pending 1/0/0', '... the rest is left');
SELECT t.write('far v', 'y', NULL), t.write('far v', 'f', NULL), t.write('v', 'o', '{"to": "y"}');
SELECT is(t.tried('push', 'v', '{o}', 'public'), 'yes +0 ~0 -0 2/0 with {y}', 'an insert that leads to what is deleted there is given up');
SELECT is(t.docs('v')->'o', NULL, '... it is gone');
SELECT is(t.tried('pull', 'v', '{y}'), 'yes +0 ~0 -2 0/0 with {f}', '... and the deletion is pulled with the edge');
SELECT is(t.docs('v'), '{"q": {}, "z": {}}', '... the rest is left');

-- References follow what gets a new id, also those of entities that are not chosen.
SELECT t.graph('w');
SELECT t.write('w', 'x', '{"v": 2}'), t.write('far w', 'x', '{"v": 3}'), t.write('w', 'e3', '{"from": "x", "to": "y", "v": 1}'),
	t.write('w', 'z', '{"v": 2}'), t.write('far w', 'z', '{"v": 3}'), t.write('w', 'e4', '{"from": "z"}');
SELECT is(t.tried('pull', 'w', '{x}', 'both'), 'yes +1 ~2 -0 1/0 with {e3}', 'both: the edge follows');
SELECT matches(t.docs('w')->'e3'->>'from', '^x-', '... to the copy');
SELECT is(t.docs('w')->'e4'->>'from', 'z', 'one that refers to another conflict stays');
SELECT is(t.tried('push', 'w', '{e4}', 'both'), 'yes +1 ~0 -0 0/0 with {}', '... also when it is chosen without the conflict');
SELECT is(t.docs('far w')->'e4'->>'from', 'z', '... and is pushed like that');

-- In batches of one, all the same.
SET LOCAL diagsync.batch_size = 1;
SELECT t.graph('x');
SELECT t.write('x', 'x', NULL), t.write('x', 'e', NULL), t.write('x', 'n', '{}'), t.write('x', 'e2', '{"from": "n", "to": "z"}'), t.write('x', 'y', '{"v": 2}');
SELECT is(t.tried('push', 'x', '{x,e2}'), 'yes +2 ~0 -2 0/0 with {e,n}', 'in batches of one');
SET LOCAL diagsync.batch_size = 1000;

-- ---- What was seen, and prune() --------------------------------------------------------------------

SELECT t.pair('i', 'far i', '{"a": {"v": 1}, "b": {"v": 1}}');
UPDATE diagsync.directory SET last_pushed_at = now() - interval '10 days' WHERE id = 'i';
SELECT t.write('i', 'a', '{"v": 2}');
SELECT is(t.tried('push', 'i', '{a}'), 'yes +0 ~1 -0 0/0 with {}', 'a link that only pushes chosen entities');
SELECT t.write('i', 'b', '{"v": 2}');
SELECT is(t.tried('push', 'i', '{b}'), 'yes +0 ~1 -0 0/0 with {}', '... again');
SELECT ok(seen_at = now() - interval '10 days' AND last_pushed_at = now(), '... looks at nothing else') FROM diagsync.directory WHERE id = 'i';
SELECT is((diagsync.pull('i')).success, true, 'a pull of all');
SELECT ok(seen_at IS NULL AND last_pulled_at = now(), '... does') FROM diagsync.directory WHERE id = 'i';
SELECT is((diagsync.refresh('i')).state, 'in_sync', '... so does a refresh');
SELECT ok(seen_at = now(), '... which neither pushes nor pulls') FROM diagsync.directory WHERE id = 'i';

-- A link that compares in full goes on doing so.
SELECT t.pair('k', 'far k', '{"a": {"v": 1}, "b": {"v": 1}}');
SELECT t.write('k', 'a', '{"v": 2}'), t.write('far k', 'b', '{"v": 3}');
UPDATE diagsync.directory SET seen = NULL WHERE id = 'k';
SELECT is(t.tried('push', 'k', '{a}'), 'yes +0 ~1 -0 0/0 with {}', 'a link that has seen nothing');
SELECT ok(seen IS NULL, '... has seen nothing still') FROM diagsync.directory WHERE id = 'k';
SELECT is(t.status('k'), 'pending 0/1/0', '... and finds the rest');

SELECT * FROM finish();
ROLLBACK;
