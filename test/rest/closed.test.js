// What must not be had over HTTP, a test for each kind: what the planner knows,
// writes that name nothing, other people's connections, logins that are none,
// slow filters, the catalog, room without end, names of the inside.
'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const { base, diagram, entities, get, jwt, login, ok, post, rawRequest, refused, request, rpc, someAddress, sql } = require('./lib.js');

const as = 'closed-ann';
const VIEWS = ['local_entities', 'public_entities', 'private_entities'];
const raw = (method, where, headers, body = '', from) => rawRequest([`${method} ${where} HTTP/1.1`, `Host: ${base.host}`,
	'Connection: close', ...headers, ...(body ? [`Content-Length: ${Buffer.byteLength(body)}`] : []), '', body], from);

test('nothing that the planner knows leaves the server', async () => {
	const hidden = await diagram('closed-other', 'closed-hidden', 'local');
	sql(`INSERT INTO diagsync_local.entity (diagram_id, id, doc) SELECT '${hidden}', 'e' || n, '{}' FROM generate_series(1, 3000) AS n`);
	sql('ANALYZE diagsync_local.entity');
	for (const where of ['/local_entities?select=id&limit=0&diagram=eq.closed-hidden', '/entities?limit=0', '/diagrams?limit=0', '/members?limit=0']) {
		for (const count of ['planned', 'estimated']) {
			for (const Prefer of [`count=${count}`, `handling=lenient, count=${count}`, `COUNT = ${count}`]) {
				const answer = await get(where, { headers: { Prefer } });
				assert.ok(answer.status === 400 || answer.headers['content-range'] === '*/*', `${where} ${Prefer}: ${answer.headers['content-range']}`);
			}
			// In a second line, which not every nginx sees.
			const { status, text } = await raw('GET', where, ['Prefer: handling=lenient', `Prefer: count=${count}`]);
			assert.equal(status, 400, text);
			assert.match(text, /count=exact/);
		}
		const exact = await get(where, { headers: { Prefer: 'count=exact' } });
		assert.ok([200, 206].includes(exact.status), exact.text);
		for (const Accept of ['application/vnd.pgrst.plan', 'application/vnd.pgrst.plan+json', 'application/vnd.pgrst.plan+text; options=analyze|verbose']) {
			refused(await get(where, { as, headers: { Accept } }), 406);
		}
	}
	const { headers } = await get('/local_entities?diagram=eq.closed-hidden&limit=0', { headers: { Prefer: 'count=exact' } });
	assert.equal(headers['content-range'], '*/0');
	// Behind nginx the database refuses it as well.
	assert.throws(() => sql("SELECT diagsync.principal(); SET request.method = 'GET'; EXPLAIN SELECT FROM diagsync.directory"), /Bad Request/);
});

test('a write names one diagram and its entities, on every path', async () => {
	for (const type of ['local', 'public', 'private']) {
		const id = await diagram(as, 'closed-named-' + type, type, { a: {}, b: {} });
		await diagram(as, 'closed-named2-' + type, type, { a: {} });
		for (const method of ['PATCH', 'DELETE']) {
			for (const query of ['', '?', '?diagram=eq.' + id, '?id=eq.a', '?id=not.eq.a&diagram=eq.' + id, '?diagram=neq.x&id=eq.a',
				`?diagram=in.(${id},closed-named2-${type})&id=eq.a`, '?id=in.a&diagram=eq.' + id, '?%69d=eq.a&diagram=eq.' + id, '?or=(id.eq.a,id.eq.b)&diagram=eq.' + id,
				`?diagram=eq.${id}&id=eq.`, '?diagram=eq.&id=eq.a', `?diagram=eq.${id}&ID=eq.a`, `?id=gte.a&diagram=eq.${id}`, `?id=eq(any).{a}&diagram=eq.${id}`]) {
				refused(await request(method, `/${type}_entities${query}`, { as, body: { doc: { gone: 1 } } }), 400);
			}
			refused(await request(method, '/diagrams', { as, body: { name: 'gone' } }), method === 'PATCH' ? 400 : 405);
		}
		assert.deepEqual(await entities(as, type, id), { a: {}, b: {} });
		ok(await request('PATCH', `/${type}_entities?id=in.(a,b)&diagram=eq.${id}`, { as, body: { doc: { n: 1 } } }), 204);
		ok(await request('DELETE', `/${type}_entities?diagram=eq.${id}&id=eq.b`, { as }), 204);
		assert.deepEqual(await entities(as, type, id), { a: { n: 1 } });
		const two = [{ diagram: id, id: 'n', doc: {} }, { diagram: 'closed-named2-' + type, id: 'n', doc: {} }];
		assert.match(refused(await post(`/${type}_entities`, two, { as }), 400).details, /more than one diagram/);
	}
	for (const query of ['', '?name=eq.x', '?_id=neq.x', '?_id=in.(a,b)', '?storageType=eq.public']) {
		refused(await request('PATCH', '/diagrams' + query, { as, body: { name: 'gone' } }), 400);
	}
	assert.equal(sql("SELECT count(*) FROM diagsync.directory WHERE name = 'gone'"), '0');
	// Past nginx, the database wants to hear from it that entities are named.
	const write = (headers) => sql(`BEGIN; SET LOCAL request.method = 'DELETE'; SET LOCAL request.path = '/local_entities';
		SET LOCAL request.headers = '${headers}'; DELETE FROM diagsync_local.entity WHERE diagram_id = 'closed-named-local'; ROLLBACK`);
	assert.throws(() => write('{}'), /Bad Request/);
	write('{"x-diagsync-named": "yes"}');
});

test('HEAD, and answers before the body was read, leave nobody a dead connection', async () => {
	const id = await diagram(as, 'closed-head', 'local', { e: {} });
	const large = 'x'.repeat(200000);
	for (let n = 0; n < 60; n++) {
		assert.equal((await request('HEAD', '/diagrams?limit=1', { as })).status, 200);
		const wrong = await post('/db/public/closed-none', { id: large, doc: {} }, { headers: { Authorization: 'Bearer a.b.c' } });
		assert.match(wrong.headers['www-authenticate'], /^Bearer/);
		refused(wrong, 401);
		await request('HEAD', '/api/sync/status?local=' + id, { as });
		const answers = await Promise.all([rpc('put', { diagram: id, entities: [{ id: 'x', n }] }, { as }),
			request('PATCH', `/db/local/${id}?id=eq.e`, { as, body: { doc: { n } } })]);
		for (const answer of answers) assert.ok(answer.status < 300, answer.text);
	}
});

test('nginx and PostgREST agree on what a login is', async () => {
	const token = login(as);
	for (const authorization of ['Bearer \t', 'Bearer\t' + token, 'Bearer', 'Bearer  ' + token, `Bearer ${token} `.trim() + ',x', 'Basic eDp5', 'Digest Bearer ' + token,
		token, 'Bearer ' + token + ' ' + token, 'Bearer "' + token + '"', 'Bearer \xe9', 'Bearer \x01', 'Token ' + token]) {
		const { status, text } = await raw('GET', '/rpc/access?diagram=x', ['Authorization: ' + authorization]);
		assert.ok([400, 401].includes(status), `${authorization}: ${text}`);
		assert.match(text, /Content-Type: application\/json/);
		assert.match(text, /"hint"/);
	}
	const { status } = await raw('GET', '/diagrams', ['Authorization: Bearer ' + token, 'Authorization: Bearer ' + token]);
	assert.equal(status, 400);
	// Spelled in another way it is the same login, for both.
	for (const scheme of ['bearer', 'BEARER']) ok(await get('/rpc/status?local=' + await diagram(as, 'closed-' + scheme), { headers: { Authorization: `${scheme} ${token}` } }));
	for (const header of ['Cookie: n=\xe9', 'Referer: \xe9', 'User-Agent: \xe9', 'X-Other: \xe9', 'Prefer: \xe9', 'Accept: \xe9', 'X-Diagsync-Token: \xff', 'Range: \xe9']) {
		const { status, text } = await raw('GET', '/diagrams?limit=0', [header]);
		assert.ok([200, 400].includes(status), `${header}: ${text}`);
		assert.match(text, /Content-Type: application\/json/);
	}
});

test('a token that does not say whose it is, is nobody\'s', async () => {
	for (const claims of [{}, { sub: null }, { sub: '' }]) {
		for (const role of ['diagsync_user', 'diagsync_anonymous']) {
			const headers = { Authorization: 'Bearer ' + jwt({ role, ...claims }) };
			refused(await rpc('create_diagram', { name: 'N' }, { headers }), 401);
			refused(await get('/diagrams', { headers }), 401);
			refused(await get('/db/public/closed-none', { headers }), 401);
		}
	}
});

test('filters that take long, casts, sums and other tables are refused', async () => {
	const id = await diagram(as, 'closed-filters', 'public', { a: { kind: 'chair', deep: { x: 1 } } });
	const where = ['/db/public/' + id, '/entities', '/diagrams', '/members', '/tokens', ...VIEWS.map((view) => '/' + view)];
	for (const query of ['id=match.a', 'id=imatch.a', 'id=not.match.a', 'id=like.*a*', 'id=ilike.a', 'id=fts.a', 'id=plfts.a', 'doc=cs.{}', 'id=like(any).{a,b}',
		'id=m%61tch.a', '%69d=match.a', 'or=(id.match.a)', 'and=(id.match.a)', 'not.or=(id.match.a)', 'select=id::regrole', 'select=id::text', 'select=x:id::regclass',
		'select=id%3A%3Aregrole', 'select=doc->>kind::regtype', 'select=id,doc->x::int', 'select=count()', 'select=id.count()', 'select=id.max()', 'select=*,members(*)',
		'select=...members(*)', 'order=id::regrole', 'order=members(role)', 'id=eq.a&members.role=eq.x', 'limit=1e9', 'limit=-1', 'offset=a', 'select=', 'order=id.asc.foo']) {
		for (const at of where) {
			const start = Date.now();
			const answer = await get(`${at}?${query}`, { as });
			if (answer.status === 200) assert.ok(query === 'select=', `${at}?${query}`);
			else refused(answer, 400);
			assert.ok(Date.now() - start < 2000);
		}
	}
	for (const query of ['select=id,doc', 'select=k:doc->>kind', 'doc->>kind=eq.chair', 'doc-%3E%3Ekind=eq.chair', 'doc->deep->>x=eq.1', 'id=in.(a,b)', 'id=in.%28a%29', 'id=in.()', 'id=in.("a",b)', 'id=in.%28%22a,%5C%22)%22%2Cb%29', 'id=in.(a"b)', 'id=not.is.null',
		'modifiedAt=gt.2026-01-01', 'order=id.desc,modifiedAt&limit=5&offset=0', 'order=doc->>kind.asc.nullslast', 'select=*', 'id=eq.is.it', 'id=neq.']) {
		ok(await get(`/db/public/${id}?${query}`, { as }));
	}
	assert.equal(sql(`BEGIN; SET LOCAL request.method = 'GET'; SET LOCAL request.path = '/'; SET LOCAL request.headers = '{}';
		SET LOCAL diagsync.anonymous_timeout = '3s'; SELECT diagsync.check_request(); SHOW statement_timeout`).split('\n').pop(), '3s');
});

test('a query asks for no more than is answered soon', async () => {
	const id = await diagram(as, 'closed-query', 'public', { a: {}, ['->'.repeat(60)]: {} });
	const many = (length, part, between) => Array.from({ length }, (_, n) => part.replaceAll('#', n)).join(between);
	for (const at of ['/db/public/' + id, '/public_entities']) {
		for (const query of ['select=' + many(100, 'k#:doc->a#', ','), 'order=' + many(20, 'doc->a#', ','), many(50, 'id=neq.b#', '&'), 'select=doc' + '->a'.repeat(50),
			`select=doc&id=in.(${many(2000, 'e#', ',')})`, 'id=eq.' + '->'.repeat(60), `id=in.("a","${'-%3E'.repeat(60)}")`, 'doc->>a=eq.' + '->>,'.repeat(200)]) {
			ok(await get(`${at}?${query}`, { as }));
		}
		const start = Date.now();
		for (const query of ['select=' + many(101, 'k#:doc->a#', ','), 'select=' + many(101, 'id', '%2C'), 'select=' + many(1000, 'doc->>a#', '%2c'), 'order=' + many(21, 'doc->a#', ','), 'limit=1&order=' + many(900, 'id', ','),
			many(51, 'id=neq.b#', '&'), '&'.repeat(15000), 'limit=1&'.repeat(1800), 'select=doc' + '->a'.repeat(51), 'doc' + '-%3Ea'.repeat(2000) + '=eq.1', 'order=id,doc' + '->>a-b'.repeat(51), 'select=id,k:doc' + '->a'.repeat(5000)]) {
			assert.match(refused(await get(`${at}?${query}`), 400).hint, /up to 50 parts/, query.slice(0, 60));
		}
		assert.ok(Date.now() - start < 1500, `${Date.now() - start} ms`);
	}
	assert.equal(ok(await get(`/db/public/${id}?id=eq.${'->'.repeat(60)}`, { as })).length, 1);
	// What is merged is no longer than an entity may be, either.
	for (const number of ['1e131071', '1e-16383']) {
		const body = `{"base": {}, "local": {"n": [${many(1000, number, ',')}]}, "public": {}}`;
		assert.match(refused(await request('POST', '/rpc/merge', { body }), 413).details, /"local"/);
	}
	let deep = {};
	for (let level = 0; level < 250; level++) deep = { deep };
	assert.match(refused(await rpc('merge', { base: null, local: {}, public: deep }), 413).details, /"public"/);
});

test('how much goes in: bodies by route, diagrams, owners, new diagrams a minute', async () => {
	for (const where of ['/rpc/share', '/rpc/create_diagram', '/rpc/status', '/rpc/refresh']) {
		refused(await post(where, { localDbName: 'x'.repeat(17000) }, { as }), 413);
	}
	for (const where of ['/api/sync/push', '/api/sync/pull', '/rpc/discard']) {
		refused(await post(where, { localDbName: 'x'.repeat(530000) }, { as }), 413);
	}
	const start = Date.now();
	for (const where of ['/rpc/put', '/db/public/closed-filters']) {
		const answer = await request('POST', where, { as, body: '['.repeat(3000000) });
		assert.ok([400, 413].includes(answer.status), answer.text);
		refused(answer, answer.status);
	}
	assert.ok(Date.now() - start < 3000, 'brackets take their time');

	const id = await diagram(as, 'closed-room', 'public');
	const noise = (length) => Array.from({ length: length / 8 }, () => Math.random().toString(36).slice(2, 10)).join('');
	const doc = { text: noise(500) };
	const before = ok(await get('/rpc/limits?diagram=' + id));
	assert.deepEqual(before, { maxEntities: 100000, entities: 0, maxSize: 64 * 1024 * 1024, size: 0 });
	ok(await rpc('set_limits', { diagram: id, maxEntities: 5, maxSize: 4000 }, { as }), 204);
	const write = (method, ids) => request(method, '/db/public/' + id, { body: ids.map((entity) => ({ id: entity, doc })) });
	ok(await write('POST', ['a', 'b']), 201);
	const full = refused(await write('POST', ['c', 'd', 'e', 'f']), 413);
	assert.match(full.details, /closed-room/);
	assert.match(full.hint, /\/rpc\/set_limits/);
	refused(await request('PATCH', `/db/public/${id}?id=eq.a`, { body: { doc: { ...doc, more: noise(5000) } } }), 413);
	refused(await rpc('put', { diagram: id, entities: [{ id: 'g', ...doc, more: noise(5000) }] }), 413);
	refused(await rpc('set_limits', { diagram: id }, { as: 'closed-other' }), 403);
	refused(await rpc('set_limits', { diagram: id }), 401);
	refused(await rpc('set_limits', { diagram: id, maxSize: 0 }, { as }), 422);
	const copy = ok(await rpc('clone', { publicDbName: id }, { as: 'closed-other' })).localDbName;
	ok(await post('/db/local/' + copy, { id: 'z', doc: { text: noise(5000) } }, { as: 'closed-other' }), 201);
	const unfit = ok(await post('/api/sync/push', { localDbName: copy }, { as: 'closed-other' }));
	assert.deepEqual([unfit.success, unfit.conflicts, unfit.refused.map(({ id, conflict }) => [id, conflict])], [false, 1, [['z', 'refused']]]);
	ok(await rpc('set_limits', { diagram: id, maxEntities: null }, { as }), 204);
	ok(await post('/api/sync/push', { localDbName: copy }, { as: 'closed-other' }));
	assert.equal(ok(await get('/rpc/limits?diagram=' + id)).entities, 3);

	let made = 0;
	let answer;
	do {
		answer = await rpc('create_diagram', { name: 'N' }, { as: 'closed-many' });
	} while (answer.status === 200 && ++made < 300);
	refused(answer, 429);
	assert.ok(made >= 120 && made <= 130, `${made} diagrams`);
	assert.match(answer.headers['retry-after'], /^[1-9]\d?$/);
	refused(await rpc('create_diagram', { name: 'n'.repeat(1001) }, { as }), 422);
	for (const odd of ['.', '..', 'a/../b', '../x', './x', 'x/.', 'x/..']) refused(await rpc('create_diagram', { name: 'N', id: odd }, { as }), 422);
});

test('no answer tells of the inside', async () => {
	const id = await diagram(as, 'closed-inside', 'public', { a: {} });
	const bodies = [{}, [], 5, null, 'x', { id: 5, doc: {} }, { id: 'x' }, { doc: {} }, { id: '', doc: {} }, { id: 'x', doc: [] }, { id: 'x', doc: null }, { id: 'x', doc: {}, rev: 1 },
		{ id: 'x'.repeat(401), doc: {} }, { id: 'a', doc: {} }, [{ id: 'x', doc: {} }, { id: 'x', doc: {} }], [[]], { id: '\u0000', doc: {} }];
	const answers = [];
	for (const body of bodies) {
		for (const method of ['POST', 'PUT']) answers.push(await request(method, '/db/public/' + id, { as, body }));
		answers.push(await request('PATCH', `/db/public/${id}?id=eq.a`, { as, body }));
		for (const view of VIEWS) answers.push(await post('/' + view, body, { as }));
		for (const name of ['push', 'put', 'remove', 'resolve', 'resolve_all', 'resolve_many', 'create_diagram', 'set_merge_policy', 'create_token', 'status', 'set_limits']) answers.push(await rpc(name, body, { as }));
		answers.push(await request('PATCH', '/diagrams?_id=eq.' + id, { as, body }));
	}
	for (const query of ['nothing=eq.1', 'modifiedAt=gt.nonsense', 'select=nothing', 'order=nothing', 'doc=eq.nonsense', 'id=is.nonsense', 'id=in.a', 'id=in.(a', 'id=in.(a,"b', 'id=in.(a)b', 'order=id.asc.desc', 'offset=999999999']) {
		for (const at of ['/db/public/' + id, '/entities', '/diagrams', '/tokens']) answers.push(await get(`${at}?${query}`, { as }));
	}
	answers.push(await get('/', { as, headers: { Accept: 'text/html' } }), await get('/tokens?select=secret_hash', { as }),
		await get('/diagrams', { headers: { Authorization: 'Bearer ' + jwt({ role: 'diagsync_user', sub: 'x' }, 'y'.repeat(32)) } }));
	for (const answer of answers) {
		assert.ok(answer.status < 500, answer.text);
		if (answer.status >= 400) refused(answer, answer.status, null);
		assert.doesNotMatch(answer.text, /diagsync_(api|local|public|private|auth|user|anon)|diagsync\.|entity_pkey|relation|columns?\b|failed to parse|role "|constraint|schema|stack_depth|_id\b(?<!"_id)|5432|socket/, answer.text);
		assert.doesNotMatch(JSON.stringify(answer.headers), /postgrest|warp/i);
	}
});

test('missing, mistyped and unknown fields are 400, and named', async () => {
	for (const [name, body, field] of [['push', {}, 'localDbName'], ['push', { localDbName: 5 }, 'localDbName'], ['push', { localDbName: 'x', nothing: 1 }, 'nothing'],
		['pull', { localDbName: {} }, 'localDbName'], ['put', { diagram: 'x' }, 'entities'], ['remove', { diagram: 'x', ids: 'a' }, 'ids'], ['remove', { diagram: 'x', ids: [1] }, 'ids'],
		['status', {}, 'local'], ['changes_since', {}, 'diagram'], ['status', { local: true }, 'local'], ['set_limits', { diagram: 'x', maxSize: '1' }, 'maxSize'], ['resolve', { localDbName: 'x' }, 'entityId'],
		['resolve_all', { localDbName: 'x' }, 'resolution'], ['resolve_all', { localDbName: 'x', resolution: 'local', paths: '/x' }, 'paths'], ['resolve_all', { localDbName: 'x', resolution: 'local', kinds: [1] }, 'kinds'],
		['resolve_all', { localDbName: 'x', resolution: 'local', allow_deletions: true }, 'allow_deletions'], ['resolve_many', { localDbName: 'x' }, 'choices'],
		['create_diagram', { nam: 'x' }, 'nam'], ['create_token', { diagram: 'x', role: [] }, 'role']]) {
		assert.match(refused(await rpc(name, body, { as }), 400).details, new RegExp(`field "${field}"`), name);
	}
	for (const [query, field] of [['', 'local'], ['?loca=x', 'loca'], ['?local=x&local=y', 'local'], ['?local', 'local'], ['?local=x&select=y', 'select']]) {
		assert.match(refused(await get('/api/sync/status' + query, { as }), 400).details, new RegExp(`field "${field}"`));
	}
	const id = await diagram(as, 'closed-fields', 'local', { a: {} });
	for (const [body, field] of [[{ id: 'b', docs: {} }, 'docs'], [{ id: 'b' }, 'doc'], [{ doc: {} }, 'id'], [{ id: 5, doc: {} }, 'id'], [{ id: 'b', doc: 'x' }, 'doc'], [[{ id: 'b', doc: {} }, { id: 'c', doc: {}, x: 1 }], 'x']]) {
		for (const method of ['POST', 'PUT']) assert.match(refused(await request(method, '/db/local/' + id, { as, body }), 400).details, new RegExp(`field "${field}"`));
	}
	assert.match(refused(await request('PATCH', `/db/local/${id}?id=eq.a`, { as, body: { docs: {} } }), 400).details, /field "docs"/);
	assert.match(refused(await post('/local_entities', { id: 'b', doc: {} }, { as }), 400).details, /field "diagram"/);
	assert.deepEqual(await entities(as, 'local', id), { a: {} });
});

test('the directory is written by fields that it has, and keeps what is not mentioned', async () => {
	const id = await diagram(as, 'closed-rename', 'local');
	const patch = (body, at = id, who = as) => request('PATCH', '/diagrams?_id=eq.' + at, { as: who, body });
	for (const at of [id, 'closed-no-such']) {
		for (const [body, field] of [[{ description: {} }, 'description'], [{ description: 5 }, 'description'], [{ name: true }, 'name'], [{ name: [] }, 'name'], [{ name: null }, 'name'],
			[{ nam: 'x' }, 'nam'], [{ name: 'x', more: 1 }, 'more'], [{ _id: 'x' }, '_id'], [{ owner: 'sub:x' }, 'owner'], [{ storageType: 'public' }, 'storageType'], [{ publicVersion: 1 }, 'publicVersion']]) {
			assert.match(refused(await patch(body, at), 400).details, new RegExp(`field "${field}"`));
		}
		for (const body of [[], [{ name: 'x' }], 5, null, '"x"', 'x', '']) refused(await patch(body === null ? 'null' : body, at), 400);
	}
	for (const [body, after] of [[{}, ['Name of ' + id, null]], [{ description: 'about' }, ['Name of ' + id, 'about']], [{ name: 'new' }, ['new', 'about']],
		[{ name: 'both', description: null }, ['both', null]], [{ description: '' }, ['both', '']]]) {
		ok(await patch(body), 204);
		const [row] = ok(await get('/diagrams?_id=eq.' + id, { as }));
		assert.deepEqual([row.name, row.description], after);
	}
	ok(await patch({ name: 'theirs' }, id, 'closed-other'), 204);
	assert.equal(ok(await get('/diagrams?_id=eq.' + id, { as }))[0].name, 'both');
	for (const body of [[], [{ doc: {} }], [{ doc: {} }, { doc: {} }]]) refused(await request('PATCH', `/db/local/${id}?id=eq.a`, { as, body }), 400);
	for (const part of ['limit=0', 'limit=1&order=id', 'offset=1', 'order=id']) {
		for (const method of ['PATCH', 'DELETE']) refused(await request(method, `/db/local/${id}?id=eq.a&${part}`, { as, body: method === 'PATCH' ? { doc: {} } : undefined }), 400);
	}
	for (const headers of [{ 'If-Match': '"x"' }, { 'If-Unmodified-Since': 'Thu, 01 Jan 1970 00:00:00 GMT' }]) refused(await get('/', { as, headers }), 400);
	// In SQL an UPDATE writes what it says.
	assert.equal(sql(`UPDATE diagsync.directory SET name = 'by SQL' WHERE id = '${id}' RETURNING name`), 'by SQL');
});

test('a token of a role that is none is no token, and no role is named', async () => {
	const exp = Math.floor(Date.now() / 1000) + 60;
	// More than there are connections, so that each is asked first.
	for (const role of ['nobody_here', 'postgres', 'diagsync_authenticator', 'none', '', 'DIAGSYNC_USER', ...Array(20).fill('nobody_here')]) {
		const Authorization = 'Bearer ' + jwt({ role, sub: 'closed-role', exp });
		for (const answer of await Promise.all([get('/diagrams', { headers: { Authorization } }), get('/rpc/status_all', { headers: { Authorization } }),
			rpc('create_diagram', { name: 'x' }, { headers: { Authorization } })])) {
			assert.ok([401, 403].includes(answer.status), answer.text);
			refused(answer, answer.status, null);
			assert.doesNotMatch(answer.text, /role|nobody_here|postgres|diagsync/);
			if (answer.status === 401) assert.match(answer.headers['www-authenticate'], /^Bearer/);
		}
	}
});

test('what is wrong with a login is said in the same way, however long the body is', async () => {
	const exp = Math.floor(Date.now() / 1000) + 60;
	for (const [claims, status] of [[{ sub: 'x'.repeat(3000) }, 422], [{ sub: 'a\u0000b' }, 400], [{}, 401], [{ sub: '' }, 401], [{ sub: 5 }, 401], [{ sub: 'x', role: 'none_here' }, 401]]) {
		const headers = { Authorization: 'Bearer ' + jwt({ role: 'diagsync_user', exp, ...claims }) };
		for (const length of [1, 5000]) {
			refused(await rpc('put', { diagram: 'closed-none', entities: [{ id: 'e', text: 'x'.repeat(length) }] }, { headers }), status, null);
		}
	}
});

test('ids that look like operators work on every route', async () => {
	for (const id of ['cs.101', 'is.it', 'in.house', 'not.eq.x', 'eq.a', 'in.(a,b)', 'a,b', '"q"', 'a%2Fb', 'a&b=c', 'ü/ö', 'a+b c']) {
		await diagram(as, id, 'local', { [id]: {} });
		const part = encodeURIComponent(id);
		assert.equal(ok(await get('/api/sync/status?local=' + part, { as })).state, 'unlinked');
		assert.deepEqual(ok(await get('/rpc/access?diagram=' + part, { as })), { access: 'owner' });
		ok(await rpc('share', { localDbName: id, publicDbName: id + '.p' }, { as }));
		assert.deepEqual(ok(await get('/rpc/changes?local=' + part, { as })), []);
		assert.equal(ok(await get(`/rpc/status?local=${part}&public=${part}.p`, { as })).state, 'in_sync');
		assert.deepEqual(await entities(undefined, 'public', id + '.p'), { [id]: {} });
		ok(await request('PATCH', `/db/local/${part}?id=eq.${part}`, { as, body: { doc: { n: 1 } } }), 204);
		ok(await post('/api/sync/push', { localDbName: id }, { as }));
		ok(await rpc('drop_diagram', { diagram: id }, { as }), 204);
	}
});

test('pages of other origins: what they may send and read', async () => {
	const page = 'https://diagrams.example.org';
	const id = await diagram(as, 'closed-cors', 'public', { a: {} });
	for (const Origin of ['https://evil.example', 'null', page + '.evil.example', page.replace('https', 'http')]) {
		for (const [method, where] of [['POST', '/db/public/' + id], ['PUT', '/db/public/' + id], ['PATCH', `/db/public/${id}?id=eq.a`], ['DELETE', `/db/public/${id}?id=eq.a`], ['POST', '/rpc/put'], ['POST', '/public_entities']]) {
			refused(await request(method, where, { headers: { Origin }, body: { id: 'x', doc: {} } }), 403);
		}
		assert.equal((await get('/diagrams?limit=0', { headers: { Origin } })).headers['access-control-allow-origin'], '*');
	}
	for (const Origin of [page, base.origin]) ok(await request('PUT', '/db/public/' + id, { headers: { Origin }, body: { id: 'x', doc: {} } }), Origin === page ? 201 : 200);
	for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'text/plain;application/json', 'application/jsonx', '']) {
		for (const [method, where] of [['POST', '/db/public/' + id], ['POST', '/rpc/put'], ['POST', '/api/sync/push'], ['PATCH', `/db/public/${id}?id=eq.a`], ['POST', '/public_entities']]) {
			const answer = await request(method, where, { as, headers: { 'Content-Type': type }, body: '{"id": "text", "doc": {}}' });
			refused(answer, 415);
		}
	}
	ok(await request('PUT', '/db/public/' + id, { headers: { 'Content-Type': 'application/json; charset=UTF-8' }, body: { id: 'x', doc: {} } }));
	const preflight = await request('OPTIONS', '/db/public/' + id, { headers: { Origin: page, 'Access-Control-Request-Method': 'PATCH', 'Access-Control-Request-Headers': 'authorization' } });
	assert.equal(preflight.status, 204);
	assert.equal(preflight.headers['access-control-allow-origin'], page);
	assert.match(preflight.headers['access-control-allow-methods'], /PATCH/);
	assert.match(preflight.headers['access-control-allow-headers'], /Authorization.*X-Diagsync-Token/);
	const plain = await request('OPTIONS', '/api/sync/push');
	assert.deepEqual([plain.status, plain.headers.allow], [204, 'POST, OPTIONS']);
	const read = await get('/db/public/' + id, { headers: { Origin: page } });
	for (const name of ['Retry-After', 'Allow', 'Preference-Applied', 'ETag']) assert.match(read.headers['access-control-expose-headers'], new RegExp(name));
	assert.equal(read.headers['x-content-type-options'], 'nosniff');
	assert.equal(read.headers['access-control-allow-credentials'], undefined);
	const two = await raw('POST', '/db/public/' + id, ['Content-Type: application/json', 'Prefer: handling=lenient', 'Prefer: return=representation'], '{"id": "two", "doc": {}}');
	assert.match(two.text, /"id":"two"/);
	const put = await raw('PUT', '/db/public/' + id, ['Content-Type: application/json', 'Prefer: handling=lenient', 'Prefer: return=representation'], '{"id": "two", "doc": {"n": 2}}');
	assert.match(put.text, /"n": ?2/);
});

test('the log has neither tokens nor queries', async () => {
	const from = someAddress();
	await get('/rpc/access?diagram=logged-secret', { from, token: 'closed-secret.token' });
	await new Promise((resolve) => setTimeout(resolve, 200));
	const line = readFileSync(path.join(process.env.DIAGSYNC_TMP, 'rest/access.log'), 'utf8').split('\n').find((each) => each.startsWith(from + ' '));
	assert.match(line, /"GET \/rpc\/access" 200/);
	assert.doesNotMatch(line, /secret/);
});
