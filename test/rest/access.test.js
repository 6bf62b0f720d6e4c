// Who gets what over HTTP: users, members, strangers, nobody, and bearers of
// access tokens.
'use strict';
const { test, before } = require('node:test');
const assert = require('node:assert/strict');
const { diagram, entities, get, jwt, login, ok, post, refused, request, rpc, sql } = require('./lib.js');

const owner = 'access-owner';
const stranger = 'access-stranger';
const local = 'access-local';
const shared = 'access-public';
const secret = 'access-private';
const linked = 'access-linked';

before(async () => {
	await diagram(owner, local, 'local', { e: { n: 1 } });
	await diagram(owner, shared, 'public', { e: { n: 1 } });
	await diagram(owner, linked, 'local', { e: { n: 1 } });
	ok(await rpc('share', { localDbName: linked, publicDbName: secret, storageType: 'private' }, { as: owner }));
});

// All that one can ask of a diagram that one may not see.
function everyRequest(type, id, options) {
	const path = `/db/${type}/${id}`;
	const call = (name, args) => [name, () => rpc(name, args, options)];
	const list = [
		['GET ' + path, () => get(path, options)],
		['GET one', () => get(path + '?id=eq.e', options)],
		['POST', () => post(path, { id: 'new', doc: {} }, options)],
		['PUT', () => request('PUT', path, { ...options, body: { id: 'e', doc: {} } })],
		['PATCH', () => request('PATCH', path + '?id=eq.e', { ...options, body: { doc: {} } })],
		['DELETE', () => request('DELETE', path + '?id=eq.e', options)],
		['POST view', () => post(`/${type}_entities`, { diagram: id, id: 'new', doc: {} }, options)],
		call('put', { diagram: id, entities: [{ id: 'e' }] }),
		call('remove', { diagram: id, ids: ['e'] }),
	];
	if (!options.as) return list;
	list.push(call('drop_diagram', { diagram: id }),
		call('set_storage_type', { diagram: id, storageType: 'public' }),
		call('set_merge_policy', { diagram: id, policy: null }),
		call('set_owner', { diagram: id, principal: 'sub:' + stranger }),
		call('add_member', { diagram: id, principal: 'sub:' + stranger, role: 'admin' }),
		call('remove_member', { diagram: id, principal: 'sub:x' }),
		call('create_token', { diagram: id }));
	if (type === 'local') {
		for (const prefix of ['/rpc/', '/api/sync/']) {
			for (const name of ['push', 'pull']) {
				list.push([prefix + name, () => post(prefix + name, { localDbName: id }, options)]);
				list.push([prefix + name + ' both', () => post(prefix + name, { localDbName: id, publicDbName: shared }, options)]);
			}
			list.push([prefix + 'status', () => get(`${prefix}status?local=${id}`, options)]);
		}
		list.push(['changes', () => get(`/rpc/changes?local=${id}`, options)],
			['conflicts', () => get(`/rpc/conflicts?local=${id}`, options)],
			call('share', { localDbName: id }), call('unlink', { localDbName: id }),
			call('link', { localDbName: id, publicDbName: shared }),
			call('resolve', { localDbName: id, entityId: 'e', resolution: 'local' }), call('resolve_all', { localDbName: id, resolution: 'local' }),
			call('resolve_many', { localDbName: id, choices: [{ entityId: 'e', resolution: 'local' }] }));
	} else {
		list.push(call('clone', { publicDbName: id }));
	}
	return list;
}

test('a stranger gets 404 on every route, as if there were no such diagram', async () => {
	for (const [type, id] of [['local', local], ['local', linked], ['private', secret]]) {
		const there = everyRequest(type, id, { as: stranger });
		const missing = everyRequest(type, id + '-missing', { as: stranger });
		for (const [i, [name, ask]] of there.entries()) {
			const answer = await ask();
			const error = refused(answer, 404);
			assert.equal(error.message, 'Not Found');
			// The same words as for one that is not there, its name aside.
			const none = await missing[i][1]();
			assert.equal(answer.text, none.text.replaceAll(id + '-missing', id), `${type} ${name}`);
			assert.equal(answer.reason, none.reason);
		}
		assert.deepEqual(ok(await get(`/diagrams?_id=eq.${id}`, { as: stranger })), []);
		assert.deepEqual(ok(await get(`/entities?diagram=eq.${id}`, { as: stranger })), []);
		assert.deepEqual(ok(await get(`/${type}_entities?diagram=eq.${id}`, { as: stranger })), []);
		assert.equal((await get(`/rpc/access?diagram=${id}`, { as: stranger })).text, '{"access": null}');
		for (const list of ['members', 'tokens']) {
			assert.deepEqual(ok(await get(`/${list}?diagram=eq.${id}`, { as: stranger })), []);
		}
	}
	assert.deepEqual(await entities(owner, 'local', local), { e: { n: 1 } });
	assert.deepEqual(await entities(owner, 'private', secret), { e: { n: 1 } });
});

test('without a login: public diagrams are read and edited', async () => {
	assert.deepEqual(await entities(undefined, 'public', shared), { e: { n: 1 } });
	ok(await post(`/db/public/${shared}`, { id: 'anonymous', doc: {} }), 201);
	ok(await request('PATCH', `/db/public/${shared}?id=eq.anonymous`, { body: { doc: { n: 2 } } }), 204);
	ok(await request('PUT', `/db/public/${shared}`, { body: { id: 'anonymous', doc: { n: 3 } } }));
	assert.deepEqual(await entities(undefined, 'public', shared), { anonymous: { n: 3 }, e: { n: 1 } });
	assert.equal(ok(await get(`/entities?diagram=eq.${shared}&id=eq.anonymous`))[0].modifiedBy, 'role:diagsync_anonymous');
	ok(await request('DELETE', `/db/public/${shared}?id=eq.anonymous`), 204);
	const rows = ok(await get('/diagrams'));
	assert.ok(rows.some((row) => row._id === shared));
	assert.ok(rows.every((row) => row.storageType === 'public'));
	assert.equal((await get(`/rpc/access?diagram=${shared}`)).text, '{"access": "writer"}');
});

test('without a login: private and local ones do not exist', async () => {
	for (const [type, id] of [['local', local], ['private', secret]]) {
		for (const [name, ask] of everyRequest(type, id, {})) {
			const answer = await ask();
			refused(answer, 404);
			assert.equal(answer.reason, 'Not Found', `${type} ${name}`);
		}
		assert.equal((await get(`/rpc/access?diagram=${id}`)).text, '{"access": null}');
	}
});

test('without a login: nothing is owned or synced, which is a 401', async () => {
	for (const [name, args] of [['create_diagram', { name: 'N' }], ['share', { localDbName: local }],
		['clone', { publicDbName: shared }], ['link', { localDbName: local, publicDbName: shared }],
		['unlink', { localDbName: local }], ['push', { localDbName: local }], ['pull', { localDbName: local }],
		['resolve', { localDbName: local, entityId: 'e', resolution: 'local' }], ['resolve_all', { localDbName: local, resolution: 'local' }], ['resolve_many', { localDbName: local, choices: [] }], ['drop_diagram', { diagram: shared }],
		['set_owner', { diagram: shared, principal: 'sub:x' }], ['create_token', { diagram: shared }],
		['revoke_token', { id: 'x' }], ['add_member', { diagram: shared, principal: 'sub:x', role: 'admin' }],
		['remove_member', { diagram: shared, principal: 'sub:x' }],
		['set_storage_type', { diagram: shared, storageType: 'private' }],
		['set_merge_policy', { diagram: shared, policy: null }]]) {
		const answer = await rpc(name, args);
		refused(answer, 401);
		assert.equal(answer.headers['www-authenticate'], 'Bearer', name);
	}
	for (const path of [`/api/sync/status?local=${local}`, `/rpc/status?local=${local}`, `/rpc/changes?local=${local}`]) {
		refused(await get(path), 401);
	}
	for (const path of ['/api/sync/push', '/api/sync/pull']) refused(await post(path, { localDbName: local }), 401);
	refused(await request('PATCH', `/diagrams?_id=eq.${shared}`, { body: { name: 'X' } }), 401);
});

test('a JWT that is not right is a 401', async () => {
	const now = Math.floor(Date.now() / 1000);
	const claims = { role: 'diagsync_user', sub: owner, exp: now + 60 };
	const [head, body, signature] = jwt(claims).split('.');
	const unsigned = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url') + `.${body}.`;
	for (const token of [jwt({ ...claims, exp: now - 60 }), jwt(claims, 'x'.repeat(32)), unsigned, 'nonsense',
		`${head}.${Buffer.from(JSON.stringify({ ...claims, sub: 'x' })).toString('base64url')}.${signature}`]) {
		for (const path of [`/db/local/${local}`, '/diagrams', `/api/sync/status?local=${local}`]) {
			const answer = await get(path, { headers: { Authorization: 'Bearer ' + token } });
			refused(answer, 401, null);
			assert.match(answer.headers['www-authenticate'], /^Bearer/);
		}
	}
	// A role that it may not become, and one that the authenticator would be itself.
	for (const role of ['postgres', 'nobody']) {
		const answer = await get('/diagrams', { headers: { Authorization: 'Bearer ' + jwt({ ...claims, role }) } });
		refused(answer, answer.status, null);
		assert.ok([400, 401, 403].includes(answer.status), answer.text);
	}
	assert.notEqual((await get('/diagrams', { headers: { Authorization: 'Bearer ' + jwt({ ...claims, role: 'diagsync_authenticator' }) } })).status, 200);
});

test('the claim sub is who one is, and is no role', async () => {
	await diagram('access "quoted" ü', 'access-odd', 'local');
	assert.equal(sql("SELECT owner FROM diagsync.directory WHERE id = 'access-odd'"), 'sub:access "quoted" ü');
	sql("SELECT diagsync.create_diagram('Of a role', id => 'access-role')");
	assert.equal(sql("SELECT owner FROM diagsync.directory WHERE id = 'access-role'"), 'role:postgres');
	for (const [claims, status] of [[{ sub: 'role:postgres' }, 404], [{ sub: 'postgres' }, 404], [{}, 401], [{ sub: null }, 401],
		[{ sub: '' }, 401], [{ sub: 5 }, 401], [{ sub: ['postgres'] }, 401]]) {
		const headers = { Authorization: 'Bearer ' + jwt({ role: 'diagsync_user', ...claims }) };
		for (const id of ['access-odd', 'access-role']) {
			refused(await get('/db/local/' + id, { headers }), status, null);
		}
	}
});

test('members do what their role says', async () => {
	for (const role of ['reader', 'writer', 'admin']) {
		ok(await rpc('add_member', { diagram: secret, principal: 'sub:access-' + role, role }, { as: owner }), 204);
	}
	const path = `/db/private/${secret}`;
	for (const [role, read, write, manage] of [['reader', true, false, false], ['writer', true, true, false], ['admin', true, true, true]]) {
		const as = 'access-' + role;
		assert.equal((await get(path, { as })).status, read ? 200 : 404);
		const wrote = await post(path, { id: 'by-' + role, doc: {} }, { as });
		if (write) ok(wrote, 201); else assert.equal(refused(wrote, 403).message, 'Forbidden');
		const put = await rpc('put', { diagram: secret, entities: [{ id: 'by-' + role }] }, { as });
		if (write) ok(put); else refused(put, 403);
		// What one may not write is not there for UPDATE and DELETE.
		const gone = await request('DELETE', path + '?id=eq.by-' + role, { as, headers: { Prefer: 'return=representation' } });
		assert.equal(ok(gone).length, write ? 1 : 0);
		const copy = ok(await rpc('clone', { publicDbName: secret }, { as })).localDbName;
		ok(await request('PATCH', `/db/local/${copy}?id=eq.e`, { as, body: { doc: { by: role } } }), 204);
		ok(await post('/api/sync/pull', { localDbName: copy }, { as }));
		const pushed = await post('/api/sync/push', { localDbName: copy, onConflict: 'local' }, { as });
		if (write) ok(pushed); else refused(pushed, 403);
		const member = await rpc('add_member', { diagram: secret, principal: 'sub:access-more', role: 'reader' }, { as });
		if (manage) ok(member, 204); else refused(member, 403);
		const token = await rpc('create_token', { diagram: secret }, { as });
		if (manage) ok(token); else refused(token, 403);
		assert.equal(ok(await get(`/tokens?diagram=eq.${secret}`, { as })).length > 0, manage);
		refused(await rpc('set_owner', { diagram: secret, principal: 'sub:' + as }, { as }), 403);
	}
	ok(await rpc('remove_member', { diagram: secret, principal: 'sub:access-reader' }, { as: owner }), 204);
	refused(await get(path, { as: 'access-reader' }), 404);
});

test('an access token opens its diagram to whoever sends it', async () => {
	const path = `/db/private/${secret}`;
	const make = async (args) => ok(await rpc('create_token', { diagram: secret, ...args }, { as: owner }));
	const reader = await make({});
	const writer = await make({ role: 'writer', expiresIn: '1 hour' });
	for (const as of [undefined, stranger]) {
		refused(await get(path, { as }), 404);
		ok(await get(path, { as, token: reader.token }));
		refused(await post(path, { id: 'x', doc: {} }, { as, token: reader.token }), 403);
		refused(await rpc('put', { diagram: secret, entities: [{ id: 'x' }] }, { as, token: reader.token }), 403);
		ok(await request('PUT', path, { as, token: writer.token, body: { id: 'by-token', doc: {} } }), 201);
		ok(await request('DELETE', path + '?id=eq.by-token', { as, token: writer.token }), 204);
		assert.equal((await get(`/rpc/access?diagram=${secret}`, { as, token: writer.token })).text, '{"access": "writer"}');
		// It is good for this diagram alone.
		refused(await get(`/db/local/${local}`, { as, token: writer.token }), 404);
		const rows = ok(await get('/diagrams?storageType=eq.private', { as, token: reader.token }));
		assert.deepEqual(rows.map((row) => row._id), [secret]);
	}
	// A bearer who has a login can keep a copy and sync it.
	const copy = ok(await rpc('clone', { publicDbName: secret }, { as: stranger, token: reader.token })).localDbName;
	ok(await post('/api/sync/pull', { localDbName: copy }, { as: stranger, token: reader.token }));
	ok(await post(`/db/local/${copy}`, { id: 'mine', doc: {} }, { as: stranger }), 201);
	refused(await post('/api/sync/push', { localDbName: copy }, { as: stranger, token: reader.token }), 403);
	ok(await post('/api/sync/push', { localDbName: copy }, { as: stranger, token: writer.token }));
	const alone = await post('/api/sync/pull', { localDbName: copy }, { as: stranger });
	assert.ok([403, 404].includes(alone.status), alone.text);

	// Not shown again, and not what is stored.
	assert.doesNotMatch((await get('/tokens', { as: owner })).text, new RegExp(writer.token.split('.')[1]));
	assert.equal(sql(`SELECT count(*) FROM diagsync.access_token AS t WHERE t::text LIKE '%${writer.token.split('.')[1]}%'`), '0');
	for (const bad of [reader.id, reader.id + '.', reader.id + '.' + writer.token.split('.')[1], reader.token + 'x', reader.token.slice(0, -1),
		'.', 'x'.repeat(5000), "'; --", reader.token.toUpperCase()]) {
		refused(await get(path, { token: bad }), 404);
	}
	ok(await rpc('revoke_token', { id: reader.id }, { as: owner }), 204);
	refused(await get(path, { token: reader.token }), 404);
	sql(`UPDATE diagsync.access_token SET expires_at = now() - interval '1 second' WHERE id = '${writer.id}'`);
	refused(await get(path, { token: writer.token }), 404);
	const brief = await make({ expiresIn: '2 seconds' });
	ok(await get(path, { token: brief.token }));
	await new Promise((resolve) => setTimeout(resolve, 2100));
	refused(await get(path, { token: brief.token }), 404);
	refused(await rpc('revoke_token', { id: brief.id }, { as: stranger }), 404);
});

test('one login says nothing of the next on the same connection', async () => {
	// PostgREST's connections are shared: who asks must not stay.
	const ask = async (n) => {
		if (n % 3 === 0) ok(await get(`/db/local/${local}`, { headers: { Authorization: 'Bearer ' + login(owner) } }));
		if (n % 3 === 1) refused(await get(`/db/local/${local}`, { as: stranger }), 404);
		if (n % 3 === 2) refused(await get(`/db/local/${local}`), 404);
	};
	await Promise.all(Array.from({ length: 90 }, (_, n) => ask(n)));
});
