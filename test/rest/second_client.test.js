// A client that others wrote, @supabase/postgrest-js, does what an application
// would: create, share, clone, edit, push, look, meet a conflict and settle it.
'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { PostgrestClient } = require('@supabase/postgrest-js');
const { base, login } = require('./lib.js');

const client = (name) => new PostgrestClient(base.origin, {
	headers: { Authorization: 'Bearer ' + login(name) },
	fetch: globalThis.fetch,
});

async function data(query) {
	const { data, error } = await query;
	assert.equal(error, null);
	return data;
}

test('create, share, push, status, conflict, resolve', async () => {
	const ann = client('second-ann');
	const ben = client('second-ben');

	assert.deepEqual(await data(ann.rpc('create_diagram', { name: 'Kitchen', id: 'second-ann' })), { _id: 'second-ann' });
	const rows = [{ diagram: 'second-ann', id: 'sink', doc: { x: 0 } }, { diagram: 'second-ann', id: 'table', doc: { x: 1, y: 3 } }];
	assert.equal((await data(ann.from('local_entities').insert(rows).select())).length, 2);
	assert.deepEqual(await data(ann.rpc('share', { localDbName: 'second-ann', publicDbName: 'second-kitchen' })),
		{ publicDbName: 'second-kitchen' });
	assert.deepEqual(await data(ben.rpc('clone', { publicDbName: 'second-kitchen', localDbName: 'second-ben' })),
		{ localDbName: 'second-ben' });

	// Both edit one entity, Ann another one too.
	await data(ann.from('local_entities').upsert([{ diagram: 'second-ann', id: 'table', doc: { x: 5, y: 3 } },
		{ diagram: 'second-ann', id: 'lamp', doc: { x: 2 } }], { onConflict: 'diagram,id' }));
	await data(ben.from('local_entities').update({ doc: { x: 1, y: 9 } }).eq('diagram', 'second-ben').eq('id', 'table'));
	assert.deepEqual(await data(ann.rpc('push', { localDbName: 'second-ann', publicDbName: 'second-kitchen' })),
		{ success: true, documentsUpdated: 2, conflicts: 0, refusedDeletions: 0 });

	const status = await data(ben.rpc('status', { local: 'second-ben', public: 'second-kitchen' }, { get: true }));
	assert.deepEqual({ ...status, lastSyncedAt: typeof status.lastSyncedAt },
		{ diverged: true, localChanges: 1, publicChanges: 2, lastSyncedAt: 'string', state: 'conflict', conflicts: 1 });
	assert.deepEqual(await data(ben.rpc('pull', { localDbName: 'second-ben' })), { success: false, documentsUpdated: 0, conflicts: 1, refusedDeletions: 0 });

	const [conflict] = await data(ben.rpc('conflicts', { local: 'second-ben' }, { get: true }));
	assert.deepEqual([conflict.entityId, conflict.conflict, conflict.base, conflict.local, conflict.public],
		['table', 'update_update', { x: 1, y: 3 }, { x: 1, y: 9 }, { x: 5, y: 3 }]);
	const settled = await data(ben.rpc('resolve', { localDbName: 'second-ben', entityId: 'table', resolution: 'merged',
		doc: { x: 5, y: 9 }, expected: conflict.version }));
	assert.deepEqual([settled.conflict, settled.side, settled.local], [null, 'local', { x: 5, y: 9 }]);

	assert.deepEqual(await data(ben.rpc('pull', { localDbName: 'second-ben' })), { success: true, documentsUpdated: 1, conflicts: 0, refusedDeletions: 0 });
	assert.deepEqual(await data(ben.rpc('push', { localDbName: 'second-ben' })), { success: true, documentsUpdated: 1, conflicts: 0, refusedDeletions: 0 });
	assert.deepEqual(await data(ann.rpc('pull', { localDbName: 'second-ann' })), { success: true, documentsUpdated: 1, conflicts: 0, refusedDeletions: 0 });
	for (const [who, diagram] of [[ann, 'second-ann'], [ben, 'second-ben'], [ann, 'second-kitchen']]) {
		assert.deepEqual(await data(who.from('entities').select('id,doc').eq('diagram', diagram).order('id')),
			[{ id: 'lamp', doc: { x: 2 } }, { id: 'sink', doc: { x: 0 } }, { id: 'table', doc: { x: 5, y: 9 } }]);
	}
	assert.deepEqual(await data(ann.from('diagrams').select('_id,publicCopyId').eq('_id', 'second-ann').single()),
		{ _id: 'second-ann', publicCopyId: 'second-kitchen' });
});

test('errors arrive as such', async () => {
	const { error, status, data } = await client('second-cem').rpc('push', { localDbName: 'second-ann' });
	assert.deepEqual([status, data, error.code, error.message], [404, null, 'PT404', 'Not Found']);
	assert.match(error.details, /second-ann/);
});
