-- The three-way merge of one document, and the policies that it goes by
-- (merge.c, import.c, diagram.c).

CREATE TYPE diagsync.merge_result AS (
	merged jsonb,
	conflict boolean,
	paths text[],
	base_values jsonb[],
	local_values jsonb[],
	public_values jsonb[]
);
COMMENT ON TYPE diagsync.merge_result IS
'the result of merging three versions of a document; the four arrays have the same order';
COMMENT ON COLUMN diagsync.merge_result.merged IS 'the merged document; null where it conflicts, or where it is deleted';
COMMENT ON COLUMN diagsync.merge_result.conflict IS 'whether anything conflicts';
COMMENT ON COLUMN diagsync.merge_result.paths IS 'JSON Pointers in conflict (RFC 6901; the empty pointer is the whole document), in the order of the document';
COMMENT ON COLUMN diagsync.merge_result.base_values IS 'what the base has there; null where it has nothing';
COMMENT ON COLUMN diagsync.merge_result.local_values IS 'what the local version has there; null where it has nothing';
COMMENT ON COLUMN diagsync.merge_result.public_values IS 'what the shared version has there; null where it has nothing';

CREATE FUNCTION diagsync.merge(
		base jsonb,
		local jsonb,
		public jsonb,
		policy jsonb DEFAULT NULL) RETURNS diagsync.merge_result
	AS 'MODULE_PATHNAME', 'diagsync_merge'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION diagsync.merge(jsonb, jsonb, jsonb, jsonb) IS
'merge two versions of a document that come from the same base, by a merge policy; a null document is one that does not exist';

CREATE FUNCTION diagsync.diff(old jsonb, new jsonb, policy jsonb DEFAULT NULL) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'diagsync_diff'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION diagsync.diff(jsonb, jsonb, jsonb) IS
'the JSON Patch (RFC 6902) that makes the new document of the old one, but for what a merge policy ignores; a null document is one that does not exist';

CREATE FUNCTION diagsync.patch(doc jsonb, diff jsonb) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'diagsync_patch'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION diagsync.patch(jsonb, jsonb) IS
'a document with a JSON Patch (RFC 6902) applied, all of it or an error; a null document is one that does not exist';

CREATE TYPE diagsync.entity_match AS (
	id text,
	old_id text,
	new_id text,
	by text,
	doc jsonb
);
COMMENT ON TYPE diagsync.entity_match IS
'an entity of an import, and which of those that are there it is; or one of those that is not in the import';
COMMENT ON COLUMN diagsync.entity_match.id IS 'the id to store it under: the old one; for what is new its own, or one made of it where that is taken';
COMMENT ON COLUMN diagsync.entity_match.old_id IS 'the id that it has; null where it is new';
COMMENT ON COLUMN diagsync.entity_match.new_id IS 'the id that it has in the import; null where it is not there';
COMMENT ON COLUMN diagsync.entity_match.by IS 'how it was found: content, or the JSON Pointers of a key; null where it was not';
COMMENT ON COLUMN diagsync.entity_match.doc IS 'the document of the import with old ids in the place of new ones, in references too; null where it is not there';

CREATE FUNCTION diagsync.match(old jsonb, new jsonb, policy jsonb DEFAULT NULL) RETURNS SETOF diagsync.entity_match
	AS 'MODULE_PATHNAME', 'diagsync_match'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION diagsync.match(jsonb, jsonb, jsonb) IS
'which entities of an import (new) are which of those that are there (old), whatever their ids: by content, then by the keys that a merge policy names under match';

CREATE FUNCTION diagsync.set_merge_policy(diagram text, policy jsonb) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'diagsync_set_merge_policy'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.set_merge_policy(text, jsonb) IS
'set what counts as a change and as a conflict of a diagram, null for the default; returns the policy as it is stored, with a preset written out';

CREATE FUNCTION diagsync.merge_policy(diagram text) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'diagsync_merge_policy'
	LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION diagsync.merge_policy(text) IS
'the merge policy of a diagram, as it is stored; null is the default';
