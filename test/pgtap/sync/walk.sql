-- Base rows on many pages of their index: each look goes on from the one before,
-- and none may be passed over.
BEGIN;
\ir ../../common/pgtap/helpers.sql
SELECT plan(12);

-- Ids of one length, of many, and such that begin alike.
CREATE FUNCTION t.id(kind text, n int) RETURNS text IMMUTABLE LANGUAGE sql AS $$
	SELECT CASE kind WHEN 'one length' THEN to_char(n, 'FM00000')
		WHEN 'many lengths' THEN repeat('e', n % 60) || n
		ELSE repeat('long', 90) || n END $$;

CREATE FUNCTION t.walk(kind text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM diagsync.create_diagram('Walk', id => kind);
	INSERT INTO diagsync_local.entity (diagram_id, id, doc)
		SELECT kind, t.id(kind, n), jsonb_build_object('v', n, 'to', t.id(kind, n + 1)) FROM generate_series(1, 3000) AS n;
	PERFORM diagsync.share(kind, kind || ' shared');
	PERFORM diagsync.set_merge_policy(kind, '{"references": ["/to"]}');
	PERFORM diagsync.refresh(kind);
	UPDATE diagsync_local.entity SET doc = doc || '{"new": 1}' WHERE diagram_id = kind AND (doc->>'v')::int % 3 > 0;
	UPDATE diagsync_public.entity SET doc = doc || '{"far": 1}' WHERE diagram_id = kind || ' shared' AND (doc->>'v')::int % 3 = 0;
	RETURN NEXT is(t.status(kind), 'pending 2000/1000/0', kind || ': status');
	RETURN NEXT is((SELECT string_agg(side || ' ' || n, ', ' ORDER BY side) FROM
		(SELECT side, count(*) AS n FROM diagsync.changes(kind) GROUP BY side) AS c), 'local 2000, public 1000', kind || ': changes');
	PERFORM diagsync.pull(kind);
	RETURN NEXT is(t.status(kind), 'pending 2000/0/0', kind || ': pulled');
	PERFORM diagsync.push(kind);
	RETURN NEXT is(t.status(kind), 'in_sync 0/0/0', kind || ': pushed');
END $$;
SELECT t.walk('one length');
SELECT t.walk('many lengths');
SELECT t.walk('alike');

SELECT * FROM finish();
ROLLBACK;
