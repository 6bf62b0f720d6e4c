// Fifty clients at once, each with its own copy of one shared diagram, edit,
// push and pull for ten seconds. Nothing that was acknowledged may get lost.
//
// Own entities are edited by their client alone: the last value must be
// everywhere in the end. In the common ones each client edits a property of its
// own, which merge property by property. The contested ones are edited by all in
// the same property: an edit says which value it replaced, so a value that is
// gone in the end must have been replaced by somebody who saw it.
'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { randomInt } = require('node:crypto');
const { diagram, entities, get, ok, post, request, rpc } = require('./lib.js');

const CLIENTS = Number(process.env.REST_CLIENTS ?? 50);
const SECONDS = Number(process.env.REST_SECONDS ?? 10);
// A round syncs twice, and each user has 120 syncs a minute, a few of which are
// for the end.
const ROUND_MS = Math.max(250, Math.min(SECONDS, 60) * 20);

const COMMON = 10;
const CONTESTED = 5;
const PUBLIC = 'clients-public';
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

class Client {
	constructor(number) {
		this.number = number;
		this.as = `client-${number}`;
		this.local = `clients-${number}`;
		this.own = {};			// id: value, acknowledged
		this.common = {};		// id: value of this client's property
		this.edits = [];		// of contested entities: { before, after }
		this.count = 0;
		this.syncs = 0;
		this.conflicts = 0;
	}

	async read(id) {
		return ok(await get(`/db/local/${this.local}?select=doc&id=eq.${encodeURIComponent(id)}`, { as: this.as }))[0]?.doc;
	}

	// Returns only when the server has acknowledged it.
	async write(id, doc) {
		const answer = await request('PUT', `/db/local/${this.local}`, { as: this.as, body: { id, doc } });
		assert.ok(answer.status === 200 || answer.status === 201, answer.text);
	}

	async edit() {
		const value = `${this.number}.${++this.count}`;
		const what = randomInt(10);
		if (what < 5) {
			const id = `own-${this.number}-${randomInt(5)}`;
			if (this.own[id] !== undefined && randomInt(6) === 0) {
				ok(await request('DELETE', `/db/local/${this.local}?id=eq.${id}`, { as: this.as }), 204);
				this.own[id] = undefined;
			} else {
				await this.write(id, { value });
				this.own[id] = value;
			}
		} else if (what < 8) {
			const id = `common-${randomInt(COMMON)}`;
			await this.write(id, { ...await this.read(id), [`p${this.number}`]: value });
			this.common[id] = value;
		} else {
			const id = `contested-${randomInt(CONTESTED)}`;
			const doc = await this.read(id);
			await this.write(id, { ...doc, value });
			this.edits.push({ before: doc.value, after: value });
		}
	}

	async sync(name, onConflict) {
		const answer = ok(await post('/api/sync/' + name, { localDbName: this.local, publicDbName: PUBLIC, onConflict }, { as: this.as }));
		this.syncs++;
		if (!answer.success) this.conflicts++;
		return answer;
	}

	async run(end) {
		while (Date.now() < end) {
			const next = Date.now() + ROUND_MS;
			for (let n = randomInt(1, 4); n > 0; n--) await this.edit();
			await this.sync('push');
			await this.sync('pull', 'both');
			await sleep(Math.max(0, next - Date.now()) * (0.5 + Math.random()));
		}
	}
}

test(`${CLIENTS} clients push and pull for ${SECONDS} seconds and nothing is lost`, async (t) => {
	const first = 'clients-first';
	const seed = {};
	for (let n = 0; n < COMMON; n++) seed[`common-${n}`] = {};
	for (let n = 0; n < CONTESTED; n++) seed[`contested-${n}`] = { value: 'seed-' + n };
	await diagram('client-first', first, 'local', seed);
	ok(await rpc('set_merge_policy', { diagram: first, policy: { granularity: 'property' } }, { as: 'client-first' }));
	ok(await rpc('share', { localDbName: first, publicDbName: PUBLIC }, { as: 'client-first' }));

	const clients = Array.from({ length: CLIENTS }, (_, number) => new Client(number));
	await Promise.all(clients.map(async ({ as, local }) => {
		ok(await rpc('clone', { publicDbName: PUBLIC, localDbName: local }, { as }));
	}));

	const end = Date.now() + SECONDS * 1000;
	await Promise.all(clients.map((client) => client.run(end)));
	const syncs = clients.reduce((sum, client) => sum + client.syncs, 0);
	const edits = clients.reduce((sum, client) => sum + client.count, 0);

	// All at once until there is nothing left to do: who pushed moves the others.
	let level = false;
	for (let round = 0; round < 6 && !level; round++) {
		for (const client of clients) {
			assert.ok((await client.sync('pull', 'both')).success);
			assert.ok((await client.sync('push')).success);
		}
		const states = await Promise.all(clients.map(async ({ as, local }) =>
			ok(await get(`/api/sync/status?local=${local}&public=${PUBLIC}`, { as })).state));
		level = states.every((state) => state === 'in_sync');
	}
	assert.ok(level, 'the copies are level');

	const expected = await entities('client-first', 'public', PUBLIC);
	for (const { as, local } of clients) assert.deepEqual(await entities(as, 'local', local), expected, local);

	const values = new Set(Object.values(expected).map((doc) => doc.value));
	const replaced = new Set();
	for (const client of clients) {
		for (const [id, value] of Object.entries(client.own)) assert.equal(expected[id]?.value, value, id);
		for (const [id, value] of Object.entries(client.common)) assert.equal(expected[id][`p${client.number}`], value, id);
		for (const { before } of client.edits) replaced.add(before);
	}
	let contested = 0;
	for (const client of clients) {
		for (const { after } of client.edits) {
			contested++;
			assert.ok(values.has(after) || replaced.has(after), `the edit ${after} of a contested entity is lost`);
		}
	}
	const conflicts = clients.reduce((sum, client) => sum + client.conflicts, 0);
	t.diagnostic(`${edits} edits (${contested} contested), ${syncs} syncs, ${conflicts} met a conflict, ` +
		`${Object.keys(expected).length} entities in the end`);
	assert.ok(edits > CLIENTS && contested > 0 && syncs > CLIENTS);
});
