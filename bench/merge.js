// The three-way merge that an application would write by hand: property by
// property through objects, arrays as one value.  Reads lines of [base, local,
// public]; answers each line of its input with the seconds that all take.
"use strict";
const fs = require("fs");
const readline = require("readline");

function isObject(value) {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}

function equal(a, b) {
	if (a === b)
		return true;
	if (typeof a !== "object" || typeof b !== "object" || a === null || b === null || Array.isArray(a) !== Array.isArray(b))
		return false;
	const keys = Object.keys(a);
	return keys.length === Object.keys(b).length && keys.every((key) => key in b && equal(a[key], b[key]));
}

function merge(base, local, shared, path, conflicts) {
	if (equal(local, shared) || equal(base, shared))
		return local;
	if (equal(base, local))
		return shared;
	if (!isObject(base) || !isObject(local) || !isObject(shared)) {
		conflicts.push(path);
		return local;
	}
	const merged = {};
	for (const key of new Set([...Object.keys(local), ...Object.keys(shared), ...Object.keys(base)])) {
		const value = merge(base[key], local[key], shared[key], path + "/" + key, conflicts);
		if (value !== undefined)
			merged[key] = value;
	}
	return merged;
}

function all(triples) {
	let kept = 0;
	const started = process.hrtime.bigint();
	for (const [base, local, shared] of triples) {
		const conflicts = [];
		const merged = merge(base, local, shared, "", conflicts);
		kept += conflicts.length === 0 && merged !== null;
	}
	const seconds = Number(process.hrtime.bigint() - started) / 1e9;
	if (kept !== triples.length)
		throw new Error(`${triples.length - kept} conflicts`);
	return seconds;
}

const triples = fs.readFileSync(process.argv[2], "utf8").trim().split("\n").map((line) => JSON.parse(line));
for (let warm = 0; warm < 5; warm++)
	all(triples);
readline.createInterface({ input: process.stdin }).on("line", () => console.log(JSON.stringify(all(triples))));
