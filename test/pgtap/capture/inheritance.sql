-- A table of the extension as the child or the parent of another: what is written
-- through the other would have no records.
BEGIN;
\ir ../../common/pgtap/helpers.sql
SET client_min_messages = error;
SELECT plan(29);

SELECT t.pair('l', 'p', '{"a": {"v": 1}, "b": {"v": 1}}');
CREATE TABLE t.child (LIKE diagsync_local.entity INCLUDING CONSTRAINTS);
CREATE TABLE t.parent (diagram_id text COLLATE "C");
CREATE TABLE t.partitioned (LIKE diagsync_local.entity) PARTITION BY LIST (diagram_id);

SELECT is((SELECT rolsuper AND evtowner = 10 FROM pg_event_trigger JOIN pg_roles ON pg_roles.oid = evtowner WHERE evtname = 'diagsync_guard_tables'), true,
	'the event trigger is not of the role that made the extension, who can leave');

---- Refused when it is done --------------------------------------------------------

SELECT t.refuses(format('CREATE TABLE t.new () INHERITS (%s)', name), '55000', 'must not be the parent', 'a child of ' || name)
  FROM unnest(ARRAY['diagsync_local.entity', 'diagsync_public.entity', 'diagsync_private.entity', 'diagsync_local.base', 'diagsync_public.tombstone',
	'diagsync_private.tombstone', 'diagsync.directory', 'diagsync.member', 'diagsync.access_token']) AS name;
SELECT t.refuses('ALTER TABLE t.child INHERIT diagsync_local.entity', '55000', 'must not be the parent', 'a table made a child');
SELECT t.refuses(format('ALTER TABLE %s INHERIT t.parent', name), '55000', 'must not be a child', name || ' made a child')
  FROM unnest(ARRAY['diagsync_local.entity', 'diagsync_public.entity', 'diagsync_private.entity']) AS name;
SELECT t.refuses('ALTER TABLE t.partitioned ATTACH PARTITION diagsync_local.entity DEFAULT', '55000', 'must not be a child', 'a table made a partition');
SELECT t.refuses('CREATE SCHEMA t2 CREATE TABLE new () INHERITS (diagsync_local.entity)', '55000', 'must not be the parent', 'a child in a new schema');
SELECT lives_ok('CREATE TABLE t.other () INHERITS (t.parent)', 'other tables may inherit');
SELECT t.refuses('SELECT diagsync.guard_tables()', '39P01', 'diagsync.guard_tables', 'the function of the event trigger called otherwise');

---- Where that is disabled ---------------------------------------------------------

ALTER EVENT TRIGGER diagsync_guard_tables DISABLE;
SAVEPOINT s;
ALTER TABLE diagsync_local.entity INHERIT t.parent;
SELECT t.refuses($$ DELETE FROM t.parent WHERE diagram_id = 'l' $$, '55000', 'are written without the trigger', 'a deletion through the parent');
SELECT t.refuses($$ UPDATE t.parent SET diagram_id = diagram_id $$, '55000', 'are written without the trigger', 'an update through the parent');
SELECT t.refuses($$ SELECT t.write('l', 'a', '{"v": 2}') $$, '55000', 'must not be a child', 'an edit of the child');
SELECT t.refuses(format('SELECT diagsync.%s', call), '55000', 'must not be a child', call || ' with a table that is a child')
  FROM unnest(ARRAY[$$push('l')$$, $$pull('l')$$, $$clone('p')$$, $$put('l', '[{"id": "a"}]')$$]) AS call;
ROLLBACK TO s;
ALTER TABLE t.partitioned ATTACH PARTITION diagsync_local.entity DEFAULT;
INSERT INTO t.partitioned SELECT 'l', 'n', '{}', 1, now(), 'x';
SELECT t.refuses($$ SELECT diagsync.push('l') $$, '55000', 'must not be a child', 'a push after an insert through a partitioned table');
ROLLBACK TO s;
ALTER TABLE t.child INHERIT diagsync_local.entity;
SELECT t.refuses($$ DELETE FROM diagsync_local.entity WHERE diagram_id = 'l' $$, '55000', 'must not be the parent', 'an edit of a parent');
SELECT t.refuses($$ SELECT diagsync.pull('l') $$, '55000', 'must not be the parent', 'a pull into a parent');
ALTER TABLE t.child NO INHERIT diagsync_local.entity;
SELECT is(t.show(diagsync.push('l')), 'yes +0 ~0 -0 0/0', 'once it has no child, all is well');

SELECT * FROM finish();
ROLLBACK;
