-- resolve_all and resolve_many: many conflicts in one call. What a resolution
-- makes of one is in resolve.sql and include/cells.sql; here is that many are
-- settled as one after the other would be, which are, and what is said of each.
BEGIN;
\ir ../../common/pgtap/helpers.sql
SELECT plan(136);

-- What the answer says, as "entity:outcome:conflict".
CREATE FUNCTION t.said(r diagsync.resolve_result[]) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(concat_ws(':', entity_id, outcome, conflict), ' ' ORDER BY n), '')
	  FROM unnest(r) WITH ORDINALITY AS r (entity_id, outcome, conflict, copy_id, version, refused_deletions, n) $$;
CREATE FUNCTION t.all(local text, resolution text, kinds text[] DEFAULT NULL, paths text[] DEFAULT NULL, entities text[] DEFAULT NULL, allow_deletions boolean DEFAULT false)
RETURNS text LANGUAGE sql AS $$ SELECT t.said(array_agg(r)) FROM diagsync.resolve_all($1, $2, $3, $4, $5, $6) AS r $$;
CREATE FUNCTION t.many(local text, choices jsonb) RETURNS text LANGUAGE sql AS $$ SELECT t.said(array_agg(r)) FROM diagsync.resolve_many($1, $2) AS r $$;

-- A pair with one conflict of each kind, a local and a public change, one that
-- merges by property, and one that nobody touched.
CREATE FUNCTION t.conflicting(local text, policy jsonb DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
DECLARE public text := local || '.p';
BEGIN
	PERFORM t.pair(local, public, '{"uu": {"v": 1, "w": 1}, "ud": {"v": 1}, "du": {"v": 1}, "l": {"v": 1}, "p": {"v": 1}, "m": {"v": 1, "w": 1}, "u2": {"w": 1, "in": {"a": 1, "b": 1}}, "same": {"v": 1}}');
	PERFORM diagsync.set_merge_policy(local, policy);
	PERFORM t.write(local, 'uu', '{"v": 2, "w": 1}'), t.write(public, 'uu', '{"v": 3, "w": 1}');
	PERFORM t.write(local, 'u2', '{"w": 1, "in": {"a": 2, "b": 2}}'), t.write(public, 'u2', '{"w": 1, "in": {"a": 3, "b": 3}}');
	PERFORM t.write(local, 'ud', '{"v": 2}'), t.write(public, 'ud', NULL);
	PERFORM t.write(local, 'du', NULL), t.write(public, 'du', '{"v": 3}');
	PERFORM t.write(local, 'ii', '{"v": 2}'), t.write(public, 'ii', '{"v": 3}');
	PERFORM t.write(local, 'l', '{"v": 2}'), t.write(public, 'p', '{"v": 3}');
	PERFORM t.write(local, 'm', '{"v": 2, "w": 1}'), t.write(public, 'm', '{"v": 1, "w": 3}');
	-- Of the same entity the public edit is newer, but for ud and uu.
	PERFORM t.edited(local, e.id, '2020-01-01 02:00Z'), t.edited(public, e.id, CASE WHEN e.id IN ('uu') THEN '2020-01-01 01:00Z'::timestamptz ELSE '2020-01-01 03:00Z' END)
	   FROM diagsync.entity AS e WHERE diagram_id = local;
END $$;

-- The three versions and what is made of them, of all entities.
CREATE FUNCTION t.whole(local text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_array(t.docs(local), t.docs(local || '.p'), t.base(local), t.changes(local)) $$;

-- ---- As one after the other ------------------------------------------------------

-- All of them by a rule, or each by a choice of its own: the same as calling
-- resolve() for each.
CREATE FUNCTION t.one_by_one(local text, choices jsonb) RETURNS void LANGUAGE sql AS $$
	SELECT diagsync.resolve(local, c ->> 'entity_id', c ->> 'resolution', c -> 'doc') FROM jsonb_array_elements(choices) AS c $$;
CREATE FUNCTION t.choices(local text, resolution text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_agg(jsonb_build_object('entity_id', entity_id, 'resolution', resolution, 'expected', version)
		|| CASE resolution WHEN 'merged' THEN jsonb_build_object('doc', jsonb_build_object('m', entity_id)) ELSE '{}' END) FROM diagsync.conflicts(local) $$;

SELECT t.conflicting(format('%s %s %s', way, resolution, policy IS NULL), policy)
  FROM unnest('{one,all,many}'::text[]) AS way, unnest('{local,public,both,newest,merged}'::text[]) AS resolution, unnest('{null,"{\"granularity\": \"property\"}"}'::jsonb[]) AS policy;
SELECT t.one_by_one('one ' || which, t.choices('one ' || which, split_part(which, ' ', 1)))
  FROM unnest('{local,public,both,newest,merged}'::text[]) AS resolution, unnest('{true,false}'::bool[]) AS plain, LATERAL (SELECT resolution || CASE WHEN plain THEN ' t' ELSE ' f' END AS which) AS w;
SELECT matches(t.all('all ' || which, resolution), '^du:resolved ii:resolved (m:resolved )?u2:resolved ud:resolved uu:resolved$', 'all, ' || which)
  FROM unnest('{local,public,both,newest}'::text[]) AS resolution, unnest('{t,f}'::text[]) AS plain, LATERAL (SELECT resolution || ' ' || plain AS which) AS w;
SELECT is(t.whole('all ' || which), t.whole('one ' || which), 'as one after the other, ' || which)
  FROM unnest('{local,public,both,newest}'::text[]) AS resolution, unnest('{t,f}'::text[]) AS plain, LATERAL (SELECT resolution || ' ' || plain AS which) AS w;
SELECT matches(t.many('many ' || which, t.choices('many ' || which, resolution)), '^du:resolved ii:resolved (m:resolved )?u2:resolved ud:resolved uu:resolved$', 'many, ' || which)
  FROM unnest('{local,public,both,newest,merged}'::text[]) AS resolution, unnest('{t,f}'::text[]) AS plain, LATERAL (SELECT resolution || ' ' || plain AS which) AS w;
SELECT is(t.whole('many ' || which), t.whole('one ' || which), 'as one after the other, ' || which)
  FROM unnest('{local,public,both,newest,merged}'::text[]) AS resolution, unnest('{t,f}'::text[]) AS plain, LATERAL (SELECT resolution || ' ' || plain AS which) AS w;
SELECT is(bool_and(t.show(diagsync.push(which, on_conflict => 'abort')) LIKE 'yes%'), true, 'and no conflict is left anywhere')
  FROM unnest('{all local t,many public f,many both t,many merged f}'::text[]) AS which;

-- ---- What the answer says ----------------------------------------------------------

SELECT t.conflicting('said');
SELECT version AS uu FROM diagsync.conflicts('said') WHERE entity_id = 'uu' \gset
SELECT t.state() AS before \gset
SELECT is(t.many('said', '[]'), '', 'no choices: nothing');
SELECT is(t.many('said', '[{"entity_id": "uu", "resolution": "local", "expected": "another"}, {"entity_id": "nobody", "resolution": "local"}, {"entity_id": "same", "resolution": "public"},
	{"entity_id": "l", "resolution": "both", "expected": "another"}]'), 'l:no_conflict nobody:no_entity same:no_conflict uu:changed:update_update', 'what is not settled is told apart, in ascending ids');
SELECT is(t.state(), :'before', 'and nothing is written');
SELECT is(version, :'uu'::text, 'of one that is left in conflict the version is told') FROM diagsync.resolve_many('said', '[{"entity_id": "uu", "resolution": "local", "expected": "another"}]');
SELECT is(t.many('said', format('[{"entity_id": "uu", "resolution": "local", "expected": %s}, {"entity_id": "u2", "resolution": "local", "expected": null}, {"entity_id": "du", "resolution": "public", "expected": "another"}]',
	to_json(:'uu'::text))::jsonb), 'du:changed:delete_update u2:resolved uu:resolved', 'one that has changed is left, the others are settled');
SELECT is(t.many('said', '[{"entity_id": "uu", "resolution": "local"}, {"entity_id": "du", "resolution": "public"}]'), 'du:resolved uu:no_conflict', 'one that was settled before has no conflict any more');
SELECT copy_id AS ii FROM diagsync.resolve_many('said', '[{"entity_id": "ii", "resolution": "both"}]') \gset
SELECT is(id, :'ii'::text, 'both says the new id') FROM diagsync.entity WHERE diagram_id = 'said' AND id LIKE 'ii-%';
SELECT results_eq($$ SELECT action, success, resolved, conflicts, refused_deletions FROM diagsync.sync_log WHERE local_id = 'said' AND action LIKE 'resolve%' ORDER BY called_at DESC LIMIT 3 $$,
	$$ VALUES ('resolve_many', true, 1, 0, 0), ('resolve_many', true, 1, 0, 0), ('resolve_many', false, 2, 1, 0) $$, 'each call has one entry in the log');

-- ---- Some of them ------------------------------------------------------------------

SELECT t.conflicting('some', '{"granularity": "property"}');
SELECT is(t.all('some', 'local', entities => '{}'), '', 'of no entities');
SELECT is(t.all('some', 'local', kinds => '{}'), '', 'of no kinds');
SELECT is(t.all('some', 'local', paths => '{}'), '', 'of no paths');
SELECT is(t.all('some', 'local', paths => '{/in/a,/v/x,/w}'), '', 'not what is only partly within the paths');
SELECT is(t.all('some', 'local', kinds => '{update_delete}', entities => '{uu,ud,l,nobody,ud}'), 'l:no_conflict nobody:no_entity ud:resolved uu:left_out:update_update', 'those of some kinds, of some entities');
SELECT is(t.all('some', 'local', paths => '{/*/a,/*/b,/nothing}'), 'u2:resolved', '* stands for any key');
SELECT is(t.all('some', 'local', paths => '{/*}', kinds => '{update_update}'), 'uu:resolved', 'and a path for what is within it, but not for what is around it');
SELECT is(t.all('some', 'public', paths => '{""}', kinds => '{delete_update,update_update}'), 'du:resolved', 'the empty path for everything');
SELECT is(t.all('some', 'public'), 'ii:resolved', 'all that is left');
SELECT is(t.status('some'), 'pending 5/2/0', 'other changes stay');

-- ---- Bad input ---------------------------------------------------------------------

SELECT t.conflicting('bad');
SELECT t.refuses(format('SELECT diagsync.resolve_many(''bad'', %L)', choices), '22023', says, says || ': ' || choices) FROM (VALUES
	('{}', 'array'), ('"x"', 'array'), ('[1]', 'choice 1'), ('[[]]', 'choice 1'), ('[{"resolution": "local"}]', 'has no "entity_id"'),
	('[{"entity_id": 5, "resolution": "local"}]', '"entity_id" that is not a string'), ('[{"entity_id": "", "resolution": "local"}]', 'empty "entity_id"'),
	('[{"entity_id": "uu"}]', 'has no "resolution"'), ('[{"entity_id": "uu", "resolution": "mine"}]', 'unknown "resolution" "mine"'), ('[{"entity_id": "uu", "resolution": "skip"}]', 'unknown "resolution"'),
	('[{"entity_id": "uu", "resolution": "local"}, {"entity_id": "ud", "resolution": "local", "expected": 5}]', 'choice 2'), ('[{"entity_id": "uu", "resolution": "local", "doc": {}}]', 'takes no document'),
	('[{"entity_id": "uu", "resolution": "merged", "doc": []}]', 'not an object'), ('[{"entity_id": "uu", "resolution": "merged", "doc": {"id": "other"}}]', 'another "id"'),
	('[{"entity_id": "uu", "resolution": "local", "expect": "x"}]', '"expect" that is not known'),
	('[{"entity_id": "uu", "resolution": "local"}, {"entity_id": "ud", "resolution": "local"}, {"entity_id": "uu", "resolution": "public"}]', 'entity "uu" of diagram "bad" is given more than one choice')) AS v(choices, says);
SELECT t.refuses('SELECT diagsync.resolve_many(''bad'', ''[{"entity_id": "uu", "resolution": "merged"}]'')', '22004', 'needs a document');
SELECT t.refuses('SELECT diagsync.resolve_many(''bad'', NULL)', '22004', '"choices"');
SELECT t.refuses(format('SELECT diagsync.resolve_all(''bad'', %s)', arguments), errcode, says) FROM (VALUES
	('''merged''', '22023', 'unknown resolution "merged"'), ('''abort''', '22023', 'unknown resolution'), ('NULL', '22004', '"resolution"'), ('''local'', kinds => ''{clash}''', '22023', 'unknown kind of conflict "clash"'),
	('''local'', kinds => ''{NULL}''', '22004', '"kinds"'), ('''local'', paths => ''{x}''', '22023', 'path "x"'), ('''local'', paths => ''{/~2}''', '22023', 'not a JSON Pointer'),
	('''local'', entities => ''{NULL}''', '22004', '"entities"'), ('''local'', allow_deletions => NULL', '22004', '"allow_deletions"')) AS v(arguments, errcode, says);
SELECT t.refuses('SELECT diagsync.resolve_all(''bad.p'', ''local'')', '42809', 'bad.p', 'a shared diagram has no conflicts');
SELECT t.refuses('SELECT diagsync.resolve_all(''none'', ''local'')', '42704', 'none', 'no such diagram');

-- ---- Big deletions are asked for ---------------------------------------------------

CREATE FUNCTION t.emptied(local text, n int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM t.pair(local, local || '.p', (SELECT jsonb_object_agg('e' || i, '{"v": 1}'::jsonb) FROM generate_series(1, n) AS i));
	UPDATE diagsync_local.entity SET doc = '{"v": 2}' WHERE diagram_id = local;
	DELETE FROM diagsync_public.entity WHERE diagram_id = local || '.p';
END $$;
SELECT t.emptied('few', 9), t.emptied('ten', 10);
SELECT is(t.all('few', 'public'), (SELECT string_agg(format('e%s:resolved', i), ' ' ORDER BY i) FROM generate_series(1, 9) AS i), 'nine deletions are few');
SELECT t.state() AS before \gset
SELECT results_eq($$ SELECT outcome, conflict, refused_deletions, count(*)::int FROM diagsync.resolve_all('ten', 'public') GROUP BY 1, 2, 3 $$, $$ VALUES ('refused', 'update_delete', 10, 10) $$, 'ten of ten are refused');
SELECT is(t.state(), :'before', 'and nothing is written');
SELECT results_eq($$ SELECT success, resolved, conflicts, refused_deletions FROM diagsync.sync_log WHERE local_id = 'ten' AND action = 'resolve_all' $$, $$ VALUES (false, 0, 10, 10) $$, 'the log has it');
SAVEPOINT asked;
SELECT is(count(*) FILTER (WHERE outcome = 'resolved'), 10::bigint, 'unless they are asked for') FROM diagsync.resolve_all('ten', 'public', allow_deletions => true);
ROLLBACK TO asked;
SELECT is(count(*) FILTER (WHERE outcome = 'resolved'), 10::bigint, 'or the entities are named') FROM diagsync.resolve_all('ten', 'public', entities => (SELECT array_agg('e' || i) FROM generate_series(1, 10) AS i));
ROLLBACK TO asked;
SELECT is(count(*) FILTER (WHERE outcome = 'resolved'), 10::bigint, 'as a choice does') FROM diagsync.resolve_many('ten', t.choices('ten', 'public'));

-- ---- References --------------------------------------------------------------------

CREATE FUNCTION t.linked(local text, docs jsonb) RETURNS void LANGUAGE sql AS $$
	SELECT t.pair(local, local || '.p', docs);
	SELECT diagsync.set_merge_policy(local, '{"references": ["/from"]}') $$;
-- "arrow>box ..." of a diagram.
CREATE FUNCTION t.arrows(diagram text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(id || coalesce('>' || (doc ->> 'from'), ''), ' ' ORDER BY id COLLATE "C") FROM diagsync.entity WHERE diagram_id = diagram $$;
-- What refers to nothing in a diagram, though nobody accepted that.
CREATE FUNCTION t.dangling(diagram text) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM diagsync.entity AS e WHERE diagram_id = diagram AND doc ? 'from' AND NOT EXISTS (SELECT FROM diagsync.entity AS t WHERE t.diagram_id = diagram AND t.id = e.doc ->> 'from') $$;

-- Arrows before and after the box, each in a batch of its own, follow it to its
-- new id.
SET LOCAL diagsync.batch_size = 1;
CREATE FUNCTION t.boxed(local text) RETURNS void LANGUAGE sql AS $$
	SELECT t.linked(local, '{"box": {"v": 1}, "a": {"v": 1}, "z": {"v": 1}, "y": {"from": "box"}}');
	SELECT t.write(local, 'box', '{"v": 2}'), t.write(local || '.p', 'box', '{"v": 3}'), t.write(local, 'a', '{"from": "box"}'), t.write(local, 'z', '{"from": "box"}') $$;
SELECT t.boxed('boxed ' || n) FROM generate_series(1, 4) AS n;
SELECT copy_id AS box FROM diagsync.resolve_all('boxed 1', 'both') \gset
SELECT is(t.arrows('boxed 1'), format('a>%s box %1$s y>box z>%1$s', :'box'), 'references follow what both gives a new id, in whichever batch');
SELECT is(t.many('boxed 2', '[{"entity_id": "box", "resolution": "both"}, {"entity_id": "z", "resolution": "public"}]'), 'box:resolved z:no_conflict', 'also of what is named and has no conflict');
SELECT is(t.arrows('boxed 2'), format('a>%s box %1$s y>box z>%1$s', :'box'), '... all');
SELECT is(t.many('boxed 3', '[{"entity_id": "box", "resolution": "both", "expected": "another"}]'), 'box:changed:update_update', 'nothing follows what is left alone');
SELECT is(t.many('boxed 3', '[{"entity_id": "box", "resolution": "local"}, {"entity_id": "y", "resolution": "both"}]'), 'box:resolved y:no_conflict', 'nor what keeps its id');
SELECT is(t.arrows('boxed 3'), 'a>box box y>box z>box', '... none');
SELECT is(t.all('boxed 4', 'both', kinds => '{insert_insert}'), '', 'nor what the kinds leave out');
SELECT is(t.arrows('boxed 4'), 'a>box box y>box z>box', '... none');

-- The local side deleted the box and what it refers to, the public one inserted
-- arrows to it.
CREATE FUNCTION t.removed(local text) RETURNS void LANGUAGE sql AS $$
	SELECT t.linked(local, '{"box": {"from": "pot"}, "pot": {"v": 1}}');
	SELECT t.write(local, 'box', NULL), t.write(local, 'pot', NULL), t.write(local || '.p', 'arrow', '{"from": "box"}'), t.write(local || '.p', 'z', '{"from": "box"}') $$;
SELECT t.removed('removed ' || n) FROM generate_series(1, 8) AS n;
SELECT is(t.all('removed 1', 'public', entities => '{box}'), 'box:resolved pot:resolved', 'what is restored along is told, too');
SELECT is(t.changes('removed 1'), 'arrow:public:>insert: z:public:>insert:', '... and settled');
SELECT is(t.many('removed 2', '[{"entity_id": "box", "resolution": "public"}, {"entity_id": "pot", "resolution": "local"}]'), 'box:resolved pot:resolved', 'unless something else is chosen for it');
SELECT is(t.arrows('removed 2'), 'box>pot', '... it stays deleted');
SELECT is(t.many('removed 3', '[{"entity_id": "box", "resolution": "public"}, {"entity_id": "pot", "resolution": "public", "expected": "another"}]'), 'box:changed:dangling pot:changed:dangling', 'or it is not as expected: then both are left alone');
SELECT is(t.many('removed 3', '[{"entity_id": "box", "resolution": "public"}, {"entity_id": "arrow", "resolution": "both"}, {"entity_id": "pot", "resolution": "public", "expected": "another"}]'),
	'arrow:changed:dangling box:changed:dangling pot:changed:dangling', '... and what would restore them');
SELECT is(t.all('removed 4', 'public', entities => '{arrow,z}'), 'arrow:resolved z:resolved', 'arrows to what stays deleted');
SELECT is(accepted, '{arrow,z}', '... which it accepts') FROM diagsync_local.base WHERE diagram_id = 'removed 4' AND id = 'box';
SELECT is(t.status('removed 4'), 'pending 2/0/0', '... so no conflict is left');
SELECT is(t.many('removed 5', '[{"entity_id": "arrow", "resolution": "both"}, {"entity_id": "z", "resolution": "local"}]'), 'arrow:resolved box:resolved pot:resolved z:resolved', 'both restores what an arrow refers to');
SELECT is(t.arrows('removed 5'), 'arrow>box box>pot pot', '... and the other arrow is given up');
SELECT is(t.all('removed 6', 'local'), 'arrow:resolved box:resolved pot:resolved z:resolved', 'all by one rule');
SELECT is(coalesce(t.arrows('removed 6'), ''), '', '... the deletions');
SELECT is(count(accepted), 0::bigint, '... where nothing dangles, nothing is accepted') FROM diagsync_local.base WHERE diagram_id = 'removed 6' AND id IN ('box', 'pot');
SELECT is(t.many('removed 7', '[{"entity_id": "box", "resolution": "local"}, {"entity_id": "arrow", "resolution": "public"}]'), 'arrow:resolved box:resolved', 'both kept in spite of each other');
SELECT is(t.changes('removed 7'), 'box:local:delete>: pot:local:delete>: z:public:>insert:', '... is accepted');
SELECT is(t.all('removed 8', 'newest'), 'arrow:resolved box:resolved pot:resolved z:resolved', 'the newest of them');
SELECT is(t.status('removed 8'), 'in_sync 0/0/0', '... the arrows, and so all');

-- A rule makes of all conflicts at once what a pull makes of them.
CREATE FUNCTION t.tangle(local text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM t.linked(local, '{"b1": {"v": 1}, "b2": {"v": 1}, "b3": {"from": "b1"}, "b4": {"v": 1}, "b5": {"v": 1}, "a1": {"v": 1}, "a2": {"v": 1}, "a3": {"from": "b5"}, "free": {"v": 1}}');
	PERFORM t.write(local, 'b1', NULL), t.write(local, 'b3', NULL), t.write(local || '.p', 'a1', '{"from": "b3"}');
	PERFORM t.write(local || '.p', 'b2', NULL), t.write(local, 'a2', '{"from": "b2"}'), t.write(local, 'n', '{"from": "b2"}');
	PERFORM t.write(local, 'b4', '{"v": 2}'), t.write(local || '.p', 'b4', '{"v": 3}');
	PERFORM t.write(local, 'a3', '{"from": "b5", "v": 2}'), t.write(local || '.p', 'a3', '{"from": "b5", "v": 3}');
END $$;
SELECT t.tangle(way || ' ' || rule) FROM unnest('{all,pull}'::text[]) AS way, unnest('{local,public,both,newest}'::text[]) AS rule;
SELECT is(count(*) FILTER (WHERE outcome <> 'resolved' OR conflict IS NOT NULL), 0::bigint, 'a tangle, all by ' || rule || ': all are settled')
  FROM unnest('{local,public,both,newest}'::text[]) AS rule, diagsync.resolve_all('all ' || rule, rule) GROUP BY rule;
SELECT t.show(diagsync.pull('all ' || rule)), t.show(diagsync.pull('pull ' || rule, on_conflict => rule)) FROM unnest('{local,public,both,newest}'::text[]) AS rule;
SELECT is(t.docs('all ' || rule), t.docs('pull ' || rule), '... as a pull by that rule makes of it') FROM unnest('{local,public,both,newest}'::text[]) AS rule;
SELECT is(t.dangling('all ' || rule), 0::bigint, '... and nothing dangles') FROM unnest('{local,public,both,newest}'::text[]) AS rule;
RESET diagsync.batch_size;

-- ---- Limits ------------------------------------------------------------------------

-- A document that a trigger keeps out stays a conflict.
SELECT t.conflicting('kept');
CREATE FUNCTION t.keep_out() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN CASE WHEN OLD.id <> 'uu' THEN NEW END; END $$;
CREATE TRIGGER keep_out BEFORE UPDATE ON diagsync_local.entity FOR EACH ROW EXECUTE FUNCTION t.keep_out();
SELECT is(t.all('kept', 'public', kinds => '{update_update}'), 'm:resolved u2:resolved uu:kept_out:update_update', 'what a trigger keeps out is told');
DROP TRIGGER keep_out ON diagsync_local.entity;

-- Who is limited: the size of a document, of the diagram, how many choices.
SELECT t.conflicting('limited');
CREATE ROLE limited;
SELECT diagsync.grant_usage('limited');
SELECT diagsync.set_owner('limited', 'role:limited'), diagsync.set_owner('bad', 'role:limited');
SET LOCAL diagsync.max_entity_size = 1;
SET LOCAL diagsync.max_put_entities = 2;
SET LOCAL ROLE limited;
CREATE FUNCTION pg_temp.refused(command text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN EXECUTE command; RETURN 'no error'; EXCEPTION WHEN OTHERS THEN RETURN sqlstate || ' ' || sqlerrm; END $$;
SELECT alike(pg_temp.refused(format('SELECT diagsync.resolve_many(''limited'', %L)', jsonb_build_array(jsonb_build_object('entity_id', 'uu', 'resolution', 'merged', 'doc', jsonb_build_object('t', repeat('x', 1100)))))),
	'54000 entity "uu" of diagram "limited" is too large%', 'a document of more than its size');
SELECT alike(pg_temp.refused('SELECT diagsync.resolve_many(''limited'', ''[{"entity_id": "uu", "resolution": "local"}, {"entity_id": "u2", "resolution": "local"}, {"entity_id": "ud", "resolution": "local"}]'')'),
	'54000 too many entities at once%', 'more choices than may be written at once');
SELECT alike(pg_temp.refused('SELECT diagsync.resolve_all(''limited'', ''local'', entities => ''{a,b,c}'')'), '54000 too many entities at once%', 'or named entities');
RESET ROLE;
SET LOCAL diagsync.max_put_entities = 0;
SELECT diagsync.set_limits('limited', 5, 1000000000);
SET LOCAL ROLE limited;
SELECT alike(pg_temp.refused('SELECT diagsync.resolve_all(''limited'', ''both'')'), '54000 diagram "limited" has too many entities%', 'copies count among the entities');
RESET ROLE;
SELECT diagsync.set_limits('limited', NULL, 10);
SET LOCAL ROLE limited;
SELECT alike(pg_temp.refused('SELECT diagsync.resolve_all(''limited'', ''public'')'), '54000 diagram "limited" is too large%', 'what is written counts in the size');
SELECT is((SELECT count(*) FROM diagsync.resolve_all('limited', 'local')), 6::bigint, 'what stays as it is does not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
