-- Attempts that need a login of one's own: settings before the library is loaded,
-- in the connection string or kept for a role; other identities of a session.
-- Everything is committed, so the roles are dropped at the end.
SET client_min_messages = warning;
CREATE TABLE public.answer (n int GENERATED ALWAYS AS IDENTITY, what text, have text, want text);
CREATE ROLE regress_login_ann LOGIN;
CREATE ROLE regress_login_eve LOGIN;
CREATE ROLE regress_login_web NOLOGIN;
CREATE ROLE regress_login_auth LOGIN NOINHERIT;
CREATE ROLE regress_login_auth2 LOGIN NOINHERIT;
GRANT regress_login_web TO regress_login_auth, regress_login_auth2, regress_login_eve;
SELECT diagsync.grant_usage(r) FROM unnest('{regress_login_ann,regress_login_eve,regress_login_web}'::text[]) AS r;
GRANT INSERT ON public.answer TO PUBLIC;
SELECT diagsync.create_diagram('Olga''s', 'private', 'P');
SELECT diagsync.set_owner('P', 'sub:olga');
SELECT format('ALTER DATABASE %I SET diagsync.trusted_authenticators = ''regress_login_auth''', current_database())
\gexec
SELECT format('ALTER DATABASE %I SET diagsync.max_entities = 3', current_database())
\gexec
SELECT current_user AS super, current_database() AS db \gset

-- What a session is: its principal and what it sees of P.
\set look 'INSERT INTO public.answer (what, have, want) SELECT :''what'', diagsync.principal() || '' '' || (SELECT count(*) FROM diagsync.directory WHERE id = ''P''), :''want'';'
-- ... and that it is refused: claims of a login that is not trusted are an error.
\set refused 'INSERT INTO public.answer (what, have, want) VALUES (:''what'', :''LAST_ERROR_SQLSTATE'' || '' '' || :''LAST_ERROR_MESSAGE'', ''42501 the claims of a JWT are not believed in this session'');'
\set ON_ERROR_STOP off

-- A trusted login, and others.
\c - regress_login_auth
SET request.jwt.claims = '{"sub": "olga"}';
SET ROLE regress_login_web;
\set what 'a trusted login''s claim counts'
\set want 'sub:olga 1'
:look
SET SESSION AUTHORIZATION DEFAULT;
SET ROLE regress_login_web;
\set what '... after SET SESSION AUTHORIZATION DEFAULT, too'
:look
\c - regress_login_auth2
SET request.jwt.claims = '{"sub": "olga"}';
SET ROLE regress_login_web;
\set what 'another login''s is refused, though its role is the same'
\set want 'not to be answered'
:look
:refused
SET SESSION AUTHORIZATION regress_login_auth;
\set what 'SET SESSION AUTHORIZATION to the trusted login'
INSERT INTO public.answer (what, have, want) VALUES (:'what', :'LAST_ERROR_SQLSTATE', '42501');
SET ROLE regress_login_auth;
\set what 'SET ROLE to the trusted login'
INSERT INTO public.answer (what, have, want) VALUES (:'what', :'LAST_ERROR_SQLSTATE', '42501');
\set what '... and is who they were'
:look
:refused

-- Settings of the session, before the library is loaded and after.
\c - regress_login_eve
SET diagsync.trusted_authenticators = 'regress_login_eve';
SET diagsync.sync_rate_limit = 0;
SET request.jwt.claims = '{"sub": "olga"}';
\set what 'trusted_authenticators set before the library is loaded'
:look
:refused
INSERT INTO public.answer (what, have, want) VALUES ('... is not what it was set to', current_setting('diagsync.trusted_authenticators'), 'regress_login_auth');
INSERT INTO public.answer (what, have, want) VALUES ('... nor is the rate limit', current_setting('diagsync.sync_rate_limit'), '120');
SET diagsync.trusted_authenticators = 'regress_login_eve';
INSERT INTO public.answer (what, have, want) VALUES ('set after it is loaded', :'LAST_ERROR_SQLSTATE', '42501');
RESET diagsync.trusted_authenticators;
SELECT set_config('diagsync.trusted_authenticators', 'regress_login_eve', false);
INSERT INTO public.answer (what, have, want) VALUES ('set by set_config', :'LAST_ERROR_SQLSTATE', '42501');
\set what 'after all of that'
:look
:refused
SET diagsync.nonsense = 1;
INSERT INTO public.answer (what, have, want) VALUES ('a setting that there is not', :'LAST_ERROR_SQLSTATE', '42602');
\set what 'in a transaction'
BEGIN;
SET LOCAL diagsync.trusted_authenticators = 'regress_login_eve';
ROLLBACK;
:look
:refused
-- By the connection string.
\c "dbname=":db" user=regress_login_eve options='-c diagsync.trusted_authenticators=regress_login_eve -c diagsync.max_entities=0'"
SET request.jwt.claims = '{"sub": "olga"}';
\set what 'trusted_authenticators by the connection string'
:look
:refused
INSERT INTO public.answer (what, have, want) VALUES ('... is not what it was set to', (current_setting('diagsync.trusted_authenticators') = 'regress_login_eve')::text, 'false');
INSERT INTO public.answer (what, have, want) VALUES ('a limit of the database, set by the connection string', current_setting('diagsync.max_entities'), '3');
\c "dbname=":db" user=regress_login_eve options=''"
-- Kept for the role, before the library is loaded and after.
\c - regress_login_eve
ALTER ROLE regress_login_eve SET diagsync.trusted_authenticators = 'regress_login_eve';
INSERT INTO public.answer (what, have, want) VALUES ('kept for the role before the library is loaded', :'LAST_ERROR_SQLSTATE', '42501');
SELECT count(*) FROM diagsync.directory \g /dev/null
ALTER ROLE regress_login_eve SET diagsync.trusted_authenticators = 'regress_login_eve';
INSERT INTO public.answer (what, have, want) VALUES ('... and after', :'LAST_ERROR_SQLSTATE', '42501');
ALTER ROLE regress_login_eve SET diagsync.trusted_authenticators FROM CURRENT;
ALTER ROLE regress_login_eve RESET diagsync.trusted_authenticators;
CREATE TEMPORARY TABLE x AS SELECT 1;
CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql SET diagsync.trusted_authenticators = 'regress_login_eve' AS 'SELECT diagsync.principal()';
INSERT INTO public.answer (what, have, want) VALUES ('by a function', :'LAST_ERROR_SQLSTATE', '42501');
\c - regress_login_eve
CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql SET diagsync.trusted_authenticators = 'regress_login_eve' AS 'SELECT diagsync.principal()';
SET request.jwt.claims = '{"sub": "olga"}';
SELECT coalesce(pg_temp.f(), '') AS got \gset
\if :{?got}
\else
\set got 'role:regress_login_eve'
\endif
INSERT INTO public.answer (what, have, want) VALUES ('by a function made before the library is loaded', :'got', 'role:regress_login_eve');
\unset got
\c - regress_login_eve
SET request.jwt.claims = '{"sub": "olga"}';
\set what 'in a session after all of that'
:look
:refused
SET request.jwt.claims = '';
\set what 'an empty setting is no claim'
\set want 'role:regress_login_eve 0'
:look
RESET request.jwt.claims;
\set what '... nor is one that was reset'
:look
-- The same by an administrator counts, for the role alone.
\c - :super
ALTER ROLE regress_login_auth2 SET diagsync.trusted_authenticators = '"regress_login_auth2"';
\c - regress_login_auth2
SET request.jwt.claims = '{"sub": "olga"}';
SET ROLE regress_login_web;
\set what 'trusted_authenticators kept for a role by a superuser'
\set want 'sub:olga 1'
:look
-- A setting that is granted.
\c - :super
GRANT SET ON PARAMETER diagsync.sync_rate_limit TO regress_login_eve;
\c - regress_login_eve
SELECT diagsync.principal() \g /dev/null
SET diagsync.sync_rate_limit = 7;
INSERT INTO public.answer (what, have, want) VALUES ('a setting that a superuser lets them set', current_setting('diagsync.sync_rate_limit'), '7');
\c - :super
REVOKE SET ON PARAMETER diagsync.sync_rate_limit FROM regress_login_eve;

-- The end of a request: what PostgREST sets ends with its transaction.
\c - regress_login_auth
BEGIN;
SET LOCAL ROLE regress_login_web;
SELECT set_config('request.jwt.claims', '{"sub": "olga"}', true) \g /dev/null
SELECT diagsync.principal() AS first \gset
COMMIT;
BEGIN;
SET LOCAL ROLE regress_login_web;
SELECT diagsync.principal() AS second \gset
INSERT INTO public.answer (what, have, want) VALUES ('the next request of a pooled connection is not the last one''s', :'first' || ' ' || :'second', 'sub:olga role:regress_login_web');
COMMIT;

\c - :super
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SELECT plan(count(*)::int + 1) FROM public.answer;
SELECT is(have, want, what) FROM public.answer WHERE what !~ 'limit of the database' ORDER BY n;
-- PostgreSQL forgets the database's value of a setting that it does not know yet
-- where the connection string has one, too; preloaded, it knows it.
SELECT * FROM todo('only with shared_preload_libraries', 1);
SELECT is(have, want, what) FROM public.answer WHERE what ~ 'limit of the database';
SELECT is(count(*), 27::bigint, 'nothing was left out') FROM public.answer;
SELECT * FROM finish();

SELECT diagsync.revoke_usage(r) FROM unnest('{regress_login_ann,regress_login_eve,regress_login_web}'::text[]) AS r;
REVOKE INSERT ON public.answer FROM PUBLIC;
DROP ROLE regress_login_ann, regress_login_eve, regress_login_web, regress_login_auth, regress_login_auth2;
