-- Making and ending links (link.c).

CREATE FUNCTION diagsync.share(
		local text,
		public text DEFAULT NULL,
		storage_type text DEFAULT 'public') RETURNS text
	AS 'MODULE_PATHNAME', 'diagsync_share'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.share(text, text, text) IS
'make a shared copy (public or private) of a local diagram, link the local one to it and return its id; an error if the diagram is linked or the id is taken';

CREATE FUNCTION diagsync.clone(
		public text,
		local text DEFAULT NULL,
		name text DEFAULT NULL) RETURNS text
	AS 'MODULE_PATHNAME', 'diagsync_clone'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.clone(text, text, text) IS
'make a local copy of a shared diagram, linked to it, and return its id';

CREATE FUNCTION diagsync.link(local text, public text) RETURNS void
	AS 'MODULE_PATHNAME', 'diagsync_link'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.link(text, text) IS
'link an existing local diagram to an existing shared one: equal entities agree, one-sided ones are inserts of that side, differing ones conflict';

CREATE FUNCTION diagsync.unlink(local text) RETURNS void
	AS 'MODULE_PATHNAME', 'diagsync_unlink'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.unlink(text) IS
'forget the link of a local diagram and what was changed since the last sync; no entity changes';
