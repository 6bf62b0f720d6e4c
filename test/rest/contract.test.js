// The requests that clients were promised, to the byte where they were promised
// bytes, and every other object of the API.
'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { diagram, entities, get, ok, post, refused, request, rpc, sql } = require('./lib.js');

const as = 'contract-ann';
const edit = (id, entity, doc) =>
	request('PATCH', `/db/local/${id}?id=eq.${entity}`, { as, body: { doc } });

test('POST /rpc/push and /api/sync/push answer to the byte', async () => {
	for (const path of ['/rpc/push', '/api/sync/push']) {
		const id = await diagram(as, 'push' + path.replaceAll('/', '.'), 'local', { a: { x: 1 }, b: {}, c: {} });
		const publicDbName = id + '-public';
		ok(await rpc('share', { localDbName: id, publicDbName }, { as }));
		const none = await post(path, { localDbName: id, publicDbName }, { as });
		assert.equal(none.text, '{"success": true, "documentsUpdated": 0, "conflicts": 0, "refusedDeletions": 0}');
		for (const entity of ['a', 'b', 'c']) ok(await edit(id, entity, { x: 2 }), 204);
		const three = await post(path, { localDbName: id, publicDbName }, { as });
		assert.equal(three.status, 200);
		assert.equal(three.text, '{"success": true, "documentsUpdated": 3, "conflicts": 0, "refusedDeletions": 0}');
		assert.match(three.headers['content-type'], /^application\/json/);
		assert.deepEqual(await entities(as, 'public', publicDbName), { a: { x: 2 }, b: { x: 2 }, c: { x: 2 } });
	}
});

test('POST /rpc/pull and /api/sync/pull answer to the byte', async () => {
	for (const path of ['/rpc/pull', '/api/sync/pull']) {
		const id = await diagram(as, 'pull' + path.replaceAll('/', '.'), 'local', { a: { x: 1 } });
		const publicDbName = id + '-public';
		ok(await rpc('share', { localDbName: id, publicDbName }, { as }));
		ok(await post(`/db/public/${publicDbName}`, [{ id: 'b', doc: {} }, { id: 'c', doc: {} }], { as }), 201);
		ok(await request('DELETE', `/db/public/${publicDbName}?id=eq.a`, { as }), 204);
		const pulled = await post(path, { localDbName: id, publicDbName }, { as });
		assert.equal(pulled.text, '{"success": true, "documentsUpdated": 3, "conflicts": 0, "refusedDeletions": 0}');
		assert.deepEqual(await entities(as, 'local', id), { b: {}, c: {} });
	}
});

test('GET /rpc/status and /api/sync/status answer to the byte', async () => {
	const id = await diagram(as, 'status', 'local', { a: { x: 1 }, b: {} });
	for (const path of ['/rpc/status', '/api/sync/status']) {
		const unlinked = await get(`${path}?local=${id}`, { as });
		assert.equal(unlinked.text, '{"diverged": null, "localChanges": null, "publicChanges": null, ' +
			'"lastSyncedAt": null, "state": "unlinked", "conflicts": null}');
	}
	ok(await rpc('share', { localDbName: id, publicDbName: 'status-public' }, { as }));
	ok(await edit(id, 'a', { x: 2 }), 204);
	ok(await request('PATCH', '/db/public/status-public?id=in.(a,b)', { as, body: { doc: { x: 3 } } }), 204);
	const at = sql(`SELECT to_json(last_pushed_at) FROM diagsync.directory WHERE id = '${id}'`);
	for (const query of [`local=${id}`, `local=${id}&public=status-public`]) {
		for (const path of ['/rpc/status', '/api/sync/status']) {
			const diverged = await get(`${path}?${query}`, { as });
			assert.equal(diverged.status, 200);
			assert.equal(diverged.text, '{"diverged": true, "localChanges": 1, "publicChanges": 2, ' +
				`"lastSyncedAt": ${at}, "state": "conflict", "conflicts": 1}`);
		}
	}
	assert.match(at, /^"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00"$/);
});

test('a conflict is an answer, and is settled as the caller says', async () => {
	const id = await diagram(as, 'conflict', 'local', { a: { x: 1 }, b: { x: 1 }, c: { x: 1 } });
	const publicDbName = 'conflict-public';
	ok(await rpc('share', { localDbName: id, publicDbName }, { as }));
	ok(await request('PATCH', `/db/local/${id}?id=in.(a,b,c)`, { as, body: { doc: { x: 2 } } }), 204);
	ok(await request('PATCH', `/db/public/${publicDbName}?id=in.(a,b)`, { as, body: { doc: { x: 3 } } }), 204);

	const push = await post('/api/sync/push', { localDbName: id, publicDbName }, { as });
	assert.equal(push.status, 200);
	assert.equal(push.text, '{"success": false, "documentsUpdated": 0, "conflicts": 2, "refusedDeletions": 0}');
	const pull = await post('/api/sync/pull', { localDbName: id, publicDbName }, { as });
	assert.equal(pull.text, '{"success": false, "documentsUpdated": 0, "conflicts": 2, "refusedDeletions": 0}');

	const shown = ok(await get(`/rpc/conflicts?local=${id}`, { as }));
	assert.deepEqual(shown.map((change) => change.entityId), ['a', 'b']);
	assert.deepEqual(Object.keys(shown[0]), ['entityId', 'side', 'localChange', 'publicChange', 'conflict', 'paths',
		'base', 'local', 'public', 'localModifiedAt', 'localModifiedBy', 'publicModifiedAt', 'publicModifiedBy',
		'version']);
	assert.deepEqual({ ...shown[0], localModifiedAt: 0, publicModifiedAt: 0, version: 0 }, {
		entityId: 'a', side: 'both', localChange: 'update', publicChange: 'update', conflict: 'update_update',
		paths: [''], base: { x: 1 }, local: { x: 2 }, public: { x: 3 }, localModifiedAt: 0,
		localModifiedBy: 'sub:' + as, publicModifiedAt: 0, publicModifiedBy: 'sub:' + as, version: 0,
	});
	const all = ok(await get(`/rpc/changes?local=${id}`, { as }));
	assert.deepEqual(all.map((change) => [change.entityId, change.conflict]),
		[['a', 'update_update'], ['b', 'update_update'], ['c', null]]);

	// One is merged by hand, against the version that was shown; one that has
	// moved on since is not.
	const resolve = (change, resolution, more) => rpc('resolve',
		{ localDbName: id, entityId: change.entityId, resolution, expected: change.version, ...more }, { as });
	const merged = ok(await resolve(shown[0], 'merged', { doc: { x: 2, y: 3 } }));
	assert.deepEqual([merged.entityId, merged.conflict, merged.local], ['a', null, { x: 2, y: 3 }]);
	ok(await request('PATCH', `/db/public/${publicDbName}?id=eq.b`, { as, body: { doc: { x: 4 } } }), 204);
	const moved = ok(await resolve(shown[1], 'public'));
	assert.deepEqual([moved.conflict, moved.public], ['update_update', { x: 4 }]);
	const taken = ok(await resolve(moved, 'public'));
	assert.deepEqual([taken.conflict, taken.side], [null, null]);

	const rest = await post('/api/sync/push', { localDbName: id }, { as });
	assert.equal(rest.text, '{"success": true, "documentsUpdated": 2, "conflicts": 0, "refusedDeletions": 0}');
	assert.deepEqual(await entities(as, 'public', publicDbName), { a: { x: 2, y: 3 }, b: { x: 4 }, c: { x: 2 } });
});

test('many conflicts in one call, which is one sync', async () => {
	const who = as + '-many';
	const n = 10000;
	const ids = Array.from({ length: n }, (_, i) => 'entity-' + String(i).padStart(5, '0'));
	const put = (diagram, v) => rpc('put', { diagram, entities: ids.map((id) => ({ id, v })) }, { as: who });
	const many = (choices) => rpc('resolve_many', { localDbName: 'contract-many', choices }, { as: who });
	ok(await rpc('create_diagram', { name: 'Many', id: 'contract-many' }, { as: who }));
	ok(await put('contract-many', 0));
	ok(await rpc('share', { localDbName: 'contract-many', publicDbName: 'contract-many-public' }, { as: who }));
	ok(await put('contract-many', 1));
	ok(await put('contract-many-public', 2));
	const { left } = ok(await get('/rpc/sync_rate', { as: who }));
	const expected = ok(await get('/rpc/conflicts?local=contract-many', { as: who })).map((change) => change.version);
	const answer = ok(await many(ids.map((entityId, i) => ({
		entityId, resolution: ['local', 'public', 'merged'][i % 3], ...(i % 3 === 2 && { doc: { v: 3 } }), expected: i === 4 ? 'another' : expected[i] }))));
	assert.deepEqual([answer.success, answer.resolved, answer.conflicts, answer.refusedDeletions, answer.entities.length], [false, n - 1, 1, 0, n]);
	assert.deepEqual(answer.entities.slice(3, 6), [{ entityId: ids[3], outcome: 'resolved', conflict: null, copyId: null, version: null },
		{ entityId: ids[4], outcome: 'changed', conflict: 'update_update', copyId: null, version: expected[4] }, { entityId: ids[5], outcome: 'resolved', conflict: null, copyId: null, version: null }]);
	const all = ok(await rpc('resolve_all', { localDbName: 'contract-many', resolution: 'both', kinds: ['update_update'], paths: [''], entities: [ids[4], ids[5], 'nobody'], allowDeletions: false }, { as: who }));
	assert.deepEqual({ ...all, entities: all.entities.map((entity) => [entity.entityId, entity.outcome]) },
		{ success: false, resolved: 1, conflicts: 0, refusedDeletions: 0, entities: [[ids[4], 'resolved'], [ids[5], 'no_conflict'], ['nobody', 'no_entity']] });
	assert.match(all.entities[0].copyId, new RegExp(ids[4] + '-.'));
	assert.deepEqual(ok(await rpc('resolve_all', { localDbName: 'contract-many', resolution: 'local' }, { as: who })), { success: true, resolved: 0, conflicts: 0, refusedDeletions: 0, entities: [] });
	assert.equal(ok(await get('/rpc/sync_rate', { as: who })).left, left - 3);
	const docs = await entities(who, 'local', 'contract-many');
	assert.deepEqual([ids[0], ids[1], ids[2], ids[4], all.entities[0].copyId].map((id) => docs[id].v), [1, 2, 3, 2, 1]);
	// How much that takes has a limit, which is above that of one document.
	const large = { t: 'x'.repeat(900000) };
	ok(await rpc('put', { diagram: 'contract-many', entities: ['x', 'y', 'z'].map((id) => ({ id, ...large })) }, { as: who }));
	ok(await many(['x', 'y', 'z'].map((entityId) => ({ entityId, resolution: 'merged', doc: large }))));
	assert.equal((await many([{ entityId: ids[0], resolution: 'local', expected: 'x'.repeat(8 * 1024 * 1024) }])).status, 413);
	assert.equal((await many(ids.concat('one more').map((entityId) => ({ entityId, resolution: 'local' })))).status, 413);
});

test('onConflict settles conflicts in the same call', async () => {
	for (const [onConflict, local, shared] of [
		['local', { x: 2 }, { x: 2 }], ['public', { x: 3 }, { x: 3 }], ['newest', { x: 3 }, { x: 3 }],
		['skip', { x: 2 }, { x: 3 }]]) {
		const id = await diagram(as, 'on-' + onConflict, 'local', { a: { x: 1 } });
		ok(await rpc('share', { localDbName: id, publicDbName: id + '-public' }, { as }));
		ok(await edit(id, 'a', { x: 2 }), 204);
		ok(await request('PATCH', `/db/public/${id}-public?id=eq.a`, { as, body: { doc: { x: 3 } } }), 204);
		const pushed = ok(await post('/api/sync/push', { localDbName: id, onConflict }, { as }));
		assert.equal(pushed.success, onConflict !== 'skip');
		assert.deepEqual(await entities(as, 'local', id), { a: local }, onConflict);
		assert.deepEqual(await entities(as, 'public', id + '-public'), { a: shared }, onConflict);
	}
});

test('GET /diagrams has the columns, in their order', async () => {
	const id = await diagram(as, 'directory');
	ok(await rpc('share', { localDbName: id, publicDbName: 'directory-public' }, { as }));
	const [row] = ok(await get('/diagrams?_id=eq.directory', { as }));
	assert.deepEqual(Object.keys(row), ['_id', 'name', 'description', 'storageType', 'createdAt', 'publicCopyId',
		'lastPushedAt', 'lastPulledAt', 'publicVersion']);
	assert.deepEqual([row._id, row.name, row.storageType, row.publicCopyId], [id, 'Name of directory', 'local',
		'directory-public']);
	assert.ok(row.lastPushedAt && !row.lastPulledAt);
});

test('name and description change with PATCH /diagrams, nothing else does', async () => {
	await diagram(as, 'renamed', 'public');
	const patch = (body, who = as) => request('PATCH', '/diagrams?_id=eq.renamed',
		{ as: who, body, headers: { Prefer: 'return=representation' } });
	const [row] = ok(await patch({ name: 'New', description: 'What it is' }));
	assert.deepEqual([row.name, row.description], ['New', 'What it is']);
	for (const body of [{ _id: 'other' }, { storageType: 'private' }, { publicCopyId: 'directory-public' },
		{ lastPushedAt: null }, { publicVersion: 1 }]) {
		assert.equal((await patch(body)).status, 400, JSON.stringify(body));
	}
	assert.deepEqual(ok(await patch({ name: 'Stolen' }, 'contract-stranger')), []);
	assert.equal(sql("SELECT name FROM diagsync.directory WHERE id = 'renamed'"), 'New');
});

test('create_diagram, share and clone answer with names, given or made', async () => {
	assert.equal((await rpc('create_diagram', { name: 'N', id: 'named "x" ü' }, { as })).text,
		'{"_id": "named \\"x\\" ü"}');
	assert.match(ok(await rpc('create_diagram', { name: 'N' }, { as }))._id, /^[0-9a-f-]{36}$/);
	const id = await diagram(as, 'made', 'local', { a: {} });
	assert.equal((await rpc('share', { localDbName: id, publicDbName: 'made-private', storageType: 'private' }, { as })).text,
		'{"publicDbName": "made-private"}');
	assert.equal((await rpc('clone', { publicDbName: 'made-private', localDbName: 'made-again', name: 'Again' }, { as })).text,
		'{"localDbName": "made-again"}');
	assert.deepEqual(await entities(as, 'local', 'made-again'), { a: {} });
	const made = ok(await rpc('clone', { publicDbName: 'made-private' }, { as })).localDbName;
	assert.match(made, /^[0-9a-f-]{36}$/);
	assert.match(ok(await rpc('share', { localDbName: 'named "x" ü' }, { as })).publicDbName, /^[0-9a-f-]{36}$/);
	const [row] = ok(await get('/diagrams?_id=eq.made-again', { as }));
	assert.deepEqual([row.name, row.publicCopyId, row.storageType], ['Again', 'made-private', 'local']);
});

test('link, unlink, set_storage_type, drop_diagram', async () => {
	const id = await diagram(as, 'linked', 'local', { a: {}, b: {} });
	await diagram(as, 'linked-public', 'public', { b: {}, c: {} });
	ok(await rpc('link', { localDbName: id, publicDbName: 'linked-public' }, { as }), 204);
	const status = ok(await get(`/api/sync/status?local=${id}`, { as }));
	assert.deepEqual([status.localChanges, status.publicChanges, status.lastSyncedAt], [1, 1, null]);
	ok(await rpc('set_storage_type', { diagram: 'linked-public', storageType: 'private' }, { as }), 204);
	assert.deepEqual(await entities(as, 'private', 'linked-public'), { b: {}, c: {} });
	ok(await rpc('unlink', { localDbName: id }, { as }), 204);
	assert.equal(ok(await get(`/rpc/status?local=${id}`, { as })).state, 'unlinked');
	ok(await rpc('drop_diagram', { diagram: 'linked-public' }, { as }), 204);
	assert.deepEqual(ok(await get('/diagrams?_id=eq.linked-public', { as })), []);
});

test('put, remove and /entities', async () => {
	await diagram(as, 'many', 'public');
	assert.equal((await rpc('put', { diagram: 'many', entities: [{ id: 'a', x: 1 }, { id: 'b' }] }, { as })).text,
		'{"documentsUpdated": 2}');
	assert.equal((await rpc('put', { diagram: 'many', entities: [{ id: 'a', x: 1 }, { id: 'c' }] }, { as })).text,
		'{"documentsUpdated": 1}');
	assert.equal((await rpc('remove', { diagram: 'many', ids: ['b', 'none'] }, { as })).text, '{"documentsUpdated": 1}');
	const rows = ok(await get('/entities?diagram=eq.many&order=id', { as }));
	assert.deepEqual(rows.map((row) => [row.id, row.doc, row.storageType, row.modifiedBy]),
		[['a', { id: 'a', x: 1 }, 'public', 'sub:' + as], ['c', { id: 'c' }, 'public', 'sub:' + as]]);
	assert.deepEqual(Object.keys(rows[0]), ['diagram', 'id', 'doc', 'storageType', 'modifiedAt', 'modifiedBy']);
});

test('an entity is the same with its id in the document or without', async () => {
	const path = '/db/local/' + await diagram(as, 'shapes', 'local');
	const changes = async () => ok(await get('/rpc/status?local=shapes', { as })).localChanges;
	ok(await rpc('put', { diagram: 'shapes', entities: [{ id: 'a', x: 1 }] }, { as }));
	ok(await rpc('share', { localDbName: 'shapes', publicDbName: 'shapes-public' }, { as }));
	for (const doc of [{ x: 1 }, { _id: 'a', x: 1 }, { id: 'a', x: 1 }, { x: 1, _id: 'a', id: 'a' }, { x: 1 }]) {
		ok(await request('PUT', path, { as, body: { id: 'a', doc } }));
		assert.equal(await changes(), 0);
		ok(await request('PATCH', path + '?id=eq.a', { as, body: { doc } }), 204);
		assert.equal(await changes(), 0);
	}
	assert.equal((await rpc('put', { diagram: 'shapes', entities: [{ id: 'a', x: 1 }] }, { as })).text, '{"documentsUpdated": 0}');
	// What was read is written back, and the other end has it in another shape.
	ok(await request('PUT', '/db/public/shapes-public', { as, body: { id: 'a', doc: { x: 2 } } }));
	ok(await rpc('pull', { localDbName: 'shapes' }, { as }));
	const [{ id, doc }] = ok(await get(path + '?select=id,doc', { as }));
	ok(await request('PUT', path, { as, body: { id, doc } }));
	ok(await rpc('put', { diagram: 'shapes', entities: [{ ...doc, id }] }, { as }));
	assert.equal(await changes(), 0);
	for (const other of [{ id: 'b' }, { _id: 'b' }]) {
		assert.equal(refused(await request('PUT', path, { as, body: { id: 'a', doc: other } }), 422).message, 'Unprocessable Entity');
	}
	ok(await request('PUT', path, { as, body: { id: 'panel', doc: { id: 7 } } }), 201);
});

test('the three entity views are written directly too', async () => {
	for (const type of ['local', 'public', 'private']) {
		const id = await diagram(as, 'direct-' + type, type);
		const path = `/${type}_entities`;
		ok(await post(path, [{ diagram: id, id: 'a', doc: {} }, { diagram: id, id: 'b', doc: {} }], { as }), 201);
		ok(await post(path + '?on_conflict=diagram,id', [{ diagram: id, id: 'a', doc: { x: 1 } }],
			{ as, headers: { Prefer: 'resolution=merge-duplicates' } }), 200);
		ok(await request('PATCH', `${path}?diagram=eq.${id}&id=eq.b`, { as, body: { doc: { y: 1 } } }), 204);
		const rows = ok(await get(`${path}?diagram=eq.${id}&order=id`, { as }));
		assert.deepEqual(Object.keys(rows[0]), ['diagram', 'id', 'doc', 'modifiedAt', 'modifiedBy']);
		assert.deepEqual(rows.map((row) => row.doc), [{ x: 1 }, { y: 1 }]);
		ok(await request('DELETE', `${path}?diagram=eq.${id}&id=eq.a`, { as }), 204);
		assert.deepEqual(await entities(as, type, id), { b: { y: 1 } });
	}
});

test('set_merge_policy makes edits of different properties merge', async () => {
	const id = await diagram(as, 'policy', 'local', { a: { x: 1, y: 1 } });
	const set = await rpc('set_merge_policy', { diagram: id, policy: { granularity: 'property' } }, { as });
	assert.deepEqual(ok(set), { granularity: 'property' });
	ok(await rpc('share', { localDbName: id, publicDbName: 'policy-public' }, { as }));
	ok(await edit(id, 'a', { x: 2, y: 1 }), 204);
	ok(await request('PATCH', '/db/public/policy-public?id=eq.a', { as, body: { doc: { x: 1, y: 2 } } }), 204);
	assert.equal((await post('/api/sync/pull', { localDbName: id }, { as })).text,
		'{"success": true, "documentsUpdated": 1, "conflicts": 0, "refusedDeletions": 0}');
	assert.deepEqual(await entities(as, 'local', id), { a: { x: 2, y: 2 } });
});

test('diff says what changed, patch applies it', async () => {
	const old = { x: 1, y: 1, seen: 1, tags: ['a'] };
	const changed = { x: 2, seen: 2, tags: ['b', 'a'], z: null };
	const difference = ok(await rpc('diff', { old, new: changed, policy: { ignore: ['/seen'] } }));
	assert.deepEqual(difference, [{ op: 'replace', path: '/x', value: 2 }, { op: 'remove', path: '/y' }, { op: 'add', path: '/z', value: null },
		{ op: 'add', path: '/tags/0', value: 'b' }]);
	assert.deepEqual(ok(await rpc('patch', { doc: old, diff: difference })), { ...changed, seen: 1 });
	assert.deepEqual(ok(await rpc('diff', { old: changed, new: changed, policy: null }, { as })), []);
	assert.equal(ok(await rpc('patch', { doc: old, diff: [{ op: 'remove', path: '' }] }, { as })), null);
	for (const [diff, details] of [[{}, 'a patch must be a JSON array'], [[{ op: 'remove', path: '/a' }], 'operation 1 of the patch cannot be applied: remove "/a": There is nothing at "/a".'],
		[[{ op: 'remove', path: '/tags/1' }], 'operation 1 of the patch cannot be applied: remove "/tags/1": The array at "/tags" has 1 elements.']]) {
		const answer = await rpc('patch', { doc: old, diff }, { as });
		assert.deepEqual([answer.status, answer.json.message, answer.json.details], [422, 'Unprocessable Entity', details]);
	}
	const bomb = await rpc('patch', { doc: { a: {}, b: 'x'.repeat(100) }, diff: Array.from({ length: 40 }, (_, n) => ({ op: 'copy', from: '', path: `/a/${n}` })) }, { as });
	assert.equal(bomb.status, 413);
});

test('members, owners, tokens, access', async () => {
	const id = await diagram(as, 'team', 'private', { a: {} });
	const access = async (who) => (await get('/rpc/access?diagram=team', { as: who })).text;
	assert.equal(await access(as), '{"access": "owner"}');
	assert.equal(await access('contract-ben'), '{"access": null}');
	ok(await rpc('add_member', { diagram: id, principal: 'sub:contract-ben', role: 'writer' }, { as }), 204);
	assert.equal(await access('contract-ben'), '{"access": "writer"}');
	const members = ok(await get('/members?diagram=eq.team', { as }));
	assert.deepEqual(members.map((row) => ({ ...row, addedAt: 0 })), [{ diagram: id, principal: 'sub:contract-ben',
		role: 'writer', addedAt: 0, addedBy: 'sub:' + as }]);
	ok(await rpc('remove_member', { diagram: id, principal: 'sub:contract-ben' }, { as }), 204);
	assert.equal(await access('contract-ben'), '{"access": null}');

	const made = ok(await rpc('create_token', { diagram: id, role: 'writer', expiresIn: '1 hour', label: 'kiosk' }, { as }));
	assert.deepEqual(Object.keys(made), ['id', 'token']);
	assert.ok(made.token.startsWith(made.id + '.'));
	const tokens = ok(await get('/tokens?diagram=eq.team', { as }));
	assert.deepEqual(Object.keys(tokens[0]), ['id', 'diagram', 'role', 'label', 'createdAt', 'createdBy', 'expiresAt']);
	assert.deepEqual([tokens[0].id, tokens[0].role, tokens[0].label, tokens[0].createdBy],
		[made.id, 'writer', 'kiosk', 'sub:' + as]);
	assert.ok(Math.abs(Date.parse(tokens[0].expiresAt) - Date.now() - 3600000) < 60000);
	ok(await rpc('revoke_token', { id: made.id }, { as }), 204);
	assert.deepEqual(ok(await get('/tokens?diagram=eq.team', { as })), []);

	ok(await rpc('set_owner', { diagram: id, principal: 'sub:contract-ben' }, { as }), 204);
	assert.equal(await access('contract-ben'), '{"access": "owner"}');
	assert.equal(await access(as), '{"access": null}');
});

test('a sync that deletes much is asked for', async () => {
	const many = Object.fromEntries(Array.from({ length: 12 }, (_, n) => [`e${n}`, { n }]));
	await diagram(as, 'contract-much', 'local', many);
	ok(await rpc('share', { localDbName: 'contract-much', publicDbName: 'contract-much-public' }, { as }));
	ok(await rpc('remove', { diagram: 'contract-much', ids: Object.keys(many) }, { as }));
	const push = (body) => post('/api/sync/push', { localDbName: 'contract-much', ...body }, { as });
	assert.equal((await push({})).text, '{"success": false, "documentsUpdated": 0, "conflicts": 0, "refusedDeletions": 12}');
	const preview = ok(await push({ dryRun: true }));
	assert.deepEqual([preview.success, preview.documentsUpdated, preview.deleted, preview.refusedDeletions, preview.entities.length], [false, 0, 0, 12, 12]);
	const allowed = ok(await push({ dryRun: true, allowDeletions: true }));
	assert.deepEqual([allowed.success, allowed.deleted, allowed.refusedDeletions], [true, 12, 0]);
	assert.equal((await push({ allowDeletions: true })).text, '{"success": true, "documentsUpdated": 12, "conflicts": 0, "refusedDeletions": 0}');
});

test('a dry run shows what would be done, page by page; its plan is done, or nothing', async () => {
	const id = await diagram(as, 'looks', 'local', Object.fromEntries(Array.from({ length: 7 }, (_, n) => ['e' + n, { n }])));
	ok(await rpc('share', { localDbName: id, publicDbName: id + '-public' }, { as }));
	const before = await entities(as, 'public', id + '-public');
	ok(await request('PATCH', `/db/local/${id}?id=in.(e0,e1,e2)`, { as, body: { doc: { n: 9 } } }), 204);
	ok(await request('DELETE', `/db/local/${id}?id=eq.e3`, { as }), 204);
	ok(await post('/db/local/' + id, { id: 'new', doc: {} }, { as }), 201);
	const push = async (more) => ok(await post('/api/sync/push', { localDbName: id, ...more }, { as }));
	const all = await push({ dryRun: true });
	assert.deepEqual({ ...all, plan: 0, entities: 0 }, { success: true, documentsUpdated: 5, conflicts: 0, refusedDeletions: 0, inserted: 1,
		updated: 3, deleted: 1, merged: 0, resolved: 0, plan: 0, entities: 0, more: false });
	const nothing = { conflict: null, paths: null, resolved: false, merged: false, local: null };
	assert.deepEqual(all.entities, [...['e0', 'e1', 'e2'].map((entity, n) => ({ id: entity, public: 'update', ...nothing, before: { n }, after: { n: 9 } })),
		{ id: 'e3', public: 'delete', ...nothing, before: { n: 3 }, after: null }, { id: 'new', public: 'insert', ...nothing, before: null, after: {} }]);
	const pages = [];
	for (let first = 0, more = true; more; first += 2) {
		const page = await push({ dryRun: true, first, max: 2 });
		assert.equal(page.plan, all.plan);
		pages.push(...page.entities);
		more = page.more;
	}
	assert.deepEqual(pages, all.entities);
	assert.deepEqual(await entities(as, 'public', id + '-public'), before);
	// Something else by now: nothing is written, and the answer has the plan of now.
	ok(await edit(id, 'e5', { n: 9 }), 204);
	for (const dryRun of [true, false]) {
		const { success, documentsUpdated, plan } = await push({ expectedPlan: all.plan, dryRun });
		assert.deepEqual([success, documentsUpdated, plan === all.plan], [false, 0, false]);
	}
	assert.deepEqual(await entities(as, 'public', id + '-public'), before);
	const { plan } = await push({ dryRun: true });
	const done = await push({ expectedPlan: plan });
	assert.deepEqual([done.success, done.documentsUpdated], [true, 6]);
	// A conflict keeps all from being written, and is among those shown; no count is of what is not.
	ok(await request('PATCH', `/db/public/${id}-public?id=in.(e0,e4)`, { as, body: { doc: { n: 10 } } }), 204);
	ok(await edit(id, 'e0', { n: 11 }), 204);
	const pull = ok(await post('/rpc/pull', { localDbName: id, dryRun: true }, { as }));
	assert.deepEqual([pull.success, pull.conflicts, pull.documentsUpdated, pull.updated], [false, 1, 0, 0]);
	const shown = pull.entities.find((entity) => entity.id === 'e0');
	assert.deepEqual([shown.conflict, shown.paths], ['update_update', ['']]);
	const settled = ok(await post('/rpc/pull', { localDbName: id, dryRun: true, onConflict: 'public' }, { as }));
	assert.deepEqual([settled.success, settled.documentsUpdated, settled.resolved], [true, 2, 1]);
	assert.equal(ok(await post('/rpc/pull', { localDbName: id, onConflict: 'public', expectedPlan: settled.plan }, { as })).documentsUpdated, 2);
});

test('the status of all links in one call, the rate, a full comparison, and what is said of one diagram', async () => {
	const mine = { as: 'contract-links' };
	for (const name of ['b', 'a', 'c']) {
		await diagram(mine.as, 'links-' + name, 'local', { e: {}, f: {} });
		if (name !== 'c') ok(await rpc('share', { localDbName: 'links-' + name, publicDbName: `links-${name}-public` }, mine));
	}
	ok(await request('PATCH', '/db/local/links-b?id=in.(e,f)', { ...mine, body: { doc: { n: 1 } } }), 204);
	for (const all of [ok(await get('/rpc/status_all', mine)), ok(await rpc('status_all', {}, mine))]) {
		assert.deepEqual(all.map((each) => [each.local, each.public, each.state, each.localChanges, each.publicChanges, each.conflicts, each.diverged]),
			[['links-a', 'links-a-public', 'in_sync', 0, 0, 0, false], ['links-b', 'links-b-public', 'pending', 2, 0, 0, true]]);
		for (const { local, public: shared, ...figures } of all) assert.deepEqual(ok(await get(`/rpc/status?local=${local}&public=${shared}`, mine)), figures);
	}
	assert.deepEqual(ok(await get('/rpc/status_all', { as: 'contract-without-links' })), []);
	assert.deepEqual(ok(await rpc('refresh', { localDbName: 'links-b' }, mine)), ok(await get('/rpc/status?local=links-b', mine)));
	const { limit, left } = ok(await get('/rpc/sync_rate', mine));
	assert.deepEqual([limit, left], [120, 117]);

	assert.deepEqual(ok(await get('/rpc/owner?diagram=links-a-public')), { owner: 'sub:' + mine.as });
	refused(await get('/rpc/owner?diagram=links-a'), 404);
	assert.equal(ok(await get('/rpc/merge_policy?diagram=links-a', mine)), null);
	ok(await rpc('set_merge_policy', { diagram: 'links-a-public', policy: { preset: 'reactflow' } }, mine));
	const policy = ok(await get('/rpc/merge_policy?diagram=links-a-public'));
	assert.equal(policy.granularity, 'property');
	assert.ok(policy.ignore.length > 0);
	refused(await get('/rpc/merge_policy?diagram=links-a'), 404);
});

test('merge: of documents alone, for anybody', async () => {
	const merge = async (body) => ok(await rpc('merge', body));
	const base = { x: 1, y: 1 };
	assert.deepEqual(await merge({ base, local: { x: 2, y: 1 }, public: { x: 1, y: 2 }, policy: { granularity: 'property' } }),
		{ merged: { x: 2, y: 2 }, conflict: false, paths: [], baseValues: [], localValues: [], publicValues: [] });
	assert.deepEqual(await merge({ base, local: { x: 2, y: 1 }, public: { x: 3, y: 1 }, policy: { granularity: 'property' } }),
		{ merged: null, conflict: true, paths: ['/x'], baseValues: [1], localValues: [2], publicValues: [3] });
	assert.deepEqual(await merge({ base, local: { x: 2, y: 1 }, public: { x: 1, y: 2 } }),
		{ merged: null, conflict: true, paths: [''], baseValues: [base], localValues: [{ x: 2, y: 1 }], publicValues: [{ x: 1, y: 2 }] });
	assert.deepEqual((await merge({ base, local: null, public: base })).conflict, false);
	refused(await rpc('merge', { base, local: base, public: base, policy: { granularity: 'atoms' } }), 422);
});
