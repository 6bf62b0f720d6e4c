// Conditional requests: 304 for what has not changed, 412 for what has.
'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const zlib = require('node:zlib');
const { diagram, entities, get, ok, post, refused, request, rpc, sql } = require('./lib.js');

const as = 'conditions-ann';
const TYPES = ['local', 'public', 'private'];
const tagOf = async (path, options = { as }) => (await get(path, options)).headers.etag;
const write = (method, path, headers, body) => request(method, path, { as, headers, body });

test('an entity has a tag, another one with each edit; each write of one entity says the new one', async () => {
	for (const type of TYPES) {
		const path = `/db/${type}/${await diagram(as, 'conditions-tag-' + type, type, { a: { x: 1 }, b: { x: 1 } })}`;
		const first = await tagOf(path + '?id=eq.a');
		assert.match(first, /^"[!#-~]+"$/);
		assert.equal(await tagOf(path + '?id=eq.a'), first);
		assert.equal(await tagOf(path + '?id=eq.a&select=doc'), first);
		assert.notEqual(await tagOf(path + '?id=eq.b'), first);
		assert.equal(await tagOf(path + '?id=eq.none'), undefined);
		const patched = await write('PATCH', path + '?id=eq.a', {}, { doc: { x: 2 } });
		ok(patched, 204);
		assert.notEqual(patched.headers.etag, first);
		assert.equal(await tagOf(path + '?id=eq.a'), patched.headers.etag);
		const put = await write('PUT', path + '?id=eq.a', {}, { id: 'a', doc: { x: 3 } });
		assert.equal(await tagOf(path + '?id=eq.a'), put.headers.etag);
	}
});

test('what inserts one entity says its tag, and what inserts more says none', async () => {
	for (const type of TYPES) {
		const path = `/db/${type}/${await diagram(as, 'conditions-says-' + type, type, { old: { x: 1 } })}`;
		const doc = { n: 1.50, text: 'ü\n', list: [1, { id: 'b', a: null }], big: 12345678901234567890 };
		let made = 0;
		for (const method of ['POST', 'PUT']) {
			for (const list of [false, true]) {
				for (const query of ['', '?id=eq.']) {
					const id = 'new ' + made++;
					const body = { id, doc: { ...doc, id } };
					const answer = await write(method, path + (query && query + encodeURIComponent(id)), query ? { 'If-None-Match': '*' } : {}, list ? [body] : body);
					ok(answer, 201);
					assert.match(answer.headers.etag, /^"[0-9a-f]{32}"$/);
					const where = `${path}?id=eq.${encodeURIComponent(id)}`;
					assert.equal(await tagOf(where), answer.headers.etag, `${method} ${type} ${JSON.stringify(body)}`);
					ok(await write('PATCH', where, { 'If-Match': answer.headers.etag }, { doc: {} }), 204);
					// Over what is there it is the new one's, and the only one.
					if (method === 'PUT') {
						const again = await write('PUT', path, {}, body);
						assert.equal(again.raw.filter((name) => name.toLowerCase() === 'etag').length, 1);
						assert.equal(await tagOf(where), again.headers.etag);
					}
				}
			}
			const id = `many ${method} `;
			const more = await write(method, path, {}, [{ id: id + 1, doc }, { id: id + 2, doc }]);
			assert.equal(more.status, 201);
			assert.equal(more.headers.etag, undefined);
			assert.equal((await write(method, path, {}, [])).headers.etag, undefined);
		}
		const kept = await write('POST', path + '?on_conflict=diagram,id', { Prefer: 'resolution=ignore-duplicates' }, { id: 'old', doc: { x: 2 } });
		assert.equal(kept.headers.etag, undefined);
		assert.equal((await write('POST', `/${type}_entities`, {}, { diagram: 'conditions-says-' + type, id: 'by table', doc })).headers.etag, undefined);
	}
	// What somebody's trigger makes of it, nobody knows yet.
	sql(`SET client_min_messages = warning; CREATE FUNCTION public.conditions_mark() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.doc = NEW.doc || '{"marked": true}'; RETURN NEW; END $$;
		CREATE TRIGGER conditions_mark BEFORE INSERT ON diagsync_private.entity FOR EACH ROW EXECUTE FUNCTION public.conditions_mark()`);
	try {
		assert.equal((await write('POST', '/db/private/conditions-says-private', {}, { id: 'marked', doc: {} })).headers.etag, undefined);
	} finally {
		sql('SET client_min_messages = warning; DROP FUNCTION public.conditions_mark CASCADE');
	}
});

test('304 with If-None-Match, with and without W/, in a list, and for *; only while it holds', async () => {
	for (const type of TYPES) {
		const path = `/db/${type}/${await diagram(as, 'conditions-304-' + type, type, { a: { x: 1 }, b: { x: 1 } })}`;
		for (const [where, edit] of [[path + '?id=eq.a', 'a'], ...(type === 'local' ? [] : [[path, 'b'], [path + '?select=id&order=id.desc', 'a']])]) {
			const tag = await tagOf(where);
			for (const list of [tag, 'W/' + tag, `"other", W/${tag}`, `"other" ,${tag}`, '*']) {
				if (list === '*' && where !== path + '?id=eq.a') continue;
				const same = await get(where, { as, headers: { 'If-None-Match': list } });
				assert.equal(same.status, 304, `${where} ${list}`);
				assert.equal(same.text, '');
				assert.ok([tag, tag.replace('W/', '')].includes(same.headers.etag));
				assert.equal(same.headers['cache-control'], 'private, no-cache');
			}
			for (const other of ['"other"', 'other', '""', '', ',', '"', tag.slice(0, -2) + '"']) {
				assert.equal((await get(where, { as, headers: { 'If-None-Match': other } })).status, 200, other);
			}
			const head = await request('HEAD', where, { as, headers: { 'If-None-Match': tag } });
			assert.equal(head.status, 304);
			ok(await write('PATCH', path + `?id=eq.${edit}`, {}, { doc: { x: Math.random() } }), 204);
			assert.equal((await get(where, { as, headers: { 'If-None-Match': tag } })).status, 200);
		}
	}
});

test('the tag of a diagram changes with each way of writing it, and stays while others write elsewhere', async () => {
	const id = await diagram(as, 'conditions-mark', 'public', { a: { x: 1 }, b: {}, c: {} });
	const local = ok(await rpc('clone', { publicDbName: id, localDbName: id + '-clone' }, { as })).localDbName;
	const path = '/db/public/' + id;
	await diagram(as, 'conditions-elsewhere', 'public');
	let tag = await tagOf(path);
	for (const act of [
		() => write('DELETE', path + '?id=eq.b', {}),
		() => rpc('put', { diagram: id, entities: [{ id: 'new' }] }, { as }),
		() => rpc('remove', { diagram: id, ids: ['new'] }, { as }),
		() => sql(`UPDATE diagsync_public.entity SET doc = '{}' WHERE diagram_id = '${id}' AND id = 'a'`),
		async () => {
			ok(await write('PATCH', `/db/local/${local}?id=eq.c`, {}, { doc: { pushed: 1 } }), 204);
			return rpc('push', { localDbName: local }, { as });
		},
		() => rpc('set_storage_type', { diagram: id, storageType: 'public' }, { as })]) {
		ok(await post('/db/public/conditions-elsewhere', { id: String(Math.random()), doc: {} }, { as }), 201);
		assert.equal(await tagOf(path), tag);
		await act();
		const next = await tagOf(path);
		if (act.toString().includes('set_storage_type')) assert.equal(next, tag);
		else assert.notEqual(next, tag, act.toString());
		tag = next;
	}
	assert.equal(await tagOf('/db/local/' + local), undefined);
});

test('who may no longer read gets 404, not 304', async () => {
	const id = await diagram(as, 'conditions-access', 'private', { a: {} });
	const path = '/db/private/' + id;
	const tag = await tagOf(path);
	const entity = await tagOf(path + '?id=eq.a');
	for (const options of [{}, { as: 'conditions-ben' }]) {
		refused(await get(path, { ...options, headers: { 'If-None-Match': tag } }), 404);
		refused(await get(path + '?id=eq.a', { ...options, headers: { 'If-None-Match': entity } }), 404);
		refused(await request('PATCH', path + '?id=eq.a', { ...options, headers: { 'If-Match': entity }, body: { doc: {} } }), 404);
	}
});

test('412 where the entity is another than If-Match says, and nothing changes', async () => {
	for (const type of TYPES) {
		const id = await diagram(as, 'conditions-match-' + type, type, { a: { x: 1 } });
		const path = `/db/${type}/${id}`;
		const where = path + '?id=eq.a';
		const old = await tagOf(where);
		ok(await write('PATCH', where, { 'If-Match': 'W/' + old }, { doc: { x: 2 } }), 204);
		const now = await tagOf(where);
		for (const method of ['PATCH', 'PUT', 'DELETE', 'POST']) {
			const body = method === 'PATCH' ? { doc: { x: 9 } } : method === 'DELETE' ? undefined : { id: 'a', doc: { x: 9 } };
			for (const stale of [old, '"no such"', 'W/"no such"', '""', `${old}, "no such"`]) {
				refused(await write(method, where, { 'If-Match': stale }, body), 412);
			}
			for (const held of ['*', now, `"other", W/${now}`]) {
				refused(await write(method, where, { 'If-None-Match': held }, body), 412);
			}
			// What is not there matches nothing.
			const none = body?.id ? { ...body, id: 'none' } : body;
			refused(await write(method, path + '?id=eq.none', { 'If-Match': '*' }, none), 412);
			refused(await write(method, path + '?id=eq.none', { 'If-Match': now }, none), 412);
		}
		assert.deepEqual(await entities(as, type, id), { a: { x: 2 } });
		ok(await write('PUT', where, { 'If-Match': now }, { id: 'a', doc: { x: 3 } }));
		ok(await write('DELETE', where, { 'If-Match': '*' }), 204);
		refused(await write('DELETE', where, { 'If-Match': '*' }), 412);
	}
});

test('If-None-Match: * makes an entity only where there is none', async () => {
	for (const type of TYPES) {
		const id = await diagram(as, 'conditions-new-' + type, type);
		const where = `/db/${type}/${id}?id=eq.a`;
		for (const method of ['POST', 'PUT']) {
			ok(await write(method, where, { 'If-None-Match': '*' }, { id: 'a', doc: { by: method } }), 201);
			for (const again of ['POST', 'PUT']) {
				refused(await write(again, where, { 'If-None-Match': '*' }, { id: 'a', doc: {} }), 412);
			}
			assert.deepEqual(await entities(as, type, id), { a: { by: method } });
			ok(await write('DELETE', where, {}), 204);
		}
	}
});

test('a condition is about exactly one entity: 400 otherwise', async () => {
	const id = await diagram(as, 'conditions-one', 'public', { a: { x: 1 }, b: { x: 1 } });
	const path = '/db/public/' + id;
	for (const query of ['', '?', '?id=in.(a)', '?id=in.(a,b)', '?id=eq.a&id=eq.a', '?id=eq.a&id=eq.b', '?id=not.eq.a', '?id=neq.a',
		'?doc-%3E%3Eid=eq.a']) {
		for (const headers of [{ 'If-Match': '*' }, { 'If-None-Match': '"x"' }]) {
			for (const [method, body] of [['PATCH', { doc: {} }], ['DELETE'], ['PUT', { id: 'a', doc: {} }], ['POST', { id: 'c', doc: {} }]]) {
				refused(await write(method, path + query, headers, body), 400);
			}
		}
	}
	// The body is about that one, too.
	for (const body of [{ id: 'b', doc: {} }, { id: 'c', doc: {} }, [{ id: 'a', doc: {} }, { id: 'b', doc: {} }], [{ id: 'a', doc: {} }, { id: 'c', doc: {} }]]) {
		refused(await write('PUT', path + '?id=eq.a', { 'If-Match': '*' }, body), 400);
	}
	// Nor is a condition passed over where it would mean nothing.
	for (const headers of [{ 'If-Match': '*' }, { 'If-None-Match': '*' }, { 'If-Unmodified-Since': 'Tue, 01 Jan 2030 00:00:00 GMT' }]) {
		refused(await rpc('put', { diagram: id, entities: [{ id: 'a' }] }, { as, headers }), 400);
		refused(await post('/api/sync/push', { localDbName: id }, { as, headers }), 400);
		refused(await rpc('resolve', { localDbName: id, entityId: 'a', resolution: 'local' }, { as, headers }), 400);
		refused(await request('PATCH', '/diagrams?_id=eq.' + id, { as, headers, body: { name: 'x' } }), 400);
		refused(await request('PATCH', `/public_entities?diagram=eq.${id}&id=eq.a`, { as, headers, body: { doc: {} } }), 400);
	}
	refused(await write('PATCH', path + '?id=eq.a', { 'If-Unmodified-Since': 'Tue, 01 Jan 2030 00:00:00 GMT' }, { doc: {} }), 400);
	assert.deepEqual(await entities(as, 'public', id), { a: { x: 1 }, b: { x: 1 } });
});

test('every id has its tag', async () => {
	const id = await diagram(as, 'conditions-ids', 'local');
	for (const entity of ['a b', 'a+b', '50%', 'ü', 'a&id=eq.b', '"', 'eq.x', '1', ' ', '%41', 'a\nb', 'in.(a,b)']) {
		const where = `/db/local/${id}?id=eq.${encodeURIComponent(entity)}`;
		ok(await write('PUT', where, { 'If-None-Match': '*' }, { id: entity, doc: {} }), 201);
		const tag = await tagOf(where);
		assert.match(tag, /^".+"$/, entity);
		refused(await write('PATCH', where, { 'If-Match': '"x"' }, { doc: { x: 1 } }), 412);
		ok(await write('PATCH', where, { 'If-Match': tag }, { doc: { x: 1 } }), 204);
	}
	ok(await write('PATCH', `/db/local/${id}?id=eq.a+b`, { 'If-Match': await tagOf(`/db/local/${id}?id=eq.a+b`) }, { doc: { plus: 1 } }), 204);
	assert.deepEqual((await entities(as, 'local', id))['a b'], { plus: 1 });
});

test('of many writers with the same tag one succeeds, however they race', async () => {
	const id = await diagram(as, 'conditions-race', 'public', { a: { n: 0 } });
	const where = `/db/public/${id}?id=eq.a`;
	for (let round = 0; round < 5; round++) {
		const tag = await tagOf(where);
		const answers = await Promise.all(Array.from({ length: 12 }, (_, n) =>
			write(['PATCH', 'PUT'][n % 2], where, { 'If-Match': tag }, n % 2 ? { id: 'a', doc: { round, n } } : { doc: { round, n } })));
		assert.deepEqual(answers.map((answer) => answer.status === 412).filter(Boolean).length, 11,
			answers.map((answer) => answer.status + answer.text).join('\n'));
		const won = answers.findIndex((answer) => answer.status < 300);
		assert.deepEqual((await entities(as, 'public', id)).a, { round, n: won });
		assert.equal(await tagOf(where), answers[won].headers.etag);
	}
	const news = await Promise.all(Array.from({ length: 8 }, (_, n) =>
		write('PUT', `/db/public/${id}?id=eq.new`, { 'If-None-Match': '*' }, { id: 'new', doc: { n } })));
	assert.equal(news.filter((answer) => answer.status === 201).length, 1);
	assert.equal(news.filter((answer) => answer.status === 412).length, 7);
});

test('answers are compressed for whoever wants it, with a weak tag that counts as the strong one', async () => {
	const many = Object.fromEntries(Array.from({ length: 200 }, (_, n) => ['entity' + n, { text: 'the same words' }]));
	const path = '/db/public/' + await diagram(as, 'conditions-gzip', 'public', many);
	const plain = await get(path, { as });
	const packed = await get(path, { as, headers: { 'Accept-Encoding': 'gzip' } });
	assert.equal(packed.headers['content-encoding'], 'gzip');
	assert.deepEqual(JSON.parse(zlib.gunzipSync(packed.bytes)), plain.json);
	assert.ok(packed.bytes.length * 5 < plain.text.length);
	assert.equal(packed.headers.etag, 'W/' + plain.headers.etag);
	assert.equal((await get(path, { as, headers: { 'If-None-Match': packed.headers.etag } })).status, 304);
});

test('nobody else keeps an answer', async () => {
	const id = await diagram(as, 'conditions-cache', 'public', { a: {} });
	for (const answer of [await get('/db/public/' + id, { as }), await get('/diagrams?limit=1'), await get('/db/public/none'),
		await get('/'), await rpc('access', { diagram: id }, { as }), await get('/none'), await request('PATCH', '/db/public/' + id, { as })]) {
		assert.equal(answer.headers['cache-control'], 'private, no-cache');
		for (const name of ['Authorization', 'X-Diagsync-Token', 'Accept', 'Origin']) {
			assert.ok(answer.headers.vary.split(/, */).includes(name), answer.headers.vary);
		}
	}
});

test('what has not changed is answered without reading it', async () => {
	const id = await diagram(as, 'conditions-many', 'public');
	sql(`INSERT INTO diagsync_public.entity (diagram_id, id, doc)
		SELECT '${id}', 'entity' || n, jsonb_build_object('n', n) FROM generate_series(1, 5000) AS n`);
	sql('VACUUM ANALYZE diagsync_public.entity');
	const path = '/db/public/' + id;
	const tag = await tagOf(path);
	assert.equal((await get(path, { as, headers: { 'If-None-Match': tag } })).status, 304);
	const read = sql(`BEGIN; SELECT set_config('request.method', 'GET', true), set_config('request.path', '/public_entities', true),
		set_config('request.headers', $$${JSON.stringify({ 'x-diagsync-diagram': id, 'x-diagsync-storage': 'public' })}$$, true);
		SELECT diagsync.check_request();
		SELECT set_config('request.method', '', true);
		SELECT seq_scan, idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relid = 'diagsync_public.entity'::regclass; COMMIT`).split('\n').at(-1);
	assert.match(read, /^0\|[012]$/);
});
