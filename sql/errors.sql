-- Errors as psql shows them, with DETAIL and HINT.
\pset null '-'
\set VERBOSITY default
SELECT diagsync.create_diagram('Mine', id => 'mine');
SELECT diagsync.put('mine', '[{"id": "a", "v": 1}, {"id": "b", "v": 1}]');
SELECT diagsync.share('mine', 'ours');
SELECT diagsync.create_diagram('Other', id => 'other');
SELECT diagsync.create_diagram('Theirs', 'public', 'theirs');
INSERT INTO diagsync.directory (id, name) VALUES ('old', 'From before storage types');

-- Diagrams.
SELECT diagsync.status('nowhere');
SELECT diagsync.status(NULL);
SELECT diagsync.status('ours');
SELECT diagsync.push('other');
SELECT diagsync.pull('other');
SELECT diagsync.push('mine', 'theirs');
SELECT diagsync.push('mine', 'nowhere');
SELECT diagsync.push('old');
SELECT diagsync.share('mine');
SELECT diagsync.share('other', 'ours');
SELECT diagsync.share('theirs');
SELECT diagsync.clone('other');
SELECT diagsync.clone('ours', 'mine');
SELECT diagsync.link('mine', 'theirs');
SELECT diagsync.link('other', 'mine');
SELECT diagsync.unlink('other');
SELECT diagsync.create_diagram('Again', id => 'mine');
SELECT diagsync.create_diagram('Secret', 'secret');
SELECT diagsync.create_diagram('Empty', id => '');
SELECT diagsync.set_storage_type('mine', 'public');
SELECT diagsync.set_storage_type('ours', 'local');
SELECT diagsync.drop_diagram('nowhere');

-- Rules and resolutions.
SELECT diagsync.resolve('mine', 'a', 'local');
UPDATE diagsync_local.entity SET doc = '{"v": 2}' WHERE diagram_id = 'mine' AND id = 'a';
UPDATE diagsync_public.entity SET doc = '{"v": 3}' WHERE diagram_id = 'ours' AND id = 'a';
SELECT diagsync.resolve('mine', 'a', 'mine');
SELECT diagsync.resolve('mine', 'a', 'merged');
SELECT diagsync.resolve('mine', 'a', 'merged', '[]');
SELECT diagsync.resolve('mine', 'a', 'local', '{}');
SELECT diagsync.resolve_all('mine', 'merged');
SELECT diagsync.resolve_all('mine', 'local', kinds => '{edit}');
SELECT diagsync.resolve_all('mine', 'local', paths => '{position}');
SELECT diagsync.resolve_many('mine', '{"a": "local"}');
SELECT diagsync.resolve_many('mine', '[{"entity_id": "a"}]');
SELECT diagsync.resolve_many('mine', '[{"entity_id": "a", "resolution": "local", "docs": {}}]');
SELECT diagsync.resolve_many('mine', '[{"entity_id": "a", "resolution": "local"}, {"entity_id": "a", "resolution": "public"}]');
SELECT * FROM diagsync.resolve_many('mine', '[{"entity_id": "a", "resolution": "local", "expected": "from before"}, {"entity_id": "nobody", "resolution": "local"}]');
SELECT diagsync.prune('-1 day');

-- Entities.
SELECT diagsync.put('mine', '{"id": "x"}');
SELECT diagsync.put('mine', '[{"id": "x"}, 7]');
SELECT diagsync.put('mine', '[{"id": "x"}, {"v": 1}]');
SELECT diagsync.put('mine', '[{"id": ""}]');
SELECT diagsync.put('mine', '[{"id": 1}]');
SELECT diagsync.put('mine', '[{"id": "x"}, {"id": "x"}]');
INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('nowhere', 'x', '{}');
INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES ('ours', 'x', '{}');
INSERT INTO diagsync_public.entity (diagram_id, id, doc) VALUES ('mine', 'x', '{}');
INSERT INTO diagsync_private.entity (diagram_id, id, doc) VALUES ('old', 'x', '{}');
UPDATE diagsync_local.entity SET id = 'z' WHERE diagram_id = 'mine' AND id = 'a';
UPDATE diagsync_public.entity SET diagram_id = 'theirs' WHERE diagram_id = 'ours' AND id = 'a';
TRUNCATE diagsync_local.entity;
TRUNCATE diagsync_public.tombstone;
TRUNCATE diagsync.directory;
UPDATE diagsync.directory SET id = 'z' WHERE id = 'mine';
UPDATE diagsync.directory SET public_copy_id = 'theirs' WHERE id = 'mine';
UPDATE diagsync.directory SET storage_type = 'private' WHERE id = 'ours';
DELETE FROM diagsync.directory WHERE id = 'mine';

-- Where it cannot be done.
\set VERBOSITY terse
BEGIN READ ONLY;
SELECT diagsync.push('mine', on_conflict => 'local');
ROLLBACK;
BEGIN READ ONLY;
SELECT diagsync.resolve('mine', 'a', 'local');
ROLLBACK;
BEGIN READ ONLY;
SELECT diagsync.create_diagram('New');
ROLLBACK;
BEGIN READ ONLY;
SELECT state FROM diagsync.status('mine');
ROLLBACK;
\set VERBOSITY default
SELECT diagsync.capture_changes();

-- Nothing of all this changed anything.
SELECT diagram_id, id, doc FROM diagsync.entity ORDER BY 1, 2;
SELECT local_id, public_id, state, local_changes, public_changes, conflicts FROM diagsync.status_all();

-- A conflict is an answer, a plan that does not hold too.
SELECT success, documents_updated, conflicts FROM diagsync.push('mine');
SELECT success, documents_updated, resolved, conflicts FROM diagsync.push('mine', on_conflict => 'local', expected_plan => 'from before');
-- A resolution that would leave a ring of references.
BEGIN;
SELECT diagsync.set_merge_policy('mine', '{"granularity": "property", "acyclic": ["/parent"]}');
INSERT INTO diagsync_public.entity (diagram_id, id, doc) VALUES ('ours', 'ring', '{"parent": "ring"}');
SELECT diagsync.resolve('mine', 'ring', 'public');
ROLLBACK;
SELECT diagsync.drop_diagram(id) FROM diagsync.directory;
