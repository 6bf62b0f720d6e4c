-- Takes away what setup.sql made: the roles, and their settings. Stop PostgREST
-- first, and run it as a superuser in the same database, with the same names:
--
--     psql -d mydatabase -f examples/rest/teardown.sql
--
-- The extension and all diagrams stay; DROP EXTENSION diagsync removes them,
-- before this or after.
-- Variables (psql -v name=value): authenticator, anonymous, web_user.

\set ON_ERROR_STOP on
\if :{?authenticator}
\else
	\set authenticator diagsync_authenticator
\endif
\if :{?anonymous}
\else
	\set anonymous diagsync_anonymous
\endif
\if :{?web_user}
\else
	\set web_user diagsync_user
\endif

BEGIN;
SET LOCAL client_min_messages = warning;

SELECT format('ALTER ROLE %I IN DATABASE %I RESET ALL', rolname, current_database())
  FROM pg_roles WHERE rolname = :'authenticator'
\gexec
\o /dev/null
SELECT format('SELECT diagsync.revoke_usage(%L)', rolname)
  FROM pg_roles
 WHERE rolname IN (:'anonymous', :'web_user') AND EXISTS (SELECT FROM pg_extension WHERE extname = 'diagsync')
\gexec
\o

COMMIT;

-- Roles belong to all databases: those that another one still needs stay, all
-- three of them, with a message that says where.
BEGIN;
SET LOCAL client_min_messages = warning;

SELECT format('DROP ROLE IF EXISTS %I', name)
  FROM unnest(ARRAY[:'anonymous', :'web_user', :'authenticator']) AS name
\gexec

COMMIT;
