-- The three-way merge of one document, and the policies that it goes by
-- (merge.c, diagram.c).

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
