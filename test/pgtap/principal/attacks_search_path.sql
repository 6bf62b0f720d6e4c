-- Functions, operators, types, tables and temporary tables of the same names that
-- come first in a caller's search path: access control never looks at them, least
-- of all where it runs as the tables' owner or a superuser calls it.
BEGIN;
\ir ../../common/pgtap/helpers.sql
\ir ../../common/pgtap/users.sql
SELECT no_plan();

SELECT t.as('ann', $$ SELECT diagsync.put('L', '[{"id": "a", "v": 2}, {"id": "n"}]') $$), t.as('ben', $$ SELECT diagsync.put('P', '[{"id": "a", "v": 3}]') $$), t.as('ann', $$ SELECT diagsync.remove('P', '{b}') $$);
CREATE TABLE t.token AS SELECT t.as('ann', $$ SELECT diagsync.create_token('P', 'writer') $$) AS token;

-- ---- Traps -------------------------------------------------------------------------------------

CREATE SCHEMA hostile AUTHORIZATION regress_eve;
GRANT USAGE ON SCHEMA hostile TO PUBLIC;
-- What is stepped on tells as whom.
SET LOCAL check_function_bodies = off;
SELECT format('CREATE FUNCTION hostile.trap(%1$s, %2$s) RETURNS boolean LANGUAGE plpgsql AS ''BEGIN RAISE ''''trapped as %%'''', current_user; END''', l, r)
  FROM (SELECT a, a FROM unnest('{integer,bigint,smallint,text,jsonb,json,name,oid,bytea,boolean,timestamptz,interval,tid,xid,xid8,pg_snapshot,text[],double precision,"char",regclass,regrole}'::text[]) AS a
	UNION VALUES ('text', 'name'), ('name', 'text'), ('timestamptz', 'interval'), ('integer', 'bigint'), ('bigint', 'integer'), ('text', 'integer'), ('jsonb', 'text'), ('jsonb', 'integer'), ('json', 'text'), ('integer', 'interval'), ('interval', 'integer'), ('interval', 'double precision')) AS types (l, r)
\gexec
SELECT format('CREATE OPERATOR hostile.%3$s (LEFTARG = %1$s, RIGHTARG = %2$s, FUNCTION = hostile.trap)', l, r, o)
  FROM (SELECT a, a FROM unnest('{integer,bigint,smallint,text,jsonb,json,name,oid,bytea,boolean,timestamptz,interval,tid,xid,xid8,pg_snapshot,text[],double precision,"char",regclass,regrole}'::text[]) AS a
	UNION VALUES ('text', 'name'), ('name', 'text'), ('timestamptz', 'interval'), ('integer', 'bigint'), ('bigint', 'integer'), ('text', 'integer'), ('jsonb', 'text'), ('jsonb', 'integer'), ('json', 'text'), ('integer', 'interval'), ('interval', 'integer'), ('interval', 'double precision')) AS types (l, r),
	unnest('{=,<>,<,>,<=,>=,||,+,-,*,/,~,!~,->,->>,?,@>,~~}'::text[]) AS o
\gexec
SELECT format('CREATE FUNCTION hostile.%s RETURNS %s LANGUAGE plpgsql AS ''BEGIN RAISE ''''trapped as %%'''', current_user; END''', f, r)
  FROM (VALUES ('principal()', 'text'), ('revision()', 'bigint'), ('access(text)', 'text'), ('may_see(text, text, text)', 'boolean'), ('may_read(text)', 'boolean'), ('may_write(text)', 'boolean'), ('may_administer(text)', 'boolean'),
	('check_may_write(text, text)', 'boolean'), ('put(text, jsonb)', 'integer'), ('now()', 'timestamptz'), ('clock_timestamp()', 'timestamptz'), ('statement_timestamp()', 'timestamptz'), ('transaction_timestamp()', 'timestamptz'),
	('sha256(bytea)', 'bytea'), ('gen_random_uuid()', 'uuid'), ('encode(bytea, text)', 'text'), ('decode(text, text)', 'bytea'), ('convert_to(text, name)', 'bytea'), ('length(text)', 'integer'), ('length(bytea)', 'integer'), ('octet_length(text)', 'integer'),
	('lower(text)', 'text'), ('upper(text)', 'text'), ('left(text, integer)', 'text'), ('split_part(text, text, integer)', 'text'), ('format(text, VARIADIC text[])', 'text'), ('quote_ident(text)', 'text'), ('quote_literal(text)', 'text'),
	('jsonb_typeof(jsonb)', 'text'), ('jsonb_build_object(VARIADIC text[])', 'jsonb'), ('jsonb_array_elements(jsonb)', 'SETOF jsonb'), ('jsonb_array_length(jsonb)', 'integer'), ('unnest(anyarray)', 'SETOF anyelement'), ('array_length(anyarray, integer)', 'integer'), ('cardinality(anyarray)', 'integer'),
	('current_setting(text)', 'text'), ('current_setting(text, boolean)', 'text'), ('set_config(text, text, boolean)', 'text'), ('pg_has_role(text, text)', 'boolean'), ('has_table_privilege(text, text)', 'boolean'), ('pg_current_xact_id()', 'xid8'), ('pg_current_snapshot()', 'pg_snapshot'),
	('pg_column_size(anyelement)', 'integer'), ('isfinite(timestamptz)', 'boolean'), ('date_trunc(text, timestamptz)', 'timestamptz'), ('generate_series(integer, integer)', 'SETOF integer'), ('make_interval(integer)', 'interval'), ('pg_try_advisory_xact_lock(bigint)', 'boolean'),
	('pg_advisory_xact_lock(bigint)', 'void'), ('hashtext(text)', 'integer'), ('hashtextextended(text, bigint)', 'bigint'), ('bool(text)', 'boolean'), ('text(name)', 'text'), ('int8(integer)', 'bigint')) AS f (f, r)
\gexec
SELECT format('CREATE AGGREGATE hostile.%s (SFUNC = %s, STYPE = %s%s)', a, f, s, CASE WHEN a LIKE 'count%%' THEN ', INITCOND = 1000000' END)
  FROM (VALUES ('count(*)', 'pg_catalog.int8dec', 'bigint'), ('count("any")', 'pg_catalog.int8dec_any', 'bigint'), ('max(bigint)', 'pg_catalog.int8smaller', 'bigint'), ('max(timestamptz)', 'pg_catalog.timestamptz_smaller', 'timestamptz'), ('min(timestamptz)', 'pg_catalog.timestamptz_larger', 'timestamptz'),
	('sum(bigint)', 'pg_catalog.int8smaller', 'bigint'), ('bool_or(boolean)', 'pg_catalog.booland_statefunc', 'boolean')) AS a (a, f, s)
\gexec
-- Empty tables of every name, also temporary ones, which come before all.
SELECT format('CREATE TABLE hostile.%1$I (LIKE %2$s.%1$I INCLUDING DEFAULTS); CREATE TEMPORARY TABLE %1$I (LIKE %2$s.%1$I INCLUDING DEFAULTS); GRANT ALL ON hostile.%1$I, pg_temp.%1$I TO PUBLIC', r, s)
  FROM (VALUES ('directory', 'diagsync'), ('entity', 'diagsync_private'), ('base', 'diagsync_local'), ('tombstone', 'diagsync_private'), ('member', 'diagsync'), ('access_token', 'diagsync'), ('sync_log', 'diagsync')) AS r (r, s)
\gexec
CREATE TEMPORARY VIEW pg_roles AS SELECT 1 / 0 AS oid, (1 / 0)::text::name AS rolname, true AS rolsuper;
CREATE TEMPORARY VIEW pg_authid AS SELECT 1 / 0 AS oid, (1 / 0)::text::name AS rolname, true AS rolsuper, true AS rolbypassrls;
CREATE TEMPORARY VIEW pg_class AS SELECT 1 / 0 AS oid, (1 / 0)::text::name AS relname, 0 AS relnamespace, 0 AS relowner;
CREATE TEMPORARY VIEW pg_namespace AS SELECT 1 / 0 AS oid, (1 / 0)::text::name AS nspname;
CREATE TEMPORARY VIEW pg_proc AS SELECT 1 / 0 AS oid, (1 / 0)::text::name AS proname;
CREATE TEMPORARY VIEW pg_depend AS SELECT 1 / 0 AS objid;
CREATE TEMPORARY VIEW pg_extension AS SELECT 1 / 0 AS oid;
CREATE TEMPORARY VIEW pg_db_role_setting AS SELECT 1 / 0 AS oid;
GRANT SELECT ON pg_temp.pg_roles, pg_temp.pg_authid, pg_temp.pg_class, pg_temp.pg_namespace, pg_temp.pg_proc TO PUBLIC;
-- Types of the same names, of another kind; schemas are found by name alone.
SELECT format('CREATE DOMAIN hostile.%I AS integer CHECK (false)', d) FROM unnest('{text,jsonb,json,int8,int4,bool,name,timestamptz,interval,bytea,oid,regclass,regrole,uuid,pg_snapshot,xid8}'::text[]) AS d
\gexec

-- The same from diagsync's own results: a user's search path, then a command's answer.
CREATE FUNCTION t.hostile(username text, command text, token text DEFAULT '', login text DEFAULT NULL, claims text DEFAULT '') RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	result text;
BEGIN
	BEGIN
		PERFORM set_config('diagsync.token', token, true), set_config('request.jwt.claims', claims, true);
		IF username IS NOT NULL THEN
			PERFORM set_config('session_authorization', 'regress_' || coalesce(login, username), true);
			PERFORM set_config('role', 'regress_' || username, true);
		END IF;
		PERFORM set_config('search_path', 'pg_temp, hostile, pg_catalog', true);
		IF command OPERATOR(pg_catalog.~) '^(SET|CREATE|DROP)' THEN
			EXECUTE command;
		ELSE
			EXECUTE command INTO result;
		END IF;
		PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
		SET LOCAL SESSION AUTHORIZATION DEFAULT;
		PERFORM set_config('diagsync.token', '', true), set_config('request.jwt.claims', '', true);
		RETURN result;
	EXCEPTION WHEN OTHERS THEN
		RETURN sqlstate || ' ' || sqlerrm;
	END;
END $$;

SELECT is(t.hostile('ann', 'SELECT 1 = 1'), 'P0001 trapped as regress_ann', 'the trap of operators works');
SELECT is(t.hostile('ann', 'SELECT may_read(''P'')'), 'P0001 trapped as regress_ann', 'the trap of functions works');
SELECT is(t.hostile('ann', 'SELECT now()'), 'P0001 trapped as regress_ann', '... also of those of pg_catalog');
SELECT is(t.hostile('ann', 'SELECT principal FROM member'), NULL, 'the trap of tables works');
SELECT is(t.hostile(NULL, 'SELECT rolname FROM pg_authid'), '22012 division by zero', '... also of those of pg_catalog');
SELECT is(t.hostile('ann', 'SELECT ''a''::text'), '22P02 invalid input syntax for type integer: "a"', 'the trap of types works');

-- ---- What everybody does ---------------------------------------------------------------------------

CREATE TABLE t.does (n int GENERATED ALWAYS AS IDENTITY, u text, command text, answer text, token boolean NOT NULL DEFAULT false, sub text);
INSERT INTO t.does (u, command, answer) VALUES
	('ann', 'SELECT diagsync.principal()', 'role:regress_ann'),
	('ann', 'SELECT diagsync.access(''P'')', 'owner'), ('ada', 'SELECT diagsync.access(''P'')', 'admin'), ('eve', 'SELECT diagsync.access(''P'')', NULL), ('ano', 'SELECT diagsync.access(''U'')', 'writer'),
	('ann', 'SELECT pg_catalog.count(*) FROM diagsync_private.entity', '1'), ('ray', 'SELECT pg_catalog.count(*) FROM diagsync_private.entity', '1'), ('eve', 'SELECT pg_catalog.count(*) FROM diagsync_private.entity', '0'),
	('ann', 'SELECT pg_catalog.count(*) FROM diagsync_local.entity', '3'), ('eve', 'SELECT pg_catalog.count(*) FROM diagsync_local.entity', '0'), ('eve', 'SELECT pg_catalog.count(*) FROM diagsync.directory', '2'),
	('ray', 'SELECT pg_catalog.count(*) FROM diagsync_private.tombstone', '1'), ('eve', 'SELECT pg_catalog.count(*) FROM diagsync_private.tombstone', '0'), ('eve', 'SELECT pg_catalog.count(*) FROM diagsync_local.base', '0'),
	('ray', 'SELECT pg_catalog.count(*) FROM diagsync.member', '1'), ('ada', 'SELECT pg_catalog.count(*) FROM diagsync.member', '3'), ('ada', 'SELECT pg_catalog.count(id) FROM diagsync.access_token', '1'), ('eve', 'SELECT pg_catalog.count(*) FROM diagsync.sync_log', '0'),
	('eve', 'SELECT pg_catalog.count(*) FROM diagsync_api.diagrams', '2'), ('eve', 'SELECT pg_catalog.count(*) FROM diagsync_api.entities', '2'),
	('ben', 'INSERT INTO diagsync_private.entity (diagram_id, id, doc) VALUES (''P'', ''x'', ''{}'') RETURNING modified_by', 'role:regress_ben'),
	('eve', 'INSERT INTO diagsync_private.entity (diagram_id, id, doc) VALUES (''P'', ''y'', ''{}'')', '42704 diagram "P" does not exist'),
	('ben', 'UPDATE diagsync_private.entity SET doc = ''{"v": 5}'' RETURNING modified_by', 'role:regress_ben'), ('eve', 'UPDATE diagsync_private.entity SET doc = ''{"v": 6}'' RETURNING modified_by', NULL), ('ray', 'DELETE FROM diagsync_private.entity RETURNING id', NULL),
	('ann', 'UPDATE diagsync.directory SET description = ''x'' RETURNING owner', 'role:regress_ann'), ('ben', 'UPDATE diagsync.directory SET description = ''y'' RETURNING owner', NULL),
	('ben', 'SELECT diagsync.put(''P'', ''[{"id": "z"}]'')', '1'), ('ben', 'SELECT diagsync.remove(''P'', ''{z}'')', '1'), ('ray', 'SELECT diagsync.put(''P'', ''[{"id": "z"}]'')', '42501 permission denied for diagram "P"'), ('eve', 'SELECT diagsync.put(''P'', ''[{"id": "z"}]'')', '42704 diagram "P" does not exist'),
	('ann', 'SELECT diagsync.add_member(''P'', ''role:regress_eve'', ''reader'')', ''), ('eve', 'SELECT diagsync.access(''P'')', 'reader'), ('eve', 'SELECT diagsync.clone(''P'', ''C'')', 'C'), ('eve', 'SELECT (diagsync.pull(''C'')).success', 'true'), ('eve', 'SELECT (diagsync.push(''C'')).success', '42501 permission denied for diagram "P"'),
	('eve', 'SELECT diagsync.remove_member(''P'', ''role:regress_eve'')', ''), ('eve', 'SELECT (diagsync.status(''C'')).state', 'unlinked'), ('eve', 'SELECT state FROM diagsync.status_all()', 'unlinked'), ('eve', 'SELECT diagsync.add_member(''P'', ''role:regress_eve'', ''admin'')', '42704 diagram "P" does not exist'),
	('ada', 'SELECT diagsync.add_member(''P'', ''role:regress_eve'', ''nonsense'')', '22023%'),
	('ann', 'SELECT (diagsync.status(''L'')).state', 'conflict'), ('ann', 'SELECT (diagsync.push(''L'', on_conflict => ''newest'')).success', 'true'), ('ann', 'SELECT (diagsync.pull(''L'')).success', 'true'), ('ann', 'SELECT (diagsync.refresh(''L'')).state', 'in_sync'),
	('ann', 'SELECT diagsync.create_diagram(''N'', ''private'', ''N'')', 'N'), ('ann', 'SELECT diagsync.set_storage_type(''N'', ''public'')', ''), ('ann', 'SELECT diagsync.set_merge_policy(''N'', ''{"granularity": "property"}'')', '{"granularity": "property"}'),
	('ann', 'SELECT diagsync.create_token(''N'', ''writer'', ''1 day'', ''label'')', '%.%'), ('ann', 'SELECT diagsync.revoke_token(id) FROM diagsync.access_token WHERE label OPERATOR(pg_catalog.=) ''label''', ''), ('ann', 'SELECT diagsync.set_owner(''N'', ''role:regress_eve'')', ''),
	('eve', 'SELECT diagsync.drop_diagram(''N'')', ''), ('ann', 'SELECT diagsync.unlink(''L'')', ''), ('ann', 'SELECT diagsync.link(''L'', ''P'')', ''), ('ann', 'SELECT diagsync.share(''N'')', '42704 diagram "N" does not exist'),
	('eve', 'SELECT diagsync.grant_usage(''regress_eve'')', '42501%');
INSERT INTO t.does (u, command, answer, token) VALUES
	('eve', 'SELECT diagsync.access(''P'')', 'writer', true), ('eve', 'SELECT diagsync.put(''P'', ''[{"id": "by token"}]'')', '1', true), ('ano', 'SELECT diagsync.remove(''P'', ''{"by token"}'')', '1', true), ('ano', 'SELECT pg_catalog.count(*) FROM diagsync.directory', '2', true);
INSERT INTO t.does (u, command, answer, sub) VALUES
	('web', 'SELECT diagsync.principal()', 'sub:olga', 'olga'), ('web', 'SELECT diagsync.access(''P'')', NULL, 'olga'), ('web', 'SELECT diagsync.create_diagram(''N'', ''local'', ''O'')', 'O', 'olga'), ('web', 'SELECT diagsync.access(''O'')', 'owner', 'olga'), ('web', 'SELECT diagsync.access(''O'')', NULL, 'other');
-- Limits that are counted by what is in tables.
INSERT INTO t.does (u, command, answer) VALUES
	(NULL, 'SET LOCAL diagsync.sync_rate_limit = 1000', NULL), (NULL, 'SET LOCAL diagsync.max_entities = 100', NULL), (NULL, 'SET LOCAL diagsync.max_entity_size = 10', NULL),
	('ann', 'SELECT (diagsync.pull(''L'', on_conflict => ''public'')).success', 'true'), ('ann', 'SELECT diagsync.put(''L'', ''[{"id": "z"}]'')', '1'), ('ann', 'SELECT (diagsync.push(''L'')).success', 'true'), ('ann', 'INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES (''L'', ''zz'', ''{}'') RETURNING id', 'zz'),
	(NULL, 'SET LOCAL diagsync.sync_log_days = 0', NULL), (NULL, 'SELECT diagsync.prune()', '%'),
	-- The administrator's, who has fallen for it.
	(NULL, 'CREATE ROLE regress_new', NULL), (NULL, 'SELECT diagsync.grant_usage(''regress_new'')', ''), (NULL, 'SELECT diagsync.grant_usage(''regress_ano'', anonymous => true)', ''), (NULL, 'SELECT diagsync.revoke_usage(''regress_new'')', ''), (NULL, 'DROP ROLE regress_new', NULL),
	(NULL, 'SELECT diagsync.set_owner(''P'', ''role:regress_ben'')', ''), (NULL, 'SELECT diagsync.access(''L'')', 'owner'), (NULL, 'SELECT pg_catalog.count(*) FROM diagsync_private.entity', '%'), (NULL, 'SELECT diagsync.check_request()', ''), (NULL, 'SELECT diagsync.requested_diagram()', NULL);
CREATE TABLE t.did (n int, answer text);
DO $$
DECLARE
	d t.does;
BEGIN
	FOR d IN SELECT * FROM t.does ORDER BY n LOOP
		INSERT INTO t.did VALUES (d.n, t.hostile(d.u, d.command, CASE WHEN d.token THEN (SELECT token FROM t.token) ELSE '' END, CASE WHEN d.sub IS NOT NULL THEN 'auth' END, coalesce(json_build_object('sub', d.sub)::text, '')));
	END LOOP;
END $$;
SELECT CASE WHEN does.answer LIKE '%\%%' THEN alike(did.answer, does.answer, coalesce(u, 'superuser') || ': ' || command) ELSE is(did.answer, does.answer, coalesce(u, 'superuser') || ': ' || command) END
  FROM t.does JOIN t.did USING (n) ORDER BY n;
SELECT is((SELECT sum(n) FROM (SELECT count(*) AS n FROM hostile.directory UNION ALL SELECT count(*) FROM hostile.entity UNION ALL SELECT count(*) FROM hostile.member UNION ALL SELECT count(*) FROM hostile.access_token UNION ALL SELECT count(*) FROM hostile.sync_log
	UNION ALL SELECT count(*) FROM pg_temp.directory UNION ALL SELECT count(*) FROM pg_temp.entity UNION ALL SELECT count(*) FROM pg_temp.member UNION ALL SELECT count(*) FROM pg_temp.access_token UNION ALL SELECT count(*) FROM pg_temp.sync_log) AS x), 0::numeric, 'nothing was written to tables of the same names');
-- What is in tables of the same names makes nobody anything.
INSERT INTO hostile.directory (id, name, storage_type, owner) SELECT id, name, 'public', 'role:regress_eve' FROM diagsync.directory WHERE id IN ('P', 'L');
INSERT INTO hostile.member SELECT 'P', 'role:regress_eve', 'admin', now(), NULL;
INSERT INTO pg_temp.directory SELECT * FROM hostile.directory;
INSERT INTO pg_temp.member SELECT * FROM hostile.member;
SELECT is(t.hostile('eve', c), w, 'a forged member: ' || c)
  FROM (VALUES ('SELECT diagsync.access(''P'')', NULL), ('SELECT pg_catalog.count(*) FROM diagsync_private.entity', '0'), ('SELECT diagsync.put(''P'', ''[]'')', '42704 diagram "P" does not exist'), ('SELECT diagsync.drop_diagram(''L'')', '42704 diagram "L" does not exist')) AS v (c, w);

SELECT * FROM finish();
ROLLBACK;
