// examples/rest/setup.sql: run again, with names of all kinds, it makes three
// roles that can do what they are for.
'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { sql } = require('./lib.js');

function setup(variables, environment = {}) {
	const options = Object.entries(variables).flatMap(([name, value]) => ['-v', `${name}=${value}`]);
	execFileSync('psql', ['-Xq', '-o', '/dev/null', ...options, '-f', 'examples/rest/setup.sql'],
		{ env: { ...process.env, ...environment }, stdio: 'pipe' });
}

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
