// examples/rest/setup.sql: run again, with names of all kinds, it makes three
// roles that can do what they are for.
'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { createHash, createHmac, pbkdf2Sync } = require('node:crypto');
const { writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { sql } = require('./lib.js');

function setup(variables, environment = {}, script = 'setup') {
	const options = Object.entries(variables).flatMap(([name, value]) => ['-v', `${name}=${value}`]);
	execFileSync('psql', ['-Xq', '-o', '/dev/null', ...options, '-f', `examples/rest/${script}.sql`],
		{ env: { ...process.env, ...environment }, stdio: 'pipe' });
}

test('a password from a file, as sudo needs it; and all taken away again', () => {
	const file = join(process.env.DIAGSYNC_TMP, 'rest/password');
	writeFileSync(file, "from a 'file'\n");
	const names = { authenticator: 'file_authenticator', anonymous: 'file_anonymous', web_user: 'file_user' };
	const count = () => sql("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'file\\_%'");
	setup({ ...names, password_file: file }, { DIAGSYNC_PASSWORD: 'another' });
	assert.equal(count(), '3');
	const hash = () => sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'file_authenticator'");
	const [, iterations, salt, stored] = /^SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):/.exec(hash());
	const salted = pbkdf2Sync("from a 'file'", Buffer.from(salt, 'base64'), Number(iterations), 32, 'sha256');
	const key = createHmac('sha256', salted).update('Client Key').digest();
	assert.equal(createHash('sha256').update(key).digest('base64'), stored);
	for (let n = 0; n < 2; n++) setup(names, {}, 'teardown');
	assert.equal(count(), '0');
});

test('away also without the extension; roles that another database needs stay', () => {
	const names = { authenticator: 'two_authenticator', anonymous: 'two_anonymous', web_user: 'two_user' };
	const count = () => sql("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'two\\_%'");
	const settings = () => sql(`SELECT count(*) FROM pg_db_role_setting JOIN pg_roles AS r ON r.oid = setrole JOIN pg_database AS d ON d.oid = setdatabase
		WHERE rolname = 'two_authenticator' AND datname = 'setup_two'`);
	const there = { PGDATABASE: 'setup_two' };
	execFileSync('createdb', ['setup_two']);
	try {
		for (const database of [{}, there]) setup(names, { DIAGSYNC_PASSWORD: 'x', ...database });
		assert.deepEqual([count(), settings()], ['3', '1']);
		// The message of psql, that objects of this database depend on them.
		assert.throws(() => setup(names, there, 'teardown'), /objects? in database/);
		assert.deepEqual([count(), settings()], ['3', '0']);
		setup(names, { DIAGSYNC_PASSWORD: 'x', ...there });
		assert.throws(() => setup(names, {}, 'teardown'), /setup_two/);
		execFileSync('psql', ['-Xqc', 'SET client_min_messages = warning; DROP EXTENSION diagsync CASCADE'], { env: { ...process.env, ...there } });
		for (let n = 0; n < 2; n++) setup(names, there, 'teardown');
		assert.equal(count(), '0');
	} finally {
		execFileSync('dropdb', ['--force', 'setup_two']);
	}
});

// What PostgREST does, without PostgREST; what psql prints.
function as(authenticator, role, claims, text) {
	return execFileSync('psql', ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-U', authenticator,
		'-c', `SET ROLE "${role.replaceAll('"', '""')}"`, '-c', `SET request.jwt.claims = '${JSON.stringify(claims)}'`, '-c', text],
	{ encoding: 'utf8', stdio: 'pipe' }).trim();
}

for (const names of [
	{ authenticator: 'plain_authenticator', anonymous: 'plain_anonymous', web_user: 'plain_user' },
	{ authenticator: 'Setup "Authenticator", the first', anonymous: "Setup's nobody", web_user: 'Setup; User' }]) {
	test(`${names.authenticator}: logs in, becomes the others, and its claims count`, () => {
		setup(names, { DIAGSYNC_PASSWORD: '' });
		setup({ ...names, sync_rate_limit: 7 }, { DIAGSYNC_PASSWORD: "it's \\ secret" });
		const { authenticator, anonymous, web_user: user } = names;
		assert.equal(as(authenticator, user, { sub: 'ann' }, 'SELECT diagsync.principal()'), 'sub:ann');
		assert.equal(as(authenticator, anonymous, {}, 'SELECT diagsync.principal()'), 'role:' + anonymous);
		assert.equal(as(authenticator, user, { sub: 'ann' }, 'SHOW diagsync.sync_rate_limit'), '7');
		assert.match(as(authenticator, user, { sub: 'ann' }, "SELECT diagsync_api.create_diagram('Of setup')"), /^\{"_id": /);
		assert.throws(() => as(authenticator, anonymous, {}, "SELECT diagsync_api.create_diagram('Of setup')"), /permission denied/);
		const own = `SELECT rolinherit, rolsuper, rolcanlogin, left(rolpassword, 14), (SELECT count(*) FROM pg_auth_members WHERE member = r.oid)
			FROM pg_authid AS r WHERE rolname = $$${authenticator}$$`;
		assert.equal(sql(own), 'f|f|t|SCRAM-SHA-256$|2');
		assert.throws(() => as(authenticator, authenticator, {}, 'SELECT * FROM diagsync_api.diagrams'), /permission denied/);
		// It is trusted itself, and nobody else.
		assert.throws(() => as('postgres', user, { sub: 'ann' }, 'SELECT diagsync.principal()'), /not believed in this session/);
		assert.equal(as('postgres', user, {}, 'SELECT diagsync.principal()'), 'role:' + user);
		assert.throws(() => as(authenticator, user, {}, 'SELECT diagsync.principal(); SET diagsync.trusted_authenticators = x'),
			/permission denied/);
	});
}
