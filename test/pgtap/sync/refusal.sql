-- What an end refuses: a conflict "refused" in the answer of the call, and the rest is
-- synced, or under "abort" nothing.
BEGIN;
\ir ../../common/pgtap/helpers.sql
SELECT plan(84);

-- The figures of a sync, and what was refused: "id sqlstate reason; ...".
CREATE FUNCTION t.shows(r diagsync.sync_result) RETURNS text LANGUAGE sql AS $$
	SELECT t.show(r) || coalesce(': ' || (SELECT string_agg(concat_ws(' ', e->>'id', e->>'sqlstate', e->>'reason'), '; ' ORDER BY n)
		FROM jsonb_array_elements((r).refused) WITH ORDINALITY AS x (e, n)), '') $$;
CREATE FUNCTION t.push(l text, rule text DEFAULT 'skip') RETURNS text LANGUAGE plpgsql AS $$
BEGIN RETURN t.shows(diagsync.push(l, on_conflict => rule)); END $$;
CREATE FUNCTION t.pull(l text, rule text DEFAULT 'skip') RETURNS text LANGUAGE plpgsql AS $$
BEGIN RETURN t.shows(diagsync.pull(l, on_conflict => rule)); END $$;

-- ---- A constraint -----------------------------------------------------------------------

SAVEPOINT start;
SELECT t.pair('l', 'far l', '{"a": {"v": 1}, "b": {"v": 1}, "c": {"v": 1}, "d": {"v": 1}}');
SELECT t.write('l', 'a', '{"v": -1}'), t.write('l', 'b', '{"v": 2}'), t.write('l', 'c', NULL), t.write('l', 'n', '{"v": -2}'), t.write('l', 'o', '{"v": 3}');
ALTER TABLE diagsync_public.entity ADD CONSTRAINT positive CHECK ((doc->>'v')::int > 0);
SELECT is(t.shows(diagsync.push('l', dry_run => true)), 'yes +2 ~2 -1 0/0', 'a dry run does not ask the other end');
SELECT t.state() AS state \gset
SELECT is(t.push('l', 'abort'), 'no +0 ~0 -0 0/2: a 23514 new row for relation "entity" violates check constraint "positive"; n 23514 new row for relation "entity" violates check constraint "positive"', 'abort: what is refused, and why');
SELECT is(t.state(), :'state', '... nothing is written');
SELECT is(t.push('l'), 'no +1 ~1 -1 0/2: a 23514 new row for relation "entity" violates check constraint "positive"; n 23514 new row for relation "entity" violates check constraint "positive"', 'skip: the rest is pushed');
SELECT is(t.docs('far l'), '{"a": {"v": 1}, "b": {"v": 2}, "d": {"v": 1}, "o": {"v": 3}}', '... it is there');
SELECT is(t.changes('l'), 'a:local:update>: n:local:insert>:', '... what was refused is still to be pushed');
SELECT is(t.base('l'), '{"a": {"v": 1}, "n": null}', '... on its base');
SELECT is(t.push('l', 'local'), 'no +0 ~0 -0 0/2: a 23514 new row for relation "entity" violates check constraint "positive"; n 23514 new row for relation "entity" violates check constraint "positive"', 'no rule settles it');
SELECT results_eq($$SELECT success, inserted, updated, conflicts FROM diagsync.sync_log WHERE local_id = 'l' AND action = 'push' ORDER BY updated DESC LIMIT 1$$,
	$$VALUES (false, 1, 1, 2)$$, 'the log has it');
SELECT is((SELECT refused->0 FROM diagsync.push('l', entities => '{n}')),
	'{"id": "n", "conflict": "refused", "sqlstate": "23514", "reason": "new row for relation \"entity\" violates check constraint \"positive\""}', 'as JSON');
SELECT is((diagsync.push('l', entities => '{b}')).refused::text, NULL, 'null, if nothing was');
SELECT plan AS plan FROM diagsync.push('l', dry_run => true) \gset
SELECT is(t.shows(diagsync.push('l', on_conflict => 'abort', expected_plan => :'plan')), 'no +0 ~0 -0 0/2: a 23514 new row for relation "entity" violates check constraint "positive"; n 23514 new row for relation "entity" violates check constraint "positive"', 'a plan of which something is refused is not carried out');
SELECT t.write('l', 'p', '{"v": 5}');
SELECT plan AS plan FROM diagsync.push('l', on_conflict => 'skip', dry_run => true) \gset
SELECT t.state() AS state \gset
SELECT is((diagsync.push('l', on_conflict => 'skip', expected_plan => :'plan')).documents_updated, 0, '... nor in parts');
SELECT is(t.state(), :'state', '... nothing is written');
SELECT t.write('l', 'a', '{"v": 7}'), t.write('l', 'n', NULL);
SELECT is(t.push('l', 'abort'), 'yes +1 ~1 -0 0/0', 'once it is mended, it is pushed');
SELECT is(t.status('l'), 'in_sync 0/0/0', '... nothing is left');

-- The other direction. What is refused is found again, though the pull has seen it.
ALTER TABLE diagsync_local.entity ADD CONSTRAINT small CHECK ((doc->>'v')::int < 100);
SELECT t.write('far l', 'a', '{"v": 500}'), t.write('far l', 'b', '{"v": 50}'), t.write('far l', 'x', '{"v": 600}'), t.write('far l', 'd', NULL);
SELECT is(t.pull('l', 'abort'), 'no +0 ~0 -0 0/2: a 23514 new row for relation "entity" violates check constraint "small"; x 23514 new row for relation "entity" violates check constraint "small"', 'a pull: abort');
SELECT is(t.pull('l'), 'no +0 ~1 -1 0/2: a 23514 new row for relation "entity" violates check constraint "small"; x 23514 new row for relation "entity" violates check constraint "small"', '... skip');
SELECT is(t.changes('l'), 'a:public:>update: x:public:>insert:', '... what was refused is still to be pulled');
SELECT is(t.pull('l'), 'no +0 ~0 -0 0/2: a 23514 new row for relation "entity" violates check constraint "small"; x 23514 new row for relation "entity" violates check constraint "small"', '... again');
ALTER TABLE diagsync_local.entity DROP CONSTRAINT small;
SELECT is(t.pull('l'), 'yes +1 ~1 -0 0/0', '... until it is taken');
SELECT is(t.status('l'), 'in_sync 0/0/0', '... nothing is left');
ROLLBACK TO start;

-- ---- A unique key, in batches --------------------------------------------------------------

SET LOCAL diagsync.batch_size = 7;
SELECT t.pair('u', 'far u', '{"a": {"slot": 1}}');
CREATE UNIQUE INDEX one_per_slot ON diagsync_public.entity (diagram_id, (doc->>'slot'));
SELECT t.write('u', 'n' || lpad(i::text, 3, '0'), jsonb_build_object('slot', CASE WHEN i % 10 = 0 THEN 1 ELSE i + 1 END)) FROM generate_series(1, 40) AS i;
SELECT is((SELECT (p.success, p.inserted, p.conflicts, (SELECT array_agg(e->>'id') FROM jsonb_array_elements(p.refused) AS e))::text FROM diagsync.push('u', on_conflict => 'skip') AS p),
	'(f,36,4,"{n010,n020,n030,n040}")', 'in batches: four of forty have a slot that is taken');
SELECT is((SELECT count(*)::int FROM diagsync_public.entity WHERE diagram_id = 'far u'), 37, '... the others are there');
SELECT is(t.status('u'), 'pending 4/0/0', '... the four are left');
-- Freed by an entity of the same batch.
SELECT t.write('u', 'a', NULL), t.write('u', 'n020', NULL), t.write('u', 'n030', NULL), t.write('u', 'n040', NULL);
SELECT is(t.push('u', 'abort'), 'yes +1 ~0 -1 0/0', 'a slot that becomes free in the same push');
SET LOCAL diagsync.batch_size = 1000;
ROLLBACK TO start;

-- ---- A trigger -------------------------------------------------------------------------------

SELECT t.pair('t', 'far t', '{"a": {"v": 1}, "b": {"v": 1}, "c": {"v": 1}}');
CREATE FUNCTION t.object() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF coalesce(new.doc, old.doc)->>'raise' IS NOT NULL THEN
		EXECUTE format('DO $do$ BEGIN RAISE EXCEPTION USING ERRCODE = %L, MESSAGE = %L, DETAIL = %L; END $do$', coalesce(new.doc, old.doc)->>'raise', 'I object', 'on principle');
	END IF;
	RETURN coalesce(new, old);
END $$;
CREATE TRIGGER objects BEFORE INSERT OR UPDATE OR DELETE ON diagsync_public.entity FOR EACH ROW EXECUTE FUNCTION t.object();
SELECT t.write('t', 'a', '{"raise": "P0001"}'), t.write('t', 'b', '{"v": 2}');
SELECT is(t.push('t'), 'no +0 ~1 -0 0/1: a P0001 I object: on principle', 'a trigger that raises an error');
SELECT is(t.push('t', 'abort'), 'no +0 ~0 -0 0/1: a P0001 I object: on principle', '... abort');
CREATE FUNCTION t.raised(state text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM t.write('t', 'a', jsonb_build_object('raise', state));
	RETURN t.push('t');
EXCEPTION WHEN query_canceled OR OTHERS THEN
	RETURN 'error ' || sqlstate;
END $$;
SELECT is(t.raised(state), format('no +0 ~0 -0 0/1: a %s I object: on principle', state), 'refused: ' || state)
  FROM unnest('{22000,22P02,23505,23503,42501,44000,54000,AB123,PT409}'::text[]) AS state;
SELECT is(t.raised(state), 'error ' || state, 'not swallowed: ' || state)
  FROM unnest('{40001,40P01,53000,53400,57000,57014,57P03,55000,55P03,58000,XX000,25006,27000,08006}'::text[]) AS state;
-- A deletion, and a merge that writes both ends.
SELECT t.write('t', 'a', '{"v": 1}');
ALTER TABLE diagsync_public.entity DISABLE TRIGGER objects;
SELECT t.write('far t', 'c', '{"raise": "P0001"}'), diagsync.pull('t');
ALTER TABLE diagsync_public.entity ENABLE TRIGGER objects;
SELECT t.write('t', 'c', NULL), t.write('t', 'b', '{"v": 3}');
SELECT is(t.push('t'), 'no +0 ~1 -0 0/1: c P0001 I object: on principle', 'a deletion that is refused');
SELECT is(t.changes('t'), 'c:local:delete>:', '... is still to be pushed');
ROLLBACK TO start;
SELECT t.pair('m', 'far m', '{"a": {"x": 1, "y": 1}, "b": {}}'), diagsync.set_merge_policy('m', '{"granularity": "property"}');
SELECT t.write('m', 'a', '{"x": 2, "y": 1}'), t.write('far m', 'a', '{"x": 1, "y": 2}'), t.write('m', 'b', '{"v": 1}');
ALTER TABLE diagsync_local.entity ADD CONSTRAINT sum CHECK ((doc->>'x')::int + (doc->>'y')::int < 4);
SELECT is(t.push('m'), 'no +0 ~1 -0 0/1: a 23514 new row for relation "entity" violates check constraint "sum"', 'a merge that the local end refuses');
SELECT is(t.docs('far m'), '{"a": {"x": 1, "y": 2}, "b": {"v": 1}}', '... is at neither end');
SELECT is(t.changes('m'), 'a:both:update>update:', '... and still to be merged');
ROLLBACK TO start;

-- "both": the copy and what it is of stay together.
SELECT t.pair('k', 'far k', '{"a": {"v": 1}, "b": {"v": 1}}');
SELECT t.write('k', 'a', '{"v": -1}'), t.write('far k', 'a', '{"v": 3}'), t.write('k', 'b', '{"v": 2}');
ALTER TABLE diagsync_public.entity ADD CONSTRAINT positive CHECK ((doc->>'v')::int > 0);
SELECT is(t.push('k', 'both'), 'no +0 ~1 -0 0/1: a 23514 new row for relation "entity" violates check constraint "positive"', 'a copy that is refused');
SELECT is(t.docs('k'), '{"a": {"v": -1}, "b": {"v": 2}}', '... leaves the conflict as it is');
SELECT is(t.changes('k'), 'a:both:update>update:update_update', '... still one');
ROLLBACK TO start;

-- ---- Deferred ------------------------------------------------------------------------------------

CREATE FUNCTION t.object() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'late'; END $$;
SELECT t.pair('d', 'far d', '{"a": {"v": 1}, "b": {"v": 1}}');
CREATE CONSTRAINT TRIGGER late AFTER INSERT OR UPDATE ON diagsync_public.entity DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW WHEN (new.doc ? 'raise') EXECUTE FUNCTION t.object();
SELECT t.write('d', 'a', '{"raise": 1}'), t.write('d', 'b', '{"v": 2}');
SELECT is(t.push('d'), 'no +0 ~1 -0 0/1: a P0001 late', 'a constraint that is deferred is checked in the push');
SELECT is(t.docs('far d'), '{"a": {"v": 1}, "b": {"v": 2}}', '... and the rest is there');
SELECT t.write('far d', 'c', '{"raise": 1}');
SELECT throws_ok($$SELECT diagsync.push('d', on_conflict => 'skip')$$, 'P0001', 'late', 'what the transaction did before is an error of its own');
ROLLBACK TO start;
-- One needs another that comes after it, in a batch with one that is refused.
SELECT t.pair('f', 'far f', '{"a": {"v": 1}}');
ALTER TABLE diagsync_public.entity ADD COLUMN parent text COLLATE "C" GENERATED ALWAYS AS (doc->>'parent') STORED,
	ADD CONSTRAINT parent FOREIGN KEY (diagram_id, parent) REFERENCES diagsync_public.entity DEFERRABLE INITIALLY DEFERRED;
SELECT t.write('f', 'b', '{"parent": "e"}'), t.write('f', 'c', '{"parent": "a"}'), t.write('f', 'd', '{"parent": "none"}'), t.write('f', 'e', '{"parent": "a"}');
SELECT is((SELECT (p.inserted, p.conflicts, (SELECT array_agg(e->>'id') FROM jsonb_array_elements(p.refused) AS e))::text FROM diagsync.push('f', on_conflict => 'skip') AS p),
	'(3,1,{d})', 'a foreign key: one that leads nowhere is refused, one that needs another of the batch is not');
ROLLBACK TO start;

-- ---- Limits -----------------------------------------------------------------------------------------

SELECT set_config('diagsync.sync_rate_limit', '0', true);
CREATE ROLE regress_refused;
SELECT diagsync.grant_usage('regress_refused');
GRANT USAGE ON SCHEMA t TO regress_refused;
SET LOCAL ROLE regress_refused;
SELECT t.pair('q', 'far q', '{"a": {"v": 1}}'), diagsync.set_limits('far q', 3);
SELECT t.write('q', 'n' || i, '{}') FROM generate_series(1, 4) AS i;
SELECT t.write('q', 'a', '{"v": 2}');
SELECT is(t.push('q', 'abort'), 'no +0 ~0 -0 0/2: n3 54000 diagram "far q" has too many entities: 3 are allowed.; n4 54000 diagram "far q" has too many entities: 3 are allowed.', 'a limit on the number: abort');
SELECT is(t.push('q'), 'no +2 ~1 -0 0/2: n3 54000 diagram "far q" has too many entities: 3 are allowed.; n4 54000 diagram "far q" has too many entities: 3 are allowed.', '... skip: as many as fit');
RESET ROLE;
ROLLBACK TO start;
-- What merges may be larger than what it is made of: the dry run says so, too.
SELECT set_config('diagsync.sync_rate_limit', '0', true);
CREATE ROLE regress_refused;
SELECT diagsync.grant_usage('regress_refused');
GRANT USAGE ON SCHEMA t TO regress_refused;
CREATE FUNCTION t.big(l text) RETURNS void LANGUAGE sql AS $$
	SELECT t.pair(l, 'far ' || l, '{"a": {"v": 1}, "b": {"v": 1}, "c": {"v": 1}}'), diagsync.set_merge_policy(l, '{"granularity": "property", "references": ["/to"]}');
	SELECT t.write(l, 'a', jsonb_build_object('v', 2, 'x', repeat('x', 700))), t.write('far ' || l, 'a', jsonb_build_object('v', 1, 'y', repeat('y', 700)));
	SELECT t.write(l, 'b', '{"v": 2}'), t.write('far ' || l, 'c', '{"v": 2}');
$$;
CREATE FUNCTION t.too_large(n text) RETURNS text LANGUAGE sql AS $$ SELECT 'a 54000 what it merges to is too large: it has ' || n || ' bytes as text; 1 kB are allowed.' $$;
SET LOCAL ROLE regress_refused;
SELECT t.big('big'), t.big('wins'), t.write('wins', 'a', jsonb_build_object('v', 2, 'x', repeat('x', 700)));
SELECT t.write('far wins', 'a', jsonb_build_object('v', 3, 'y', repeat('y', 700)));
SELECT is(t.push('wins', 'abort'), 'no +0 ~0 -0 0/1', 'a conflict, without a limit');
RESET ROLE;
SET LOCAL diagsync.max_entity_size = 1;
SET LOCAL ROLE regress_refused;
SELECT is(t.shows(diagsync.push('big', dry_run => true)), 'no +0 ~0 -0 0/1: ' || t.too_large('1426'), 'a merge that is too large: the dry run says so');
SELECT is(t.shows(diagsync.pull('big', on_conflict => 'skip', dry_run => true)), 'no +0 ~1 -0 0/1: ' || t.too_large('1426'), '... also that of a pull');
SELECT is((SELECT (p.result).success::text || ' ' || p.entities::text FROM diagsync.preview_push('big', on_conflict => 'skip') AS p (result, entities, more)),
	'false [{"id": "b", "local": null, "public": "update", "conflict": null, "paths": null, "resolved": false, "merged": false, "before": {"v": 1}, "after": {"v": 2}}]', '... and a preview');
SELECT is(t.push('big', 'abort'), 'no +0 ~0 -0 0/1: ' || t.too_large('1426'), '... abort');
SELECT (diagsync.push('big', on_conflict => 'skip', dry_run => true)).plan AS plan \gset
SELECT is(t.shows(diagsync.push('big', on_conflict => 'skip', expected_plan => :'plan')), 'no +0 ~1 -0 0/1: ' || t.too_large('1426'), 'skip: the rest is pushed, as planned');
SELECT is(t.pull('big'), 'no +0 ~1 -0 0/1: ' || t.too_large('1426'), '... and pulled');
SELECT is(t.changes('big'), 'a:both:update>update:', '... and it is still to be merged');
SELECT t.write('big', 'n', '{"to": "a"}');
SELECT is(t.push('big'), 'no +1 ~0 -0 0/1: ' || t.too_large('1426'), 'what refers to it goes, since it is there');
SELECT is(t.push('wins', 'local'), 'no +0 ~1 -0 0/1: ' || t.too_large('1426'), 'so where a side wins what conflicts in it');
SELECT alike(t.error($$SELECT diagsync.resolve('wins', 'a', 'local')$$), '54000 entity "a" of diagram "wins" is too large%', 'resolve() cannot either');
SELECT is(t.error($$SELECT diagsync.resolve_all('wins', 'local')$$) LIKE '54000 entity "a" of diagram "wins" is too large%', true, '... nor resolve_all()');
RESET ROLE;
SELECT is(t.push('big'), 'yes +0 ~1 -0 0/0, merged is 1', 'the limit is one of users');
RESET diagsync.max_entity_size;
ROLLBACK TO start;

-- ---- References ---------------------------------------------------------------------------------------

SELECT t.make('r', '{"x": {"v": 1}, "y": {"v": 1}, "e": {"from": "x", "to": "y"}}'), diagsync.set_merge_policy('r', '{"references": ["/from", "/to"]}');
SELECT diagsync.share('r', 'far r');
ALTER TABLE diagsync_public.entity ADD CONSTRAINT named CHECK (NOT doc ? 'bad');
CREATE FUNCTION t.keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '% stays', old.id; END $$;
CREATE TRIGGER keeps BEFORE DELETE ON diagsync_public.entity FOR EACH ROW WHEN (old.id = 'e') EXECUTE FUNCTION t.keep();
SELECT t.write('r', 'n', '{"bad": 1}'), t.write('r', 'f', '{"from": "n", "to": "x"}'), t.write('r', 'c', '{"to": "f"}'), t.write('r', 'y', '{"v": 2}');
SELECT is(t.push('r'), 'no +0 ~1 -0 0/3: n 23514 new row for relation "entity" violates check constraint "named"; f it refers to "n", which was refused; c it refers to "f", which was refused', 'what refers to one that is refused waits for it');
SELECT is(t.docs('far r') - '{x,y,e}'::text[], '{}', '... nothing dangles there');
SELECT t.write('r', 'n', '{"good": 1}');
SELECT is(t.push('r'), 'yes +3 ~0 -0 0/0', '... and goes along with it');
SELECT t.write('r', 'e', NULL), t.write('r', 'y', NULL), t.write('r', 'x', '{"v": 2}');
SELECT is(t.push('r'), 'no +0 ~1 -0 0/2: e P0001 e stays; y "e" refers to it, and was refused', 'one to which something refers that cannot be deleted stays');
SELECT is(t.changes('r'), 'e:local:delete>: y:local:delete>:', '... both are still to be pushed');
SET LOCAL diagsync.batch_size = 1;
SELECT is(t.push('r'), 'no +0 ~0 -0 0/2: e P0001 e stays; y "e" refers to it, and was refused', '... in batches of one, too');
SET LOCAL diagsync.batch_size = 1000;

SELECT * FROM finish();
ROLLBACK;
