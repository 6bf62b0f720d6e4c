// The description of the API, to programs and to people: it is served, it is
// complete, and programs can use it. (That all answers are as it says, lib.js
// checks with each request.)
'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { execFileSync } = require('node:child_process');
const { get, ok, request, sql } = require('./lib.js');
const { check, description, validate } = require('./openapi.js');

const operations = Object.entries(description.paths).flatMap(([where, item]) =>
	['get', 'post', 'put', 'patch', 'delete'].filter((method) => item[method]).map((method) => [where, method, item[method]]));
const rpcs = Object.keys(description.paths).filter((where) => where.startsWith('/rpc/')).map((where) => where.slice('/rpc/'.length));

test('the root path serves it, to everybody', async () => {
	for (const as of [undefined, 'openapi-ann']) {
		const answer = await get('/', { as });
		assert.deepEqual(ok(answer), description);
		assert.match(answer.headers['content-type'], /^application\/json/);
		assert.equal((await get('/', { as, headers: { 'If-None-Match': answer.headers.etag } })).status, 304);
	}
	assert.match(description.openapi, /^3\.1\./);
});

test('it has all functions with all their parameters, and which are needed', () => {
	const functions = sql(`SELECT coalesce(json_object_agg(proname, json_build_object('names', proargnames, 'optional', pronargdefaults,
			'reads', provolatile <> 'v')), '{}') FROM pg_proc
		WHERE pronamespace = 'diagsync_api'::regnamespace AND proname NOT IN ('call', 'call_read', 'call_void')`);
	const known = JSON.parse(functions);
	assert.deepEqual(rpcs.sort(), Object.keys(known).sort());
	for (const [name, { names, optional, reads }] of Object.entries(known)) {
		const { post, get: read } = description.paths['/rpc/' + name];
		const schema = post.requestBody.content['application/json'].schema;
		const needed = (names ?? []).slice(0, (names ?? []).length - optional);
		assert.deepEqual(Object.keys(schema.properties).sort(), [...names ?? []].sort(), name);
		assert.deepEqual([...schema.required ?? []].sort(), needed.sort(), name);
		assert.equal(schema.additionalProperties, false, name);
		if (!['merge', 'diff', 'patch'].includes(name)) assert.equal(read !== undefined, reads, name);
	}
});

test('it has the methods that each path knows', async () => {
	for (const [where, item] of Object.entries(description.paths)) {
		const answer = await request('OPTIONS', where.replace('{id}', 'none'), { as: 'openapi-ann' });
		const allowed = answer.headers.allow.split(', ').filter((method) => !['HEAD', 'OPTIONS'].includes(method));
		assert.deepEqual(['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].filter((method) => item[method.toLowerCase()]), allowed, where);
	}
});

test('everything has a summary or description, each operation its errors and who may use it', () => {
	for (const [where, method, operation] of operations) {
		assert.ok(operation.summary.length > 5, `${method} ${where}`);
		for (const status of [400, 401, 404, 413, 415, 429, 500, 503]) assert.ok(operation.responses[status], `${method} ${where} ${status}`);
		assert.ok(operation.security.length > 0);
		for (const parameter of operation.parameters ?? []) assert.ok(parameter.description !== undefined, `${where} ${parameter.name}`);
	}
	assert.equal(new Set(operations.map(([, , operation]) => operation.operationId)).size, operations.length);
});

test('its examples are as its schemas say', () => {
	for (const [name, schema] of Object.entries(description.components.schemas)) {
		for (const example of schema.examples ?? []) assert.equal(validate({ $ref: '#/components/schemas/' + name }, example), null, name);
	}
	for (const [where, method, operation] of operations) {
		const content = operation.requestBody?.content['application/json'];
		if (operation.requestBody) assert.ok(Object.keys(content.examples).length > 0, where);
		for (const { value } of Object.values(content?.examples ?? {})) assert.equal(validate(content.schema, value), null, `${method} ${where}`);
		for (const parameter of operation.parameters ?? []) {
			if (parameter.example !== undefined) assert.equal(validate(parameter.schema, parameter.example), null, `${where} ${parameter.name}`);
		}
	}
});

test('an answer that it does not have is noticed', () => {
	const json = { 'content-type': 'application/json; charset=utf-8' };
	const status = '{"diverged": null, "localChanges": null, "publicChanges": null, "lastSyncedAt": null, "state": "unlinked", "conflicts": null}';
	check('GET', '/rpc/status?local=x', { status: 200, headers: json, text: status });
	for (const [method, target, answer] of [
		['GET', '/rpc/status?local=x', { status: 200, headers: json, text: status.replace('"unlinked"', '"lost"') }],
		['GET', '/rpc/status?local=x', { status: 200, headers: json, text: status.replace('}', ', "more": 1}') }],
		['GET', '/rpc/status?local=x', { status: 200, headers: json, text: status.replace('"conflicts": null', '"conflicts": "0"') }],
		['GET', '/rpc/status?local=x', { status: 418, headers: json, text: status }],
		['GET', '/rpc/status?local=x', { status: 200, headers: { 'content-type': 'text/html' }, text: status }],
		['GET', '/rpc/none', { status: 200, headers: json, text: '{}' }],
		['GET', '/none', { status: 404, headers: json, text: '{}' }]]) {
		assert.throws(() => check(method, target, answer), assert.AssertionError);
	}
});

test('nothing of the inside shows', async () => {
	const { text } = await get('/');
	assert.doesNotMatch(text, /diagsync(_local|_public|_private|_api)?\.|(?:diagram|entity|local|public)_id\b|secret_hash|"seen|tombstone|sync_log|requested_diagram/);
});

test('types of a client can be made of it', () => {
	const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'diagsync-types-'));
	const bin = path.join(__dirname, 'node_modules');
	try {
		execFileSync('node', [path.join(bin, 'openapi-typescript/bin/cli.js'), path.join(__dirname, '../../examples/rest/openapi.json'),
			'-o', path.join(folder, 'diagsync.ts')], { stdio: 'pipe' });
		fs.writeFileSync(path.join(folder, 'client.ts'), `
			import type { components, paths } from './diagsync';
			type Status = components['schemas']['Status'];
			type Push = paths['/api/sync/push']['post']['requestBody']['content']['application/json'];
			export const body: Push = { localDbName: 'kitchen-of-ann', onConflict: 'skip', dryRun: true };
			export const conflicts = (status: Status): number | null => status.conflicts;
			// @ts-expect-error: no such way to settle conflicts
			export const wrong: Push = { localDbName: 'kitchen-of-ann', onConflict: 'later' };
		`);
		execFileSync('node', [path.join(bin, 'typescript/bin/tsc'), '--noEmit', '--strict', '--target', 'es2022', '--moduleResolution', 'bundler',
			'--module', 'es2022', path.join(folder, 'client.ts')], { stdio: 'pipe', encoding: 'utf8' });
	} catch (error) {
		assert.fail(`${error.stdout}${error.stderr}`);
	} finally {
		fs.rmSync(folder, { recursive: true });
	}
});

test('psql shows a comment on every object of the schema', () => {
	assert.equal(sql(`
		SELECT string_agg(what, ', ') FROM (
			SELECT p.oid::regprocedure::text FROM pg_proc AS p
			 WHERE pronamespace = 'diagsync_api'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NULL
			UNION ALL
			SELECT c.oid::regclass::text FROM pg_class AS c
			 WHERE relnamespace = 'diagsync_api'::regnamespace
			   AND coalesce(obj_description(c.oid, 'pg_class'), obj_description(c.reltype, 'pg_type')) IS NULL
			UNION ALL
			SELECT attrelid::regclass || '.' || attname FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid
			 WHERE relnamespace = 'diagsync_api'::regnamespace AND attnum > 0 AND col_description(attrelid, attnum) IS NULL
		) AS uncommented(what)`), '');
});
