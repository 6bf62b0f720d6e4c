// What has changed since a mark: changedSince.
'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { readdirSync, readFileSync, readlinkSync } = require('node:fs');
const { diagram, entities, get, ok, post, refused, request, rpc, someAddress, sql } = require('./lib.js');

const as = 'feed-ann';
const route = (id, type = 'public') => `/db/${type}/${encodeURIComponent(id)}`;
const since = async (id, mark, query = '', options = { as }) =>
	ok(await get(`${route(id)}?changedSince=${mark}${query}`, options));

// What a client has after all pages, applied to what it had.
async function follow(id, copy, mark, query = '') {
	let page;
	do {
		page = await since(id, mark, query);
		if (page.resync) for (const key of Object.keys(copy)) delete copy[key];
		for (const change of page.changes) {
			assert.equal(change.deleted, change.doc === null);
			if (change.deleted) delete copy[change.id];
			else copy[change.id] = change.doc;
		}
		mark = page.mark;
	} while (page.more);
	return mark;
}

test('the tag of an answer is a mark, and each page has the next one', async () => {
	const id = await diagram(as, 'feed-first', 'public', { a: { n: 1 }, b: { n: 1 }, c: { n: 1 } });
	const tag = (await get(route(id), { as })).headers.etag.replaceAll('"', '');
	const none = await since(id, tag);
	assert.deepEqual([none.resync, none.more, none.changes], [false, false, []]);
	ok(await request('PATCH', route(id) + '?id=eq.b', { as, body: { doc: { n: 2 } } }), 204);
	ok(await request('DELETE', route(id) + '?id=eq.a', { as: 'feed-ben' }), 204);
	ok(await post(route(id), { id: 'd', doc: {} }, { as }), 201);
	for (const mark of [tag, none.mark]) {
		const page = await since(id, mark);
		assert.deepEqual(page.changes.map(({ id, deleted, doc, modifiedBy }) => [id, deleted, doc, modifiedBy]), [
			['a', true, null, 'sub:feed-ben'], ['b', false, { n: 2 }, 'sub:feed-ann'], ['d', false, {}, 'sub:feed-ann']]);
		for (const { modifiedAt } of page.changes) assert.match(modifiedAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00$/);
		assert.deepEqual((await since(id, page.mark)).changes, []);
		assert.equal((await since(id, page.mark)).mark, page.mark);
	}
});

test('without a mark it is all that there is', async () => {
	const id = await diagram(as, 'feed-all', 'public', { a: {}, b: {} });
	ok(await request('DELETE', route(id) + '?id=eq.a', { as }), 204);
	for (const path of [route(id) + '?changedSince', route(id) + '?changedSince=', '/rpc/changes_since?diagram=' + id]) {
		const page = ok(await get(path, { as }));
		assert.equal(page.resync, true);
		assert.deepEqual(page.changes.map((change) => change.id), ['b']);
	}
	assert.deepEqual(ok(await rpc('changes_since', { diagram: id }, { as })).changes.map((change) => change.id), ['b']);
});

test('page by page, while others write: a client ends with what there is', async () => {
	const id = await diagram(as, 'feed-pages', 'public');
	sql(`INSERT INTO diagsync_public.entity (diagram_id, id, doc)
		SELECT '${id}', 'e' || n, jsonb_build_object('n', n) FROM generate_series(1, 250) AS n`);
	const copy = {};
	let mark = '';
	let writing = true;
	const writer = (async () => {
		for (let n = 0; writing; n++) {
			await request('PUT', route(id), { as, body: { id: 'e' + (n * 37) % 300, doc: { again: n } } });
			await request('DELETE', `${route(id)}?id=eq.e${(n * 53) % 300}`, { as });
		}
	})();
	for (let round = 0; round < 8; round++) mark = await follow(id, copy, mark, '&max=40');
	writing = false;
	await writer;
	await follow(id, copy, mark, '&max=7');
	assert.deepEqual(copy, await entities(as, 'public', id));
});

test('a transaction that commits late is not passed over', async () => {
	const id = await diagram(as, 'feed-late', 'public', { a: { n: 1 }, b: { n: 1 } });
	const { spawn } = require('node:child_process');
	const late = spawn('psql', ['-XAtq', '-v', 'ON_ERROR_STOP=1'], { stdio: ['pipe', 'pipe', 'inherit'] });
	const said = (word) => new Promise((resolve) => late.stdout.on('data', (data) => { if (String(data).includes(word)) resolve(); }));
	const begun = said('begun');
	late.stdin.write(`BEGIN; UPDATE diagsync_public.entity SET doc = '{"n": 2}' WHERE diagram_id = '${id}' AND id = 'a'; SELECT 'begun';\n`);
	await begun;
	ok(await request('PATCH', route(id) + '?id=eq.b', { as, body: { doc: { n: 2 } } }), 204);
	const tag = (await get(route(id), { as })).headers.etag;
	const { mark } = await since(id, '');
	const done = new Promise((resolve) => late.on('close', resolve));
	late.stdin.end('COMMIT;\n');
	await done;
	for (const before of [mark, tag.replaceAll('"', '')]) {
		assert.deepEqual((await since(id, before)).changes.map((change) => [change.id, change.doc]), [['a', { n: 2 }]]);
	}
	assert.equal((await get(route(id), { as, headers: { 'If-None-Match': tag } })).status, 200);
});

test('a mark from before what prune has dropped begins anew, a later one goes on', async () => {
	const id = await diagram(as, 'feed-prune', 'public', { a: {}, b: {} });
	const before = (await since(id, '')).mark;
	ok(await request('DELETE', route(id) + '?id=eq.a', { as }), 204);
	const after = (await since(id, before)).mark;
	sql('SELECT diagsync.prune()');
	assert.equal(sql(`SELECT count(*) FROM diagsync_public.tombstone WHERE diagram_id = '${id}'`), '0');
	const anew = await since(id, before);
	assert.deepEqual([anew.resync, anew.changes.map((change) => change.id)], [true, ['b']]);
	for (const mark of [after, anew.mark]) {
		const page = await since(id, mark);
		assert.deepEqual([page.resync, page.changes], [false, []]);
	}
});

test('so does one of another diagram, or of one that was dropped since', async () => {
	const id = await diagram(as, 'feed-again', 'public', { a: {} });
	const { mark } = await since(id, '');
	await diagram(as, 'feed-other', 'public', { a: {} });
	assert.equal((await since('feed-other', mark)).resync, true);
	ok(await rpc('drop_diagram', { diagram: id }, { as }), 204);
	await diagram(as, id, 'public', { b: {} });
	const anew = await since(id, mark);
	assert.deepEqual([anew.resync, anew.changes.map((change) => change.id)], [true, ['b']]);
	// Moved, it is the same diagram, but what a trigger stored at the new place may be something else.
	const public_ = (await since(id, '')).mark;
	ok(await rpc('set_storage_type', { diagram: id, storageType: 'private' }, { as }), 204);
	assert.equal(ok(await get(`${route(id, 'private')}?changedSince=${public_}`, { as })).resync, true);
});

test('what is no mark is refused, and so is what else a query may have', async () => {
	const id = await diagram(as, 'feed-bad', 'public', { a: {} });
	for (const mark of ['x', '1', "'", 'deadbeefdeadbeef', 'deadbeefdeadbeef-', 'deadbeefdeadbeef-1-', 'deadbeefdeadbeef-1-1-1', 'deadbeefdeadbeef-1-0-6',
		'deadbeefdeadbeef-ffffffffffffffff', 'deadbeefdeadbeef-1_2', 'deadbeefdeadbeef-5_1_2', 'deadbeefdeadbeef-5_0', 'deadbeefdeadbeef-1-n12',
		'deadbeefdeadbeef-1-0-ff', 'deadbeefdeadbeef-1-0-00', 'Deadbeefdeadbeef-1', '-1', '%00', 'a'.repeat(5000)]) {
		for (const path of [`${route(id)}?changedSince=${mark}`, `/rpc/changes_since?diagram=${id}&since=${mark}`]) {
			const { status, text } = await get(path, { as });
			assert.ok([400, 422].includes(status), `${path}: ${status} ${text}`);
		}
	}
	for (const query of ['&max=0', '&max=10001', '&max=-1', '&max=x', '&limit=1', '&id=eq.a', '&feed=x', '&select=id']) {
		const { status } = await get(`${route(id)}?changedSince=${query}`, { as });
		assert.ok([400, 422].includes(status), query);
	}
	for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
		refused(await request(method, route(id) + '?changedSince=&id=eq.a', { as, body: { doc: {} } }), 405);
	}
	assert.equal((await request('HEAD', route(id) + '?changedSince=', { as })).status, 200);
});

test('whoever may read may follow, nobody else; of a local diagram nobody', async () => {
	const id = await diagram(as, 'feed-private', 'private', { a: {} });
	const local = await diagram(as, 'feed-local', 'local', { a: {} });
	for (const options of [{}, { as: 'feed-ben' }]) {
		refused(await get(route(id, 'private') + '?changedSince=', options), 404);
		refused(await get('/rpc/changes_since?diagram=' + id, options), 404);
		refused(await get(route(id) + '?changedSince=', options), 404);
	}
	const { token } = ok(await rpc('create_token', { diagram: id }, { as }));
	assert.equal(ok(await get(route(id, 'private') + '?changedSince=', { token })).changes.length, 1);
	refused(await get(route(local, 'local') + '?changedSince=', { as }), 422);
	refused(await get(route(local, 'local') + '?changedSince=', {}), 404);
});

// Watches what PostgREST's backends have of memory of their own. Calling what it
// returns ends that, and gives the most that one of them had, in MB.
function watchMemory() {
	const data = sql('SHOW data_directory');
	let most = 0;
	const look = () => {
		for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
			try {
				if (!readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('postgres: diagsync_authenticator') || readlinkSync(`/proc/${pid}/cwd`) !== data) continue;
				most = Math.max(most, Number(/^RssAnon:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024);
			} catch (error) {
				if (!['ENOENT', 'ESRCH', 'EACCES'].includes(error.code)) throw error; // it has ended, or is not ours
			}
		}
	};
	const timer = setInterval(look, 20);
	return () => {
		clearInterval(timer);
		return most;
	};
}

test('a hundred thousand entities come page by page, and each page needs no more memory than itself', async () => {
	const id = await diagram(as, 'feed-large', 'public');
	sql(`INSERT INTO diagsync_public.entity (diagram_id, id, doc)
		SELECT '${id}', 'e' || n, jsonb_build_object('n', n) FROM generate_series(1, 100000) AS n`);
	const copy = {};
	const started = Date.now();
	const peak = watchMemory();
	const mark = await follow(id, copy, '', '&max=10000');
	const megabytes = peak();
	assert.equal(Object.keys(copy).length, 100000);
	assert.ok(megabytes > 1 && megabytes < 40, `${megabytes} MB in a backend`);
	sql(`UPDATE diagsync_public.entity SET doc = '{"again": true}' WHERE diagram_id = '${id}' AND id LIKE 'e%7'`);
	await follow(id, copy, mark, '&max=5000');
	assert.equal(Object.values(copy).filter((doc) => doc.again).length, 10000);
	assert.ok(Date.now() - started < 60000);
	sql(`DELETE FROM diagsync_public.entity WHERE diagram_id = '${id}'`);
});

test('a hundred who follow from one address, without a login, know of a write within a second and a half', async () => {
	const id = await diagram(as, 'feed-poll', 'public', { a: { n: 0 } });
	const from = someAddress();
	let writing = 0;
	const follower = async () => {
		let mark = (await since(id, '', '', {})).mark;
		let asked = 0;
		for (;;) {
			asked++;
			const page = await since(id, mark, '&feed=longpoll', { from });
			mark = page.mark;
			if (page.changes.length > 0 && page.changes[0].doc.n === 1) return { took: Date.now() - writing, asked };
			await new Promise((resolve) => setImmediate(resolve));
		}
	};
	const followers = Array.from({ length: 100 }, follower);
	await new Promise((resolve) => setTimeout(resolve, 3000));
	writing = Date.now();
	ok(await request('PATCH', route(id) + '?id=eq.a', { as, body: { doc: { n: 1 } } }), 204);
	const results = await Promise.all(followers);
	const last = Math.max(...results.map((result) => result.took));
	assert.ok(last < 1500, `${last} ms`);
	// Nobody was asked to come back later, and nobody came more than once a second.
	assert.ok(Math.max(...results.map((result) => result.asked)) <= 8);
});
