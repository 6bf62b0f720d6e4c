// Answers against the description of the API, examples/rest/openapi.json: each
// has to be one that it knows.
'use strict';
const assert = require('node:assert/strict');
const { STATUS_CODES } = require('node:http');
const fs = require('node:fs');
const path = require('node:path');
const Ajv = require('ajv/dist/2020');
const addFormats = require('ajv-formats');

const description = JSON.parse(fs.readFileSync(path.join(__dirname, '../../examples/rest/openapi.json')));
const ajv = new Ajv({ strict: false, allErrors: false });
addFormats(ajv);
ajv.addSchema({ $id: 'openapi', components: description.components });

const compiled = new Map();
function validator(schema) {
	const text = JSON.stringify(schema).replaceAll('"#/components/', '"openapi#/components/');
	if (!compiled.has(text)) compiled.set(text, ajv.compile(JSON.parse(text)));
	return compiled.get(text);
}

const resolve = (object) =>
	object?.$ref ? object.$ref.split('/').slice(1).reduce((at, key) => at[key], description) : object;

const patterns = Object.keys(description.paths).map((template) => [
	new RegExp('^' + template.replace(/[.]/g, '\\.').replace(/\{\w+\}/g, '[^/]+') + '$'), template]);

// The path of the description that a request path is, or undefined.
function templateOf(target) {
	const where = target.split('?')[0];
	return patterns.find(([pattern]) => pattern.test(where))?.[1];
}

// An error's code and message say what its status says. (PostgREST has codes and
// words of its own for what it refuses itself.)
function agrees({ status, text }, what) {
	const { code, message } = JSON.parse(text);
	if (/^PGRST\d{3}$/.test(code)) return;
	assert.deepEqual([code, message], ['PT' + status, STATUS_CODES[status]], what);
}

// Is an answer ({status, headers, text}) to a request one that the description
// has? What is not there may only be refused.
function check(method, target, answer) {
	const template = templateOf(target);
	const operation = template && description.paths[template][method === 'HEAD' ? 'get' : method.toLowerCase()];
	const { status, headers, text } = answer;
	const what = `${method} ${target}: ${status} ${text.slice(0, 300)}`;
	if (method === 'OPTIONS' || method === 'TRACE' || method === 'CONNECT') return;
	const known = operation ? resolve(operation.responses[status]) : undefined;
	if (operation) assert.ok(known, `${what}\nis no answer of ${template}`);
	else assert.ok(status >= 400, `${what}\nis not described`);
	if (method === 'HEAD' || text === '') return;
	const type = headers['content-type']?.split(';')[0];
	if (status >= 400 && type === 'application/json') agrees(answer, what);
	if (!operation) {
		assert.equal(type, 'application/json', what);
		assert.ok(validator({ $ref: '#/components/schemas/Error' })(JSON.parse(text)), what);
		return;
	}
	const content = known.content?.[type];
	assert.ok(content, `${what}\nis ${type}`);
	const valid = validator(content.schema);
	assert.ok(valid(JSON.parse(text)), `${what}\n${JSON.stringify(valid.errors, null, 1)}`);
}

// What is wrong with a value, or null.
function validate(schema, value) {
	const valid = validator(schema);
	return valid(value) ? null : JSON.stringify(valid.errors);
}

module.exports = { check, description, validate };
