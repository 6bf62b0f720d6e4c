-- Columns that an administrator adds to the tables of the extension: of every
-- kind, and dropped again. All that diagsync does comes out as before.
BEGIN;
\ir ../../common/pgtap/helpers.sql
SET LOCAL diagsync.sync_rate_limit = 0;
SELECT no_plan();

CREATE ROLE regress_column;
CREATE ROLE regress_column_member;
GRANT USAGE ON SCHEMA t TO regress_column, regress_column_member;
SELECT diagsync.grant_usage('regress_column'), diagsync.grant_usage('regress_column_member');

-- Everything once, edits of all kinds at both ends, as a role that was let in.
-- What comes of it, in lines.
CREATE FUNCTION t.day() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	token text;
BEGIN
	SET LOCAL ROLE regress_column;
	RETURN NEXT diagsync.create_diagram('One', id => 'l', description => 'first');
	RETURN NEXT diagsync.put('l', (SELECT jsonb_agg(jsonb_build_object('id', 'e' || n, 'v', n)) FROM generate_series(1, 150) AS n));
	RETURN NEXT diagsync.set_merge_policy('l', '{"granularity": "property"}');
	RETURN NEXT diagsync.share('l', 'p', 'private');
	RETURN NEXT diagsync.clone('p', 'm', 'Mine');
	PERFORM diagsync.add_member('p', 'role:regress_column_member', 'writer');
	token := diagsync.create_token('p', 'reader', label => 'wall');
	INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('l', 'new', '{"v": 1}'), ('m', 'new', '{"v": 2}'), ('m', 'mine', '{"v": 1}');
	INSERT INTO diagsync_local.entity (diagram_id, id, doc) SELECT 'l', 'bulk' || n, '{}' FROM generate_series(1, 120) AS n;
	INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('l', 'e1', '{"v": "again"}') ON CONFLICT (diagram_id, id) DO UPDATE SET doc = excluded.doc;
	UPDATE diagsync_local.entity SET doc = doc || '{"l": 1}' WHERE id IN ('e2', 'e3');
	UPDATE diagsync_private.entity SET doc = doc || '{"p": 1}' WHERE id IN ('e3', 'e4');
	DELETE FROM diagsync_local.entity WHERE diagram_id = 'l' AND id IN ('e5', 'e6');
	DELETE FROM diagsync_private.entity WHERE id IN ('e6', 'e7');
	INSERT INTO diagsync_private.entity (diagram_id, id, doc) VALUES ('p', 'far', '{"v": 1}');
	RETURN NEXT diagsync.remove('m', '{e8}');
	RETURN QUERY SELECT t.show(s) FROM diagsync.status_all() AS s;
	RETURN NEXT t.changes('l');
	RETURN NEXT t.show(diagsync.push('l', dry_run => true));
	RETURN NEXT t.show(diagsync.push('l'));
	RETURN NEXT t.show(diagsync.pull('l'));
	RETURN NEXT t.changes('m');
	RETURN NEXT diagsync.resolve('m', 'new', 'both') IS NOT NULL;
	RETURN NEXT t.show(diagsync.pull('m', on_conflict => 'both'));
	RETURN NEXT t.show(diagsync.push('m', on_conflict => 'newest'));
	RETURN NEXT t.show(diagsync.pull('l'));
	RETURN NEXT t.show(diagsync.refresh('l'));
	PERFORM diagsync.set_storage_type('p', 'public');
	UPDATE diagsync_public.entity SET doc = doc || '{"q": 1}' WHERE id = 'e9';
	DELETE FROM diagsync_public.entity WHERE id = 'e10';
	RETURN NEXT t.show(diagsync.pull('l'));
	UPDATE diagsync.directory SET name = 'Two', description = NULL WHERE id = 'l';
	PERFORM diagsync.set_storage_type('p', 'private');
	PERFORM diagsync.unlink('m'), diagsync.link('m', 'p');
	RETURN NEXT t.status('m');
	PERFORM diagsync.remove_member('p', 'role:regress_column_member'), diagsync.revoke_token(split_part(token, '.', 1));
	PERFORM diagsync.set_owner('m', 'role:regress_column_member');
	RESET ROLE;
	RETURN NEXT diagsync.prune() >= 0;
	RETURN NEXT (SELECT md5(string_agg(diagram_id || id || doc, ' ' ORDER BY diagram_id, id)) FROM diagsync.entity);
	RETURN NEXT (SELECT string_agg(id || name || coalesce(description, '-') || owner, ' ' ORDER BY id) FROM diagsync.directory);
	RETURN NEXT (SELECT count(*) FROM diagsync.sync_log);
	PERFORM diagsync.drop_diagram('p'), diagsync.drop_diagram('l'), diagsync.drop_diagram('m');
	RETURN NEXT (SELECT count(*) FROM diagsync.directory);
END $$;

CREATE TABLE t.expected (n int, line text);
SAVEPOINT day;
SELECT string_agg(quote_literal(line), ', ' ORDER BY n) AS expected FROM t.day() WITH ORDINALITY AS d (line, n) \gset
ROLLBACK TO day;
INSERT INTO t.expected SELECT n, line FROM unnest(ARRAY[:expected]) WITH ORDINALITY AS e (line, n);
SELECT cmp_ok((SELECT count(*) FROM t.expected), '>', 20::bigint, 'a day of work is looked at');

-- A day of work, with this done to every table before.
CREATE FUNCTION t.with_tables(change text, description text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	command text;
	differs text;
BEGIN
	BEGIN
		FOR command IN SELECT format(change, c.oid::regclass) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
			WHERE nspname LIKE 'diagsync%' AND relkind = 'r' LOOP
			EXECUTE command;
		END LOOP;
		SELECT string_agg(format('%s: %s, not %s', n, d.line, e.line), E'\n') INTO differs
		  FROM t.day() WITH ORDINALITY AS d (line, n) FULL JOIN t.expected AS e USING (n) WHERE d.line IS DISTINCT FROM e.line;
		RAISE EXCEPTION USING ERRCODE = 'ZZ000';	-- takes the columns back
	EXCEPTION WHEN SQLSTATE 'ZZ000' THEN
		NULL;
	WHEN OTHERS THEN
		differs := sqlstate || ' ' || sqlerrm;
	END;
	RETURN NEXT ok(differs IS NULL, description) || coalesce(E'\n' || diag(differs), '');
END $$;

SELECT t.with_tables('ALTER TABLE %s ADD COLUMN project text', 'a plain column');
SELECT t.with_tables($$ ALTER TABLE %s ADD COLUMN project text NOT NULL DEFAULT 'none' $$, 'one that is NOT NULL, with a default');
SELECT t.with_tables('ALTER TABLE %s ADD COLUMN touched timestamptz NOT NULL DEFAULT clock_timestamp(), ADD COLUMN n bigint GENERATED ALWAYS AS IDENTITY',
	'ones with a volatile default, and an identity');
SELECT t.with_tables('ALTER TABLE %s ADD COLUMN twice int GENERATED ALWAYS AS (2 * 2) STORED', 'a generated one');
SELECT t.with_tables('ALTER TABLE %1$s ADD COLUMN gone text, ADD COLUMN there int DEFAULT 7, ADD COLUMN also_gone int NOT NULL DEFAULT 3;
	ALTER TABLE %1$s DROP COLUMN gone, DROP COLUMN also_gone', 'dropped ones before and after another');
SELECT t.with_tables('ALTER TABLE %1$s ADD COLUMN gone text; ALTER TABLE %1$s DROP COLUMN gone', 'one that was dropped');
-- Named as what diagsync's own statements call things.
SELECT t.with_tables('ALTER TABLE %1$s ADD COLUMN e int, ADD COLUMN b int, ADD COLUMN o int, ADD COLUMN s int, ADD COLUMN c int, ADD COLUMN k int,
	ADD COLUMN own bigint, ADD COLUMN tid tid, ADD COLUMN old_rows int, ADD COLUMN new_rows int, ADD COLUMN excluded int, ADD COLUMN now int', 'names that could be mistaken');

-- An index of an application that new entries may violate says so.
ALTER TABLE diagsync.directory ADD CONSTRAINT app_name UNIQUE (name);
SELECT diagsync.create_diagram('Same', id => 'same');
SELECT matches(t.error($$ SELECT diagsync.create_diagram('Same', id => 'other') $$), '^23505 .*app_name', 'a unique constraint of an application on the directory is named');
SELECT alike(t.error($$ SELECT diagsync.create_diagram('Other', id => 'same') $$), '42710 %"same"%', 'an id that is taken is still that');

SELECT * FROM finish();
ROLLBACK;
