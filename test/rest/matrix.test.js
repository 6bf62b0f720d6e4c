// Every caller on every route with every method, from one table. A letter says
// what comes: y done, n 404 as if there were nothing, f 403, l 401 (log in), m 405.
'use strict';
const { test, before } = require('node:test');
const assert = require('node:assert/strict');
const { diagram, jwt, ok, request, rpc } = require('./lib.js');

const TABLE = `
what                        owner admin writer reader stranger nobody t-writer t-reader badtoken
GET    /db/local/L          y     n     n      n      n        n      n        n        n
GET    /db/public/P         y     y     y      y      y        y      y        y        y
GET    /db/private/S        y     y     y      y      n        n      y        y        n
GET    /db/public/S         n     n     n      n      n        n      n        n        n
HEAD   /db/private/S        y     y     y      y      n        n      y        y        n
POST   /db/local/L          y     n     n      n      n        n      n        n        n
POST   /db/public/P         y     y     y      y      y        y      y        y        y
POST   /db/private/S        y     y     y      f      n        n      y        f        n
PUT    /db/local/L          y     n     n      n      n        n      n        n        n
PUT    /db/public/P         y     y     y      y      y        y      y        y        y
PUT    /db/private/S        y     y     y      f      n        n      y        f        n
PATCH  /db/local/L          y     n     n      n      n        n      n        n        n
PATCH  /db/public/P         y     y     y      y      y        y      y        y        y
PATCH  /db/private/S        y     y     y      y      n        n      y        y        n
DELETE /db/private/S        y     y     y      y      n        n      y        y        n
TRACE  /db/private/S        m     m     m      m      m        m      m        m        m
POST   /private_entities    y     y     y      f      n        n      y        f        n
POST   /local_entities      y     n     n      n      n        n      n        n        n
POST   /public_entities     y     y     y      y      y        y      y        y        y
PUT    /private_entities    m     m     m      m      m        m      m        m        m
GET    /private_entities    y     y     y      y      y        y      y        y        y
GET    /entities            y     y     y      y      y        y      y        y        y
POST   /entities            m     m     m      m      m        m      m        m        m
GET    /diagrams            y     y     y      y      y        y      y        y        y
DELETE /diagrams            m     m     m      m      m        m      m        m        m
POST   /diagrams            m     m     m      m      m        m      m        m        m
GET    /members             y     y     y      y      y        y      y        y        y
POST   /members             m     m     m      m      m        m      m        m        m
DELETE /tokens              m     m     m      m      m        m      m        m        m
GET    /nothing             n     n     n      n      n        n      n        n        n
GET    /rpc/call            n     n     n      n      n        n      n        n        n
POST   /rpc/check_request   n     n     n      n      n        n      n        n        n
POST   /rpc/put             y     y     y      f      n        n      y        f        n
POST   /rpc/remove          y     y     y      f      n        n      y        f        n
GET    /rpc/put             m     m     m      m      m        m      m        m        m
GET    /rpc/access          y     y     y      y      y        y      y        y        y
GET    /rpc/limits          y     y     y      y      n        n      y        y        n
POST   /rpc/set_limits      y     y     f      f      n        l      l        l        l
POST   /rpc/add_member      y     y     f      f      n        l      l        l        l
POST   /rpc/create_token    y     y     f      f      n        l      l        l        l
POST   /rpc/clone           y     y     y      y      n        l      l        l        l
GET    /rpc/status          y     n     n      n      n        l      l        l        l
POST   /rpc/status          y     n     n      n      n        l      l        l        l
GET    /api/sync/status     y     n     n      n      n        l      l        l        l
POST   /api/sync/status     m     m     m      m      m        m      m        m        m
GET    /rpc/changes         y     n     n      n      n        l      l        l        l
POST   /api/sync/push       y     n     n      n      n        l      l        l        l
POST   /api/sync/pull       y     n     n      n      n        l      l        l        l
GET    /api/sync/push       m     m     m      m      m        m      m        m        m
POST   /rpc/resolve         y     n     n      n      n        l      l        l        l
POST   /rpc/resolve_all     y     n     n      n      n        l      l        l        l
POST   /rpc/resolve_many    y     n     n      n      n        l      l        l        l
GET    /rpc/resolve_many    m     m     m      m      m        m      m        m        m
POST   /rpc/discard         y     n     n      n      n        l      l        l        l
`;
const STATUS = { n: [404], f: [403], l: [401], m: [405] };
const owner = 'matrix-owner';
const tokens = {};

before(async () => {
	await diagram(owner, 'matrix-L', 'local', { a: {} });
	ok(await rpc('share', { localDbName: 'matrix-L', publicDbName: 'matrix-S', storageType: 'private' }, { as: owner }));
	await diagram(owner, 'matrix-P', 'public', { a: {} });
	for (const role of ['admin', 'writer', 'reader']) {
		ok(await rpc('add_member', { diagram: 'matrix-S', principal: 'sub:matrix-' + role, role }, { as: owner }), 204);
		tokens['t-' + role] = ok(await rpc('create_token', { diagram: 'matrix-S', role }, { as: owner })).token;
	}
	tokens.badtoken = tokens['t-reader'] + 'x';
});

let fresh = 0;
const BODIES = {
	put: (id) => ({ diagram: 'matrix-S', entities: [{ id }] }), remove: () => ({ diagram: 'matrix-S', ids: ['none'] }),
	set_limits: () => ({ diagram: 'matrix-S' }), add_member: () => ({ diagram: 'matrix-S', principal: 'sub:x', role: 'reader' }),
	create_token: () => ({ diagram: 'matrix-S' }), clone: () => ({ publicDbName: 'matrix-S' }), status: () => ({ local: 'matrix-L' }),
	push: () => ({ localDbName: 'matrix-L' }), pull: () => ({ localDbName: 'matrix-L' }),
	discard: () => ({ localDbName: 'matrix-L', entities: ['a'] }),
	resolve: () => ({ localDbName: 'matrix-L', entityId: 'a', resolution: 'local' }),
	resolve_all: () => ({ localDbName: 'matrix-L', resolution: 'local' }), resolve_many: () => ({ localDbName: 'matrix-L', choices: [{ entityId: 'a', resolution: 'local' }] }),
};

function send(who, method, route) {
	const id = `n${fresh++}`;
	const name = route.split('/').pop();
	let where = route.replace(/^(\/db\/\w+\/)/, '$1matrix-');
	let body;
	if (['PATCH', 'DELETE'].includes(method)) where += '?id=eq.none';
	if (method === 'GET' && /^\/(rpc|api)/.test(route)) where += /access|limits/.test(route) ? '?diagram=matrix-S' : '?local=matrix-L';
	if (['POST', 'PUT', 'PATCH'].includes(method)) {
		const stored = { local_entities: 'matrix-L', public_entities: 'matrix-P', private_entities: 'matrix-S' }[name];
		body = BODIES[name]?.(id) ?? (method === 'PATCH' ? { doc: {} } : { diagram: stored, id, doc: {} });
	}
	return request(method, where, { as: /nobody|^t-|badtoken/.test(who) ? undefined : 'matrix-' + who, token: tokens[who], body });
}

const [[, ...callers], ...rows] = TABLE.trim().split('\n').map((line) => line.replace(/^(\w+) +(\/\S*)/, '$1_$2').split(/ +/));
for (const [n, who] of callers.entries()) {
	test(`${who}: all routes`, async () => {
		for (const [what, ...letters] of rows) {
			const [method, route] = what.split('_', 1).concat(what.slice(what.indexOf('_') + 1));
			const letter = letters[n];
			const answer = await send(who, method, route);
			const fine = letter === 'y' ? answer.status < 300 || (/resolve$/.test(route) && answer.status === 422) : STATUS[letter].includes(answer.status);
			assert.ok(fine, `${who} ${method} ${route}: ${letter} expected, ${answer.status} ${answer.text}`);
			if (answer.status >= 400 && answer.text) assert.deepEqual(Object.keys(answer.json).sort(), ['code', 'details', 'hint', 'message']);
		}
	});
}

test('a login that is wrong opens nothing', async () => {
	const wrong = jwt({ role: 'diagsync_user', sub: owner, exp: 1 });
	for (const [what] of rows) {
		const method = what.slice(0, what.indexOf('_'));
		const route = what.slice(what.indexOf('_') + 1).replace(/^(\/db\/\w+\/)/, '$1matrix-') + (/^(PATCH|DELETE)/.test(what) ? '?id=eq.none' : '');
		const answer = await request(method, route, { headers: { Authorization: 'Bearer ' + wrong }, body: /^(POST|PUT|PATCH)/.test(what) ? {} : undefined });
		assert.ok([401, 404, 405].includes(answer.status), `${what}: ${answer.status} ${answer.text}`);
	}
});
