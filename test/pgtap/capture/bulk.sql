-- Statements of 100,000 rows capture changes, and stay quick. Times are
-- printed; the limits are generous.
BEGIN;
\ir ../../common/pgtap/helpers.sql
SELECT plan(30);

-- Run a command and say how long it took.
CREATE FUNCTION t.timed(what text, command text, seconds numeric) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	start timestamptz := clock_timestamp();
	took numeric;
BEGIN
	EXECUTE command;
	took := round(extract(epoch FROM clock_timestamp() - start)::numeric, 2);
	RETURN ok(took < seconds, format('%s: less than %s s', what, seconds)) || E'\n' || diag(format('%s: %s s', what, took));
END $$;

SELECT diagsync.create_diagram('Big', id => 'l');
SELECT t.timed('INSERT', $$ INSERT INTO diagsync_local.entity (diagram_id, id, doc)
	SELECT 'l', 'e' || n, jsonb_build_object('id', 'e' || n, 'v', n) FROM generate_series(1, 100000) AS n $$, 20);
SELECT t.timed('share', $$ SELECT diagsync.share('l', 'p') $$, 20);
SELECT is((SELECT count(*) FROM diagsync_public.entity WHERE diagram_id = 'p'), 100000::bigint, '100,000 entities');
SELECT t.timed('clone', $$ SELECT diagsync.clone('p', 'l2') $$, 20);
SELECT t.timed('status', $$ SELECT t.status('l') $$, 2);

SELECT t.timed('UPDATE of a linked diagram', $$ UPDATE diagsync_local.entity SET doc = doc || '{"new": 1}' WHERE diagram_id = 'l' $$, 30);
SELECT is((SELECT count(*) FROM diagsync_local.base WHERE diagram_id = 'l'), 100000::bigint, '100,000 base rows');
SELECT t.timed('status of 100,000 changes', $$ SELECT t.status('l') $$, 20);
SELECT is(t.status('l'), 'pending 100000/0/0', 'all are changes');
SELECT t.timed('changes', $$ SELECT count(*) FROM diagsync.changes('l') $$, 20);
SELECT t.timed('dry run', $$ SELECT diagsync.push('l', dry_run => true) $$, 30);
SELECT t.timed('push', $$ SELECT diagsync.push('l') $$, 40);
SELECT is(t.status('l'), 'in_sync 0/0/0', 'pushed');
SELECT t.timed('pull', $$ SELECT diagsync.pull('l2') $$, 40);
SELECT is(t.status('l2'), 'in_sync 0/0/0', 'pulled');
SELECT is((SELECT count(*) FROM diagsync_local.entity AS a JOIN diagsync_public.entity AS b USING (id)
	WHERE a.diagram_id = 'l2' AND b.diagram_id = 'p' AND a.doc = b.doc AND a.doc ? 'new'), 100000::bigint, 'all three agree');

SELECT t.timed('DELETE in the shared copy', $$ DELETE FROM diagsync_public.entity WHERE diagram_id = 'p' AND id LIKE '%5' $$, 20);
SELECT t.timed('DELETE of a linked diagram', $$ DELETE FROM diagsync_local.entity WHERE diagram_id = 'l' AND id NOT LIKE '%5' $$, 30);
SELECT is(t.status('l'), 'pending 90000/10000/0', 'deletions of both sides');
SELECT t.timed('pull of deletions', $$ SELECT diagsync.pull('l', allow_deletions => true) $$, 20);
SELECT t.timed('push of deletions', $$ SELECT diagsync.push('l', allow_deletions => true) $$, 30);
SELECT is((SELECT count(*) FROM diagsync.entity WHERE diagram_id IN ('l', 'p')), 0::bigint, 'nothing is left');
SELECT t.timed('put', $$ SELECT diagsync.put('l', (SELECT jsonb_agg(jsonb_build_object('id', 'e' || n, 'v', n)) FROM generate_series(1, 50000) AS n)) $$, 30);
SELECT t.timed('remove', $$ SELECT diagsync.remove('l', (SELECT array_agg('e' || n) FROM generate_series(1, 50000) AS n)) $$, 30);
SELECT t.timed('link', $$ SELECT diagsync.create_diagram('M', id => 'm'), diagsync.put('m', '[{"id": "x"}]'), diagsync.link('m', 'p') $$, 5);
SELECT t.timed('unlink', $$ SELECT diagsync.unlink('l') $$, 5);
SELECT t.timed('prune', $$ SELECT diagsync.prune() $$, 10);
SELECT t.timed('drop_diagram', $$ SELECT diagsync.drop_diagram('p') $$, 20);
SELECT is((SELECT count(*) FROM diagsync_public.tombstone), 0::bigint, 'tombstones go with it');
SELECT is((SELECT count(*) FROM diagsync_local.entity WHERE diagram_id = 'l2'), 100000::bigint, 'the clone stays');

SELECT * FROM finish();
ROLLBACK;
