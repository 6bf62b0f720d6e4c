-- Keeping both versions: the public one keeps the id, the local one is
-- inserted beside it under a new id.
BEGIN;
\ir ../../common/pgtap/helpers.sql
SELECT plan(43);

-- Make a conflict on an entity, both ends changed.
CREATE FUNCTION t.clash(local text, public text, entity text, mine jsonb DEFAULT '{"v":"local"}',
	theirs jsonb DEFAULT '{"v":"public"}') RETURNS void LANGUAGE sql AS $$
	SELECT t.write(local, entity, mine);
	SELECT t.write(public, entity, theirs); $$;

-- The id of the one entity whose document says that it was the local one.
CREATE FUNCTION t.copy_of(diagram text, mine jsonb DEFAULT '{"v":"local"}') RETURNS text LANGUAGE sql AS $$
	SELECT id FROM diagsync.entity WHERE diagram_id = diagram AND doc @> mine $$;

-- The new id that a resolution would give, which is then taken back.
CREATE FUNCTION t.would_be(local text, entity text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RAISE SQLSTATE 'TT000' USING MESSAGE = (diagsync.resolve(local, entity, 'both')).entity_id;
EXCEPTION WHEN SQLSTATE 'TT000' THEN
	RETURN sqlerrm;
END $$;

-- ---- The new id ----------------------------------------------------------------

SELECT t.pair('l', 'p', '{"box": {"v": 1}, "arrow": {"v": 1}}');
SELECT t.clash('l', 'p', 'box');
SELECT t.would_be('l', 'box') AS new \gset
SELECT isnt(:'new'::text, 'box', 'the copy has another id');
SELECT ok(starts_with(:'new'::text, 'box'), 'that is derived from the old one');
SELECT is(t.would_be('l', 'box'), :'new'::text, 'and the same each time');
SELECT is((diagsync.resolve('l', 'box', 'both')).entity_id, :'new'::text, 'resolve returns the entity under its new id');
SELECT is(t.changes('l'), :'new'::text || ':local:insert>:', 'it is a local insert, and the only change');
SELECT is(t.docs('l'), jsonb_build_object('box', '{"v": "public"}'::jsonb, :'new'::text, '{"v": "local"}'::jsonb, 'arrow', '{"v": 1}'::jsonb),
	'the public version keeps the id');
SELECT is(t.docs('p'), '{"box": {"v": "public"}, "arrow": {"v": 1}}', 'the shared copy is untouched');
SELECT is(t.show(diagsync.push('l')), 'yes +1 ~0 -0 0/0', 'the next push sends it');
SELECT is(t.docs('p'), t.docs('l'), 'then both ends agree');

-- The same entity again.
SELECT t.clash('l', 'p', 'box', '{"v": "local again"}', '{"v": "public again"}');
SELECT isnt((diagsync.resolve('l', 'box', 'both')).entity_id, :'new'::text, 'a second copy of the same entity has an id of its own');
SELECT is(t.docs('l') -> :'new'::text, '{"v": "local"}', 'the first copy stays');

-- The copy itself in conflict.
SELECT diagsync.push('l');
SELECT t.clash('l', 'p', :'new'::text, '{"v": "copy of a copy"}');
SELECT is(t.show(diagsync.pull('l', on_conflict => 'both')), 'yes +1 ~1 -0 1/0', 'a copy may be in conflict in its turn');
SELECT is((SELECT count(*) FROM diagsync_local.entity WHERE diagram_id = 'l'), 5::bigint, 'and nothing is lost');

-- ---- Its own id inside the document ----------------------------------------------

SELECT t.pair('l2', 'p2', '{"a": {}, "b": {}, "c": {}, "d": {}, "5": {}}');
SELECT t.clash('l2', 'p2', 'a', '{"id": "a", "m": 1}', '{"id": "a", "v": 1}');
SELECT t.clash('l2', 'p2', 'b', '{"_id": "b", "m": 2, "id": 17}', '{"_id": "b", "v": 1}');
SELECT t.clash('l2', 'p2', 'c', '{"id": "c", "_id": "c", "m": 3, "in": {"id": "c"}, "to": "c", "list": ["c"]}', '{"v": 1}');
SELECT t.clash('l2', 'p2', 'd', '{"id": ["d"], "_id": {"id": "d"}, "m": 4}', '{"v": 1}');
SELECT t.clash('l2', 'p2', '5', '{"id": 5, "m": 5}', '{"v": 1}');
SELECT is(t.show(diagsync.pull('l2', on_conflict => 'both')), 'yes +5 ~5 -0 5/0', 'five conflicts, five copies');
SELECT t.copy_of('l2', '{"m": 1}') AS a, t.copy_of('l2', '{"m": 2}') AS b, t.copy_of('l2', '{"m": 3}') AS c,
	t.copy_of('l2', '{"m": 4}') AS d, t.copy_of('l2', '{"m": 5}') AS e \gset
SELECT is(t.docs('l2') -> :'a'::text, jsonb_build_object('id', :'a'::text, 'm', 1), 'id becomes the new id');
SELECT is(t.docs('l2') -> :'b'::text, jsonb_build_object('_id', :'b'::text, 'm', 2, 'id', 17), '_id too, but not an id that is no string');
SELECT is(t.docs('l2') -> :'c'::text, jsonb_build_object('id', :'c'::text, '_id', :'c'::text, 'm', 3, 'in', '{"id": "c"}'::jsonb, 'to', 'c', 'list', '["c"]'::jsonb),
	'both, and nothing deeper or elsewhere');
SELECT is(t.docs('l2') -> :'d'::text, '{"id": ["d"], "_id": {"id": "d"}, "m": 4}', 'what is no string stays');
SELECT is(t.docs('l2') -> :'e'::text, '{"id": 5, "m": 5}', 'a number is not equal to a text id');
SELECT is(t.docs('l2') -> 'a', '{"id": "a", "v": 1}', 'the public version keeps its id inside as well');
SELECT is(t.show(diagsync.push('l2')), 'yes +5 ~0 -0 0/0', 'all copies are pushed');

-- ---- Ids that are taken ---------------------------------------------------------

SELECT t.pair('l3', 'p3', '{"e": {"v": 1}}');
SELECT t.clash('l3', 'p3', 'e');
SELECT t.would_be('l3', 'e') AS taken \gset
SAVEPOINT s;
SELECT t.write('l3', :'taken'::text, '{"taken": "local"}');
SELECT diagsync.resolve('l3', 'e', 'both');
SELECT is(t.docs('l3') -> :'taken'::text, '{"taken": "local"}', 'an id that the local end uses is not taken');
SELECT is((SELECT count(*) FROM diagsync_local.entity WHERE diagram_id = 'l3' AND doc = '{"v": "local"}'), 1::bigint, '... but another');
ROLLBACK TO s;
SELECT t.write('p3', :'taken'::text, '{"taken": "public"}');
SELECT diagsync.push('l3', on_conflict => 'both');
SELECT is(t.docs('p3') -> :'taken'::text, '{"taken": "public"}', 'an id that the shared copy uses is not taken');
SELECT is((SELECT count(*) FROM diagsync_public.entity WHERE diagram_id = 'p3' AND doc = '{"v": "local"}'), 1::bigint, '... but another');
SELECT is(t.status('l3'), 'pending 0/1/0', 'and no new conflict arises');
ROLLBACK TO s;
-- An entity that the local end deleted and the shared copy still has.
SELECT t.write('p3', :'taken'::text, '{"taken": "before"}');
SELECT diagsync.pull('l3', on_conflict => 'skip');
SELECT t.write('l3', :'taken'::text, NULL);
SELECT is(t.changes('l3'), format('e:both:update>update:update_update %s:local:delete>:', :'taken'::text), 'a deletion waits to be pushed');
SELECT diagsync.resolve('l3', 'e', 'both');
SELECT isnt(t.copy_of('l3'), :'taken'::text, 'the id of a deletion that is not pushed yet is not taken');
SELECT is(t.status('l3'), 'pending 2/0/0', 'so that the deletion stays one');
ROLLBACK TO s;
-- Many in one call that all want similar ids.
SELECT t.write('p3', :'taken'::text, '{"v": 1}');
SELECT diagsync.pull('l3', on_conflict => 'skip');
SELECT t.clash('l3', 'p3', :'taken'::text, '{"v": "local 2"}', '{"v": "public 2"}');
SELECT is(t.show(diagsync.push('l3', on_conflict => 'both')), 'yes +2 ~0 -0 2/0', 'a copy does not take the id of another in the same call');
SELECT is((SELECT jsonb_agg(doc ->> 'v' ORDER BY doc ->> 'v' COLLATE "C") FROM diagsync_public.entity WHERE diagram_id = 'p3'),
	'["local", "local 2", "public", "public 2"]', 'nothing is lost');
SELECT is(t.docs('l3'), t.docs('p3'), 'both ends agree');

-- ---- Long ids --------------------------------------------------------------------

SELECT repeat('x', 399) AS x, repeat('é', 399) AS acute, repeat('😀', 399) AS face \gset
SELECT t.pair('l4', 'p4', jsonb_build_object(:'x'::text || 1, '{}'::jsonb, :'x'::text || 2, '{}'::jsonb, :'acute'::text || 1, '{}'::jsonb,
	:'acute'::text || 2, '{}'::jsonb, :'face'::text || 1, '{}'::jsonb, :'face'::text || 2, '{}'::jsonb));
SELECT t.clash('l4', 'p4', id, jsonb_build_object('id', id, 'mine', id), '{"theirs": true}')
  FROM diagsync_local.entity WHERE diagram_id = 'l4' ORDER BY id;
SELECT is(t.show(diagsync.pull('l4', on_conflict => 'both', dry_run => true)), 'yes +6 ~6 -0 6/0', 'ids of 400 characters, dry run');
SELECT is(t.show(diagsync.push('l4', on_conflict => 'both')), 'yes +6 ~0 -0 6/0', 'ids of 400 characters have copies too');
SELECT is((SELECT count(DISTINCT id) FROM diagsync_local.entity WHERE diagram_id = 'l4' AND doc ? 'mine' AND length(id) <= 400
	AND doc ->> 'id' = id AND doc ->> 'mine' <> id), 6::bigint, 'whose ids are no longer than that, and their own');
SELECT is((SELECT count(*) FROM diagsync_local.entity WHERE diagram_id = 'l4' AND doc ? 'mine'
	AND left(id, 100) = left(doc ->> 'mine', 100)), 6::bigint, 'derived from the old ones, character by character');
SELECT is(t.docs('l4'), t.docs('p4'), 'both ends agree');

-- ---- The dry run makes the same ids ------------------------------------------------

SELECT t.pair('l5', 'p5', '{"a": {"id": "a"}, "b": {"id": "b"}, "c": {"v": 1}, "d": {"v": 1}}');
SELECT t.clash('l5', 'p5', 'a', '{"id": "a", "v": "local"}', '{"id": "a", "v": "public"}');
SELECT t.clash('l5', 'p5', 'b', '{"id": "b", "v": "local"}', '{"id": "b", "v": "public"}');
SELECT t.write('l5', 'c', '{"v": "left"}'), t.write('p5', 'c', NULL), t.write('l5', 'd', NULL), t.write('p5', 'd', '{"v": "left"}');
SELECT plan FROM diagsync.push('l5', on_conflict => 'both', dry_run => true) \gset
SELECT is(plan, :'plan'::text, 'a second dry run has the same plan') FROM diagsync.push('l5', on_conflict => 'both', dry_run => true);
SELECT t.write('l5', t.would_be('l5', 'b'), '{"now": "taken"}');
SELECT ok(NOT success AND plan <> :'plan'::text, 'where an id is taken meanwhile it is another plan')
  FROM diagsync.push('l5', on_conflict => 'both', expected_plan => :'plan'::text);
SELECT t.write('l5', t.copy_of('l5', '{"now": "taken"}'), NULL);
-- The deletion of what was never pushed is no change, so the old plan holds again,
-- but for the id, which its base row may still keep taken.
SELECT plan FROM diagsync.push('l5', on_conflict => 'both', dry_run => true) \gset
SELECT is(t.show(diagsync.push('l5', on_conflict => 'both', expected_plan => :'plan'::text)), 'yes +3 ~0 -0 4/0',
	'two copies are inserted and one put back; where one end deleted it, what is left is kept');
SELECT is(t.docs('l5') - ARRAY(SELECT jsonb_object_keys(t.docs('l5')) EXCEPT VALUES ('a'), ('b'), ('c'), ('d')),
	'{"a": {"id": "a", "v": "public"}, "b": {"id": "b", "v": "public"}, "c": {"v": "left"}, "d": {"v": "left"}}', 'each as it should be');

-- ---- Every kind of value, and other properties of three letters, in what the id is made of --------

SELECT t.pair('l6', 'p6', '{"a": {"v": 0}, "b": {"v": 0}}');
SELECT t.write('l6', 'a', '{"abc": "a", "v": [true, null, 1, "x", {}]}'), t.write('p6', 'a', '{"v": 1}');
SELECT t.write('l6', 'b', '{"abc": "a", "v": [false, null, 1, "x", {}]}'), t.write('p6', 'b', '{"v": 1}');
SELECT is((SELECT array_agg(r.local ORDER BY e) FROM unnest('{a,b}'::text[]) AS e, LATERAL diagsync.resolve('l6', e, 'both') AS r)::text[],
	'{"{\"v\": [true, null, 1, \"x\", {}], \"abc\": \"a\"}","{\"v\": [false, null, 1, \"x\", {}], \"abc\": \"a\"}"}', 'copies are what they were, under new ids');
SELECT isnt(right(t.copy_of('l6', '{"v": [true]}'), 8), right(t.copy_of('l6', '{"v": [false]}'), 8), '... made of what is in them');

SELECT * FROM finish();
ROLLBACK;
