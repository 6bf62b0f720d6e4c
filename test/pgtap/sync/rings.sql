-- Rings (docs/merging.md): no sync and no resolution leaves a copy with a ring of
-- references that it did not have.
BEGIN;
\ir ../../common/pgtap/helpers.sql
SELECT plan(139);

-- As of now, also after a sync in the same statement.
CREATE OR REPLACE FUNCTION t.status(local text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN t.show(diagsync.status(local));
END $$;

-- ---- Scenes ------------------------------------------------------------------------

CREATE FUNCTION t.policy() RETURNS jsonb LANGUAGE sql AS $$
	SELECT '{"granularity": "property", "references": ["/parent", "/in/id"], "acyclic": ["/parent", "/in/id"], "groups": [["/parent", "/x"]]}'::jsonb $$;

CREATE FUNCTION t.linked(l text, docs jsonb, policy jsonb DEFAULT t.policy()) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM t.pair(l, 'far ' || l, docs), diagsync.set_merge_policy(l, policy);
	RETURN l;
END $$;

-- A copy as "a>b b c>a,b": ids and what they lead to.
CREATE FUNCTION t.see(diagram text) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(id || coalesce('>' || (SELECT string_agg(e, ',') FROM jsonb_array_elements_text(CASE jsonb_typeof(doc -> 'parent') WHEN 'array' THEN doc -> 'parent' END) AS e),
			'>' || (doc ->> 'parent'), '') || coalesce('>' || (doc #>> '{in,id}'), ''), ' ' ORDER BY id COLLATE "C"), 'nothing')
	  FROM diagsync.entity WHERE diagram_id = diagram $$;

-- The conflicts as "a:local_change>public_change:kind:paths".
CREATE FUNCTION t.conflicts(l text) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(format('%s:%s>%s:%s:%s', entity_id, local_change, public_change, conflict, array_to_string(paths, ',')), ' ' ORDER BY entity_id COLLATE "C"), 'none') FROM diagsync.conflicts(l) $$;

CREATE FUNCTION t.ends(l text) RETURNS text LANGUAGE sql AS $$
	SELECT t.see(l) || ' | ' || t.see('far ' || l) $$;

-- A push or pull after a dry run whose plan it is given.
CREATE FUNCTION t.sync(l text, direction text, rule text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	dry diagsync.sync_result;
	r diagsync.sync_result;
BEGIN
	IF direction = 'push' THEN
		dry := diagsync.push(l, on_conflict => rule, dry_run => true);
		r := diagsync.push(l, on_conflict => rule, expected_plan => dry.plan);
	ELSE
		dry := diagsync.pull(l, on_conflict => rule, dry_run => true);
		r := diagsync.pull(l, on_conflict => rule, expected_plan => dry.plan);
	END IF;
	RETURN t.show(r) || CASE WHEN t.show(r) = t.show(dry) AND r.plan = dry.plan THEN '' ELSE ', but the dry run: ' || t.show(dry) END;
END $$;

-- Two swaps that close a ring: the local end puts b into a, the shared one a into
-- b. Each edits another property, too.
CREATE FUNCTION t.swap(l text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM t.linked(l, '{"a": {"v": 1, "x": 1}, "b": {"v": 1, "x": 1}, "c": {"v": 1}}');
	PERFORM t.write('far ' || l, 'a', '{"v": 2, "x": 2, "parent": "b"}'), t.write(l, 'b', '{"v": 3, "x": 3, "parent": "a"}');
	PERFORM t.edited('far ' || l, 'a', '2001-01-01'), t.edited(l, 'b', '2001-01-02');
	RETURN l;
END $$;

SELECT t.swap('shown');
SELECT is(t.status('shown'), 'conflict 1/1/2', 'two edits that close a ring are a conflict');
SELECT is(t.conflicts('shown'), 'a:>update:cycle:/parent b:update>:cycle:/parent', '... of both entities, at their references');
SELECT is(t.sync('shown', direction, rule), 'no +0 ~0 -0 0/2', format('%s, %s: left', direction, rule)) FROM unnest('{push,pull}'::text[]) AS direction, unnest('{abort,skip}'::text[]) AS rule;
SELECT is(t.ends('shown'), 'a b>a c | a>b b c', '... and nothing is written');
SELECT diagsync.set_merge_policy('shown', t.policy() - 'acyclic');
SELECT is(t.status('shown'), 'pending 1/1/0', 'not where the policy does not say so');
SELECT diagsync.set_merge_policy('shown', t.policy());
SELECT is(t.status('shown'), 'conflict 1/1/2', 'and again where it does');

-- Under each rule, in each direction: what comes of it, and that all else merges.
CREATE FUNCTION t.outcome(l text) RETURNS text LANGUAGE sql AS $$
	SELECT format('%s, a %s, b %s, far a %s, far b %s', t.ends(l), t.docs(l) #>> '{a,v}', t.docs(l) #>> '{b,v}', t.docs('far ' || l) #>> '{a,v}', t.docs('far ' || l) #>> '{b,v}') $$;
SELECT t.swap(direction || ' ' || rule) FROM unnest('{push,pull}'::text[]) AS direction, unnest('{local,public,both,newest}'::text[]) AS rule;
SELECT is(t.sync(direction || ' ' || rule, direction, rule), want, format('%s, %s', direction, rule)) FROM (VALUES
	('push', 'local', 'yes +0 ~2 -0 2/0'), ('push', 'public', 'yes +0 ~1 -0 2/0'), ('push', 'both', 'yes +0 ~1 -0 2/0'), ('push', 'newest', 'yes +0 ~2 -0 2/0'),
	('pull', 'local', 'yes +0 ~1 -0 2/0'), ('pull', 'public', 'yes +0 ~2 -0 2/0'), ('pull', 'both', 'yes +0 ~2 -0 2/0'), ('pull', 'newest', 'yes +0 ~1 -0 2/0')) AS v (direction, rule, want);
SELECT is(t.outcome(l), want, l || ': one side''s reference, both sides'' other edits') FROM (VALUES
	('push local', 'a b>a c | a b>a c, a 2, b 3, far a 2, far b 3'), ('push public', 'a b c | a>b b c, a 1, b 3, far a 2, far b 3'),
	('push both', 'a b c | a>b b c, a 1, b 3, far a 2, far b 3'), ('push newest', 'a b>a c | a b>a c, a 2, b 3, far a 2, far b 3'),
	('pull local', 'a b>a c | a>b b c, a 2, b 3, far a 2, far b 1'), ('pull public', 'a>b b c | a>b b c, a 2, b 3, far a 2, far b 1'),
	('pull both', 'a>b b c | a>b b c, a 2, b 3, far a 2, far b 1'), ('pull newest', 'a b>a c | a>b b c, a 2, b 3, far a 2, far b 1')) AS v (l, want);
SELECT is(t.docs('push local') #> '{a,x}', '1', 'the group goes with the reference');
SELECT is(t.docs('pull public') #> '{b,x}', '1', '... in a pull, too');
SELECT is(t.show(diagsync.pull(l)) || ' ' || t.show(diagsync.push(l)), want, l || ': what is left is no conflict') FROM (VALUES
	('push public', 'yes +0 ~1 -0 0/0 yes +0 ~0 -0 0/0'), ('pull local', 'yes +0 ~0 -0 0/0 yes +0 ~2 -0 0/0'), ('pull public', 'yes +0 ~0 -0 0/0 yes +0 ~1 -0 0/0')) AS v (l, want);
SELECT is(t.status(l) || ' ' || t.ends(l), want, '... and then both ends are the same') FROM (VALUES
	('push public', 'in_sync 0/0/0 a>b b c | a>b b c'), ('pull local', 'in_sync 0/0/0 a b>a c | a b>a c'), ('pull public', 'in_sync 0/0/0 a>b b c | a>b b c')) AS v (l, want);

-- ---- resolve() ----------------------------------------------------------------------

CREATE FUNCTION t.settle(l text, entity text, rule text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	shown text := (SELECT version FROM diagsync.conflicts(l) WHERE entity_id = entity);
	r diagsync.change := diagsync.resolve(l, entity, rule, expected => shown);
BEGIN
	RETURN concat_ws(', ', t.see(l), 'conflict ' || r.conflict, t.status(l));
END $$;
SELECT t.swap(format('resolve %s %s', entity, rule)) FROM unnest('{a,b}'::text[]) AS entity, unnest('{local,public,both,newest}'::text[]) AS rule;
SELECT is(t.settle(format('resolve %s %s', entity, rule), entity, rule), want, format('resolve, %s of %s: the whole ring', rule, entity)) FROM unnest('{a,b}'::text[]) AS entity, (VALUES
	('local', 'a b>a c, pending 2/0/0'), ('public', 'a>b b c, pending 1/0/0'), ('both', 'a>b b c, pending 1/0/0'), ('newest', 'a b>a c, pending 2/0/0')) AS v (rule, want);
SELECT is(t.show(diagsync.push(format('resolve %s %s', entity, rule))) || ' ' || t.see(format('far resolve %s %s', entity, rule)), want, format('%s of %s, pushed', rule, entity)) FROM unnest('{a,b}'::text[]) AS entity, (VALUES
	('local', 'yes +0 ~2 -0 0/0 a b>a c'), ('public', 'yes +0 ~1 -0 0/0 a>b b c')) AS v (rule, want);
SELECT t.swap('given');
SELECT is((diagsync.resolve('given', 'b', 'merged', '{"v": 3, "parent": "a"}')).conflict, 'cycle', 'a document that still closes the ring is looked at again');
SELECT is((diagsync.resolve('given', 'b', 'merged', '{"v": 3, "parent": "c"}')).conflict, NULL, '... and one that does not settles it');
SELECT t.swap('moves');
SELECT version AS shown FROM diagsync.conflicts('moves') WHERE entity_id = 'b' \gset
SELECT t.write('far moves', 'a', '{"v": 2, "x": 2}'), t.write('far moves', 'c', '{"v": 1, "parent": "b"}'), t.write('moves', 'a', '{"v": 1, "x": 1, "parent": "c"}');
SELECT is(t.conflicts('moves'), 'a:update>update:update_update:/x,/parent b:update>:cycle:/parent c:>update:cycle:/parent', 'another ring');
SELECT isnt((SELECT version FROM diagsync.conflicts('moves') WHERE entity_id = 'b'), :'shown', '... is another version');
SELECT diagsync.resolve('moves', 'b', 'public', expected => :'shown');
SELECT is(t.see('moves'), 'a>c b>a c', '... which the one that was shown does not settle');

-- ---- Other rings --------------------------------------------------------------------

-- What the ends do, entity by entity, and the conflicts of it.
CREATE FUNCTION t.scene(l text, docs jsonb, here jsonb, there jsonb, policy jsonb DEFAULT t.policy()) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM t.linked(l, docs, policy);
	PERFORM t.write(l, key, value) FROM jsonb_each(here);
	PERFORM t.write('far ' || l, key, value) FROM jsonb_each(there);
	RETURN t.conflicts(l);
END $$;
SELECT is(t.scene('s ' || what, docs::jsonb, here::jsonb, there::jsonb), want, what) FROM (VALUES
	('three', '{"a": {}, "b": {}, "c": {}}', '{"a": {"parent": "b"}, "b": {"parent": "c"}}', '{"c": {"parent": "a"}}', 'a:update>:cycle:/parent b:update>:cycle:/parent c:>update:cycle:/parent'),
	('through one that nobody changed', '{"a": {}, "b": {"parent": "c"}, "c": {}}', '{"a": {"parent": "b"}}', '{"c": {"parent": "a"}}', 'a:update>:cycle:/parent c:>update:cycle:/parent'),
	('through one that was changed otherwise', '{"a": {}, "b": {"parent": "c"}, "c": {}}', '{"a": {"parent": "b"}, "b": {"parent": "c", "v": 1}}', '{"c": {"parent": "a"}}', 'a:update>:cycle:/parent c:>update:cycle:/parent'),
	('arrays of parents', '{"a": {}, "b": {}}', '{"a": {"parent": ["c", "b"]}}', '{"b": {"parent": ["a"]}}', 'a:update>:cycle:/parent b:>update:cycle:/parent'),
	('two pointers, one graph', '{"a": {}, "b": {}}', '{"a": {"parent": "b"}}', '{"b": {"in": {"id": "a"}}}', 'a:update>:cycle:/parent b:>update:cycle:/in/id'),
	('one document merged', '{"a": {"v": 1}, "b": {}}', '{"a": {"v": 2}, "b": {"parent": "a"}}', '{"a": {"v": 1, "parent": "b"}}', 'a:update>update:cycle:/parent b:update>:cycle:/parent'),
	('an insert that something refers to already', '{"a": {}}', '{"a": {"parent": "n"}}', '{"n": {"parent": "a"}}', 'a:update>:cycle:/parent n:>insert:cycle:/parent'),
	('what is kept that one end deletes', '{"a": {}, "b": {"parent": "c"}, "c": {}}', '{"a": {"parent": "b"}}', '{"c": {"parent": "a"}, "b": null}', 'a:update>:dangling:/parent b:>delete:dangling: c:>update:cycle:/parent'),
	('itself', '{"a": {}}', '{}', '{"a": {"parent": "a"}}', 'a:>update:cycle:/parent'),
	('an insert in the middle', '{"a": {}, "b": {}}', '{"n": {"parent": "a"}, "b": {"parent": "n"}, "k": {"parent": "n"}}', '{"a": {"parent": "b"}}', 'a:>update:cycle:/parent b:update>:cycle:/parent k:insert>:dangling:/parent n:insert>:cycle:/parent'),
	('no ring, however long', '{"a": {}, "b": {}, "c": {}}', '{"a": {"parent": "b"}}', '{"b": {"parent": "c"}}', 'none'),
	('a swap of one end', '{"a": {"parent": "b"}, "b": {}}', '{"a": {}, "b": {"parent": "a"}}', '{}', 'none'),
	('the same at both', '{"a": {}, "b": {"parent": "a"}}', '{"a": {"parent": "b"}}', '{"a": {"parent": "b"}}', 'none'),
	('ends at nothing', '{"a": {}}', '{"a": {"parent": "gone"}}', '{}', 'none')) AS v (what, docs, here, there, want);
SELECT is(t.sync('s three', 'pull', 'public') || ' ' || t.ends('s three'), 'yes +0 ~3 -0 3/0 a b c>a | a b c>a', 'all of three');
SELECT is(t.sync('s one document merged', 'push', 'local') || ' ' || t.ends('s one document merged'), 'yes +0 ~2 -0 2/0, merged is 1 a b>a | a b>a', 'what one document merges to keeps the other edit');
SELECT is(t.docs('far s one document merged') #> '{a,v}', '2', '... of its own side');
SELECT is(t.sync('s an insert that something refers to already', 'pull', 'local') || ' ' || t.ends('s an insert that something refers to already'), 'yes +1 ~0 -0 2/0 a>n n | a n>a', 'an insert stays, without its reference');
SELECT is(t.sync('s an insert in the middle', 'push', 'public') || ' ' || t.ends('s an insert in the middle'), 'yes +2 ~0 -0 3/0 a b k>n n | a>b b k>n n', '... and so does what is in it');
SELECT is(t.sync('s a swap of one end', 'push', 'abort') || ' ' || t.ends('s a swap of one end'), 'yes +0 ~2 -0 0/0 a b>a | a b>a', 'a swap goes as a whole');

-- A swap that goes by halves, since one of the two conflicts otherwise.
SELECT is(t.scene('half', '{"a": {"parent": "b"}, "b": {"v": 1}}', '{"a": {"v": 2}, "b": {"v": 1, "parent": "a"}}', '{"a": {"parent": "b", "v": 3}}'), 'a:update>update:update_update:/v,/parent b:update>:cycle:/parent', 'half a swap is a ring');
SELECT is(t.sync('half', 'push', 'skip') || ' ' || t.ends('half'), 'no +0 ~0 -0 0/2 a b>a | a>b b', '... which a push does not leave');
SELECT is(t.sync('half', 'push', 'public') || ' ' || t.ends('half'), 'yes +0 ~2 -0 1/0, merged is 1 a b>a | a b>a', '... unless the other half is settled');
-- A push merges a, whose place was swapped with b's in the shared copy: that waits.
SELECT is(t.scene('waits', '{"a": {"v": 1}, "b": {"parent": "a"}}', '{"a": {"v": 2}}', '{"a": {"v": 1, "parent": "b"}, "b": {}}'), 'none', 'a swap of the other end is no conflict');
SELECT is(t.sync('waits', 'push', 'abort') || ' ' || t.ends('waits'), 'yes +0 ~1 -0 0/0, merged is 1 a b>a | a>b b', '... and does not come to the local end by halves');
SELECT is(t.docs('far waits') #> '{a,v}', '2', '... though the rest is merged');
SELECT is(t.sync('waits', 'pull', 'abort') || ' ' || t.ends('waits') || ' ' || t.status('waits'), 'yes +0 ~2 -0 0/0 a>b b | a>b b in_sync 0/0/0', '... but with the next pull');

-- Rings that are there already, and those of one side.
SELECT is(t.scene('old', '{"a": {"parent": "b"}, "b": {"parent": "a"}, "c": {}}', '{"a": {"parent": "b", "v": 1}, "c": {"parent": "a"}}', '{"b": {"parent": "a", "v": 1}}'), 'none', 'a ring that both ends have is nobody''s business');
SELECT is(t.scene('own', '{"a": {}, "b": {}}', '{"a": {"parent": "b"}, "b": {"parent": "a"}}', '{"a": {"v": 1}}'), 'a:update>update:cycle:/parent b:update>:cycle:/parent', 'a ring that the local end has made is one for the shared copy');
SELECT is(t.sync('own', 'pull', 'skip') || ' ' || t.ends('own'), 'yes +0 ~1 -0 0/0, merged is 1 a>b b>a | a b', '... not for a pull');
SELECT t.scene('led', '{"a": {}, "b": {}, "c": {}}', '{"a": {"parent": "b"}, "b": {"parent": "a"}}', '{"c": {"parent": "a"}}');
SELECT is(t.sync('led', 'pull', 'abort') || ' ' || t.ends('led'), 'yes +0 ~1 -0 0/0 a>b b>a c>a | a b c>a', '... nor for one of what leads to it');
SELECT is(t.sync('own', 'push', 'local') || ' ' || t.ends('own'), 'no +0 ~0 -0 0/2 a>b b>a | a b', 'its own references do not break it');
SELECT is(t.error($$ SELECT diagsync.resolve('own', 'a', 'local') $$), NULL, 'a resolution for it changes nothing');
SELECT is(t.conflicts('own'), 'a:update>:cycle:/parent b:update>:cycle:/parent', '... and it is still there');
SELECT is(t.sync('own', 'push', 'public') || ' ' || t.ends('own'), 'yes +0 ~0 -0 2/0 a b | a b', 'the other side''s do');
SELECT is(t.scene('theirs', '{"a": {}, "b": {}}', '{"a": {"v": 1}}', '{"a": {"parent": "b"}, "b": {"parent": "a"}}'), 'a:update>update:cycle:/parent b:>update:cycle:/parent', 'and so the other way round');
SELECT is(t.sync('theirs', 'pull', 'public') || ' ' || t.ends('theirs'), 'no +0 ~0 -0 0/2 a b | a>b b>a', 'a pull does not bring a ring');
SELECT t.refuses($$ SELECT diagsync.resolve('theirs', 'a', 'public') $$, '55000', '"theirs"', 'nor does a resolution');
SELECT is(t.sync('theirs', 'pull', 'local') || ' ' || t.ends('theirs'), 'yes +0 ~0 -0 2/0, merged is 1 a b | a>b b>a', 'whose references are taken back is settled');

-- Who is left as he is may close another ring, or let something dangle.
SELECT is(t.scene('next', '{"m": {"parent": "p"}, "p": {}, "q": {}}', '{"q": {"parent": "m"}}', '{"m": {"parent": "q"}, "p": {"parent": "m"}}'),
	'm:>update:cycle:/parent p:>update:cycle:/parent q:update>:cycle:/parent', 'what would close a ring when another is given up');
SELECT is(t.sync('next', 'pull', 'local') || ' ' || t.ends('next'), 'yes +0 ~0 -0 3/0 m>p p q>m | m>q p>m q', '... is taken back with it');
SELECT is(t.scene('gone', '{"m": {"parent": "p"}, "p": {}, "q": {}}', '{"q": {"parent": "m"}}', '{"m": {"parent": "q"}, "p": null}'),
	'm:>update:cycle:/parent p:>delete:dangling: q:update>:cycle:/parent', 'what would dangle then');
SELECT is(t.sync('gone', 'pull', 'local') || ' ' || t.ends('gone'), 'yes +0 ~0 -0 3/0 m>p p q>m | m>q q', '... stays');
SELECT is(t.scene('newest', '{"a": {}, "b": {}, "c": {}}', '{"a": {"parent": "b"}}', '{"b": {"parent": "a"}}'), 'a:update>:cycle:/parent b:>update:cycle:/parent', 'the newest one');
SELECT t.edited('newest', 'a', '2001-01-01'), t.edited('far newest', 'b', '2001-01-02');
SELECT is(t.sync('newest', 'pull', 'newest') || ' ' || t.ends('newest'), 'yes +0 ~2 -0 2/0 a b>a c | a b>a c', 'has the whole ring');

-- Whole documents, copies, and formats.
SELECT is(t.scene('whole', '{"a": {}, "b": {}}', '{"a": {"parent": "b", "v": 1}}', '{"b": {"parent": "a"}}', '{"acyclic": ["/parent"]}'), 'a:update>:cycle:/parent b:>update:cycle:/parent', 'granularity entity');
SELECT is(t.sync('whole', 'push', 'public') || ' ' || (t.docs('far whole') -> 'a')::text, 'yes +0 ~0 -0 2/0 {}', '... takes whole documents back');
SELECT is(t.scene('copy', '{"f": {"v": 1, "parent": "y"}, "x": {}, "y": {}}', '{"f": {"v": 2, "parent": "y"}, "x": {"parent": "f"}}', '{"f": {"v": 3, "parent": "y"}, "y": {"parent": "x"}}'),
	'f:update>update:update_update:/v x:update>:cycle:/parent y:>update:cycle:/parent', 'a ring through a conflict');
SELECT is((t.sync('copy', 'pull', 'both') LIKE 'yes %')::text || ' ' || regexp_replace(t.see('copy'), 'f-[0-9a-f]+', 'copy'), 'true f>y copy>y x y>x', '... is broken where that is copied');
SELECT is(t.scene('p ' || preset, docs::jsonb, here::jsonb, there::jsonb, jsonb_build_object('preset', preset)), want, preset) FROM (VALUES
	('reactflow', '{"a": {}, "b": {}}', '{"a": {"parentId": "b"}}', '{"b": {"parentNode": "a"}}', 'a:update>:cycle:/parentId b:>update:cycle:/parentNode'),
	('tldraw', '{"a": {}, "b": {}}', '{"a": {"parentId": "b"}}', '{"b": {"parentId": "a"}}', 'a:update>:cycle:/parentId b:>update:cycle:/parentId'),
	('immersive', '{"a": {}, "b": {}}', '{"a": {"parent": "b"}}', '{"b": {"parent": "a"}}', 'a:update>:cycle:/parent b:>update:cycle:/parent'),
	('excalidraw', '{"a": {}, "b": {}}', '{"a": {"frameId": "b"}}', '{"b": {"containerId": "a"}}', 'a:update>:cycle:/frameId b:>update:cycle:/containerId'),
	('jsoncanvas', '{"a": {}, "b": {}}', '{"a": {"fromNode": "b"}}', '{"b": {"fromNode": "a"}}', 'none')) AS v (preset, docs, here, there, want);

-- ---- Many at once, and chosen entities -----------------------------------------------

-- What has become of each, as "entity:outcome:conflict".
CREATE FUNCTION t.told(rows diagsync.resolve_result[]) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(concat_ws(':', entity_id, outcome, conflict), ' ' ORDER BY entity_id COLLATE "C"), 'nothing') FROM unnest(rows) $$;
CREATE FUNCTION t.all_of(l text, rule text, kinds text[] DEFAULT NULL, paths text[] DEFAULT NULL, entities text[] DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
	SELECT t.told(array_agg(r)) FROM diagsync.resolve_all($1, $2, $3, $4, $5) AS r $$;
CREATE FUNCTION t.many(l text, choices jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT t.told(array_agg(r)) FROM diagsync.resolve_many($1, $2) AS r $$;
-- Two rings, and an edit that conflicts.
CREATE FUNCTION t.two(l text) RETURNS text LANGUAGE sql AS $$
	SELECT t.scene(l, '{"a": {}, "b": {}, "c": {}, "d": {}, "e": {"v": 1}}', '{"b": {"parent": "a"}, "d": {"parent": "c"}, "e": {"v": 2}}', '{"a": {"parent": "b"}, "c": {"parent": "d"}, "e": {"v": 3}}') $$;
SELECT t.two('all ' || rule) FROM unnest('{local,public,both,newest}'::text[]) AS rule;
SELECT is(regexp_replace(t.all_of('all ' || rule, rule) || ' ' || t.see('all ' || rule), ' e-[0-9a-f]+', ''), 'a:resolved b:resolved c:resolved d:resolved e:resolved ' || want, 'resolve_all, ' || rule) FROM (VALUES
	('local', 'a b>a c d>c e'), ('public', 'a>b b c>d d e'), ('both', 'a>b b c>d d e')) AS v (rule, want);
SELECT is(t.conflicts('all ' || rule), 'none', '... and no conflict is left') FROM unnest('{local,public,both}'::text[]) AS rule;
SELECT is(t.all_of('all newest', 'local', '{cycle}'), 'a:resolved b:resolved c:resolved d:resolved', 'those of that kind');
SELECT is(t.see('all newest') || ', ' || t.conflicts('all newest'), 'a b>a c d>c e, e:update>update:update_update:/v', '... and no other');

SELECT t.two(l) FROM unnest('{named,apart,split,other,given too}'::text[]) AS l;
SELECT is(t.all_of('named', 'public', entities => '{b}') || ' ' || t.ends('named'), 'b:resolved a>b b c d>c e | a>b b c>d d e', 'one of a ring settles all of it, and no other ring');
SELECT is(t.many('apart', '[{"entity_id": "a", "resolution": "local"}, {"entity_id": "d", "resolution": "public"}]') || ' ' || t.see('apart'), 'a:resolved d:resolved a b>a c>d d e', 'each ring as it was chosen');
SELECT is(t.many('split', '[{"entity_id": "a", "resolution": "local"}, {"entity_id": "b", "resolution": "public"}, {"entity_id": "c", "resolution": "local"}]'), 'a:left_out:cycle b:left_out:cycle c:resolved', 'two resolutions of one ring settle nothing');
SELECT is(t.see('split') || ', ' || t.conflicts('split'), 'a b>a c d>c e, a:>update:cycle:/parent b:update>:cycle:/parent e:update>update:update_update:/v', '... of that ring');
SELECT is(t.many('other', '[{"entity_id": "a", "resolution": "local", "expected": "x"}, {"entity_id": "b", "resolution": "local"}, {"entity_id": "e", "resolution": "local"}]'), 'a:changed:cycle b:left_out:cycle e:resolved', 'one of a ring that is not as it was shown leaves the ring alone');
SELECT is(t.many('given too', '[{"entity_id": "b", "resolution": "merged", "doc": {"v": 9}}, {"entity_id": "c", "resolution": "public"}]') || ' ' || t.see('given too'), 'b:resolved c:resolved a b c>d d e', 'a document for one ring, a side for the other');
SELECT t.scene('theirs too', '{"a": {}, "b": {}, "e": {"v": 1}}', '{"e": {"v": 2}}', '{"a": {"parent": "b"}, "b": {"parent": "a"}, "e": {"v": 3}}');
SELECT is(t.all_of('theirs too', 'public', entities => '{a,b}'), 'a:left_out:cycle b:left_out:cycle', 'a ring is not settled for the side that has it');
SELECT is(t.all_of('theirs too', 'public') || ' ' || t.see('theirs too'), 'e:resolved a b e', '... and what else there is, is');
SELECT t.scene('shown ' || rule, '{"m": {"parent": "p"}, "p": {}, "q": {}}', '{"q": {"parent": "m"}}', '{"m": {"parent": "q"}, "p": null}') FROM unnest('{local,public}'::text[]) AS rule;
SELECT is(t.many('shown ' || rule, (SELECT jsonb_agg(jsonb_build_object('entity_id', entity_id, 'resolution', rule, 'expected', version)) FROM diagsync.conflicts('shown ' || rule))) || ' ' || t.see('shown ' || rule), want, 'a ring and what would dangle, as they were shown: ' || rule) FROM (VALUES
	('local', 'm:resolved p:resolved q:resolved m>p p q>m'), ('public', 'm:resolved p:resolved q:resolved m>q q')) AS v (rule, want);

-- Who is not chosen stays as he is, unless he breaks a ring; and so does what an end refuses.
CREATE FUNCTION t.chosen(direction text, l text, chosen text[], rule text DEFAULT 'abort') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	dry text := t.show(CASE direction WHEN 'push' THEN diagsync.push(l, on_conflict => rule, dry_run => true, entities => chosen) ELSE diagsync.pull(l, on_conflict => rule, dry_run => true, entities => chosen) END);
	have text := t.show(CASE direction WHEN 'push' THEN diagsync.push(l, on_conflict => rule, entities => chosen) ELSE diagsync.pull(l, on_conflict => rule, entities => chosen) END);
BEGIN
	RETURN concat_ws(', ', have, 'but the dry run said ' || nullif(dry, have), t.ends(l));
END $$;
SELECT t.scene('push some', '{"a": {"parent": "b"}, "b": {}, "c": {}}', '{"a": {}, "b": {"parent": "a"}, "c": {"parent": "b"}}', '{}');
SELECT t.scene('pull some', '{"a": {"parent": "b"}, "b": {}, "c": {}}', '{}', '{"a": {}, "b": {"parent": "a"}, "c": {"parent": "b"}}');
SELECT is(t.chosen('push', 'push some', '{b}'), 'yes +0 ~2 -0 0/0, a b>a c>b | a b>a c', 'a push of half a swap takes the other half along');
SELECT is(t.chosen('pull', 'pull some', '{b}'), 'yes +0 ~2 -0 0/0, a b>a c | a b>a c>b', '... and so does a pull');
SELECT is((SELECT array_agg(included::text) FROM (VALUES (diagsync.push('push some', dry_run => true, entities => '{b}')), (diagsync.pull('pull some', dry_run => true, entities => '{b}'))) AS r (r), LATERAL (SELECT (r).included) AS i), '{"{}","{}"}', '... but only where there is one to be done');
SELECT is(t.chosen('push', 'push some', '{c}'), 'yes +0 ~1 -0 0/0, a b>a c>b | a b>a c>b', 'what leads to them goes by itself');
SELECT is(t.chosen('pull', 'pull some', '{c}'), 'yes +0 ~1 -0 0/0, a b>a c>b | a b>a c>b', '... in a pull, too');
SELECT t.scene(d || ' turned', '{"a": {"parent": "b"}, "b": {"parent": "c"}, "c": {}, "d": {}}', (CASE d WHEN 'push' THEN x ELSE '{}' END)::jsonb, (CASE d WHEN 'push' THEN '{}' ELSE x END)::jsonb)
  FROM unnest('{push,pull}'::text[]) AS d, (VALUES ('{"a": {}, "b": {"parent": "a"}, "c": {"parent": "b"}, "d": {"v": 1}}')) AS v (x);
SELECT is((SELECT (r).included::text || t.show(r) FROM diagsync.push('push turned', entities => '{c}') AS r), '{a,b}yes +0 ~3 -0 0/0', 'a chain that is turned around: all of it goes');
SELECT is((SELECT (r).included::text || t.show(r) FROM diagsync.pull('pull turned', entities => '{c}') AS r), '{a,b}yes +0 ~3 -0 0/0', '... in a pull, too');
SELECT is(t.ends('push turned') || ' ' || t.ends('pull turned'), 'a b>a c>b d | a b>a c>b d a b>a c>b d | a b>a c>b d', '... and nothing else does');
SELECT t.scene(d || ' one', '{"a": {}, "b": {}, "c": {}}', '{"a": {"parent": "b"}, "c": {"parent": "b"}}', '{"b": {"parent": "a"}}') FROM unnest('{push,pull,gives up}'::text[]) AS d;
SELECT is(t.chosen('push', 'push one', '{a}'), 'no +0 ~0 -0 0/1, a>b b c>b | a b>a c', 'a ring that both have made is a conflict of who is chosen');
SELECT is(t.chosen('pull', 'pull one', '{b}'), 'no +0 ~0 -0 0/1, a>b b c>b | a b>a c', '... in a pull, too');
SELECT is(t.chosen('push', 'push one', '{a,c}', 'skip'), 'no +0 ~1 -0 0/1, a>b b c>b | a b>a c>b', 'what leads to it goes');
SELECT is(t.chosen('push', 'gives up one', '{a}', 'public'), 'yes +0 ~0 -0 1/0, a b c>b | a b>a c', 'for the other side its reference is taken back');
SELECT t.scene('refused', '{"a": {"parent": "b"}, "b": {}}', '{"a": {"v": -1}, "b": {"parent": "a"}}', '{}');
ALTER TABLE diagsync_public.entity ADD CONSTRAINT positive CHECK ((doc->>'v')::int > 0) NOT VALID;
SELECT is(t.show(diagsync.push('refused', on_conflict => 'skip')) || ' ' || t.ends('refused'), 'no +0 ~0 -0 0/2 a b>a | a>b b', 'one half of a swap is refused, and the other one waits');
ALTER TABLE diagsync_public.entity DROP CONSTRAINT positive;

-- ---- Long chains, and what they cost ------------------------------------------------

-- 20,000 entities, each in the one before.
SELECT t.linked('long', (SELECT jsonb_object_agg('n' || n, CASE n WHEN 1 THEN '{}' ELSE jsonb_build_object('parent', 'n' || n - 1) END) FROM generate_series(1, 20000) AS n));
SELECT t.write('far long', 'n1', '{"parent": "top"}'), t.write('far long', 'top', '{}'), t.write('long', 'n20000', '{"parent": "n19999", "v": 1}');
SELECT is(t.status('long'), 'pending 1/2/0', 'a long chain is no ring');
SELECT t.write('far long', 'top', '{"parent": "n20000"}');
SELECT is(t.conflicts('long'), 'n1:>update:cycle:/parent top:>insert:cycle:/parent', '... and a long ring is found');

-- Each ancestor is looked at once, however many lead to it: buffers that status()
-- touches with a chain of 500, and entities put into its lower end.
CREATE FUNCTION t.buffers(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ' || query INTO plan;
	plan := plan -> 0 -> 'Plan';
	RETURN (plan ->> 'Shared Hit Blocks')::bigint + (plan ->> 'Shared Read Blocks')::bigint;
END $$;
SELECT t.linked('deep', (SELECT jsonb_object_agg('d' || n, CASE n WHEN 1 THEN '{}' ELSE jsonb_build_object('parent', 'd' || n - 1) END) FROM generate_series(1, 500) AS n)
	|| (SELECT jsonb_object_agg('leaf' || n, '{}'::jsonb) FROM generate_series(1, 100) AS n));
SELECT diagsync.refresh('deep');
SELECT t.write('deep', 'leaf1', '{"parent": "d500"}');
SELECT t.buffers($$ SELECT diagsync.status('deep') $$), t.buffers($$ SELECT diagsync.status('deep') $$) AS one \gset
SELECT t.write('deep', 'leaf' || n, '{"parent": "d500"}') FROM generate_series(2, 100) AS n;
SELECT t.buffers($$ SELECT diagsync.status('deep') $$) AS many \gset
SELECT diagsync.set_merge_policy('deep', t.policy() - 'acyclic'), diagsync.refresh('deep');
SELECT t.buffers($$ SELECT diagsync.status('deep') $$), t.buffers($$ SELECT diagsync.status('deep') $$) AS without \gset
SELECT cmp_ok(:many - :one, '<', 99 * 60, 'a hundred under a chain of 500 cost no more than its length and their number') || E'\n' || diag(format('buffers: one %s, a hundred %s, without the key %s', :one, :many, :without));
SELECT cmp_ok(:many - :without, '<', 500 * 40, '... and each of the chain a few buffers');

SELECT * FROM finish();
ROLLBACK;
