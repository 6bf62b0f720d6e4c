-- The table of docs/how-it-works.md, cell by cell: what each side did to an
-- entity since both agreed on it, and for each direction and rule what comes
-- of it. Defines t.run_cells(), which notes what it finds in t.outcome.
--
-- An entity "e" has the document "base" (null: it is not there), then each side
-- writes its steps one after the other ('null' deletes). Beside it stands an
-- entity "z" that nobody touches.

CREATE TABLE t.cell (
	n int GENERATED ALWAYS AS IDENTITY,
	cell text PRIMARY KEY,
	base jsonb,
	local_steps jsonb[] NOT NULL,
	public_steps jsonb[] NOT NULL,
	local_change text,
	public_change text,
	conflict text
);
INSERT INTO t.cell (cell, base, local_steps, public_steps, local_change, public_change, conflict) VALUES
	-- The table itself.
	('same, same',                   '{"v":1}', '{}', '{}', NULL, NULL, NULL),
	('same, changed',                '{"v":1}', '{}', ARRAY['{"v":3}']::jsonb[], NULL, 'update', NULL),
	('same, deleted',                '{"v":1}', '{}', ARRAY['null']::jsonb[], NULL, 'delete', NULL),
	('same, inserted',               NULL, '{}', ARRAY['{"v":3}']::jsonb[], NULL, 'insert', NULL),
	('changed, same',                '{"v":1}', ARRAY['{"v":2}']::jsonb[], '{}', 'update', NULL, NULL),
	('changed, changed equally',     '{"v":1}', ARRAY['{"v":2}']::jsonb[], ARRAY['{"v":2}']::jsonb[], NULL, NULL, NULL),
	('changed, changed',             '{"v":1}', ARRAY['{"v":2}']::jsonb[], ARRAY['{"v":3}']::jsonb[], 'update', 'update', 'update_update'),
	('changed, deleted',             '{"v":1}', ARRAY['{"v":2}']::jsonb[], ARRAY['null']::jsonb[], 'update', 'delete', 'update_delete'),
	('deleted, same',                '{"v":1}', ARRAY['null']::jsonb[], '{}', 'delete', NULL, NULL),
	('deleted, changed',             '{"v":1}', ARRAY['null']::jsonb[], ARRAY['{"v":3}']::jsonb[], 'delete', 'update', 'delete_update'),
	('deleted, deleted',             '{"v":1}', ARRAY['null']::jsonb[], ARRAY['null']::jsonb[], NULL, NULL, NULL),
	('inserted, same',               NULL, ARRAY['{"v":2}']::jsonb[], '{}', 'insert', NULL, NULL),
	('inserted, inserted equally',   NULL, ARRAY['{"v":2}']::jsonb[], ARRAY['{"v":2}']::jsonb[], NULL, NULL, NULL),
	('inserted, inserted',           NULL, ARRAY['{"v":2}']::jsonb[], ARRAY['{"v":3}']::jsonb[], 'insert', 'insert', 'insert_insert'),
	-- An edit that was undone and a deleted entity put back are no changes.
	('undone, same',                 '{"v":1}', ARRAY['{"v":2}','{"v":1}']::jsonb[], '{}', NULL, NULL, NULL),
	('undone, changed',              '{"v":1}', ARRAY['{"v":2}','{"v":1}']::jsonb[], ARRAY['{"v":3}']::jsonb[], NULL, 'update', NULL),
	('undone, deleted',              '{"v":1}', ARRAY['{"v":2}','{"v":1}']::jsonb[], ARRAY['null']::jsonb[], NULL, 'delete', NULL),
	('undone, undone',               '{"v":1}', ARRAY['{"v":2}','{"v":1}']::jsonb[], ARRAY['{"v":3}','{"v":1}']::jsonb[], NULL, NULL, NULL),
	('same, undone',                 '{"v":1}', '{}', ARRAY['{"v":3}','{"v":1}']::jsonb[], NULL, NULL, NULL),
	('changed, undone',              '{"v":1}', ARRAY['{"v":2}']::jsonb[], ARRAY['{"v":3}','{"v":1}']::jsonb[], 'update', NULL, NULL),
	('deleted, undone',              '{"v":1}', ARRAY['null']::jsonb[], ARRAY['{"v":3}','{"v":1}']::jsonb[], 'delete', NULL, NULL),
	('put back, same',               '{"v":1}', ARRAY['null','{"v":1}']::jsonb[], '{}', NULL, NULL, NULL),
	('put back, changed',            '{"v":1}', ARRAY['null','{"v":1}']::jsonb[], ARRAY['{"v":3}']::jsonb[], NULL, 'update', NULL),
	('put back, deleted',            '{"v":1}', ARRAY['null','{"v":1}']::jsonb[], ARRAY['null']::jsonb[], NULL, 'delete', NULL),
	('same, put back',               '{"v":1}', '{}', ARRAY['null','{"v":1}']::jsonb[], NULL, NULL, NULL),
	('deleted, put back',            '{"v":1}', ARRAY['null']::jsonb[], ARRAY['null','{"v":1}']::jsonb[], 'delete', NULL, NULL),
	('changed, put back',            '{"v":1}', ARRAY['{"v":2}']::jsonb[], ARRAY['null','{"v":1}']::jsonb[], 'update', NULL, NULL),
	-- Deleted and inserted differently is an update.
	('made anew, same',              '{"v":1}', ARRAY['null','{"v":2}']::jsonb[], '{}', 'update', NULL, NULL),
	('made anew, changed',           '{"v":1}', ARRAY['null','{"v":2}']::jsonb[], ARRAY['{"v":3}']::jsonb[], 'update', 'update', 'update_update'),
	('made anew, deleted',           '{"v":1}', ARRAY['null','{"v":2}']::jsonb[], ARRAY['null']::jsonb[], 'update', 'delete', 'update_delete'),
	('made anew, made anew equally', '{"v":1}', ARRAY['null','{"v":2}']::jsonb[], ARRAY['null','{"v":2}']::jsonb[], NULL, NULL, NULL),
	('same, made anew',              '{"v":1}', '{}', ARRAY['null','{"v":3}']::jsonb[], NULL, 'update', NULL),
	('changed, made anew',           '{"v":1}', ARRAY['{"v":2}']::jsonb[], ARRAY['null','{"v":3}']::jsonb[], 'update', 'update', 'update_update'),
	('deleted, made anew',           '{"v":1}', ARRAY['null']::jsonb[], ARRAY['null','{"v":3}']::jsonb[], 'delete', 'update', 'delete_update'),
	('changed then deleted, changed','{"v":1}', ARRAY['{"v":2}','null']::jsonb[], ARRAY['{"v":3}']::jsonb[], 'delete', 'update', 'delete_update'),
	('deleted, changed then deleted','{"v":1}', ARRAY['null']::jsonb[], ARRAY['{"v":3}','null']::jsonb[], NULL, NULL, NULL),
	-- Inserted and removed again is nothing.
	('inserted and removed, same',   NULL, ARRAY['{"v":2}','null']::jsonb[], '{}', NULL, NULL, NULL),
	('inserted and removed, inserted', NULL, ARRAY['{"v":2}','null']::jsonb[], ARRAY['{"v":3}']::jsonb[], NULL, 'insert', NULL),
	('same, inserted and removed',   NULL, '{}', ARRAY['{"v":3}','null']::jsonb[], NULL, NULL, NULL),
	('inserted, inserted and removed', NULL, ARRAY['{"v":2}']::jsonb[], ARRAY['{"v":3}','null']::jsonb[], 'insert', NULL, NULL),
	('inserted and removed, the same', NULL, ARRAY['{"v":2}','null']::jsonb[], ARRAY['{"v":3}','null']::jsonb[], NULL, NULL, NULL),
	('inserted then changed, inserted', NULL, ARRAY['{"v":2}','{"v":4}']::jsonb[], ARRAY['{"v":3}','{"v":5}']::jsonb[], 'insert', 'insert', 'insert_insert'),
	-- By value: 1 is 1.0, and the order of keys does not matter.
	('1.0, same',                    '{"v":1}', ARRAY['{"v":1.0}']::jsonb[], '{}', NULL, NULL, NULL),
	('same, 1.0',                    '{"v":1}', '{}', ARRAY['{"v":1.00}']::jsonb[], NULL, NULL, NULL),
	('1.0, changed',                 '{"v":1}', ARRAY['{"v":1.0}']::jsonb[], ARRAY['{"v":3}']::jsonb[], NULL, 'update', NULL),
	('changed, 1.0',                 '{"v":1}', ARRAY['{"v":2}']::jsonb[], ARRAY['{"v":1.0}']::jsonb[], 'update', NULL, NULL),
	('changed to 2, to 2.0',         '{"v":1}', ARRAY['{"v":2}']::jsonb[], ARRAY['{"v":2.0}']::jsonb[], NULL, NULL, NULL),
	('inserted 2, 2.0',              NULL, ARRAY['{"v":2}']::jsonb[], ARRAY['{"v":2.0}']::jsonb[], NULL, NULL, NULL),
	('1e0 deep inside, same',        '{"p":{"x":[1,{"y":20}]}}', ARRAY['{"p":{"x":[1e0,{"y":2e1}]}}']::jsonb[], '{}', NULL, NULL, NULL),
	('keys in another order, same',  '{"a":1,"bb":2}', ARRAY['{"bb":2,"a":1}']::jsonb[], '{}', NULL, NULL, NULL),
	('keys in another order, both',  '{"a":1}', ARRAY['{"bb":2,"a":1}']::jsonb[], ARRAY['{"a":1.0,"bb":2}']::jsonb[], NULL, NULL, NULL),
	-- By value: text is no number, null is no absence, order in arrays counts.
	('"1" for 1, same',              '{"v":1}', ARRAY['{"v":"1"}']::jsonb[], '{}', 'update', NULL, NULL),
	('null for absent, same',        '{"v":1}', ARRAY['{"v":1,"w":null}']::jsonb[], '{}', 'update', NULL, NULL),
	('same, array turned round',     '{"v":[1,2]}', '{}', ARRAY['{"v":[2,1]}']::jsonb[], NULL, 'update', NULL),
	('emptied, changed',             '{"v":1}', ARRAY['{}']::jsonb[], ARRAY['{"v":3}']::jsonb[], 'update', 'update', 'update_update');

-- What a push, pull or resolve is to leave behind, by what each side did. The
-- documents are null where there is no entity; base_left 'any' is not asked.
CREATE TYPE t.expected AS (
	figures text,
	local jsonb,
	public jsonb,
	copy_local jsonb,
	copy_public jsonb,
	base_left text,
	status text
);

-- The last document of a side.
CREATE FUNCTION t.last(base jsonb, steps jsonb[]) RETURNS jsonb LANGUAGE sql AS $$
	SELECT nullif(CASE WHEN cardinality(steps) = 0 THEN base ELSE steps[cardinality(steps)] END, 'null') $$;

-- "+1 ~0 -0" for writing a document over another.
CREATE FUNCTION t.written(was jsonb, is_now jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN was IS NULL THEN '+1 ~0 -0' WHEN is_now IS NULL THEN '+0 ~0 -1' ELSE '+0 ~1 -0' END $$;

CREATE FUNCTION t.expect(c t.cell, direction text, rule text) RETURNS t.expected LANGUAGE plpgsql AS $$
DECLARE
	l jsonb := t.last(c.base, c.local_steps);
	p jsonb := t.last(c.base, c.public_steps);
	none text := '+0 ~0 -0';
	e t.expected;
BEGIN
	-- Nothing written, unless said otherwise below.
	e.local := l;
	e.public := p;
	e.base_left := 'any';

	IF c.conflict IS NULL THEN
		CASE
			WHEN direction = 'pull' AND c.public_change IS NOT NULL THEN
				e.figures := 'yes ' || t.written(l, p) || ' 0/0';
				e.local := p;
				e.base_left := 'none';
				e.status := 'in_sync 0/0/0';
			WHEN direction = 'push' AND c.local_change IS NOT NULL THEN
				e.figures := 'yes ' || t.written(p, l) || ' 0/0';
				e.public := l;
				e.base_left := 'none';
				e.status := 'in_sync 0/0/0';
			WHEN c.local_change IS NOT NULL THEN
				e.figures := 'yes ' || none || ' 0/0';
				e.base_left := coalesce(c.base::text, 'null');
				e.status := 'pending 1/0/0';
			WHEN c.public_change IS NOT NULL THEN
				e.figures := 'yes ' || none || ' 0/0';
				e.status := 'pending 0/1/0';
			ELSE
				e.figures := 'yes ' || none || ' 0/0';
				e.base_left := 'none';
				e.status := 'in_sync 0/0/0';
		END CASE;
		RETURN e;
	END IF;

	-- Where one end deleted it, "both" keeps the version that is left.
	IF rule = 'both' AND p IS NULL THEN rule := 'local'; END IF;
	IF rule = 'both' AND l IS NULL THEN rule := 'public'; END IF;

	CASE
		WHEN rule IN ('abort', 'skip') THEN
			e.figures := 'no ' || none || ' 0/1';
			e.base_left := coalesce(c.base::text, 'null');
			e.status := 'conflict 1/1/1';
		WHEN rule = 'public' THEN
			e.figures := 'yes ' || CASE direction WHEN 'pull' THEN t.written(l, p) ELSE none END || ' 1/0';
			e.local := p;
			e.base_left := 'none';
			e.status := 'in_sync 0/0/0';
		WHEN rule = 'local' AND direction = 'push' THEN
			e.figures := 'yes ' || t.written(p, l) || ' 1/0';
			e.public := l;
			e.base_left := 'none';
			e.status := 'in_sync 0/0/0';
		WHEN rule = 'local' THEN
			e.figures := 'yes ' || none || ' 1/0';
			e.base_left := coalesce(p::text, 'null');
			e.status := 'pending 1/0/0';
		WHEN rule = 'both' THEN
			e.local := p;
			e.copy_local := l;
			e.base_left := 'none';
			IF direction = 'push' THEN
				e.figures := 'yes +1 ~0 -0 1/0';
				e.copy_public := l;
				e.status := 'in_sync 0/0/0';
			ELSE
				e.figures := 'yes +1 ~1 -0 1/0';
				e.status := 'pending 1/0/0';
			END IF;
	END CASE;
	RETURN e;
END $$;

CREATE TABLE t.outcome (n int GENERATED ALWAYS AS IDENTITY, test text, have jsonb, want jsonb);

-- What stands in a copy: "e", and "copy" under whatever id "both" made.
CREATE FUNCTION t.stands(diagram text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT coalesce(jsonb_object_agg(CASE WHEN id = 'e' THEN id ELSE 'copy' END, doc), '{}')
	  FROM diagsync.entity WHERE diagram_id = diagram AND id <> 'z' $$;

CREATE FUNCTION t.stand(e jsonb, copy jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_strip_nulls(jsonb_build_object('e', '{}'::jsonb, 'copy', '{}'::jsonb)
		- CASE WHEN e IS NULL THEN 'e' ELSE '' END - CASE WHEN copy IS NULL THEN 'copy' ELSE '' END)
		|| CASE WHEN e IS NULL THEN '{}' ELSE jsonb_build_object('e', e) END
		|| CASE WHEN copy IS NULL THEN '{}' ELSE jsonb_build_object('copy', copy) END $$;

-- Make the pair l, p of a cell; with "apart", each write in a transaction of its own.
-- "later" says which side writes last.
CREATE PROCEDURE t.set_up(l text, p text, c t.cell, storage_type text, apart boolean, later text)
LANGUAGE plpgsql AS $$
DECLARE
	side text;
	step jsonb;
BEGIN
	PERFORM t.pair(l, p, jsonb_build_object('z', '{"z": true}'::jsonb)
		|| CASE WHEN c.base IS NULL THEN '{}' ELSE jsonb_build_object('e', c.base) END, storage_type);
	IF apart THEN COMMIT; END IF;
	FOREACH side IN ARRAY CASE later WHEN 'public' THEN '{local,public}' ELSE '{public,local}' END::text[]
	LOOP
		FOREACH step IN ARRAY CASE side WHEN 'local' THEN c.local_steps ELSE c.public_steps END
		LOOP
			PERFORM t.write(CASE side WHEN 'local' THEN l ELSE p END, 'e', step);
			IF apart THEN COMMIT; END IF;
		END LOOP;
	END LOOP;
END $$;

-- Note what stands after a call, and that the next pull and push bring both
-- ends together.
CREATE PROCEDURE t.compare(what text, l text, p text, figures text, want t.expected, apart boolean)
LANGUAGE plpgsql AS $$
DECLARE
	after text[];
	conflicts bigint;
	version text;
BEGIN
	INSERT INTO t.outcome (test, have, want) VALUES (what,
		jsonb_build_object('figures', figures, 'local', t.stands(l), 'public', t.stands(p),
			'base', CASE want.base_left WHEN 'any' THEN 'any'
				ELSE coalesce((SELECT coalesce(doc::text, 'null') FROM diagsync_local.base
					WHERE diagram_id = l AND id = 'e'), 'none') END,
			'status', t.status(l)),
		jsonb_build_object('figures', want.figures, 'local', t.stand(want.local, want.copy_local),
			'public', t.stand(want.public, want.copy_public), 'base', want.base_left, 'status', want.status));
	IF apart THEN COMMIT; END IF;

	SELECT count(*), max(c.version) INTO conflicts, version FROM diagsync.conflicts(l) AS c;
	after := ARRAY[t.show(diagsync.pull(l))];
	IF apart THEN COMMIT; END IF;
	after := after || t.show(diagsync.push(l));
	IF apart THEN COMMIT; END IF;
	IF want.status LIKE 'conflict%' THEN
		INSERT INTO t.outcome (test, have, want) VALUES (what || ': the conflict stays until it is resolved',
			to_jsonb(ARRAY[conflicts::text, array_to_string(after, ', '), t.status(l),
				(SELECT max(c.version) FROM diagsync.conflicts(l) AS c)]),
			to_jsonb(ARRAY['1', 'no +0 ~0 -0 0/1, no +0 ~0 -0 0/1', want.status, version]));
	ELSE
		INSERT INTO t.outcome (test, have, want) VALUES (what || ': the next pull and push bring the ends together',
			jsonb_build_object('conflicts', conflicts, 'done', after[1] LIKE 'yes % 0/0' AND after[2] LIKE 'yes % 0/0',
				'equal', t.docs(l) = t.docs(p), 'base', t.base(l), 'status', t.status(l), 'again', (
				SELECT t.show(diagsync.push(l)) || ', ' || t.show(diagsync.pull(l)))),
			jsonb_build_object('conflicts', 0, 'done', true, 'equal', true, 'base', '{}'::jsonb, 'status', 'in_sync 0/0/0',
				'again', 'yes +0 ~0 -0 0/0, yes +0 ~0 -0 0/0'));
	END IF;
	IF apart THEN COMMIT; END IF;
END $$;

-- Everything about a pair, to say that it did not change.
CREATE FUNCTION t.pair_state(l text, p text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_array(t.docs(l), t.docs(p), t.base(l), (
		SELECT jsonb_agg(d ORDER BY id) FROM diagsync.directory AS d WHERE id IN (l, p))) $$;

-- A push or pull, if nothing changed since then.
CREATE FUNCTION t.sync(direction text, l text, p text, rule text, dry_run boolean, plan text DEFAULT NULL,
	unchanged_since jsonb DEFAULT NULL) RETURNS diagsync.sync_result LANGUAGE plpgsql AS $$
BEGIN
	IF unchanged_since <> t.pair_state(l, p) THEN
		RAISE 'a dry run of %: % changed something', l, direction;
	END IF;
	IF direction = 'push' THEN
		RETURN diagsync.push(l, p, rule, dry_run, plan);
	END IF;
	RETURN diagsync.pull(l, p, rule, dry_run, plan);
END $$;

CREATE PROCEDURE t.run_cells(storage_type text, apart boolean) LANGUAGE plpgsql AS $$
DECLARE
	c t.cell;
	direction text;
	rule text;
	l text;
	p text;
	what text;
	figures text;
	want t.expected;
	before jsonb;
	dry diagsync.sync_result;
	result diagsync.sync_result;
	changed diagsync.change;
BEGIN
	FOR c IN SELECT * FROM t.cell ORDER BY n LOOP
		-- What the readers say.
		l := c.cell; p := 'far ' || l;
		CALL t.set_up(l, p, c, storage_type, apart, 'public');
		INSERT INTO t.outcome (test, have, want) VALUES (c.cell || ': changes, conflicts and status',
			to_jsonb(ARRAY[t.changes(l), (SELECT string_agg(entity_id || conflict, ',') FROM diagsync.conflicts(l)),
				t.status(l)]),
			to_jsonb(ARRAY[CASE WHEN num_nulls(c.local_change, c.public_change) = 2 THEN ''
				ELSE format('e:%s:%s>%s:%s', CASE WHEN c.public_change IS NULL THEN 'local'
					WHEN c.local_change IS NULL THEN 'public' ELSE 'both' END,
					c.local_change, c.public_change, c.conflict) END,
				'e' || c.conflict,
				format('%s %s/%s/%s', CASE WHEN c.conflict IS NOT NULL THEN 'conflict'
					WHEN num_nulls(c.local_change, c.public_change) = 2 THEN 'in_sync' ELSE 'pending' END,
					num_nonnulls(c.local_change), num_nonnulls(c.public_change), num_nonnulls(c.conflict))]));
		INSERT INTO t.outcome (test, have, want)
		SELECT c.cell || ': the three versions', jsonb_build_array(ch.base, ch.local, ch.public, ch.paths),
			jsonb_build_array(c.base, t.last(c.base, c.local_steps), t.last(c.base, c.public_steps),
				CASE WHEN c.conflict IS NOT NULL THEN ARRAY[''] END)
		  FROM diagsync.changes(l) AS ch;

		-- Each direction with each rule; "newest" with either side later.
		FOREACH direction IN ARRAY '{pull,push}'::text[] LOOP
			FOREACH rule IN ARRAY '{abort,skip,local,public,both,newest public,newest local}'::text[] LOOP
				CONTINUE WHEN rule = 'newest local' AND NOT apart;
				what := format('%s: %s, %s', c.cell, direction, rule);
				l := what; p := 'far ' || what;
				CALL t.set_up(l, p, c, storage_type, apart, CASE rule WHEN 'newest local' THEN 'local' ELSE 'public' END);
				want := t.expect(c, direction, replace(rule, 'newest ', ''));
				-- First a dry run, and in one transaction its plan is what is then
				-- expected.
				before := t.pair_state(l, p);
				dry := t.sync(direction, l, p, split_part(rule, ' ', 1), true);
				result := t.sync(direction, l, p, split_part(rule, ' ', 1), false,
					CASE WHEN NOT apart THEN dry.plan END, before);
				figures := t.show(result);
				INSERT INTO t.outcome (test, have, want) VALUES (what || ': the dry run says the same',
					to_jsonb(t.show(dry) || CASE WHEN dry.plan IS NULL THEN ', no plan'
						WHEN apart OR result.plan = dry.plan THEN '' ELSE ', another plan' END), to_jsonb(want.figures));
				IF apart THEN COMMIT; END IF;
				CALL t.compare(what, l, p, figures, want, apart);
			END LOOP;
		END LOOP;

		-- resolve: as a pull by the same rule does, entity by entity.
		FOREACH rule IN ARRAY '{local,public,both,newest public,newest local,merged}'::text[] LOOP
			CONTINUE WHEN rule = 'newest local' AND NOT apart;
			what := format('%s: resolve, %s', c.cell, rule);
			l := what; p := 'far ' || what;
			CALL t.set_up(l, p, c, storage_type, apart, CASE rule WHEN 'newest local' THEN 'local' ELSE 'public' END);
			IF c.conflict IS NULL THEN
				INSERT INTO t.outcome (test, have, want) VALUES (what || ' without a conflict',
					to_jsonb(t.error(format('SELECT diagsync.resolve(%L, ''e'', %L, %L)', l, split_part(rule, ' ', 1),
						CASE rule WHEN 'merged' THEN '{"m": 1}' END))),
					to_jsonb(format('55000 entity "e" of diagram "%s" has no conflict', l)));
				IF apart THEN COMMIT; END IF;
				CONTINUE;
			END IF;
			want := t.expect(c, 'pull', CASE rule WHEN 'merged' THEN 'local' ELSE replace(rule, 'newest ', '') END);
			changed := diagsync.resolve(l, 'e', split_part(rule, ' ', 1), CASE rule WHEN 'merged' THEN '{"m": 1}'::jsonb END);
			IF apart THEN COMMIT; END IF;
			IF rule = 'merged' THEN want.local := '{"m": 1}'; END IF;
			want.figures := format('%s>%s', CASE WHEN want.status LIKE 'in_sync%' THEN NULL
				WHEN want.copy_local IS NOT NULL OR want.public IS NULL THEN 'insert'
				WHEN want.local IS NULL THEN 'delete' ELSE 'update' END, NULL);
			figures := format('%s>%s', changed.local_change, changed.public_change);
			CALL t.compare(what, l, p, figures, want, apart);
		END LOOP;
	END LOOP;
END $$;

-- All cells in one diagram, each entity named after its cell: figures add up,
-- and one conflict keeps an aborting call from writing anything at all.
CREATE PROCEDURE t.run_all_at_once(storage_type text, apart boolean) LANGUAGE plpgsql AS $$
DECLARE
	c t.cell;
	direction text;
	rule text;
	step jsonb;
	l text;
	p text;
	have jsonb;
	result diagsync.sync_result;
BEGIN
	FOREACH direction IN ARRAY '{pull,push}'::text[] LOOP
		FOREACH rule IN ARRAY '{abort,skip,local,public,both,newest}'::text[] LOOP
			l := format('all: %s, %s', direction, rule); p := 'far ' || l;
			PERFORM t.pair(l, p, (SELECT jsonb_object_agg(cell, base) FROM t.cell WHERE base IS NOT NULL), storage_type);
			IF apart THEN COMMIT; END IF;
			FOR c IN SELECT * FROM t.cell ORDER BY n LOOP
				FOREACH step IN ARRAY c.local_steps LOOP PERFORM t.write(l, c.cell, step); END LOOP;
			END LOOP;
			IF apart THEN COMMIT; END IF;
			FOR c IN SELECT * FROM t.cell ORDER BY n LOOP
				FOREACH step IN ARRAY c.public_steps LOOP PERFORM t.write(p, c.cell, step); END LOOP;
			END LOOP;
			IF apart THEN COMMIT; END IF;

			INSERT INTO t.outcome (test, have, want) SELECT l || ': status', to_jsonb(t.status(l)),
				to_jsonb(format('conflict %s/%s/%s', count(local_change), count(public_change), count(conflict))) FROM t.cell;
			INSERT INTO t.outcome (test, have, want) SELECT l || ': changes are in order', to_jsonb(array_agg(entity_id)),
				(SELECT to_jsonb(array_agg(cell ORDER BY cell COLLATE "C")) FROM t.cell
					WHERE num_nonnulls(local_change, public_change) > 0) FROM diagsync.changes(l);
			INSERT INTO t.outcome (test, have, want) SELECT l || ': conflicts are in order', to_jsonb(array_agg(entity_id)),
				(SELECT to_jsonb(array_agg(cell ORDER BY cell COLLATE "C")) FROM t.cell WHERE conflict IS NOT NULL)
				FROM diagsync.conflicts(l);
			result := t.sync(direction, l, p, rule, false);
			have := jsonb_build_object('figures', t.show(result),
				'local', (SELECT jsonb_agg(doc ORDER BY doc) FROM diagsync_local.entity WHERE diagram_id = l),
				'public', (SELECT jsonb_agg(doc ORDER BY doc) FROM diagsync.entity WHERE diagram_id = p),
				'status', t.status(l));
			IF rule = 'abort' THEN
				INSERT INTO t.outcome (test, have, want) SELECT l, have, jsonb_build_object(
					'figures', 'no +0 ~0 -0 0/' || count(conflict),
					'local', jsonb_agg(t.last(base, local_steps) ORDER BY t.last(base, local_steps))
						FILTER (WHERE t.last(base, local_steps) IS NOT NULL),
					'public', jsonb_agg(t.last(base, public_steps) ORDER BY t.last(base, public_steps))
						FILTER (WHERE t.last(base, public_steps) IS NOT NULL),
					'status', format('conflict %s/%s/%s', count(local_change), count(public_change), count(conflict)))
				FROM t.cell;
			ELSE
				INSERT INTO t.outcome (test, have, want)
				WITH want AS (
					SELECT e.*, regexp_match(e.figures, '\+(\d+) ~(\d+) -(\d+) (\d+)/(\d+)')::int[] AS figure,
						regexp_match(e.status, '(\d+)/(\d+)/(\d+)')::int[] AS count
					  FROM t.cell AS case_of, t.expect(case_of, direction, CASE rule WHEN 'newest' THEN 'public' ELSE rule END) AS e)
				SELECT l, have, jsonb_build_object(
					'figures', (SELECT format('%s +%s ~%s -%s %s/%s', CASE WHEN sum(figure[5]) > 0 THEN 'no' ELSE 'yes' END,
						sum(figure[1]), sum(figure[2]), sum(figure[3]), sum(figure[4]), sum(figure[5])) FROM want),
					'local', (SELECT jsonb_agg(doc ORDER BY doc) FROM want, unnest(ARRAY[local, copy_local]) AS doc WHERE doc IS NOT NULL),
					'public', (SELECT jsonb_agg(doc ORDER BY doc) FROM want, unnest(ARRAY[public, copy_public]) AS doc WHERE doc IS NOT NULL),
					'status', (SELECT format('%s %s/%s/%s', CASE WHEN sum(count[3]) > 0 THEN 'conflict'
						WHEN sum(count[1]) + sum(count[2]) > 0 THEN 'pending' ELSE 'in_sync' END,
						sum(count[1]), sum(count[2]), sum(count[3])) FROM want));
			END IF;
			IF apart THEN COMMIT; END IF;
		END LOOP;
	END LOOP;
END $$;
