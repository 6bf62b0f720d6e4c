-- refresh: compares in full once and records what was seen; status stays the
-- same, and nothing is lost for the next sync.
BEGIN;
\ir ../../common/pgtap/helpers.sql
SELECT plan(32);

SELECT t.pair('l', 'p', '{"a": {"v": 1}, "b": {"v": 1}, "c": {"v": 1}, "d": {"v": 1}, "e": {"v": 1}, "f": {"v": 1}}');
SELECT t.write('l', 'a', '{"v": 2}'), t.write('l', 'ln', '{"v": 2}'), t.write('l', 'f', NULL);
SELECT t.write('p', 'b', '{"v": 3}'), t.write('p', 'c', NULL), t.write('p', 'pn', '{"v": 3}');
SELECT t.write('l', 'd', '{"v": 2}'), t.write('p', 'd', '{"v": 3}');
SELECT t.write('l', 'e', '{"v": 5}'), t.write('p', 'e', '{"v": 5}');

CREATE FUNCTION t.says() RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_array(t.status('l'), t.changes('l'), t.docs('l'), t.docs('p'), (SELECT jsonb_agg(to_jsonb(c) ORDER BY entity_id) FROM diagsync.changes('l') AS c),
		(SELECT jsonb_agg(to_jsonb(e) ORDER BY diagram_id, id) FROM diagsync.entity AS e), diagsync.push('l', on_conflict => 'skip', dry_run => true),
		diagsync.pull('l', on_conflict => 'newest', dry_run => true)) $$;
CREATE FUNCTION t.pending() RETURNS text LANGUAGE sql AS $$
	SELECT 'a:local:update>: b:public:>update: c:public:>delete: d:both:update>update:update_update f:local:delete>: ln:local:insert>: pn:public:>insert:' $$;

SELECT is(t.changes('l'), t.pending(), 'changes of both sides');

-- Refreshed from whatever it has seen so far.
CREATE FUNCTION t.forget(what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	CASE what
		WHEN 'all is known' THEN NULL;
		WHEN 'nothing seen' THEN UPDATE diagsync.directory SET seen = NULL, seen_own = NULL WHERE id = 'l';
		WHEN 'seen on another cluster' THEN UPDATE diagsync.directory SET seen_on = '1/1' WHERE id = 'l';
		WHEN 'refreshed before' THEN PERFORM diagsync.refresh('l'), diagsync.refresh('l');
	END CASE;
END $$;
CREATE FUNCTION t.check(what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	before jsonb;
	s diagsync.sync_status;
BEGIN
	PERFORM t.forget(what);
	before := t.says();
	RETURN NEXT is(before -> 1, to_jsonb(t.pending()), what || ': the changes before');
	s := diagsync.refresh('l');
	RETURN NEXT is(t.show(s), before ->> 0, what || ': refresh returns the status');
	RETURN NEXT is(s, diagsync.status('l'), what || ': as status does');
	RETURN NEXT is(t.says(), before, what || ': changes, documents, versions and plans are as before');
	RETURN NEXT is((SELECT seen IS NOT NULL AND seen_on IS NOT NULL FROM diagsync.directory WHERE id = 'l'), true, what || ': it notes what it has seen');
	RETURN NEXT is(t.show(diagsync.pull('l', on_conflict => 'skip')), 'no +1 ~1 -1 0/1', what || ': a pull brings the public changes');
	RETURN NEXT is(t.show(diagsync.push('l', on_conflict => 'local')), 'yes +1 ~2 -1 1/0', what || ': a push sends the local ones');
END $$;
SAVEPOINT s;
SELECT t.check('all is known');
ROLLBACK TO s;
SELECT t.check('nothing seen');
ROLLBACK TO s;
SELECT t.check('seen on another cluster');
ROLLBACK TO s;
SELECT t.check('refreshed before');
SELECT is(t.docs('l'), t.docs('p'), 'both ends agree');
SELECT is(t.base('l'), '{}', 'without any base row left');

-- A refresh that says what it moved of the directory.
SELECT to_jsonb(d) - '{seen,seen_own,seen_on,seen_at}'::text[] AS link FROM diagsync.directory AS d WHERE id = 'l' \gset
SELECT diagsync.refresh('l');
SELECT is(to_jsonb(d) - '{seen,seen_own,seen_on,seen_at}'::text[], :'link'::jsonb, 'it is no sync: last_pushed_at, last_pulled_at and public_version stay') FROM diagsync.directory AS d WHERE id = 'l';

SELECT * FROM finish();
ROLLBACK;
