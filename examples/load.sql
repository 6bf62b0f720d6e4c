-- Loads examples/architecture.json, a diagram of diagsync itself, into the
-- local diagram 'architecture'. Run it from the root of the repository:
--
--     psql -X -f examples/load.sql
--
-- It may be run again: what is in the file is written once more over what
-- is in the diagram.

\set ON_ERROR_STOP on

SET client_min_messages TO warning;
CREATE EXTENSION IF NOT EXISTS diagsync;
RESET client_min_messages;

SELECT diagsync.create_diagram(
           name => 'Architecture of diagsync',
           storage_type => 'local',
           id => 'architecture',
           description => 'Clients, functions, one sync step by step, triggers and tables')
 WHERE NOT EXISTS (SELECT FROM diagsync.directory WHERE id = 'architecture');

-- The whole file becomes a psql variable; put() takes an array of objects.
\set doc `cat examples/architecture.json`

SELECT diagsync.put('architecture', jsonb_agg(e.value)) AS new_or_different
  FROM jsonb_each(:'doc'::jsonb -> 'entities') AS e;
