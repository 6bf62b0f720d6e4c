// The application's own paths: which diagram and which method they mean, and
// that no spelling makes them mean another.
'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { base, diagram, entities, get, login, ok, post, rawGet, rawRequest, refused, request, rpc, sql } = require('./lib.js');

const as = 'routes-ann';
const bearer = `Authorization: Bearer ${login(as)}`;
const route = (type, id) => `/db/${type}/${encodeURIComponent(id)}`;

test('each storage type: POST inserts, GET reads, PUT writes over, PATCH and DELETE take named entities', async () => {
	for (const type of ['local', 'public', 'private']) {
		const path = route(type, await diagram(as, 'routes-' + type, type));
		ok(await post(path, { id: 'a', doc: { x: 1 } }, { as }), 201);
		ok(await post(path, [{ id: 'b', doc: {} }, { id: 'c', doc: {} }], { as }), 201);
		const put = await request('PUT', path, { as, body: [{ id: 'a', doc: { x: 2 } }, { id: 'd', doc: {} }],
			headers: { Prefer: 'return=representation' } });
		assert.deepEqual(ok(put, 201).map((row) => [row.diagram, row.id, row.doc]),
			[['routes-' + type, 'a', { x: 2 }], ['routes-' + type, 'd', {}]]);
		ok(await request('PATCH', path + '?id=eq.b', { as, body: { doc: { y: 1 } } }), 204);
		ok(await request('DELETE', path + '?id=in.(c,d)', { as }), 204);
		assert.deepEqual(await entities(as, type, 'routes-' + type), { a: { x: 2 }, b: { y: 1 } });
		const one = ok(await get(path + '?id=eq.a&select=doc', { as }));
		assert.deepEqual(one, [{ doc: { x: 2 } }]);
		const head = await request('HEAD', path, { as });
		assert.deepEqual([head.status, head.text], [200, '']);
		assert.equal((await request('OPTIONS', path, { headers: { Origin: 'https://app.example',
			'Access-Control-Request-Method': 'PUT', 'Access-Control-Request-Headers': 'authorization' } })).status, 204);
	}
});

test('an id that exists already is a conflict for POST, not for PUT', async () => {
	const path = route('local', await diagram(as, 'routes-taken', 'local', { a: { x: 1 } }));
	refused(await post(path, { id: 'a', doc: {} }, { as }), 409);
	ok(await request('PUT', path, { as, body: { id: 'a', doc: { x: 2 } },
		headers: { Prefer: 'resolution=ignore-duplicates' } }));
	assert.deepEqual(await entities(as, 'local', 'routes-taken'), { a: { x: 2 } });
});

test('PATCH and DELETE of all entities are refused', async () => {
	const path = route('local', await diagram(as, 'routes-all', 'local', { a: { x: 1 } }));
	for (const query of ['', '?', '?id', '?id=', '?id=neq.b', '?id=not.eq.b', '?id=like.*', '?ID=eq.a', '?xid=eq.a',
		'?doc=id=eq.a', '?order=id', '?or=(id.eq.a)']) {
		for (const method of ['PATCH', 'DELETE']) {
			const answer = await request(method, path + query, { as, body: { doc: {} } });
			assert.match(refused(answer, 400).hint, /\?id=eq\.ID/);
		}
	}
	assert.deepEqual(await entities(as, 'local', 'routes-all'), { a: { x: 1 } });
});

test('methods that a path does not know are 405, with those that it does', async () => {
	const path = route('local', await diagram(as, 'routes-methods'));
	for (const [methods, where, allow] of [
		[['PROPFIND', 'LINK', 'COPY', 'PURGE'], path, 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'],
		[['GET', 'PUT', 'PATCH', 'DELETE', 'HEAD'], '/api/sync/push', 'POST, OPTIONS'],
		[['GET', 'PUT', 'PATCH', 'DELETE'], '/api/sync/pull?x=1', 'POST, OPTIONS'],
		[['POST', 'PUT', 'PATCH', 'DELETE'], '/api/sync/status?local=routes-methods', 'GET, HEAD, OPTIONS'],
		[['PUT'], '/public_entities?diagram=eq.x&id=eq.a', 'GET, HEAD, POST, PATCH, DELETE, OPTIONS'],
		[['PUT', 'PATCH', 'DELETE'], '/rpc/status?local=routes-methods', 'GET, HEAD, POST, OPTIONS'],
		[['POST', 'PUT', 'PATCH', 'DELETE'], '/entities?id=eq.a', 'GET, HEAD, OPTIONS'],
		[['POST', 'PUT', 'PATCH', 'DELETE'], '/members', 'GET, HEAD, OPTIONS'],
		[['POST', 'PUT', 'PATCH', 'DELETE'], '/tokens', 'GET, HEAD, OPTIONS'],
		[['POST', 'PUT', 'DELETE'], '/diagrams?_id=eq.routes-methods', 'GET, HEAD, PATCH, OPTIONS']]) {
		for (const method of methods) {
			const answer = await request(method, where, { as });
			assert.equal(answer.status, 405, `${method} ${where}`);
			assert.equal(answer.headers.allow, allow, `${method} ${where}`);
			if (method !== 'HEAD') refused(answer, 405);
		}
	}
	// TRACE, and what nginx knows no method of, never come that far.
	assert.equal((await request('TRACE', path, { as })).status, 405);
	// A function that writes is not called by GET.
	refused(await get('/rpc/push?localDbName=routes-methods', { as }), 405, null);
	assert.equal(sql("SELECT count(*) FROM diagsync.directory WHERE id = 'routes-methods'"), '1');
});

test('the id means what encodeURIComponent made it of', async () => {
	for (const id of ['plain', 'a b', 'a/b', 'a%2Fb', 'a+b', 'a&b=c', 'a;b', 'a?b#c', "it's(*)!~", 'ümläut', '\u{1F4D0}',
		'100%', 'eq.x', 'in.(a,b)', 'not.eq.a', '"quoted"', 'a,b', 'null', 'a\r\nX-Evil: 1', '..up', 'a/.b', 'cs.x', 'is.it', 'in.house', 'not.x', '.hidden', 'local-ok',
		'a\\b', '\t', '*', "'; DROP TABLE x; --"]) {
		const type = 'local';
		await diagram(as, id, type, { e: { of: id } });
		const rows = ok(await get(route(type, id), { as }));
		assert.deepEqual(rows.map((row) => [row.diagram, row.doc]), [[id, { of: id }]], id);
		ok(await request('PATCH', route(type, id) + '?id=eq.e', { as, body: { doc: { of: 2 } } }), 204);
		ok(await request('DELETE', route(type, id) + '?id=eq.e', { as }), 204);
		assert.deepEqual(ok(await get(route(type, id), { as })), [], id);
	}
});

test('what is not two segments of that kind is no diagram', async () => {
	await diagram(as, 'routes-x', 'local', { e: {} });
	// There they are, if only their names were encoded.
	for (const sign of ' +&;=,@"') await diagram(as, `routes-x${sign}y`, 'local', { e: {} });
	for (const path of ['/db/local', '/db/local/', '/db//local/routes-x', '//db/local/routes-x', '/db/local//routes-x',
		'/db/local/routes-x/', '/db/local/routes-x/e', '/db/local/routes-x;y', '/db/local/routes-x&y', '/db/local/routes-x+y',
		'/db/local/routes-x=y', '/db/local/routes-x,y', '/db/local/routes-x@y', '/db/local/routes-x"y', '/db/local/routes-x%2+y', '/DB/local/routes-x',
		'/db/LOCAL/routes-x', '/db/loca%6c/routes-x', '/%64b/local/routes-x', '/db/other/routes-x', '/db/entities/routes-x',
		'/x/../db/local/routes-x', '/./db/local/routes-x', '/db/./local/routes-x', '/db/local/../local/routes-x',
		'/db/local%2Froutes-x', '/db%2Flocal/routes-x', '/db/local/routes-x%2F..%2Froutes-x', '/db/local/..%2Flocal%2Froutes-x',
		'/api', '/api/', '/api/sync', '/api/sync/', '/api/sync/other', '/api/sync/push/', '/API/sync/push',
		'/db/local/routes-x%00', '/db/local/%zz', '/db/local/%', '/db/local/routes-x%2', '/db/local/routes-\xfcx',
		'/db/local/%ff%fe', '/db/local/..', '/db/local/%2e%2e', '/db/local/.', '/db/local/..%2F..%2Frpc%2Fstatus',
		'/db/local/..%2F..%2Fapi%2Fsync%2Fstatus', '/db/local/..%2Fdiagrams', '/db/local/..%2F..%2Fdiagrams']) {
		const { status, text } = await rawGet(path, [bearer]);
		assert.ok(status === 404 || status === 400, `${path}: ${text}`);
		assert.match(text, /\r\nContent-Type: application\/json/, path);
		assert.doesNotMatch(text, /"doc"|"_id"|diverged/, path);
	}
	// An absolute request line is no way around either.
	const absolute = await rawGet(`http://${base.host}/db/local/routes-x/..%2Froutes-x`, [bearer]);
	assert.ok(absolute.status === 404 || absolute.status === 400, absolute.text);
});

test('what is not UTF-8, or not encoded, is a bad request', async () => {
	// Beyond ASCII: cut off, out of order, overlong, surrogates, above U+10FFFF.
	for (const bytes of ['%80', '%ff', '%c3', '%c3%28', '%c0%af', '%c1%81', '%e2%82', '%e0%80%80', '%ed%a0%80', '%ed%bf%bf',
		'%f0%8f%bf%bf', '%f4%90%80%80', '%f5%80%80%80', '%e2%82%ac%ac', '\xff', 'ü']) {
		for (const path of ['/db/local/x' + bytes, '/rpc/access?diagram=' + bytes, '/diagrams?_id=eq.' + bytes, '/' + bytes,
			'/db/public/x?id=eq.' + bytes, '/api/sync/status?local=' + bytes]) {
			const { status, text } = await rawGet(path, [bearer]);
			assert.equal(status, 400, path + text);
			assert.match(text, /\r\nContent-Type: application\/json/, path);
		}
	}
	for (const character of ['\u0080', '\u07ff', '\u0800', '\u1000', '\ucfff', '\ud7ff', '\ue000', '\uffff', '\u{10000}',
		'\u{3ffff}', '\u{40000}', '\u{fffff}', '\u{100000}', '\u{10ffff}']) {
		ok(await get('/rpc/access?diagram=' + encodeURIComponent(character), { as }));
		refused(await get(route('local', character), { as }), 404);
	}
});

test('names that begin with local- are unknown on the shared paths, however they are written', async () => {
	for (const [id, type] of [['local-plan', 'public'], ['local-secret', 'private']]) {
		await diagram(as, id, type);
		ok(await rpc('put', { diagram: id, entities: [{ id: 'e' }] }, { as }));
	}
	await diagram(as, 'LOCAL-loud', 'public', { e: {} });
	await diagram(as, 'plan-local-', 'public', { e: {} });
	for (const name of ['local-plan', '%6cocal-plan', '%6Cocal-plan', 'loca%6C-plan', 'local%2Dplan', 'local%2dplan',
		'%6C%6F%63%61%6C%2D%70lan', 'l%6fcal-plan', 'lo%63al-plan', 'loc%61l-plan']) {
		for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
			const body = method === 'GET' ? undefined : { id: 'x', doc: {} };
			refused(await request(method, `/db/public/${name}?id=eq.e`, { as, body }), 404);
		}
		refused(await get(`/db/private/${name.replace('plan', 'secret')}`, { as }), 404);
	}
	ok(await get('/db/public/LOCAL-loud', { as }));
	ok(await get('/db/public/plan-local-', { as }));
	assert.equal(sql("SELECT count(*) FROM diagsync_public.entity WHERE diagram_id = 'local-plan'"), '1');
});

test('the route decides on the diagram, not the query or the body', async () => {
	await diagram(as, 'routes-one', 'local', { e: { n: 1 } });
	await diagram(as, 'routes-two', 'local', { e: { n: 2 } });
	const one = '/db/local/routes-one';
	const back = { Prefer: 'return=representation' };
	for (const query of ['?diagram=eq.routes-two', '?diagram=neq.x', '?diagram=not.is.null', '?&diagram=in.(routes-two)']) {
		const rows = ok(await get(one + query, { as }));
		assert.ok(rows.every((row) => row.diagram === 'routes-one'), query);
	}
	for (const method of ['POST', 'PUT']) {
		for (const query of ['', '?columns=diagram,id,doc', '?columns=diagram', '?diagram=eq.routes-two']) {
			const id = `${method}${query}`;
			const answer = await request(method, one + query, { as, headers: back, body: { id, doc: {} } });
			assert.deepEqual(ok(answer, 201).map((row) => row.diagram), ['routes-one'], id);
			// What was read can be written back, but not into another diagram.
			const again = { diagram: 'routes-one', id: id + '2', doc: {}, modifiedAt: '2000-01-01', modifiedBy: 'sub:other' };
			assert.equal(ok(await request(method, one, { as, headers: back, body: again }), 201)[0].modifiedBy, 'sub:' + as);
			assert.match(refused(await request(method, one, { as, body: { ...again, diagram: 'routes-two' } }), 400).details, /"diagram"/);
		}
	}
	ok(await request('PATCH', one + '?id=eq.e&diagram=eq.routes-two', { as, body: { doc: {} } }), 204);
	ok(await request('DELETE', one + '?id=eq.e&diagram=eq.routes-two', { as }), 204);
	// An entity cannot be moved or renamed, nor what is stamped be written.
	for (const body of [{ diagram: 'routes-two' }, { id: 'f' }, { modifiedBy: 'sub:other' }, { modifiedAt: '2000-01-01' }]) {
		const { details } = refused(await request('PATCH', one + '?id=eq.e', { as, body: { doc: {}, ...body } }), 400);
		assert.match(details, new RegExp(Object.keys(body)[0]));
	}
	assert.deepEqual(ok(await get('/entities?diagram=eq.routes-two', { as })).map((row) => row.doc), [{ n: 2 }]);
	assert.deepEqual(ok(await get(one + '?id=eq.e', { as })).map((row) => row.doc), [{ n: 1 }]);
});

test('headers of the route cannot be smuggled', async () => {
	await diagram(as, 'routes-mine', 'local', { e: { n: 1 } });
	await diagram(as, 'routes-also', 'local', { e: { n: 2 } });
	const forged = { 'X-Diagsync-Diagram': 'routes-also', 'X-Diagsync-Storage': 'local', X_Diagsync_Diagram: 'routes-also',
		'x-diagsync-diagram ': undefined };
	delete forged['x-diagsync-diagram '];
	// Under /db/ those of the route replace them.
	ok(await post('/db/local/routes-mine', { id: 'f', doc: {} }, { as, headers: forged }), 201);
	assert.equal(sql("SELECT string_agg(id, ',' ORDER BY id) FROM diagsync_local.entity WHERE diagram_id = 'routes-mine'"), 'e,f');
	// Elsewhere there are none, so that a row needs its diagram.
	refused(await post('/local_entities', { id: 'g', doc: {} }, { as, headers: forged }), 400, null);
	// Nor does a forged one make a path 404 for its sender.
	ok(await get('/diagrams?limit=1', { as, headers: { ...forged, 'X-Diagsync-Diagram': 'no such diagram' } }));
	// A second header, a folded one, one with a space before its colon.
	for (const lines of [
		['X-Diagsync-Diagram: routes-also', 'X-Diagsync-Diagram: routes-also', 'X-Diagsync-Storage: local'],
		['X-Other: 1', ' X-Diagsync-Diagram: routes-also'],
		['X-Diagsync-Diagram : routes-also', 'X-Diagsync-Storage: local']]) {
		const body = '{"id":"h","doc":{}}';
		const { status, text } = await rawRequest(['POST /local_entities HTTP/1.1', `Host: ${base.host}`, bearer, 'Connection: close',
			'Content-Type: application/json', `Content-Length: ${body.length}`, ...lines, '', body]);
		assert.equal(status, 400, text);
	}
	assert.equal(sql("SELECT count(*) FROM diagsync_local.entity WHERE diagram_id = 'routes-also'"), '1');
});

test('a request cannot hide another in it', async () => {
	const hidden = `DELETE /db/local/routes-mine?id=eq.e HTTP/1.1\r\nHost: x\r\n${bearer}\r\n\r\n`;
	for (const lines of [
		['Transfer-Encoding: chunked', `Content-Length: ${hidden.length + 5}`],
		['Transfer-Encoding: identity, chunked'],
		['Content-Length: 0', `Content-Length: ${hidden.length}`]]) {
		const { status } = await rawRequest(['POST /rpc/access HTTP/1.1', `Host: ${base.host}`, 'Connection: close',
			...lines, '', '0', '', hidden]);
		assert.ok(status >= 400 && status < 502, `${lines}: ${status}`);
	}
	assert.equal(sql("SELECT count(*) FROM diagsync_local.entity WHERE diagram_id = 'routes-mine' AND id = 'e'"), '1');
});

test('what was asked is in no header of the answer', async () => {
	await diagram(as, 'routes-echo', 'public', { echoed: {} });
	for (const answer of [
		await get('/db/public/routes-echo?id=eq.echoed', { as }),
		await post('/db/public/routes-echo', { id: 'echoed-2', doc: {} }, { as, headers: { Prefer: 'return=headers-only' } }),
		await get('/entities?id=eq.echoed', { as }),
		await post('/public_entities', { diagram: 'routes-echo', id: 'echoed-3', doc: {} }, { as, headers: { Prefer: 'return=headers-only' } }),
		await get('/rpc/access?diagram=echoed', { as }),
		await get('/echoed', { as }),
		await get('/db/public/echoed', { as })]) {
		assert.doesNotMatch(answer.raw.join('\n'), /echo/);
	}
});
