-- "newest": the later edit or deletion wins, one without a known time loses,
-- the public one where they are equal.
BEGIN;
\ir ../../common/pgtap/helpers.sql

-- Every conflict with every pair of times: 1 or 2 o'clock, or unknown, which
-- only a deletion's can be.
CREATE TABLE t.times (n int GENERATED ALWAYS AS IDENTITY, mine jsonb, theirs jsonb, my_time timestamptz, their_time timestamptz, winner text);
INSERT INTO t.times (mine, theirs, my_time, their_time, winner)
SELECT mine, theirs, my_time, their_time,
	CASE WHEN coalesce(my_time > their_time, their_time IS NULL AND my_time IS NOT NULL) THEN 'local' ELSE 'public' END
  FROM (VALUES ('{"v": 2}'::jsonb, '{"v": 3}'::jsonb), ('{"v": 2}', NULL), (NULL, '{"v": 3}')) AS d (mine, theirs),
	(VALUES ('2020-01-01 01:00Z'::timestamptz), ('2020-01-01 02:00Z'), (NULL)) AS m (my_time),
	(VALUES ('2020-01-01 01:00Z'::timestamptz), ('2020-01-01 02:00Z'), (NULL)) AS t (their_time)
 WHERE (my_time IS NOT NULL OR mine IS NULL) AND (their_time IS NOT NULL OR theirs IS NULL)
 ORDER BY mine, theirs, my_time, their_time;

-- A pair with one of these conflicts.
CREATE FUNCTION t.clash(c t.times, local text, storage_type text DEFAULT 'public') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	public text := 'far ' || local;
BEGIN
	PERFORM t.pair(local, public, '{"e": {"v": 1}}', storage_type);
	PERFORM t.write(local, 'e', c.mine), t.write(public, 'e', c.theirs);
	PERFORM t.edited(local, 'e', c.my_time), t.edited(public, 'e', c.their_time);
	SET LOCAL session_replication_role = replica;
	UPDATE diagsync_local.base SET changed_at = c.my_time WHERE diagram_id = local AND c.mine IS NULL;
	UPDATE diagsync_public.tombstone SET deleted_at = c.their_time WHERE diagram_id = public;
	UPDATE diagsync_private.tombstone SET deleted_at = c.their_time WHERE diagram_id = public;
	SET LOCAL session_replication_role = origin;
	RETURN public;
END $$;

CREATE FUNCTION t.winner(c t.times, way text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	local text := format('%s %s', way, c.n);
	public text := t.clash(c, local, CASE WHEN c.n % 2 = 0 THEN 'private' ELSE 'public' END);
	change diagsync.change;
BEGIN
	SELECT * INTO change FROM diagsync.conflicts(local);
	IF change.local_modified_at IS DISTINCT FROM c.my_time OR change.public_modified_at IS DISTINCT FROM c.their_time THEN
		RETURN format('conflicts() shows the times %s and %s', change.local_modified_at, change.public_modified_at);
	END IF;
	CASE way
		WHEN 'push' THEN PERFORM diagsync.push(local, on_conflict => 'newest');
		WHEN 'pull' THEN PERFORM diagsync.pull(local, on_conflict => 'newest');
		WHEN 'resolve' THEN PERFORM diagsync.resolve(local, 'e', 'newest');
	END CASE;
	IF t.status(local) NOT LIKE '%/0/0' THEN
		RETURN t.status(local);
	END IF;
	PERFORM diagsync.push(local);
	RETURN CASE WHEN t.docs(local) <> t.docs(public) THEN 'they differ'
		WHEN t.docs(local) -> 'e' IS NOT DISTINCT FROM c.mine THEN 'local'
		WHEN t.docs(local) -> 'e' IS NOT DISTINCT FROM c.theirs THEN 'public'
		ELSE 'neither' END;
END $$;

SELECT plan(3 * (SELECT count(*)::int FROM t.times) + 7);

SELECT is(t.winner(c, way), winner, format('%s: %s at %s against %s at %s', way, coalesce(mine::text, 'deleted'),
	coalesce((my_time AT TIME ZONE 'UTC')::time::text, 'an unknown time'), coalesce(theirs::text, 'deleted'),
	coalesce((their_time AT TIME ZONE 'UTC')::time::text, 'an unknown time')))
  FROM unnest('{push,pull,resolve}'::text[]) AS way, t.times AS c ORDER BY way, n;
SELECT is(count(*), 16::bigint, 'all pairs of times') FROM t.times;

-- Each entity of one call by its own times.
SELECT t.pair('l', 'p', '{"a": {}, "b": {}, "c": {}}');
SELECT t.write(side, e, jsonb_build_object('v', side)) FROM unnest('{l,p}'::text[]) AS side, unnest('{a,b,c}'::text[]) AS e;
SELECT t.edited('l', 'a', '2020-01-02Z'), t.edited('p', 'a', '2020-01-01Z');
SELECT t.edited('l', 'b', '2020-01-01Z'), t.edited('p', 'b', '2020-01-02Z');
SELECT t.edited('l', 'c', '2020-01-01Z'), t.edited('p', 'c', '2020-01-01Z');
SELECT is(t.show(diagsync.push('l', on_conflict => 'newest', dry_run => true)), 'yes +0 ~1 -0 3/0', 'a dry run classifies the same times');
SELECT is(t.show(diagsync.push('l', on_conflict => 'newest')), 'yes +0 ~1 -0 3/0', 'one of three is sent');
SELECT is(t.docs('l'), '{"a": {"v": "l"}, "b": {"v": "p"}, "c": {"v": "p"}}', 'the newer one of each');
SELECT is(t.docs('p'), t.docs('l'), 'on both ends');

-- An undone edit is none, however late; and time alone is no conflict.
SELECT t.write('l', 'a', '{"v": 9}'), t.write('l', 'a', '{"v": "l"}'), t.write('p', 'a', '{"v": "far"}');
SELECT t.edited('l', 'a', '2030-01-01Z');
SELECT is(t.show(diagsync.pull('l', on_conflict => 'newest')), 'yes +0 ~1 -0 0/0', 'an undone edit does not win by its time');
SELECT is(t.docs('l') -> 'a', '{"v": "far"}', 'the far version is taken');

SELECT * FROM finish();
ROLLBACK;
