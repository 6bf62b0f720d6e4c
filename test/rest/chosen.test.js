// Chosen entities: some of what a push or pull would move, what goes along with
// them, and local changes taken back.
'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { diagram, entities, get, ok, post, refused, rpc } = require('./lib.js');

const as = 'chosen-ann';

test('a push of chosen entities, looked at before', async () => {
	await diagram(as, 'chosen', 'local', { x: {}, y: {} });
	ok(await rpc('set_merge_policy', { diagram: 'chosen', policy: { references: ['/from', '/to'] } }, { as }));
	ok(await rpc('share', { localDbName: 'chosen', publicDbName: 'chosen-public' }, { as }));
	ok(await rpc('put', { diagram: 'chosen', entities: [{ id: 'n' }, { id: 'e', from: 'x', to: 'n' }, { id: 'y', v: 2 }] }, { as }));
	const chosen = { localDbName: 'chosen', entities: ['e'] };
	const preview = ok(await post('/api/sync/push', { ...chosen, dryRun: true }, { as }));
	assert.deepEqual([preview.documentsUpdated, preview.included, preview.entities.map((entity) => entity.id)], [2, ['n'], ['e', 'n']]);
	assert.equal((await post('/api/sync/push', { ...chosen, expectedPlan: preview.plan }, { as })).text,
		`{"success": true, "documentsUpdated": 2, "conflicts": 0, "refusedDeletions": 0, "plan": "${preview.plan}", "included": ["n"]}`);
	assert.deepEqual(Object.keys(await entities(as, 'public', 'chosen-public')), ['e', 'n', 'x', 'y']);
	assert.equal((await post('/api/sync/push', { localDbName: 'chosen', entities: [] }, { as })).text,
		'{"success": true, "documentsUpdated": 0, "conflicts": 0, "refusedDeletions": 0, "included": []}');
	assert.equal((await post('/api/sync/push', { localDbName: 'chosen', entities: null }, { as })).text,
		'{"success": true, "documentsUpdated": 1, "conflicts": 0, "refusedDeletions": 0}');
});

test('a pull of chosen entities leaves the rest', async () => {
	await diagram(as, 'chosen-pull', 'local', { a: { v: 1 }, b: { v: 1 } });
	ok(await rpc('share', { localDbName: 'chosen-pull', publicDbName: 'chosen-pull-public' }, { as }));
	ok(await rpc('put', { diagram: 'chosen-pull-public', entities: [{ id: 'a', v: 2 }, { id: 'b', v: 2 }] }, { as }));
	assert.equal((await post('/api/sync/pull', { localDbName: 'chosen-pull', entities: ['a', 'nobody'] }, { as })).text,
		'{"success": true, "documentsUpdated": 1, "conflicts": 0, "refusedDeletions": 0, "included": []}');
	assert.deepEqual(ok(await get('/rpc/changes?local=chosen-pull', { as })).map((change) => change.entityId), ['b']);
});

test('what chosen entities cannot be', async () => {
	await diagram(as, 'chosen-bad', 'local', {});
	ok(await rpc('share', { localDbName: 'chosen-bad' }, { as }));
	for (const path of ['/api/sync/push', '/api/sync/pull', '/rpc/discard']) {
		const send = (ids) => post(path, { localDbName: 'chosen-bad', entities: ids }, { as });
		refused(await send('a'), 400);
		refused(await send([1]), 400);
		refused(await send({ a: 1 }), 400);
		refused(await send([null]), 422);
		refused(await send(['x'.repeat(401)]), 422);
		refused(await send(Array.from({ length: 30000 }, (_, n) => 'id-of-an-entity-' + n)), 413);
		ok(await send(Array.from({ length: 10000 }, (_, n) => 'id-of-an-entity-' + n)));
	}
	refused(await rpc('discard', { localDbName: 'chosen-bad' }, { as }), 400);
});

test('local changes are taken back', async () => {
	await diagram(as, 'chosen-back', 'local', { a: { v: 1 }, b: { v: 1 }, c: { v: 1 } });
	ok(await rpc('share', { localDbName: 'chosen-back' }, { as }));
	ok(await rpc('put', { diagram: 'chosen-back', entities: [{ id: 'a', v: 2 }, { id: 'n', v: 2 }, { id: 'c', v: 2 }] }, { as }));
	ok(await rpc('remove', { diagram: 'chosen-back', ids: ['b'] }, { as }));
	assert.deepEqual(ok(await rpc('discard', { localDbName: 'chosen-back', entities: ['a', 'b', 'n'] }, { as })),
		{ success: true, documentsUpdated: 3, conflicts: 0, refusedDeletions: 0, inserted: 1, updated: 1, deleted: 1 });
	assert.deepEqual(ok(await get('/rpc/changes?local=chosen-back', { as })).map((change) => change.entityId), ['c']);
	assert.equal(ok(await rpc('discard', { localDbName: 'chosen-back', entities: null }, { as })).updated, 1);
	refused(await rpc('discard', { localDbName: 'chosen-back', entities: null }, { as: 'chosen-eve' }), 404);
	refused(await rpc('discard', { localDbName: 'chosen-back', entities: null }), 401);
});
