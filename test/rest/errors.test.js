// Every error: its status by each way, JSON whoever answers, and nothing that a
// user typed where headers are.
'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const http2 = require('node:http2');
const net = require('node:net');
const path = require('node:path');
const { spawn } = require('node:child_process');
const { mkdirSync, mkdtempSync, readFileSync, writeFileSync } = require('node:fs');
const { base, diagram, entities, get, login, ok, post, rawGet, rawRequest, refused, request, rpc, someAddress, sql } = require('./lib.js');

const as = 'errors-ann';
const sync = (name) => ['/rpc/' + name, '/api/sync/' + name];

test('400: what is no request', async () => {
	await diagram(as, 'errors-400', 'local', { e: {} });
	for (const path of sync('push').concat('/rpc/put', '/db/local/errors-400')) {
		refused(await request('POST', path, { as, body: '{"localDbName": ' }), 400, null);
		refused(await request('POST', path, { as, body: '[[1' }), 400, null);
	}
	refused(await get('/diagrams?_id=is.nonsense', { as }), 400, null);
	refused(await get('/diagrams?nothing=eq.1', { as }), 400);
	refused(await rpc('create_token', { diagram: 'errors-400', expiresIn: 'soon' }, { as }), 400);
	refused(await request('DELETE', '/db/local/errors-400', { as }), 400);
	for (const where of ['/diagrams#x', '/db/local/errors-400?id=eq.e#', '/#']) assert.equal((await rawGet(where, ['Authorization: Bearer ' + login(as)])).status, 400);
	const { status, text } = await rawRequest(['NONSENSE']);
	assert.ok(status === 400 || text === '', text);
});

test('401: a login that is wrong, or missing where one is needed', async () => {
	const headers = { Authorization: 'Bearer a.b.c' };
	for (const path of [...sync('push'), ...sync('pull')]) {
		refused(await request('POST', path, { headers, body: { localDbName: 'x' } }), 401, 'PGRST301');
		assert.match(refused(await request('POST', path, { body: { localDbName: 'x' } }), 401).hint, /^Log in/);
	}
	for (const path of [...sync('status').map((at) => at + '?local=x'), '/diagrams', '/db/local/x', '/db/public/x', '/db/private/x']) {
		refused(await get(path, { headers }), 401, 'PGRST301');
	}
});

test('401 also where the database is what refuses: status, code and words agree', async () => {
	const id = await diagram('errors-owner', 'errors-login', 'public', { e: {} });
	const rename = (headers, more) => request('PATCH', '/diagrams?_id=eq.' + id, { headers, body: { name: 'x' }, ...more });
	// What is told of a login is not one.
	for (const headers of [{}, { 'X-Other': 'authorization' }, { 'X-Other': '"authorization": "Bearer x"' }, { Prefer: 'authorization' }]) {
		const answer = await rename(headers);
		const error = refused(answer, 401);
		assert.equal(error.message, 'Unauthorized');
		assert.match(error.hint, /^Log in/);
		assert.equal(answer.headers['www-authenticate'], 'Bearer');
	}
	const { token } = ok(await rpc('create_token', { diagram: id, role: 'admin' }, { as: 'errors-owner' }));
	refused(await rename({}, { token }), 401);
	ok(await rename({}, { as }), 204);
	assert.equal(ok(await get('/diagrams?_id=eq.' + id))[0].name, 'Name of ' + id);
});

test('403: what one sees and may not change', async () => {
	await diagram('errors-owner', 'errors-public', 'public', { e: {} });
	for (const [name, args] of [['drop_diagram', {}], ['set_storage_type', { storageType: 'private' }], ['set_owner', { principal: 'sub:x' }],
		['set_merge_policy', { policy: null }], ['add_member', { principal: 'sub:x', role: 'admin' }], ['create_token', {}]]) {
		const error = refused(await rpc(name, { diagram: 'errors-public', ...args }, { as }), 403);
		assert.equal(error.message, 'Forbidden', name);
		assert.match(error.details, /errors-public/, name);
	}
	ok(await rpc('share', { localDbName: await diagram('errors-owner', 'errors-share', 'local', { e: {} }),
		publicDbName: 'errors-reader', storageType: 'private' }, { as: 'errors-owner' }));
	ok(await rpc('add_member', { diagram: 'errors-reader', principal: 'sub:' + as, role: 'reader' }, { as: 'errors-owner' }), 204);
	ok(await rpc('clone', { publicDbName: 'errors-reader', localDbName: 'errors-copy' }, { as }));
	ok(await post('/db/local/errors-copy', { id: 'f', doc: {} }, { as }), 201);
	for (const path of sync('push')) refused(await post(path, { localDbName: 'errors-copy' }, { as }), 403);
	refused(await post('/db/private/errors-reader', { id: 'x', doc: {} }, { as }), 403);
	refused(await request('PUT', '/db/private/errors-reader', { as, body: { id: 'e', doc: {} } }), 403);
});

test('404: what is not there', async () => {
	for (const path of [...sync('push'), ...sync('pull')]) {
		const error = refused(await post(path, { localDbName: 'errors-none' }, { as }), 404);
		assert.equal(error.message, 'Not Found');
		assert.match(error.details, /errors-none/);
	}
	for (const path of sync('status')) refused(await get(path + '?local=errors-none', { as }), 404);
	for (const type of ['local', 'public', 'private']) refused(await get(`/db/${type}/errors-none`, { as }), 404);
	// One of another storage type is not there, on this path.
	await diagram(as, 'errors-local', 'local');
	refused(await get('/db/public/errors-local', { as }), 404);
	refused(await get('/db/private/errors-local', { as }), 404);
	refused(await get('/nothing', { as }), 404);
	refused(await rpc('nothing', {}, { as }), 404);
	// Nor is anything of the inside.
	for (const name of ['prune', 'check_request', 'requested_diagram', 'grant_usage', 'revision', 'principal', 'may_read', 'call', 'call_read', 'call_void']) {
		refused(await rpc(name, {}, { as }), 404);
	}
	for (const name of ['directory', 'entity', 'base', 'tombstone', 'member', 'access_token', 'sync_log']) {
		refused(await get('/' + name, { as }), 404);
		refused(await get('/' + name, { as, headers: { 'Accept-Profile': 'diagsync' } }), 404);
	}
});

test('409: an id that is taken', async () => {
	await diagram(as, 'errors-409', 'local', { e: {} });
	await diagram('errors-owner', 'errors-theirs', 'local');
	for (const id of ['errors-409', 'errors-theirs']) {
		assert.equal(refused(await rpc('create_diagram', { name: 'N', id }, { as }), 409).message, 'Conflict');
	}
	refused(await rpc('share', { localDbName: 'errors-409', publicDbName: 'errors-theirs' }, { as }), 409);
	refused(await rpc('clone', { publicDbName: 'errors-public', localDbName: 'errors-409' }, { as }), 409);
	assert.match(refused(await post('/db/local/errors-409', { id: 'e', doc: {} }, { as }), 409).details, /"e".*"errors-409"/);
	// Twice in one body: the first is not there yet.
	const twice = [{ id: 'f', doc: {} }, { id: 'g', doc: {} }, { id: 'f', doc: {} }];
	assert.match(refused(await post('/db/local/errors-409', twice, { as }), 409).details, /"f".*"errors-409"/);
	assert.match(refused(await request('PUT', '/db/local/errors-409', { as, body: twice }), 400).details, /"f".*twice/);
});

test('413: too large, for nginx or for diagsync', async () => {
	await diagram(as, 'errors-413', 'local', { e: {} });
	const huge = 'x'.repeat(9 * 1024 * 1024);
	for (const path of ['/rpc/put', '/api/sync/push', '/db/local/errors-413']) {
		const { status, text } = await rawRequest([`POST ${path} HTTP/1.1`, `Host: ${base.host}`, 'Connection: close',
			'Content-Type: application/json', `Content-Length: ${huge.length}`]);
		assert.equal(status, 413);
		assert.match(text, /"code":"PT413"/);
	}
	const large = { id: 'large', doc: { text: 'x'.repeat(1100 * 1024) } };
	for (const method of ['POST', 'PUT']) {
		assert.equal(refused(await request(method, '/db/local/errors-413', { as, body: large }), 413).message, 'Payload Too Large');
	}
	refused(await request('PATCH', '/db/local/errors-413?id=eq.e', { as, body: { doc: large.doc } }), 413);
	refused(await rpc('put', { diagram: 'errors-413', entities: [{ id: 'large', ...large.doc }] }, { as }), 413);
	// A number that is short until it is printed, and a document that is nested deep.
	const bomb = { n: 'BOMB' }, deep = {};
	for (let inside = deep, level = 1; level < 300; level++) inside = inside.a = {};
	for (const doc of [bomb, deep]) {
		for (const [method, path, body] of [['POST', '/db/local/errors-413', { id: 'large', doc }], ['PUT', '/db/local/errors-413', { id: 'large', doc }],
			['PATCH', '/db/local/errors-413?id=eq.e', { doc }], ['POST', '/rpc/put', { diagram: 'errors-413', entities: [{ id: 'large', ...doc }] }]]) {
			const text = JSON.stringify(body).replace('"BOMB"', '[' + Array(20).fill('1e131071').join() + ']');
			assert.equal(refused(await request(method, path, { as, body: text, headers: { 'Content-Type': 'application/json' } }), 413).message, 'Payload Too Large');
		}
	}
	const many = Array.from({ length: 10001 }, (_, n) => ({ id: `e${n}` }));
	refused(await rpc('put', { diagram: 'errors-413', entities: many }, { as }), 413);
	assert.deepEqual(await entities(as, 'local', 'errors-413'), { e: {} });
});

test('414: an address too long for nginx; a long one is none', async () => {
	await diagram(as, 'errors-414', 'local', { e: {} });
	const query = (length) => `/db/local/errors-414?id=in.(${'%C3%BC,'.repeat(length / 7)}e)`;
	assert.equal(ok(await get(query(15000), { as })).length, 1);
	assert.equal(ok(await get(`/db/local/errors-414?id=in.(e,"${'(,:<'.repeat(3500)}")`, { as })).length, 1);
	const { status, text } = await rawGet(query(20000));
	assert.equal(status, 414);
	assert.match(text, /"code":"PT414"/);
});

test('422: what makes no sense', async () => {
	const id = await diagram(as, 'errors-422', 'local', { e: {} });
	await diagram(as, 'errors-other', 'public');
	for (const path of [...sync('push'), ...sync('pull')]) {
		assert.equal(refused(await post(path, { localDbName: id }, { as }), 422).message, 'Unprocessable Entity');
		refused(await post(path, { localDbName: 'errors-other' }, { as }), 422);
		refused(await post(path, { localDbName: null }, { as }), 422);
	}
	ok(await rpc('share', { localDbName: id, publicDbName: 'errors-422-public' }, { as }));
	for (const path of [...sync('push'), ...sync('pull')]) {
		refused(await post(path, { localDbName: id, onConflict: 'maybe' }, { as }), 422);
		refused(await post(path, { localDbName: id, publicDbName: 'errors-other' }, { as }), 422);
	}
	for (const path of sync('status')) refused(await get(`${path}?local=${id}&public=errors-other`, { as }), 422);
	refused(await rpc('share', { localDbName: id }, { as }), 422);
	refused(await rpc('create_diagram', { name: 'N', id: '' }, { as }), 422);
	refused(await rpc('create_diagram', { name: 'N', id: 'x'.repeat(256) }, { as }), 422);
	refused(await rpc('create_diagram', { name: 'N', storageType: 'other' }, { as }), 422);
	refused(await rpc('put', { diagram: id, entities: [{ no: 'id' }] }, { as }), 422);
	refused(await rpc('resolve', { localDbName: id, entityId: 'e', resolution: 'local' }, { as }), 422);
	for (const [choices, says] of [[{}, /"choices"/], [['e'], /choice 1/], [[{ entityId: 'e', resolution: 'local' }, { entity_id: 'f', resolution: 'local' }], /choice 2.*"entityId"/],
		[[{ entityId: 'e' }], /"resolution"/], [[{ entityId: 'e', resolution: 'local', expected: 5 }], /"expected"/], [[{ entityId: 'e', resolution: 'local', docs: {} }], /"docs"/],
		[[{ entityId: 'e', resolution: 'local' }, { entityId: 'e', resolution: 'public' }], /"e"/]]) {
		assert.match(refused(await rpc('resolve_many', { localDbName: id, choices }, { as }), 422).details, says);
	}
	for (const [more, says] of [[{ resolution: 'merged' }, /"merged"/], [{ kinds: ['clash'] }, /"clash"/], [{ paths: ['x'] }, /"x"/], [{ entities: [null] }, /"entities"/]]) {
		assert.match(refused(await rpc('resolve_all', { localDbName: id, resolution: 'local', ...more }, { as }), 422).details, says);
	}
	refused(await rpc('set_merge_policy', { diagram: id, policy: { granularity: 'atoms' } }, { as }), 422);
	refused(await rpc('add_member', { diagram: id, principal: 'sub:x', role: 'reader' }, { as }), 422);
	// Plain rows are checked by the tables.
	for (const body of [{ id: 'a', doc: [] }, { id: '', doc: {} }, { id: 'a' }, { doc: {} }, { id: 'x'.repeat(401), doc: {} }]) {
		refused(await post('/db/local/' + id, body, { as }), 400, null);
	}
});

test('429 of diagsync: so many syncs a minute, by whoever asks, and how long to wait', async () => {
	const who = 'errors-busy';
	const id = await diagram(who, 'errors-429', 'local', { e: {} });
	ok(await rpc('share', { localDbName: id, publicDbName: 'errors-429-public' }, { as: who }));
	let calls = 1;
	let answer;
	do {
		answer = await post(calls % 2 ? '/rpc/push' : '/api/sync/pull', { localDbName: id }, { as: who });
		calls++;
	} while (answer.status === 200 && calls < 200);
	// The default, less nothing and more only by what a minute's passing gives back.
	assert.ok(calls >= 121 && calls <= 130, `${calls} calls`);
	for (const [path, body] of [['/rpc/push'], ['/api/sync/push'], ['/rpc/pull'], ['/api/sync/pull'],
		['/rpc/clone', { publicDbName: 'errors-public' }], ['/rpc/share', { localDbName: id }],
		['/rpc/link', { localDbName: id, publicDbName: 'errors-public' }],
		['/rpc/resolve', { localDbName: id, entityId: 'e', resolution: 'local' }], ['/rpc/resolve_all', { localDbName: id, resolution: 'local' }],
		['/rpc/resolve_many', { localDbName: id, choices: [] }]]) {
		const limited = await post(path, body ?? { localDbName: id }, { as: who });
		assert.equal(refused(limited, 429).message, 'Too Many Requests');
		assert.equal(limited.reason, 'Too Many Requests');
		assert.match(limited.headers['retry-after'], /^[1-9]\d?$/);
		assert.ok(Number(limited.headers['retry-after']) <= 60);
	}
	// Looking and editing are not limited, nor is anybody else.
	ok(await get('/api/sync/status?local=' + id, { as: who }));
	ok(await request('PATCH', `/db/local/${id}?id=eq.e`, { as: who, body: { doc: {} } }), 204);
	ok(await rpc('clone', { publicDbName: 'errors-429-public' }, { as }));
});

test('429 of nginx: so many requests a second of one address without a login', async () => {
	const from = someAddress();
	const path = '/diagrams?limit=1';
	// Sixty at once; 40 may come at once, and ten more each second.
	const sixty = (ask) => Promise.all(Array.from({ length: 60 }, ask));
	const limited = async (ask, what) => {
		const refusals = (await sixty(ask)).filter((answer) => answer.status === 429);
		assert.ok(refusals.length > 0, what);
		return refusals;
	};
	const first = await sixty(() => get(path, { from }));
	assert.ok(first.filter((answer) => answer.status === 200).length >= 40);
	for (const answer of await limited(() => get(path, { from }), 'anonymous')) {
		refused(answer, 429);
		assert.equal(answer.headers['retry-after'], '1');
	}
	const twice = () => rawRequest([`GET ${path} HTTP/1.1`, `Host: ${base.host}`, 'Connection: close',
		'Authorization: Basic x', `Authorization: Bearer ${login(as)}`], from);
	assert.ok((await sixty(twice)).every((answer) => answer.status === 400 || answer.status === 429));
	for (const where of ['/db/public/errors-public', '/', '/rpc/access?diagram=x']) {
		await limited(() => get(where, { from }), where);
	}
	// Whoever logs in is not limited, nor is another address, nor a browser that asks first.
	const headers = { Authorization: 'Bearer ' + login(as) };
	const preflight = { Origin: 'https://app.example', 'Access-Control-Request-Method': 'GET' };
	for (const ask of [() => get(path, { from, headers }), () => get(path), () => request('OPTIONS', path, { from, headers: preflight })]) {
		assert.ok((await sixty(ask)).every((answer) => answer.status === 200 || answer.status === 204));
	}
});

// Another nginx, whose configuration is changed, for as long as something runs.
async function withNginx(change, run) {
	const rest = path.join(process.env.DIAGSYNC_TMP, 'rest');
	const folder = mkdtempSync(path.join(rest, 'another.'));
	mkdirSync(path.join(folder, 'tmp'));
	const port = await new Promise((resolve) => {
		const server = net.createServer().listen(0, '127.0.0.1', () => {
			const { port } = server.address();
			server.close(() => resolve(port));
		});
	});
	const conf = change(readFileSync(path.join(rest, 'diagsync.conf'), 'utf8').replace(/listen 127.*;/, `listen 127.0.0.1:${port};`));
	writeFileSync(path.join(folder, 'diagsync.conf'), conf);
	writeFileSync(path.join(folder, 'nginx.conf'), readFileSync(path.join(rest, 'nginx.conf')));
	const nginx = spawn(path.join(rest, 'bin/nginx'), ['-p', folder + '/', '-e', 'error.log', '-c', 'nginx.conf'], { stdio: 'ignore' });
	const exit = new Promise((resolve) => nginx.on('exit', resolve));
	try {
		const there = async () => new Promise((resolve) => {
			const socket = net.connect(port, '127.0.0.1', () => { socket.destroy(); resolve(true); }).on('error', () => resolve(false));
		});
		for (let round = 0; round < 100 && !await there(); round++) await new Promise((resolve) => setTimeout(resolve, 50));
		await run(port);
	} finally {
		nginx.kill('SIGTERM');
		await exit;
	}
}

test('502: while PostgREST is away, nginx says so in JSON', async () => {
	await withNginx((conf) => conf.replace(/server unix:.*;/g, 'server unix:/nonexistent/socket;'), async (port) => {
		for (const where of ['/diagrams', '/db/local/x', '/api/sync/status?local=x', '/rpc/access?diagram=x']) {
			refused(await get(where, { port, headers: { Authorization: 'Bearer ' + login(as) } }), 502);
		}
		refused(await get('/db/other/x', { port }), 404);
	});
});

test('504: what takes too long without a login ends, and says so in JSON', async () => {
	const lock = spawn('psql', ['-XAtq', '-v', 'ON_ERROR_STOP=1'], { stdio: ['pipe', 'pipe', 'inherit'] });
	const locked = new Promise((resolve) => lock.stdout.on('data', resolve));
	lock.stdin.write("BEGIN; LOCK TABLE diagsync.directory; SELECT 'locked';\n");
	await locked;
	try {
		const started = Date.now();
		const error = refused(await get('/diagrams'), 504);
		assert.ok(Date.now() - started > 3000 && Date.now() - started < 20000);
		assert.doesNotMatch(JSON.stringify(error), /statement|canceling/i);
	} finally {
		const ended = new Promise((resolve) => lock.on('close', resolve));
		lock.stdin.end('ROLLBACK;\n');
		await ended;
	}
});

test('503: while PostgreSQL is away, nobody is told where it is, and when to come back', async () => {
	sql('ALTER ROLE diagsync_authenticator CONNECTION LIMIT 0');
	const cut = () => sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'diagsync_authenticator'");
	const ask = () => Promise.all([get('/diagrams'), get('/db/public/errors-public', { as }), rpc('access', { diagram: 'x' }), post('/db/public/errors-public', { id: 'away', doc: {} }, { as })]);
	try {
		cut();
		await ask();
		for (const answer of await ask()) {
			assert.doesNotMatch(refused(answer, 503).details ?? '', /./);
			assert.match(answer.headers['retry-after'], /^[1-9]\d?$/);
			assert.doesNotMatch(answer.text, /socket|diagsync|connect|host|port|5432|role|limit/i);
		}
	} finally {
		sql('ALTER ROLE diagsync_authenticator CONNECTION LIMIT -1');
	}
	let back;
	for (let round = 0; round < 200 && !back; round++) {
		back = (await get('/diagrams?limit=0')).status === 200;
		if (!back) await new Promise((resolve) => setTimeout(resolve, 250));
	}
	assert.ok(back, 'it does not come back');
});

test('HTTP/2, which tls.conf has: the same answers, and a body says how long it is', async () => {
	const id = await diagram(as, 'errors-http2', 'public', { e: {} });
	await withNginx((conf) => conf.replace(/listen (127.*);/, 'listen $1 http2;'), async (port) => {
		const session = http2.connect(`http://127.0.0.1:${port}`);
		const send = (method, where, body, headers = {}) => new Promise((resolve, reject) => {
			const stream = session.request({ ':method': method, ':path': where, authorization: 'Bearer ' + login(as),
				...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers }, { endStream: body === undefined });
			let text = '';
			let answer;
			stream.on('response', (fields) => { answer = fields; });
			stream.on('data', (data) => { text += data; });
			stream.on('end', () => resolve({ status: answer[':status'], text, headers: answer }));
			stream.on('error', (error) => answer ? resolve({ status: answer[':status'], text, headers: answer }) : reject(error));
			if (body !== undefined) stream.end(body);
		});
		const sized = (method, where, body, headers) => send(method, where, body, { 'content-length': Buffer.byteLength(body), ...headers });
		try {
			const made = await sized('POST', '/db/public/' + id, '{"id": "f", "doc": {}}', { origin: `http://127.0.0.1:${port}` });
			assert.equal(made.status, 201, made.text);
			const read = await send('GET', `/db/public/${id}?id=eq.f`);
			assert.deepEqual([read.status, JSON.parse(read.text).length, read.headers.etag], [200, 1, made.headers.etag]);
			assert.equal((await sized('POST', '/db/public/' + id, '{"id": "g", "doc": {}}', { origin: 'http://evil.example' })).status, 403);
			for (const [where, size] of [['/api/sync/push', 100], ['/api/sync/push', 30000], ['/rpc/put', 100], ['/db/public/' + id, 100]]) {
				const open = await send('POST', where, '['.repeat(size));
				assert.equal(open.status, 411, open.text);
				assert.equal(JSON.parse(open.text).code, 'PT411');
			}
			assert.equal((await sized('POST', '/api/sync/push', '['.repeat(30000))).status, 413);
			assert.equal((await send('DELETE', `/db/public/${id}?id=eq.f`)).status, 204);
		} finally {
			session.destroy();
		}
	});
});

test('nothing that a user typed is in the status line or a header', async () => {
	const evil = 'evil\r\nSet-Cookie: evil=1 \u2028 ünï "evil" \\ %0d%0a';
	const part = encodeURIComponent(evil);
	await diagram(as, 'errors-evil', 'local', { [evil]: {} });
	await diagram(as, evil, 'local', { e: {} });
	const headers = { Prefer: 'evil, return=evil' };
	for (const answer of [
		await post('/rpc/push', { localDbName: evil }, { as }),
		await post('/api/sync/pull', { localDbName: 'none' + evil }, { as }),
		await post('/api/sync/push', { localDbName: 'errors-evil', publicDbName: evil, onConflict: evil }, { as }),
		await get('/api/sync/status?local=none' + part, { as }),
		await get('/rpc/changes?local=' + part, { as }),
		await get('/db/public/' + part, { as }),
		await get('/db/local/' + part, { as, headers }),
		await get('/db/local/' + part + '?id=' + part, { as }),
		await get('/db/local/' + part + '?' + part + '=' + part, { as }),
		await post('/db/local/errors-evil', { id: evil, doc: {} }, { as, headers }),
		await post('/db/local/errors-evil', { id: evil + evil, doc: evil }, { as }),
		await post('/db/local/' + part, { id: evil, doc: {} }, { as, headers: { Prefer: 'return=headers-only' } }),
		await post('/public_entities', { diagram: evil, id: evil, doc: {} }, { as }),
		await rpc('create_diagram', { name: evil, id: evil }, { as }),
		await rpc('create_diagram', { name: evil, storageType: evil }, { as }),
		await rpc('put', { diagram: evil, entities: [{ [evil]: evil }] }, { as }),
		await rpc('put', { diagram: evil, entities: evil }, { as }),
		await rpc('resolve', { localDbName: 'errors-evil', entityId: evil, resolution: evil }, { as }),
		await rpc('set_merge_policy', { diagram: evil, policy: { [evil]: evil } }, { as }),
		await rpc('add_member', { diagram: 'errors-public', principal: evil, role: evil }, { as }),
		await rpc('create_token', { diagram: evil, role: evil, label: evil }, { as }),
		await rpc('revoke_token', { id: evil }, { as }),
		await rpc('share', { localDbName: 'errors-evil', publicDbName: evil }, { as }),
		await post('/rpc/' + part, {}, { as }),
		await get('/' + part, { as }),
		await get('/diagrams?' + part, { as }),
		await get('/diagrams?order=' + part, { as }),
		await get('/diagrams?select=' + part, { as }),
		await get('/diagrams', { as, headers: { Range: 'evil', Accept: 'evil/evil' } }),
		await get('/diagrams', { as, headers: { 'Accept-Profile': 'evil' } }),
		await get('/diagrams', { headers: { Authorization: 'Bearer evil' } }),
		await get('/diagrams', { headers: { 'X-Diagsync-Token': 'evil.evil' } })]) {
		assert.match(answer.reason, /^[A-Za-z ]+$/, answer.text);
		assert.doesNotMatch(answer.reason, /evil/i);
		assert.doesNotMatch(answer.raw.join('\n'), /evil/i, answer.text);
	}
	ok(await rpc('drop_diagram', { diagram: evil }, { as }), 204);
});

test('GET changes nothing, in a transaction that could not', async () => {
	const id = await diagram(as, 'errors-get', 'local', { e: {} });
	ok(await rpc('share', { localDbName: id, publicDbName: 'errors-get-public' }, { as }));
	ok(await request('PATCH', `/db/local/${id}?id=eq.e`, { as, body: { doc: { x: 1 } } }), 204);
	for (const path of [...sync('status').map((at) => at + '?local='), '/rpc/changes?local=', '/rpc/conflicts?local=', '/rpc/access?diagram=']) {
		ok(await get(path + id, { as }));
	}
	for (const path of ['/rpc/push?localDbName=', '/rpc/pull?localDbName=', '/rpc/share?localDbName=', '/rpc/unlink?localDbName=',
		'/rpc/drop_diagram?diagram=', '/rpc/create_token?diagram=']) {
		refused(await get(path + id, { as }), 405, null);
	}
	assert.equal(ok(await get('/rpc/status?local=' + id, { as })).localChanges, 1);
});
