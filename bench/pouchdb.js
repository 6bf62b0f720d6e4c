// The same in PouchDB with its leveldb adapter.  Reads the entities from a file
// of JSON lines into a database, then answers commands, a line of JSON each:
// how many entities to edit on each side, and with which salt.
"use strict";
const fs = require("fs");
const path = require("path");
const readline = require("readline");
const PouchDB = require("pouchdb");

const [file, folder] = process.argv.slice(2);
const at = (name) => new PouchDB(path.join(folder, name), { adapter: "leveldb" });

async function seconds(work) {
	const started = process.hrtime.bigint();
	await work();
	return Number(process.hrtime.bigint() - started) / 1e9;
}

async function edit(database, ids, salt) {
	const { rows } = await database.allDocs({ keys: ids, include_docs: true });
	await database.bulkDocs(rows.map(({ doc }) => ({ ...doc, color: `#${salt}`, last_seen: new Date(salt).toISOString() })));
}

const replicate = (source, target) => PouchDB.replicate(source, target);

async function main() {
	const docs = fs.readFileSync(file, "utf8").trim().split("\n").map((line) => JSON.parse(line));
	const ids = docs.map((doc) => doc._id);
	const local = at("local");
	while (docs.length)
		await local.bulkDocs(docs.splice(0, 5000));

	const sample = (count, offset) => Array.from({ length: count }, (_, i) => ids[(i * 2 + offset) * Math.floor(ids.length / (2 * count))]);

	async function editBoth(count, salt) {
		await edit(local, sample(count, 0), salt);
		await edit(shared, sample(count, 1), salt + 1);
	}
	let shared;
	async function run({ count, salt }) {
		shared = at(`shared-${salt}`);
		const result = { share: await seconds(() => replicate(local, shared)) };
		for (const suffix of ["", "_again"]) {
			await editBoth(count, salt + suffix.length);
			result[`push${suffix}`] = await seconds(() => replicate(local, shared));
			result[`pull${suffix}`] = await seconds(() => replicate(shared, local));
		}
		result.noop = await seconds(async () => {
			await replicate(local, shared);
			await replicate(shared, local);
		});
		const { doc_count } = await shared.info();
		if (doc_count !== ids.length)
			throw new Error(`${doc_count} documents in the shared database`);
		await shared.destroy();
		return result;
	}

	console.log(JSON.stringify("ready"));
	for await (const line of readline.createInterface({ input: process.stdin }))
		console.log(JSON.stringify(await run(JSON.parse(line))));
	await local.destroy();
}

main().catch((error) => {
	console.error(error);
	process.exit(1);
});
