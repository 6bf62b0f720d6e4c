// Entities that a copy does not take: an answer, in words that show nothing of the
// inside.
'use strict';
const { test, after } = require('node:test');
const assert = require('node:assert/strict');
const { diagram, entities, ok, post, rpc, sql } = require('./lib.js');

const as = 'refused-ann';
after(() => sql(`ALTER TABLE diagsync_public.entity DROP CONSTRAINT IF EXISTS refused_positive;
	DROP INDEX IF EXISTS diagsync_public.refused_large;
	DROP FUNCTION IF EXISTS refused_trigger() CASCADE`));

test('what a constraint, a trigger or a limit refuses', async () => {
	await diagram(as, 'refused', 'local', { a: { v: 1 }, b: { v: 1 } });
	ok(await rpc('share', { localDbName: 'refused', publicDbName: 'refused-public' }, { as }));
	sql(`ALTER TABLE diagsync_public.entity ADD CONSTRAINT refused_positive CHECK (diagram_id <> 'refused-public' OR (doc->>'v')::int > 0);
		CREATE INDEX refused_large ON diagsync_public.entity ((doc->>'large'));
		CREATE FUNCTION refused_trigger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF new.doc ? 'raise' THEN RAISE EXCEPTION 'the kitchen is closed' USING DETAIL = 'inside'; END IF;
			IF new.doc ? 'broken' THEN PERFORM secret_of_the_inside(); END IF;
			RETURN new; END $$;
		CREATE TRIGGER refused BEFORE INSERT OR UPDATE ON diagsync_public.entity FOR EACH ROW
			WHEN (new.diagram_id = 'refused-public') EXECUTE FUNCTION refused_trigger()`);
	// No compression makes it short enough for an index.
	const large = Array.from({ length: 400 }, (_, n) => Math.sin(n + 1).toString(36).slice(3)).join('');
	ok(await rpc('put', { diagram: 'refused', entities: [{ id: 'a', v: -1 }, { id: 'b', v: 2 }, { id: 'c', v: 1, raise: 1 },
		{ id: 'd', v: 1, broken: 1 }, { id: 'e', v: 1, large }] }, { as }));
	const aborted = await post('/api/sync/push', { localDbName: 'refused' }, { as });
	assert.equal(aborted.status, 200);
	assert.deepEqual([aborted.json.success, aborted.json.documentsUpdated, aborted.json.conflicts], [false, 0, 4]);
	assert.deepEqual(await entities(as, 'public', 'refused-public'), { a: { v: 1 }, b: { v: 1 } });
	const skipped = await post('/api/sync/push', { localDbName: 'refused', onConflict: 'skip' }, { as });
	assert.deepEqual([skipped.json.success, skipped.json.documentsUpdated, skipped.json.conflicts], [false, 1, 4]);
	assert.deepEqual(skipped.json.refused, [
		{ id: 'a', conflict: 'refused', reason: 'constraint "refused_positive" refuses it' },
		{ id: 'c', conflict: 'refused', reason: 'the kitchen is closed' },
		{ id: 'd', conflict: 'refused', reason: 'a rule of the application refuses it' },
		{ id: 'e', conflict: 'refused', reason: 'a value is too large' }]);
	assert.ok(!/inside|relation|plpgsql|refused_large|\(/.test(skipped.text), skipped.text);
});

test('a limit of the diagram', async () => {
	await diagram(as, 'refused-full', 'local', { a: {} });
	ok(await rpc('share', { localDbName: 'refused-full', publicDbName: 'refused-full-public' }, { as }));
	ok(await rpc('set_limits', { diagram: 'refused-full-public', maxEntities: 2 }, { as }), 204);
	ok(await rpc('put', { diagram: 'refused-full', entities: [{ id: 'a', v: 2 }, { id: 'b' }, { id: 'c' }] }, { as }));
	const { json } = await post('/api/sync/push', { localDbName: 'refused-full', onConflict: 'skip' }, { as });
	assert.deepEqual(json, { success: false, documentsUpdated: 2, conflicts: 1, refusedDeletions: 0, refused: [
		{ id: 'c', conflict: 'refused', reason: 'diagram "refused-full-public" has too many entities: 2 are allowed.' }] });
});
