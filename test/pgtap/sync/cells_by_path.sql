-- The resolutions "local", "public" and "newest" where they decide by path: for
-- each kind of conflicting path and each way to resolve, what is left at both
-- ends. (include/cells.sql has the conflicts that are decided as a whole.)
BEGIN;
\ir ../../common/pgtap/helpers.sql

CREATE TABLE t.cell (
	cell text PRIMARY KEY,
	policy jsonb NOT NULL,
	base jsonb,
	local jsonb,
	public jsonb,
	by_local jsonb,  -- what becomes of it where the local side wins
	by_public jsonb,
	paths text[] NOT NULL
);
INSERT INTO t.cell VALUES
	('one path, and each side has more',
		'{}', '{"a":1,"b":1,"c":1}', '{"a":2,"b":2,"c":1}', '{"a":3,"b":1,"c":3}', '{"a":2,"b":2,"c":3}', '{"a":3,"b":2,"c":3}', '{/a}'),
	('one path, and the local side has more',
		'{}', '{"a":1,"b":1}', '{"a":2,"b":2}', '{"a":3,"b":1}', '{"a":2,"b":2}', '{"a":3,"b":2}', '{/a}'),
	('one path, and the public side has more',
		'{}', '{"a":1,"b":1}', '{"a":2,"b":1}', '{"a":3,"b":3}', '{"a":2,"b":3}', '{"a":3,"b":3}', '{/a}'),
	('two paths, and nothing else',
		'{}', '{"a":1,"b":1}', '{"a":2,"b":2}', '{"a":3,"b":3}', '{"a":2,"b":2}', '{"a":3,"b":3}', '{/a,/b}'),
	('a member removed here and changed there',
		'{}', '{"a":1,"b":1,"c":1}', '{"b":2,"c":1}', '{"a":3,"b":1,"c":3}', '{"b":2,"c":3}', '{"a":3,"b":2,"c":3}', '{/a}'),
	('a member changed here and removed there',
		'{}', '{"a":1,"b":1,"c":1}', '{"a":2,"b":2,"c":1}', '{"b":1,"c":3}', '{"a":2,"b":2,"c":3}', '{"b":2,"c":3}', '{/a}'),
	('a member that both added, differently',
		'{}', '{"b":1}', '{"a":2,"b":2}', '{"a":3,"b":1,"c":3}', '{"a":2,"b":2,"c":3}', '{"a":3,"b":2,"c":3}', '{/a}'),
	('an object that both added',
		'{}', '{}', '{"o":{"a":2,"b":2}}', '{"o":{"a":3,"c":3}}', '{"o":{"a":2,"b":2,"c":3}}', '{"o":{"a":3,"b":2,"c":3}}', '{/o/a}'),
	('deep inside, beside a change of its neighbour',
		'{}', '{"o":{"p":{"x":1,"y":1,"z":1}}}', '{"o":{"p":{"x":2,"y":2,"z":1}}}', '{"o":{"p":{"x":3,"y":1,"z":3}}}',
		'{"o":{"p":{"x":2,"y":2,"z":3}}}', '{"o":{"p":{"x":3,"y":2,"z":3}}}', '{/o/p/x}'),
	('an array is one value',
		'{}', '{"l":[1,2],"b":1}', '{"l":[1,2,4],"b":2}', '{"l":[0,1,2],"b":1}', '{"l":[1,2,4],"b":2}', '{"l":[0,1,2],"b":2}', '{/l}'),
	('a group goes as one',
		'{"groups":[["/x","/y"]]}', '{"x":1,"y":1,"b":1}', '{"x":2,"y":1,"b":2}', '{"x":1,"y":3,"b":1}',
		'{"x":2,"y":1,"b":2}', '{"x":1,"y":3,"b":2}', '{/x,/y}'),
	('an element of an array with keys',
		'{"keys":{"/t":"k"}}', '{"t":[{"k":"A","v":1,"w":1},{"k":"B","v":1}]}', '{"t":[{"k":"A","v":2,"w":2},{"k":"B","v":1}]}',
		'{"t":[{"k":"A","v":3,"w":1},{"k":"B","v":3}]}',
		'{"t":[{"k":"A","v":2,"w":2},{"k":"B","v":3}]}', '{"t":[{"k":"A","v":3,"w":2},{"k":"B","v":3}]}', '{/t/k=A/v}'),
	('null is absent',
		'{"null":"absent"}', '{"a":1,"b":null}', '{"a":2}', '{"a":3,"b":3}', '{"a":2,"b":3}', '{"a":3,"b":3}', '{/a}'),
	('null is a value',
		'{}', '{"a":1,"b":null}', '{"a":2}', '{"a":3,"b":3}', '{"a":2}', '{"a":3,"b":3}', '{/a,/b}'),
	('an entity that both inserted: the members that differ',
		'{}', NULL, '{"a":2,"b":2}', '{"a":3,"c":3}', '{"a":2,"b":2,"c":3}', '{"a":3,"b":2,"c":3}', '{/a}'),
	-- Deletions are decided as a whole.
	('changed here, deleted there',
		'{}', '{"a":1,"b":1}', '{"a":2,"b":1}', NULL, '{"a":2,"b":1}', NULL, '{""}'),
	('deleted here, changed there',
		'{}', '{"a":1,"b":1}', NULL, '{"a":3,"b":1}', NULL, '{"a":3,"b":1}', '{""}');

CREATE TABLE t.outcome (n int GENERATED ALWAYS AS IDENTITY, test text, have jsonb, want jsonb);

-- One conflict, resolved in one way.
CREATE PROCEDURE t.decide(c t.cell, way text, rule text, winner text) LANGUAGE plpgsql AS $$
DECLARE
	what text := format('%s: %s, %s', c.cell, way, CASE rule WHEN 'newest' THEN rule || ', which is ' || winner ELSE rule END);
	l text := what;
	p text := 'far ' || what;
	settled jsonb := CASE winner WHEN 'local' THEN c.by_local ELSE c.by_public END;
	far jsonb := CASE way WHEN 'push' THEN settled ELSE c.public END;
	paths text[];
	counted text;
BEGIN
	PERFORM t.pair(l, p, CASE WHEN c.base IS NULL THEN '{}' ELSE jsonb_build_object('e', c.base) END),
		diagsync.set_merge_policy(l, '{"granularity":"property"}' || c.policy);
	PERFORM t.write(l, 'e', coalesce(c.local, 'null')), t.write(p, 'e', coalesce(c.public, 'null'));
	IF c.local IS NOT NULL THEN
		PERFORM t.edited(l, 'e', '2020-01-02Z');
	END IF;
	IF c.public IS NOT NULL THEN
		PERFORM t.edited(p, 'e', CASE winner WHEN 'local' THEN '2020-01-01Z' ELSE '2020-01-03Z' END::timestamptz);
	END IF;
	paths := (SELECT ch.paths FROM diagsync.conflicts(l) AS ch);
	CASE way
		WHEN 'pull' THEN counted := (SELECT format('%s %s %s', r.success, r.resolved, r.conflicts) FROM diagsync.pull(l, on_conflict => rule) AS r);
		WHEN 'push' THEN counted := (SELECT format('%s %s %s', r.success, r.resolved, r.conflicts) FROM diagsync.push(l, on_conflict => rule) AS r);
		WHEN 'resolve' THEN counted := (SELECT format('%s 1 0', r.conflict IS NULL) FROM diagsync.resolve(l, 'e', rule) AS r);
		WHEN 'resolve_all' THEN counted := (SELECT format('t %s 0', string_agg(r.outcome, ' ')) FROM diagsync.resolve_all(l, rule) AS r);
		WHEN 'resolve_many' THEN counted := (SELECT format('t %s 0', string_agg(r.outcome, ' '))
			FROM diagsync.resolve_many(l, jsonb_build_array(jsonb_build_object('entity_id', 'e', 'resolution', rule))) AS r);
	END CASE;
	INSERT INTO t.outcome (test, have, want) VALUES (what,
		jsonb_build_object('paths', paths, 'counted', counted, 'local', t.docs(l) -> 'e', 'public', t.docs(p) -> 'e',
			'base', coalesce(t.base(l) -> 'e', '"no row"'), 'status', t.status(l)),
		jsonb_build_object('paths', c.paths, 'counted', CASE WHEN way LIKE 'resolve\_%' THEN 't resolved 0' ELSE 't 1 0' END, 'local', settled, 'public', far,
			'base', CASE WHEN settled IS NOT DISTINCT FROM far THEN '"no row"' ELSE coalesce(far, 'null') END,
			'status', CASE WHEN settled IS NOT DISTINCT FROM far THEN 'in_sync 0/0/0' ELSE 'pending 1/0/0' END));
	PERFORM diagsync.push(l);
	INSERT INTO t.outcome (test, have, want) VALUES (what || ': the next push brings it to the other end',
		jsonb_build_array(t.docs(l) -> 'e', t.docs(p) -> 'e', t.base(l), t.status(l)),
		jsonb_build_array(settled, settled, '{}'::jsonb, 'in_sync 0/0/0'));
END $$;

DO $$
DECLARE
	c t.cell;
	way text;
	rule text;
BEGIN
	FOR c IN SELECT * FROM t.cell ORDER BY cell LOOP
		FOREACH way IN ARRAY '{pull,push,resolve,resolve_all,resolve_many}'::text[] LOOP
			FOREACH rule IN ARRAY '{local,public}'::text[] LOOP
				CALL t.decide(c, way, rule, rule);
			END LOOP;
			CONTINUE WHEN c.local IS NULL OR c.public IS NULL;  -- when it was deleted is not for a test to say
			CALL t.decide(c, way, 'newest', 'local');
			CALL t.decide(c, way, 'newest', 'public');
		END LOOP;
	END LOOP;
END $$;

SELECT plan(1 + (SELECT count(*)::int FROM t.outcome));
SELECT cmp_ok(count(*), '>=', 17::bigint, 'there are cases for every kind of path') FROM t.cell;
SELECT is(have, want, test) FROM t.outcome ORDER BY n;
SELECT * FROM finish();
ROLLBACK;
