-- Who edited what and when goes along: share, clone, push and pull carry
-- modified_at, modified_by and the times of deletions, and say nothing of who
-- moved them.
BEGIN;
\ir ../../common/pgtap/helpers.sql
SELECT plan(32);

CREATE ROLE alice SUPERUSER;
CREATE ROLE bob SUPERUSER;
CREATE ROLE mover SUPERUSER;

-- Who edited an entity, and when.
CREATE FUNCTION t.who(diagram text, which text) RETURNS text LANGUAGE sql AS $$
	SELECT modified_by || ' ' || (modified_at AT TIME ZONE 'UTC')::date FROM diagsync.entity
	 WHERE diagram_id = diagram AND id = which $$;

-- ---- Stamps -------------------------------------------------------------------------

SELECT t.make('l', '{"a": {"v": 1}}');
SET ROLE alice;
SELECT t.write('l', 'b', '{"v": 1}');
RESET ROLE;
SELECT is(modified_by, 'role:' || current_user, 'an insert notes who') FROM diagsync_local.entity WHERE diagram_id = 'l' AND id = 'a';
SELECT is(jsonb_build_array(modified_at BETWEEN now() AND clock_timestamp(), modified_by), jsonb_build_array(true, 'role:alice'), 'the role in force, and when') FROM diagsync_local.entity WHERE diagram_id = 'l' AND id = 'b';
SELECT t.edited('l', 'a', '2020-01-01Z', 'role:old'), t.edited('l', 'b', '2020-01-01Z', 'role:old');
SET ROLE alice;
UPDATE diagsync_local.entity SET doc = '{"v": 2}' WHERE diagram_id = 'l' AND id = 'b';
RESET ROLE;
SELECT is(jsonb_build_array(modified_at BETWEEN now() AND clock_timestamp(), modified_by), jsonb_build_array(true, 'role:alice'), 'so does an update') FROM diagsync_local.entity WHERE diagram_id = 'l' AND id = 'b';
SELECT is(t.who('l', 'a'), 'role:old 2020-01-01', 'of the row that it updates');
SELECT is(owner, 'role:' || current_user, 'a diagram notes its owner') FROM diagsync.directory WHERE id = 'l';

-- ---- share, clone, link -----------------------------------------------------------------

SELECT t.edited('l', 'b', '2020-01-02Z', 'role:alice');
SET ROLE mover;
SELECT diagsync.share('l', 'p'), diagsync.clone('p', 'l2');
RESET ROLE;
SELECT is(t.who('p', id), t.who('l', id), 'share carries along: ' || id) FROM diagsync_local.entity WHERE diagram_id = 'l';
SELECT is(t.who('l2', id), t.who('l', id), 'clone carries along: ' || id) FROM diagsync_local.entity WHERE diagram_id = 'l';
SELECT isnt(t.who('p', 'a'), NULL, 'there is something');
SELECT is((SELECT count(DISTINCT owner) FROM diagsync.directory WHERE id IN ('p', 'l2') AND owner = 'role:mover'), 1::bigint, 'the copies are owned by who made them');

-- ---- push and pull -------------------------------------------------------------------------

SELECT t.write('l', 'a', '{"v": 3}'), t.write('l', 'new', '{"v": 3}');
SELECT t.edited('l', 'a', '2021-01-01Z', 'role:alice'), t.edited('l', 'new', '2021-01-02Z', 'role:bob');
SET ROLE mover;
SELECT diagsync.push('l');
RESET ROLE;
SELECT is(t.who('p', 'a'), 'role:alice 2021-01-01', 'push carries an update''s along');
SELECT is(t.who('p', 'new'), 'role:bob 2021-01-02', '... and an insert''s');
SELECT is(t.who('p', 'b'), 'role:alice 2020-01-02', '... and leaves the others');
SELECT is(rev, pg_current_xact_id()::text::bigint, 'the revision is that of the push') FROM diagsync_public.entity WHERE diagram_id = 'p' AND id = 'a';
SET ROLE mover;
SELECT diagsync.pull('l2');
RESET ROLE;
SELECT is(t.who('l2', 'a'), 'role:alice 2021-01-01', 'pull carries an update''s along');
SELECT is(t.who('l2', 'new'), 'role:bob 2021-01-02', '... and an insert''s');

-- ---- Deletions ------------------------------------------------------------------------------

SET ROLE alice;
DELETE FROM diagsync_local.entity WHERE diagram_id = 'l' AND id = 'a';
RESET ROLE;
SELECT is(jsonb_build_array(changed_at BETWEEN now() AND clock_timestamp(), changed_by), jsonb_build_array(true, 'role:alice'), 'a local deletion notes who and when') FROM diagsync_local.base WHERE diagram_id = 'l' AND id = 'a';
SELECT is(jsonb_build_array(local_modified_at BETWEEN now() AND clock_timestamp(), local_modified_by), jsonb_build_array(true, 'role:alice'), 'changes() shows it') FROM diagsync.changes('l');
UPDATE diagsync_local.base SET changed_at = '2022-01-01Z' WHERE diagram_id = 'l' AND id = 'a';
SET ROLE mover;
SELECT diagsync.push('l');
RESET ROLE;
SELECT is(jsonb_build_array(deleted_at, deleted_by), jsonb_build_array('2022-01-01Z'::timestamptz, 'role:alice'), 'push carries a deletion''s along') FROM diagsync_public.tombstone WHERE diagram_id = 'p' AND id = 'a';
SET ROLE bob;
DELETE FROM diagsync_public.entity WHERE diagram_id = 'p' AND id = 'b';
RESET ROLE;
SELECT is(jsonb_build_array(deleted_at BETWEEN now() AND clock_timestamp(), deleted_by, rev), jsonb_build_array(true, 'role:bob', pg_current_xact_id()::text::bigint), 'a deletion in the shared copy leaves a tombstone')
  FROM diagsync_public.tombstone WHERE diagram_id = 'p' AND id = 'b';
SELECT is(jsonb_agg(jsonb_build_array(entity_id, public_modified_at, public_modified_by) ORDER BY entity_id),
	jsonb_build_array(jsonb_build_array('a', '2022-01-01Z'::timestamptz, 'role:alice'),
		(SELECT jsonb_build_array('b', deleted_at, 'role:bob') FROM diagsync_public.tombstone WHERE diagram_id = 'p' AND id = 'b')),
	'and changes() shows whose it was') FROM diagsync.changes('l2');
SELECT is_empty($$ SELECT * FROM diagsync_local.base WHERE diagram_id = 'l' AND id = 'a' $$, 'once pushed, the local note is gone');
SELECT t.write('p', 'b', '{"again": true}');
SELECT is(jsonb_build_array(public_change, public_modified_at), jsonb_build_array('update', (SELECT modified_at FROM diagsync_public.entity WHERE diagram_id = 'p' AND id = 'b')), 'deleted and made again: the entity says when')
  FROM diagsync.changes('l2') WHERE entity_id = 'b';

-- Every deletion leaves one, linked or not, public or private.
SELECT diagsync.create_diagram('alone', type, 'alone ' || type) FROM unnest('{public,private}'::text[]) AS type;
SELECT t.write('alone ' || type, 'e', '{}') FROM unnest('{public,private}'::text[]) AS type;
SELECT diagsync.remove('alone ' || type, '{e}') FROM unnest('{public,private}'::text[]) AS type;
SELECT is((SELECT count(*) FROM diagsync_public.tombstone WHERE diagram_id = 'alone public'), 1::bigint, 'an unlinked public diagram has tombstones');
SELECT is((SELECT count(*) FROM diagsync_private.tombstone WHERE diagram_id = 'alone private'), 1::bigint, 'a private one too');

-- ---- Resolutions -----------------------------------------------------------------------------

SELECT t.pair('m', 'q', '{"a": {"v": 1}, "b": {"v": 1}, "c": {"v": 1}, "d": {"v": 1}}');
SELECT t.write(side, id, jsonb_build_object('v', side)) FROM unnest('{m,q}'::text[]) AS side, unnest('{a,b,c,d}'::text[]) AS id;
SELECT t.edited('m', id, '2023-01-01Z', 'role:alice'), t.edited('q', id, '2023-01-02Z', 'role:bob') FROM unnest('{a,b,c,d}'::text[]) AS id;
SET ROLE mover;
SELECT diagsync.resolve('m', 'a', 'local'), diagsync.resolve('m', 'b', 'public');
SELECT (diagsync.resolve('m', 'c', 'both')).entity_id AS copy \gset
SELECT diagsync.resolve('m', 'd', 'merged', '{"v": "merged"}');
RESET ROLE;
SELECT is(t.who('m', 'a'), 'role:alice 2023-01-01', 'resolved as local: still the local editor''s');
SELECT is(t.who('m', 'b'), 'role:bob 2023-01-02', 'resolved as public: the public one''s');
SELECT is(t.who('m', 'c'), 'role:bob 2023-01-02', 'both: the public version is the public editor''s');
SELECT is(t.who('m', :'copy'), 'role:alice 2023-01-01', '... and the copy the local one''s');
SELECT is(t.who('m', 'd'), 'role:mover ' || (now() AT TIME ZONE 'UTC')::date, 'merged: who merged');
SELECT diagsync.push('m');
SELECT is((SELECT array_agg(t.who('q', id)) FROM diagsync_public.entity WHERE diagram_id = 'q'),
	(SELECT array_agg(t.who('m', id)) FROM diagsync_public.entity WHERE diagram_id = 'q'), 'and the push carries all that along');

SELECT * FROM finish();
ROLLBACK;
