// What the REST tests share: requests, logins, a way to look into the database.
'use strict';
const assert = require('node:assert/strict');
const http = require('node:http');
const net = require('node:net');
const { createHmac, randomInt } = require('node:crypto');
const { execFileSync } = require('node:child_process');
const { check } = require('./openapi.js');

const base = new URL(process.env.DIAGSYNC_URL);
const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });

function jwt(claims, secret = process.env.PGRST_JWT_SECRET) {
	const part = (object) => Buffer.from(JSON.stringify(object)).toString('base64url');
	const content = part({ alg: 'HS256', typ: 'JWT' }) + '.' + part(claims);
	return content + '.' + createHmac('sha256', secret).update(content).digest('base64url');
}

// The JWT of a user.
function login(name) {
	return jwt({ role: 'diagsync_user', sub: name, exp: Math.floor(Date.now() / 1000) + 3600 });
}

// A loopback address that nobody else uses: limits are by address.
function someAddress() {
	return `127.${randomInt(1, 255)}.${randomInt(1, 255)}.${randomInt(1, 255)}`;
}

// One request. Options: "as" a user (else anonymous, each time from another
// address unless "from" one), an access "token", "headers", "body" (a string, or
// what becomes JSON). The answer: status, reason, headers, text, json. It has to
// be one that the description of the API knows.
function request(method, path, options = {}) {
	const { as, token, from, headers = {}, body, port = base.port } = options;
	const sent = { ...headers };
	if (as) sent.Authorization ??= 'Bearer ' + login(as);
	if (token) sent['X-Diagsync-Token'] = token;
	let content = body;
	if (body !== undefined && typeof body !== 'string') {
		content = JSON.stringify(body);
	}
	if (content !== undefined) {
		sent['Content-Type'] ??= 'application/json';
		sent['Content-Length'] = Buffer.byteLength(content);
	}
	return new Promise((resolve, reject) => {
		const call = http.request({
			host: base.hostname,
			port,
			method,
			path,
			headers: sent,
			agent: as ? agent : false,
			localAddress: from ?? (as ? undefined : someAddress()),
		}, (answer) => {
			const chunks = [];
			answer.on('data', (chunk) => chunks.push(chunk));
			answer.on('error', reject);
			answer.on('end', () => {
				const bytes = Buffer.concat(chunks);
				const text = bytes.toString();
				const got = {
					status: answer.statusCode,
					reason: answer.statusMessage,
					headers: answer.headers,
					raw: answer.rawHeaders,
					text,
					bytes,
					get json() { return JSON.parse(text); },
				};
				try {
					if (!answer.headers['content-encoding']) check(method, path, got);
				} catch (error) {
					return reject(error);
				}
				resolve(got);
			});
		});
		call.on('error', reject);
		call.end(content);
	});
}

const get = (path, options) => request('GET', path, options);
const post = (path, body, options) => request('POST', path, { ...options, body });

// A function of the API.
const rpc = (name, args, options) => post('/rpc/' + name, args, options);

// A request line as nobody's library would send it. Resolves with the status
// line and all that follows.
function rawRequest(lines, from = someAddress()) {
	return new Promise((resolve, reject) => {
		let text = '';
		const socket = net.connect({ host: base.hostname, port: base.port, localAddress: from }, () => {
			socket.write(lines.join('\r\n') + '\r\n\r\n');
		});
		socket.setTimeout(10000, () => socket.destroy(new Error('no answer')));
		// nginx waits for the rest of what it refused; we don't.
		socket.on('data', (chunk) => {
			text += chunk;
			if (/\r\n\r\n[^]*(?:\}|\r\n0\r\n\r\n)$/.test(text)) socket.destroy();
		});
		socket.on('error', reject);
		socket.on('close', () => resolve({ status: Number(text.split(' ')[1]), text }));
	});
}

// Sends the path exactly as it is written.
function rawGet(path, headers = []) {
	return rawRequest([`GET ${path} HTTP/1.1`, `Host: ${base.host}`, 'Connection: close', ...headers]);
}

// As superuser; what psql prints.
function sql(text) {
	return execFileSync('psql', ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-c', text], { encoding: 'utf8' }).trim();
}

const REASONS = new Set([
	'OK', 'Created', 'No Content', 'Partial Content', 'Bad Request', 'Unauthorized', 'Forbidden', 'Not Found',
	'Method Not Allowed', 'Not Allowed', 'Conflict', 'Payload Too Large', 'Request Entity Too Large',
	'Unprocessable Entity', 'Too Many Requests', 'Precondition Failed', 'Unsupported Media Type', 'Not Acceptable', 'Bad Gateway', 'Gateway Time-out',
	'Service Temporarily Unavailable',
]);

// An error answer: its status, JSON with the four members, a constant reason.
function refused(answer, status, code = 'PT' + status) {
	assert.equal(answer.status, status, answer.text);
	assert.ok(REASONS.has(answer.reason), `reason phrase: ${answer.reason}`);
	assert.match(answer.headers['content-type'], /^application\/json/);
	assert.deepEqual(Object.keys(answer.json).sort(), ['code', 'details', 'hint', 'message']);
	if (code) assert.equal(answer.json.code, code, answer.text);
	return answer.json;
}

// A good answer: its status, and its JSON where there is any.
function ok(answer, status = 200) {
	assert.equal(answer.status, status, answer.text);
	assert.ok(REASONS.has(answer.reason), `reason phrase: ${answer.reason}`);
	return answer.text === '' ? undefined : answer.json;
}

// A new diagram of a user with these entities: {id: doc}.
async function diagram(as, id, storageType = 'local', entities = {}) {
	ok(await rpc('create_diagram', { name: 'Name of ' + id, id, storageType }, { as }));
	const list = Object.entries(entities).map(([key, doc]) => ({ id: key, doc }));
	if (list.length > 0) {
		ok(await post(`/db/${storageType}/${encodeURIComponent(id)}`, list, { as }), 201);
	}
	return id;
}

// {id: doc} of a diagram, by its route.
async function entities(as, storageType, id, options = {}) {
	const rows = ok(await get(`/db/${storageType}/${encodeURIComponent(id)}?order=id`, { as, ...options }));
	return Object.fromEntries(rows.map((row) => [row.id, row.doc]));
}

module.exports = {
	base, diagram, entities, get, jwt, login, ok, post, rawGet, rawRequest, refused, request, rpc, someAddress, sql,
};
