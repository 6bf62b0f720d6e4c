// Sixty clients at once, who do everything: HEAD, edits of the shared diagram,
// conditional writes, conflicts, link, clone, resolve, push and pull, wrong tokens
// with large bodies.  Nobody may get a 5xx, what was acknowledged is there, and of
// the conditional writes of one entity none undoes another.
'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { randomInt } = require('node:crypto');
const { diagram, entities, get, ok, post, request, rpc } = require('./lib.js');

const CLIENTS = Number(process.env.REST_MIXED_CLIENTS ?? 60);
const SECONDS = Number(process.env.REST_MIXED_SECONDS ?? 5);
const PUBLIC = 'mixed-public';
const COUNTER = 'mixed-counter';
const large = 'x'.repeat(30000);

class Client {
	constructor(number) {
		this.as = `mixed-${number}`;
		this.local = `mixed-${number}`;
		this.own = {};
		this.number = number;
		this.counts = {};
		this.calls = 0;
		this.counted = 0;
	}

	async send(name, promise, expected) {
		const answer = await promise;
		this.counts[`${name} ${answer.status}`] = (this.counts[`${name} ${answer.status}`] ?? 0) + 1;
		assert.ok(expected.includes(answer.status), `${name}: ${answer.status} ${answer.text}`);
		return answer;
	}

	sync(name, body) {
		return this.send(name, post('/api/sync/' + name, { localDbName: this.local, ...body }, { as: this.as }), [200]);
	}

	// One more, if nobody else has counted since.
	async count() {
		const path = `/db/public/${COUNTER}?id=eq.count`;
		const before = await this.send('GET counter', get(path, { as: this.as }), [200]);
		const doc = { value: before.json[0].doc.value + 1 };
		const answer = await this.send('PATCH counter', request('PATCH', path,
			{ as: this.as, body: { doc }, headers: { 'If-Match': before.headers.etag } }), [204, 412]);
		if (answer.status === 204) this.counted++;
	}

	async step() {
		const { as, local } = this;
		const id = `own-${this.number}-${randomInt(4)}`;
		const doc = { value: `${this.number}.${Math.random()}` };
		// Sixty clients would soon have synced as often as they may.
		const may = ++this.calls < 100;
		if (randomInt(8) === 0) return this.count();
		switch (randomInt(may ? 10 : 4)) {
			case 0: return this.send('HEAD', request('HEAD', '/diagrams?limit=3', { as }), [200]);
			case 1:
				await this.send('PUT', request('PUT', '/db/public/' + PUBLIC, { as, body: { id, doc } }), [200, 201]);
				this.own[id] = doc.value;
				return undefined;
			case 2: return this.send('PATCH contested', request('PATCH', `/db/${randomInt(2) ? 'public/' + PUBLIC : 'local/' + local}?id=eq.c${randomInt(3)}`, { as, body: { doc } }), [204]);
			case 3: return this.send('wrong token', post('/db/public/' + PUBLIC, { id: large, doc: {} }, { headers: { Authorization: 'Bearer a.b.c' } }), [401]);
			case 4: return this.sync('push', { onConflict: ['skip', 'local', 'newest'][randomInt(3)] });
			case 5: return this.sync('pull', { onConflict: ['skip', 'public', 'both'][randomInt(3)] });
			case 6: {
				const conflicts = await this.send('conflicts', get('/rpc/conflicts?local=' + local, { as }), [200]);
				for (const each of conflicts.json.slice(0, 1)) {
					await this.send('resolve', rpc('resolve', { localDbName: local, entityId: each.entityId, resolution: 'public', expected: each.version }, { as }), [200, 422]);
				}
				return undefined;
			}
			case 7: {
				const copy = (await this.send('clone', rpc('clone', { publicDbName: PUBLIC }, { as }), [200])).json.localDbName;
				return this.send('drop', rpc('drop_diagram', { diagram: copy }, { as }), [204]);
			}
			case 8:
				await this.send('unlink', rpc('unlink', { localDbName: local }, { as }), [204]);
				return this.send('link', rpc('link', { localDbName: local, publicDbName: PUBLIC }, { as }), [204]);
			default: return this.send('status', get('/api/sync/status?local=' + local, { as }), [200]);
		}
	}
}

test(`${CLIENTS} clients do everything for ${SECONDS} seconds without a 5xx or a loss`, async (t) => {
	await diagram('mixed-first', 'mixed-first', 'local', { c0: { value: 0 }, c1: { value: 1 }, c2: { value: 2 } });
	ok(await rpc('share', { localDbName: 'mixed-first', publicDbName: PUBLIC }, { as: 'mixed-first' }));
	await diagram('mixed-first', COUNTER, 'public', { count: { value: 0 } });
	const clients = Array.from({ length: CLIENTS }, (_, number) => new Client(number));
	await Promise.all(clients.map(async ({ as, local }) => ok(await rpc('clone', { publicDbName: PUBLIC, localDbName: local }, { as }))));

	const end = Date.now() + SECONDS * 1000;
	await Promise.all(clients.map(async (client) => {
		while (Date.now() < end) await client.step();
	}));

	// A client's entities are edited in the shared copy alone, and by itself alone:
	// a pushed conflict (under "local") can put an older one over it, never lose it
	// without that.
	const stored = await entities('mixed-first', 'public', PUBLIC);
	for (const client of clients) {
		for (const id of Object.keys(client.own)) assert.ok(id in stored, `${id} is lost`);
	}
	const counted = clients.reduce((sum, client) => sum + client.counted, 0);
	assert.ok(counted > 0);
	assert.equal((await entities('mixed-first', 'public', COUNTER)).count.value, counted);

	const counts = {};
	for (const client of clients) {
		for (const [name, count] of Object.entries(client.counts)) counts[name] = (counts[name] ?? 0) + count;
	}
	t.diagnostic(JSON.stringify(counts));
	assert.ok(!Object.keys(counts).some((name) => / 5\d\d$/.test(name)));
});
