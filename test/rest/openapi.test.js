// The root path documents the API, to programs and to people.
'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { base, get, ok, sql } = require('./lib.js');

const as = 'openapi-ann';
const VIEWS = ['/diagrams', '/entities', '/local_entities', '/members', '/private_entities', '/public_entities', '/tokens'];
const FUNCTIONS = ['access', 'add_member', 'call', 'call_read', 'call_void', 'changes', 'clone', 'conflicts', 'create_diagram', 'create_token', 'drop_diagram',
	'limits', 'link', 'pull', 'push', 'put', 'remove', 'remove_member', 'resolve', 'revoke_token', 'set_limits', 'set_merge_policy', 'set_owner',
	'set_storage_type', 'share', 'status', 'unlink'];

test('it lists exactly the API', async () => {
	const page = ok(await get('/', { as }));
	assert.deepEqual(Object.keys(page.paths).sort(), ['/', ...VIEWS, ...FUNCTIONS.map((name) => '/rpc/' + name)].sort());
	assert.equal(page.host, base.host);
	assert.equal(page.info.title, 'diagsync');
	assert.ok(page.info.description.length > 100);
	for (const path of ['/entities', '/members', '/tokens']) assert.deepEqual(Object.keys(page.paths[path]), ['get'], path);
});

test('each path has a summary and a description, each column a description', async () => {
	const page = ok(await get('/', { as }));
	for (const [path, methods] of Object.entries(page.paths)) {
		if (path === '/') continue;
		for (const [method, { summary, description }] of Object.entries(methods)) {
			assert.ok(summary?.length > 10 && !summary.includes('\n'), `${method} ${path}: ${summary}`);
			assert.ok(description?.length > 10, `${method} ${path}: ${description}`);
		}
	}
	for (const [name, { description, properties }] of Object.entries(page.definitions)) {
		assert.ok(description?.length > 10, name);
		for (const [column, property] of Object.entries(properties)) {
			const text = property.description?.split('\n\nNote:')[0];
			assert.ok(text?.length > 2, `${name}.${column}: ${text}`);
		}
	}
});

test('each parameter is there with its type, and whether it is needed', async () => {
	const page = ok(await get('/', { as }));
	const body = (name) => page.paths['/rpc/' + name].post.parameters.find((parameter) => parameter.in === 'body').schema;
	assert.deepEqual(Object.keys(body('push').properties).sort(), ['localDbName', 'onConflict', 'publicDbName']);
	assert.deepEqual(body('push').required, ['localDbName']);
	assert.deepEqual(Object.keys(body('status').properties).sort(), ['local', 'public']);
	for (const name of FUNCTIONS.filter((each) => !each.startsWith('call'))) {
		for (const [parameter, { format, type, items }] of Object.entries(body(name).properties)) {
			assert.ok(format || type || items, `${name}(${parameter})`);
			assert.doesNotMatch(parameter, /_/, `${name}(${parameter})`);
		}
	}
});

test('nothing of the inside shows', async () => {
	for (const who of [as, undefined]) {
		const { text } = await get('/', { as: who });
		assert.doesNotMatch(text, /diagsync(_local|_public|_private|_api)?\.|(?:diagram|entity|local|public)_id|secret_hash|seen|(?<!set_)merge_policy|tombstone|sync_log|requested_diagram/);
	}
});

test('without a login it shows what can be done without one', async () => {
	const page = ok(await get('/'));
	const functions = Object.keys(page.paths).filter((path) => path.startsWith('/rpc/'));
	assert.deepEqual(functions.sort(), ['/rpc/access', '/rpc/call', '/rpc/call_read', '/rpc/call_void', '/rpc/limits', '/rpc/put', '/rpc/remove']);
});

test('what GET is for says that it changes nothing', () => {
	assert.equal(sql(`SELECT string_agg(proname, ' ' ORDER BY proname) FROM pg_proc
		WHERE pronamespace = 'diagsync_api'::regnamespace AND provolatile = 's'`), 'access call_read changes conflicts limits status');
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
