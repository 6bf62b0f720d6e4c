-- A tour: what psql shows of creating, sharing, cloning, editing, comparing,
-- pushing, pulling and resolving. Without times, revisions and digests.
\pset null '-'

-- A local diagram with three entities.
SELECT diagsync.create_diagram('Architecture', id => 'mine', description => 'boxes and arrows');
SELECT diagsync.put('mine', '[
	{"id": "api", "kind": "box", "x": 10, "y": 10},
	{"id": "db", "kind": "box", "x": 200, "y": 10},
	{"id": "api-db", "kind": "arrow", "from": "api", "to": "db"}]');
SELECT id, doc FROM diagsync_local.entity WHERE diagram_id = 'mine' ORDER BY id;
SELECT state, diverged, local_changes FROM diagsync.status('mine');

-- Shared, and cloned by a colleague.
SELECT diagsync.share('mine', 'ours');
SELECT diagsync.clone('ours', 'hers', 'Architecture (hers)');
SELECT id, name, description, storage_type, public_copy_id,
	last_pushed_at IS NOT NULL AS pushed, last_pulled_at IS NOT NULL AS pulled
  FROM diagsync.directory ORDER BY id;
SELECT storage_type, diagram_id, count(*) FROM diagsync.entity GROUP BY 1, 2 ORDER BY 1, 2;
SELECT local_id, public_id, state, diverged, local_changes, public_changes, conflicts FROM diagsync.status_all();

-- Edits with plain SQL.
UPDATE diagsync_local.entity SET doc = doc || '{"x": 20}' WHERE diagram_id = 'mine' AND id = 'api';
INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('mine', 'cache', '{"id": "cache", "kind": "box"}');
DELETE FROM diagsync_local.entity WHERE diagram_id = 'mine' AND id = 'api-db';
SELECT entity_id, side, local_change, public_change, conflict, paths, base, local, public FROM diagsync.changes('mine');
SELECT state, diverged, local_changes, public_changes, conflicts FROM diagsync.status('mine');

-- First look, then push.
SELECT success, documents_updated, inserted, updated, deleted, merged, resolved, conflicts, plan IS NOT NULL AS has_plan
  FROM diagsync.push('mine', dry_run => true);
SELECT success, documents_updated, inserted, updated, deleted, merged, resolved, conflicts, plan FROM diagsync.push('mine');
SELECT success, documents_updated FROM diagsync.push('mine');

-- Meanwhile the other copy was edited as well.
UPDATE diagsync_local.entity SET doc = doc || '{"x": 99}' WHERE diagram_id = 'hers' AND id = 'api';
UPDATE diagsync_local.entity SET doc = doc || '{"label": "Postgres"}' WHERE diagram_id = 'hers' AND id = 'db';
SELECT entity_id, side, local_change, public_change, conflict, paths FROM diagsync.changes('hers');
SELECT entity_id, conflict, base ->> 'x' AS base, local ->> 'x' AS local, public ->> 'x' AS public FROM diagsync.conflicts('hers');

-- A conflict is an answer. Nothing is written, or all the rest.
SELECT success, documents_updated, conflicts FROM diagsync.pull('hers');
SELECT success, documents_updated, conflicts FROM diagsync.pull('hers', on_conflict => 'skip');
SELECT entity_id, side, local_change, public_change, conflict FROM diagsync.changes('hers');

-- Resolved by hand, then pushed, and pulled into the other copy.
SELECT entity_id, side, local_change, public_change, conflict, local, public
  FROM diagsync.resolve('hers', 'api', 'merged', '{"id": "api", "kind": "box", "x": 50, "y": 10}');
SELECT success, documents_updated, conflicts FROM diagsync.push('hers');
SELECT success, documents_updated, conflicts FROM diagsync.pull('mine');
SELECT a.id, a.doc FROM diagsync_local.entity AS a
  JOIN diagsync_local.entity AS b ON b.diagram_id = 'hers' AND b.id = a.id AND b.doc = a.doc
  JOIN diagsync_public.entity AS c ON c.diagram_id = 'ours' AND c.id = a.id AND c.doc = a.doc
 WHERE a.diagram_id = 'mine' ORDER BY a.id;
SELECT local_id, state FROM diagsync.status_all();

-- Each rule, on a conflict of its own.
SELECT diagsync.put('mine', (SELECT jsonb_agg(jsonb_build_object('id', r, 'at', 'start')) FROM unnest('{keep-local,keep-public,keep-both}'::text[]) AS r));
SELECT success, inserted FROM diagsync.push('mine');
SELECT success, inserted FROM diagsync.pull('hers');
UPDATE diagsync_local.entity SET doc = doc || '{"at": "mine"}' WHERE diagram_id = 'mine' AND id LIKE 'keep-%';
UPDATE diagsync_local.entity SET doc = doc || '{"at": "hers"}' WHERE diagram_id = 'hers' AND id LIKE 'keep-%';
SELECT success, updated FROM diagsync.push('mine');
SELECT entity_id, conflict FROM diagsync.conflicts('hers');
SELECT entity_id, side, local_change, local ->> 'at' AS local, public ->> 'at' AS public FROM diagsync.resolve('hers', 'keep-local', 'local');
SELECT entity_id, side, local_change, local ->> 'at' AS local, public ->> 'at' AS public FROM diagsync.resolve('hers', 'keep-public', 'public');
SELECT entity_id <> 'keep-both' AS new_id, side, local_change, local ->> 'at' AS local, public, local ->> 'id' = entity_id AS renamed
  FROM diagsync.resolve('hers', 'keep-both', 'both');
SELECT success, inserted, updated, deleted FROM diagsync.push('hers');
SELECT regexp_replace(id, '^keep-both.+', 'keep-both and a new id') AS id, doc ->> 'at' AS at
  FROM diagsync_public.entity WHERE diagram_id = 'ours' AND id LIKE 'keep-%' ORDER BY id;

-- Private, unlinked, dropped.
SELECT diagsync.set_storage_type('ours', 'private');
SELECT state FROM diagsync.status('hers');
SELECT diagsync.unlink('mine');
SELECT local_id, public_id, state, diverged, local_changes, public_changes, conflicts FROM diagsync.status('mine');
SELECT diagsync.drop_diagram('ours');
SELECT state FROM diagsync.status('hers');
SELECT diagsync.drop_diagram('mine'), diagsync.drop_diagram('hers');
SELECT count(*) FROM diagsync.entity;
SELECT diagsync.prune();
