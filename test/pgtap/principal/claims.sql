-- The claim "sub" of a JWT is believed or refused, never ignored: in a session whose
-- login role is not trusted it is an error in every function, policy and default.
BEGIN;
\ir ../../common/pgtap/helpers.sql
SELECT no_plan();

CREATE ROLE regress_claims_web NOLOGIN;
SELECT diagsync.grant_usage('regress_claims_web');
SELECT t.pair('l', 'p', '{"a": {"v": 1}}'), diagsync.create_diagram('Private', 'private', 'q');
SELECT diagsync.set_owner('l', 'role:regress_claims_web');
-- Something in every table, since policies are asked for each row.
SELECT t.pair('l2', 'q2', '{"a": {"v": 1}, "b": {"v": 1}}', 'private'), diagsync.add_member('q2', 'role:regress_claims_web', 'reader'), diagsync.create_token('q2');
SELECT t.write('p', 'b', '{}'), t.write('p', 'b', NULL), t.write('q2', 'b', NULL), t.write('l', 'b', '{}');

-- A call of each function, with some value for each argument.
CREATE TABLE t.call AS
SELECT p.oid::regprocedure::text AS function, format('SELECT %I.%I(%s)', n.nspname, proname, (
		SELECT string_agg(CASE a.type::regtype::text WHEN 'text' THEN '''l''' WHEN 'text[]' THEN '''{a}''' WHEN 'jsonb' THEN '''{}''' WHEN 'json' THEN '''{}'''
			WHEN 'boolean' THEN 'false' ELSE format('NULL::%s', a.type::regtype) END, ', ' ORDER BY a.n)
		  FROM unnest(proargtypes) WITH ORDINALITY AS a (type, n))) AS command
  FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace
 WHERE nspname IN ('diagsync', 'diagsync_api') AND prokind = 'f' AND prorettype NOT IN ('trigger'::regtype, 'internal'::regtype, 'event_trigger'::regtype);
SELECT cmp_ok(count(*), '>', 40::bigint, 'all functions') FROM t.call;

CREATE FUNCTION t.with_claims(command text, who text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	error text;
BEGIN
	PERFORM set_config('request.jwt.claims', '{"sub": "ann", "role": "regress_claims_web"}', true), set_config('role', coalesce(who, 'none'), true);
	error := t.error(command);
	PERFORM set_config('request.jwt.claims', '', true), set_config('role', 'none', true);
	RETURN error;
END $$;
GRANT USAGE ON SCHEMA t TO regress_claims_web;
\set refused '''42501 the claims of a JWT are not believed in this session'''

SELECT is(t.with_claims(command), :refused, 'a superuser: ' || function) FROM t.call ORDER BY function COLLATE "C";
SELECT is(t.with_claims(command, 'regress_claims_web'), :refused, 'a user: ' || function) FROM t.call
 WHERE has_function_privilege('regress_claims_web', function, 'EXECUTE') ORDER BY function COLLATE "C";

-- Each table and view, whatever is in it.
SELECT is(t.with_claims(format('SELECT count(*) FROM %s', c.oid::regclass), 'regress_claims_web'), :refused, 'policies of ' || c.oid::regclass)
  FROM pg_class AS c WHERE relnamespace::regnamespace::text ~ '^diagsync' AND relkind IN ('r', 'v') AND has_table_privilege('regress_claims_web', oid, 'SELECT')
 ORDER BY c.oid::regclass::text COLLATE "C";

-- Defaults and triggers, of a superuser too.
SELECT is(t.with_claims(command), :refused, command)
  FROM unnest(ARRAY['INSERT INTO diagsync.directory (id, name, storage_type) VALUES (''x'', ''X'', ''local'')',
	'INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES (''l'', ''x'', ''{}'')',
	'INSERT INTO diagsync_local.entity VALUES (''l'', ''x'', ''{}'', 1, ''2020-01-01Z'', ''role:x'')',
	'UPDATE diagsync_public.entity SET doc = ''{}''', 'DELETE FROM diagsync_public.entity', 'TRUNCATE diagsync_local.base']) AS command;

-- What is no claim, and what a trusted session makes of it.
SELECT is(t.error('SELECT diagsync.status(''l'')'), NULL, 'without claims all is well');
SELECT is(set_config('request.jwt.claims', c, true) || ' ' || diagsync.principal(), c || ' role:' || current_user, 'no claim to be somebody: ' || c)
  FROM unnest(ARRAY['', '{}', '{"role": "regress_claims_web"}', '{"sub": null}']) AS c;
SELECT format('SET LOCAL diagsync.trusted_authenticators = %L', quote_ident(session_user)) \gexec
SELECT is(t.with_claims('SELECT diagsync.status_all()', 'regress_claims_web'), NULL, 'a trusted session');
SET LOCAL request.jwt.claims = '{"sub": "ann"}';
SELECT is(diagsync.principal(), 'sub:ann', '... is who its claims say');

SELECT * FROM finish();
ROLLBACK;
