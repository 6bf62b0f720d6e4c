-- Base rows of many entities inserted by one statement: all new, some of them
-- deleted before, of several diagrams, some with another revision; and that it
-- is all or nothing.
BEGIN;
\ir ../../common/pgtap/helpers.sql
SELECT plan(21);

SELECT t.pair('l', 'p', (SELECT jsonb_object_agg('old' || g, jsonb_build_object('n', g)) FROM generate_series(1, 300) AS g));
SELECT t.make('unlinked');

-- What INSERT is to have made: a base row without a document for each.
CREATE FUNCTION t.counts(diagram text) RETURNS text LANGUAGE sql AS $$
	SELECT format('%s bases, %s with documents, %s inserts, %s others', (SELECT count(*) FROM diagsync_local.base WHERE diagram_id = diagram),
		(SELECT count(doc) FROM diagsync_local.base WHERE diagram_id = diagram),
		count(*) FILTER (WHERE local_change = 'insert'), count(*) FILTER (WHERE local_change <> 'insert'))
	  FROM diagsync.changes(diagram) $$;
CREATE FUNCTION t.insert_many(diagram text, prefix text, n int) RETURNS void LANGUAGE sql AS $$
	INSERT INTO diagsync_local.entity (diagram_id, id, doc)
		SELECT diagram, prefix || md5(g::text), jsonb_build_object('n', g) FROM generate_series(1, n) AS g $$;

SELECT t.insert_many('l', 'new', 1000);
SELECT is(t.counts('l'), '1000 bases, 0 with documents, 1000 inserts, 0 others', 'all new: a base row each');
SELECT t.insert_many('unlinked', 'new', 1000);
SELECT is((SELECT count(*) FROM diagsync_local.base WHERE diagram_id = 'unlinked'), 0::bigint, 'none in a diagram without a link');
SELECT is(t.show(diagsync.push('l')), 'yes +1000 ~0 -0 0/0', 'they are pushed');
SELECT is(t.status('l'), 'in_sync 0/0/0', '... and nothing is left');

-- Deleted before: the deleted version stays the base.
DELETE FROM diagsync_local.entity WHERE diagram_id = 'l' AND id LIKE 'old%';
SELECT is(t.counts('l'), '300 bases, 300 with documents, 0 inserts, 300 others', 'deleted ones have their bases');
INSERT INTO diagsync_local.entity (diagram_id, id, doc)
	SELECT 'l', 'old' || g, jsonb_build_object('n', CASE WHEN g <= 100 THEN g ELSE -g END) FROM generate_series(1, 400) AS g;
SELECT is(t.counts('l'), '400 bases, 300 with documents, 100 inserts, 200 others', 'made again in one statement with new ones');
SELECT is((SELECT string_agg(local_change || ' ' || n, ', ' ORDER BY local_change) FROM (
	SELECT local_change, count(*) AS n FROM diagsync.changes('l') GROUP BY 1) AS c), 'insert 100, update 200', '... unchanged, changed and new');
SELECT is(t.show(diagsync.push('l')), 'yes +100 ~200 -0 0/0', '... and pushed as that');
SELECT is(t.docs('l'), t.docs('p'), '... whereafter both ends are equal');

-- Several diagrams, linked or not, in one statement.
SELECT t.pair('l' || g, 'p' || g) FROM generate_series(1, 15) AS g;
INSERT INTO diagsync_local.entity (diagram_id, id, doc)
	SELECT d, 'e' || g, '{}' FROM unnest('{l1,unlinked,l2}'::text[]) AS d, generate_series(1, 200) AS g ORDER BY md5(d || g);
SELECT is(t.counts('l1') || '; ' || t.counts('l2'), '200 bases, 0 with documents, 200 inserts, 0 others; 200 bases, 0 with documents, 200 inserts, 0 others', 'two linked diagrams at once');
SELECT is((SELECT count(*) FROM diagsync_local.base WHERE diagram_id = 'unlinked'), 0::bigint, '... beside one that is not');
INSERT INTO diagsync_local.entity (diagram_id, id, doc)
	SELECT 'l' || d, 'many' || g, '{}' FROM generate_series(3, 15) AS d, generate_series(1, 20) AS g;
SELECT is((SELECT count(*) FROM diagsync_local.base WHERE id LIKE 'many%'), 260::bigint, 'thirteen at once');

-- Rows of another revision are edits as well, where the link was made here ...
INSERT INTO diagsync_local.entity (diagram_id, id, doc, rev)
	SELECT 'l3', 'mixed' || g, '{}', CASE WHEN g % 2 = 0 THEN 3 ELSE diagsync.revision() END FROM generate_series(1, 200) AS g;
SELECT is((SELECT count(*) FROM diagsync_local.base WHERE id LIKE 'mixed%'), 200::bigint, 'rows of another revision among them');
-- ... and restored rows in a link that was restored, whatever has this one's by chance.
INSERT INTO diagsync.directory (id, name, storage_type, public_copy_id) VALUES ('restored', 'R', 'local', 'p3');
INSERT INTO diagsync_local.entity (diagram_id, id, doc, rev)
	SELECT 'restored', 'restored row' || g, '{}', CASE WHEN g % 2 = 0 THEN 3 ELSE diagsync.revision() END FROM generate_series(1, 200) AS g;
SELECT is((SELECT count(*) FROM diagsync_local.base WHERE id LIKE 'restored row%'), 0::bigint, 'restored rows get none');
INSERT INTO diagsync_local.entity (diagram_id, id, doc, modified_at)
	SELECT 'restored', 'restored row or edit' || g, '{}', '2020-01-01Z' FROM generate_series(1, 200) AS g;
SELECT is((SELECT count(*) FROM diagsync_local.base WHERE id LIKE 'restored row%'), 200::bigint, '... but edits do, whatever their time');

-- Rolled back to a savepoint, and as part of a statement that fails.
SAVEPOINT s;
SELECT t.insert_many('l4', 'gone', 500);
SELECT is((SELECT count(*) FROM diagsync_local.base WHERE id LIKE 'gone%'), 500::bigint, 'made in a savepoint');
ROLLBACK TO s;
SELECT is((SELECT count(*) FROM diagsync_local.base WHERE id LIKE 'gone%'), 0::bigint, '... gone with it');
SELECT t.refuses($$ INSERT INTO diagsync_local.entity (diagram_id, id, doc)
	SELECT d, 'x' || g, '{}' FROM unnest('{l5,p5}'::text[]) AS d, generate_series(1, 200) AS g $$, '42809', 'p5');

-- Long ids, compressed or not, in the order of the key.
SELECT t.pair('long', 'long-p');
INSERT INTO diagsync_local.entity (diagram_id, id, doc)
	SELECT 'long', repeat(chr(97 + g % 20), g), '{}' FROM generate_series(1, 400) AS g ORDER BY md5(g::text);
SELECT is(t.counts('long'), '400 bases, 0 with documents, 400 inserts, 0 others', 'ids of 1 to 400 characters');
SELECT is(t.show(diagsync.push('long')), 'yes +400 ~0 -0 0/0', '... are pushed');
SELECT is(t.docs('long'), t.docs('long-p'), '... and the same at both ends');

SELECT * FROM finish();
ROLLBACK;
