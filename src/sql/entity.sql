-- Many entities in one call (entity.c).

CREATE FUNCTION diagsync.put(diagram text, entities jsonb) RETURNS integer
	AS 'MODULE_PATHNAME', 'diagsync_put'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.put(text, jsonb) IS
'write many entities of any diagram: an array of objects, each with its "id"; returns how many were new or different';

CREATE FUNCTION diagsync.remove(diagram text, ids text[]) RETURNS integer
	AS 'MODULE_PATHNAME', 'diagsync_remove'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.remove(text, text[]) IS
'delete many entities of any diagram; returns how many there were';
