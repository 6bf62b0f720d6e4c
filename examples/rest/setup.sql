-- Roles and limits for diagsync over HTTP. Run it as a superuser in the database
-- that is to hold the diagrams:
--
--     psql -d mydatabase -f examples/rest/setup.sql
--
-- As another user of the machine, without a password in a command line (sudo
-- passes no environment, and shows arguments to everybody):
--
--     sudo -u postgres psql -d mydatabase -f examples/rest/setup.sql -v password_file=/etc/diagsync/password
--
-- Variables (psql -v name=value), with their defaults:
--     authenticator   diagsync_authenticator   the role that PostgREST logs in as
--     anonymous       diagsync_anonymous       the role of requests without a login
--     web_user        diagsync_user            the role of those with a JWT
--     password_file   a file with the authenticator's password and nothing else, that psql can read
--     password        without one $DIAGSYNC_PASSWORD, else the password stays as it is
--     sync_rate_limit 120                      sync calls a minute for each user
--
-- It may be run again, with other values too.

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
\if :{?sync_rate_limit}
\else
	\set sync_rate_limit 120
\endif
\if :{?password_file}
	\set password `cat :'password_file'`
\elif :{?password}
\else
	\getenv password DIAGSYNC_PASSWORD
\endif

BEGIN;
SET LOCAL client_min_messages = warning;

CREATE EXTENSION IF NOT EXISTS diagsync;

-- Of the three only the authenticator logs in, and it may do nothing itself.
SELECT format('CREATE ROLE %I', name)
  FROM unnest(ARRAY[:'authenticator', :'anonymous', :'web_user']) AS name
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec
ALTER ROLE :"authenticator" LOGIN NOINHERIT NOCREATEDB NOCREATEROLE NOSUPERUSER NOREPLICATION NOBYPASSRLS;
ALTER ROLE :"anonymous" NOLOGIN NOSUPERUSER NOBYPASSRLS;
ALTER ROLE :"web_user" NOLOGIN NOSUPERUSER NOBYPASSRLS;
GRANT :"anonymous", :"web_user" TO :"authenticator";

\if :{?password}
-- Neither the server's log nor the statistics need to see it.
SET LOCAL log_statement = 'none';
SET LOCAL log_min_duration_statement = -1;
ALTER ROLE :"authenticator" PASSWORD :'password';
\endif

SELECT diagsync.grant_usage(:'web_user');
SELECT diagsync.grant_usage(:'anonymous', anonymous => true);

-- What applies to PostgREST's sessions, and to no others: set for the role, which pg_dumpall carries (--globals-only, too), and for the role in
-- this database, which pg_dump --create carries. So it survives either way of restoring a cluster.
SELECT format('ALTER ROLE %I%s SET %s = %L', :'authenticator', place, name, value)
  FROM (VALUES (''), (format(' IN DATABASE %I', current_database()))) AS at(place), (VALUES
		-- What PostgREST tells of errors is worded for clients from the first request of a session.
		('session_preload_libraries', 'diagsync'),
		-- Claims of JWTs count in sessions of this login role alone.
		('diagsync.trusted_authenticators', quote_ident(:'authenticator')),
		('diagsync.sync_rate_limit', :'sync_rate_limit'),
		('diagsync.max_entity_size', '1MB'),
		('diagsync.max_entities', '100000'),
		('diagsync.max_put_entities', '10000'),
		('diagsync.max_diagram_size', '64MB'),
		('diagsync.max_owner_size', '1GB'),
		('diagsync.max_diagrams', '2000'),
		('diagsync.create_rate_limit', '120'),
		('statement_timeout', '60s'),
		('diagsync.anonymous_timeout', '5s'),
		('idle_in_transaction_session_timeout', '60s')) AS setting(name, value)
\gexec

COMMIT;

-- A PostgREST that runs already is to learn of what is new.
NOTIFY pgrst, 'reload schema';
