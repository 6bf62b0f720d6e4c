-- Every error says which diagram and entity, in its message: those where that
-- is easily forgotten, because something else is wrong.
\ir ../../common/pgtap/helpers.sql
SELECT plan(25);

SELECT t.pair('l', 'p', '{"a": {"v": 1}}');
SELECT t.make('u', '{"a": {"v": 1}}'), t.make('s', '{"a": {"v": 1}}', 'public');
SELECT t.write('l', 'a', '{"v": 2}'), t.write('p', 'a', '{"v": 3}');

-- A bad argument beside the diagram.
SELECT t.refuses(command, errcode, says) FROM (VALUES
	($$ SELECT diagsync.push('l', on_conflict => 'mine') $$, '22023', '"l"'),
	($$ SELECT diagsync.pull('l', on_conflict => 'mine') $$, '22023', '"l"'),
	($$ SELECT diagsync.push('l', on_conflict => NULL) $$, '22004', '"l"'),
	($$ SELECT diagsync.pull('l', dry_run => NULL) $$, '22004', '"l"'),
	($$ SELECT diagsync.resolve('l', NULL, 'local') $$, '22004', '"l"'),
	($$ SELECT diagsync.resolve('l', 'a', NULL) $$, '22004', 'entity "a" of diagram "l"'),
	($$ SELECT diagsync.share('u', 'x', 'local') $$, '22023', '"u"'),
	($$ SELECT diagsync.share('u', 'x', NULL) $$, '22004', '"u"'),
	($$ SELECT diagsync.link('u', NULL) $$, '22004', '"u"'),
	($$ SELECT diagsync.set_storage_type('s', 'secret') $$, '22023', '"s"'),
	($$ SELECT diagsync.set_storage_type('s', NULL) $$, '22004', '"s"'),
	($$ SELECT diagsync.put('l', NULL) $$, '22004', '"l"'),
	($$ SELECT diagsync.remove('l', NULL) $$, '22004', '"l"'),
	($$ SELECT diagsync.remove('l', ARRAY['a', NULL]) $$, '22004', '"l"')) AS v (command, errcode, says);

-- In a request the message becomes the status line, so that is where they are not.
BEGIN;
SET LOCAL request.method = 'POST';
SELECT throws_ok($$ SELECT diagsync.push('nowhere') $$, 'PT404', 'Not Found', 'no name in the message of an error in a request');
ROLLBACK;

-- Within a statement that edits.
SELECT t.refuses(format($$ UPDATE diagsync_local.entity SET doc = '{"v": 9}' WHERE diagram_id = 'l' RETURNING %s $$, call), '55006', says, 'while a statement edits: ' || call)
  FROM (VALUES ('diagsync.push(''l'')', '"l"'), ('diagsync.pull(''l'')', '"l"'), ('diagsync.share(''u'')', '"u"'), ('diagsync.link(''u'', ''p'')', '"u"'),
	('diagsync.clone(''p'')', '"p"'), ('diagsync.resolve(''l'', ''a'', ''local'')', 'entity "a" of diagram "l"'),
	('(SELECT count(*) FROM diagsync.resolve_all(''l'', ''local''))', '"l"'), ('(SELECT count(*) FROM diagsync.resolve_many(''l'', ''[]''))', '"l"')) AS v (call, says);

-- At an isolation level that will not do.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT t.refuses($$ SELECT diagsync.share('u') $$, '25001', '"u"', 'share at REPEATABLE READ');
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT t.refuses($$ SELECT diagsync.link('u', 'p') $$, '25001', '"u"', 'link at SERIALIZABLE');
ROLLBACK;

SELECT * FROM finish();
