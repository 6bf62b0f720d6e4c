-- Who may do what: members, access tokens, and the row-level policies of all
-- tables (access.c, rls.c, member.c, grants.c, routes.c).

-- Without foreign keys: pg_dump does not order the rows of an extension's tables
-- by them, and a parallel restore would fail now and then. drop_diagram()
-- deletes members and tokens.

CREATE TABLE diagsync.member (
	diagram_id text COLLATE "C" NOT NULL,
	principal text COLLATE "C" NOT NULL,
	role text NOT NULL,
	added_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	added_by text,
	CONSTRAINT member_pkey PRIMARY KEY (diagram_id, principal),
	CONSTRAINT member_principal CHECK (principal ~ '^(role|sub):.'),
	CONSTRAINT member_principal_length CHECK (length(principal) <= 260),
	CONSTRAINT member_role CHECK (role IN ('reader', 'writer', 'admin'))
);
CREATE TRIGGER diagsync_refuse_truncate
	BEFORE TRUNCATE ON diagsync.member FOR EACH STATEMENT
	EXECUTE FUNCTION diagsync.refuse_truncate();
COMMENT ON TABLE diagsync.member IS
'who may use a shared diagram besides its owner; written by diagsync.add_member() and diagsync.remove_member()';
COMMENT ON COLUMN diagsync.member.diagram_id IS
'the shared diagram';
COMMENT ON COLUMN diagsync.member.principal IS
'who: role:NAME or sub:VALUE';
COMMENT ON COLUMN diagsync.member.role IS
'reader (looks and pulls), writer (edits and pushes, too) or admin (manages the diagram, its members and tokens, too)';
COMMENT ON COLUMN diagsync.member.added_at IS
'when the member got this role';
COMMENT ON COLUMN diagsync.member.added_by IS
'the principal who gave it';

CREATE TABLE diagsync.access_token (
	id text COLLATE "C" NOT NULL,
	diagram_id text COLLATE "C" NOT NULL,
	secret_hash bytea NOT NULL,
	role text NOT NULL,
	label text,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	created_by text,
	expires_at timestamptz,
	CONSTRAINT access_token_pkey PRIMARY KEY (id),
	CONSTRAINT access_token_secret_hash CHECK (length(secret_hash) = 32),
	CONSTRAINT access_token_label_length CHECK (length(label) <= 255),
	CONSTRAINT access_token_role CHECK (role IN ('reader', 'writer', 'admin'))
);
CREATE INDEX access_token_diagram_id ON diagsync.access_token (diagram_id);
CREATE TRIGGER diagsync_refuse_truncate
	BEFORE TRUNCATE ON diagsync.access_token FOR EACH STATEMENT
	EXECUTE FUNCTION diagsync.refuse_truncate();
COMMENT ON TABLE diagsync.access_token IS
'tokens whose bearers may use a shared diagram; written by diagsync.create_token() and diagsync.revoke_token()';
COMMENT ON COLUMN diagsync.access_token.id IS
'the part of the token before the dot; not secret';
COMMENT ON COLUMN diagsync.access_token.diagram_id IS
'the shared diagram';
COMMENT ON COLUMN diagsync.access_token.secret_hash IS
'SHA-256 of the part of the token after the dot';
COMMENT ON COLUMN diagsync.access_token.role IS
'what its bearer may do: reader, writer or admin, as for members';
COMMENT ON COLUMN diagsync.access_token.label IS
'what it is for, in the words of its creator';
COMMENT ON COLUMN diagsync.access_token.created_at IS
'when it was made';
COMMENT ON COLUMN diagsync.access_token.created_by IS
'the principal who made it';
COMMENT ON COLUMN diagsync.access_token.expires_at IS
'when it expires; null for never';

-- Principals are names, and a name can come to mean another role.
CREATE TABLE diagsync.known_role (
	principal text COLLATE "C" NOT NULL,
	role_oid bigint NOT NULL,
	cluster bigint NOT NULL,
	CONSTRAINT known_role_pkey PRIMARY KEY (principal)
);
CREATE TRIGGER diagsync_refuse_truncate
	BEFORE TRUNCATE ON diagsync.known_role FOR EACH STATEMENT
	EXECUTE FUNCTION diagsync.refuse_truncate();
COMMENT ON TABLE diagsync.known_role IS
'which role each principal means that was let in, or has diagrams or memberships. Another role of that name is refused until diagsync.confirm_role()';
COMMENT ON COLUMN diagsync.known_role.principal IS
'role:NAME';
COMMENT ON COLUMN diagsync.known_role.role_oid IS
'the role that had this name when it was noted, as in pg_roles.oid';
COMMENT ON COLUMN diagsync.known_role.cluster IS
'system identifier of the cluster where that oid means something';

CREATE VIEW diagsync.orphan WITH (security_invoker = true) AS
	SELECT o.principal, r.oid IS NOT NULL AS name_is_taken,
		   count(*) FILTER (WHERE o.owns) AS diagrams,
		   count(*) FILTER (WHERE NOT o.owns) AS memberships
	  FROM (SELECT d.owner COLLATE "C" AS principal, true AS owns FROM diagsync.directory AS d
			UNION ALL
			SELECT m.principal, false FROM diagsync.member AS m) AS o
	  LEFT JOIN pg_catalog.pg_roles AS r ON o.principal = concat('role:', r.rolname)
	 WHERE starts_with(o.principal, 'role:')
	   AND (r.oid IS NULL OR
			EXISTS (SELECT FROM diagsync.known_role AS k
					 WHERE k.principal = o.principal AND k.role_oid <> r.oid::bigint
					   AND k.cluster = (SELECT c.system_identifier FROM pg_catalog.pg_control_system() AS c)))
	 GROUP BY o.principal, r.oid;
COMMENT ON VIEW diagsync.orphan IS
'owners and members whose roles no longer exist; for the extension''s owner and superusers';
COMMENT ON COLUMN diagsync.orphan.principal IS
'role:NAME';
COMMENT ON COLUMN diagsync.orphan.name_is_taken IS
'whether another role has that name now; diagsync.confirm_role() would give it the diagrams and memberships';
COMMENT ON COLUMN diagsync.orphan.diagrams IS
'how many diagrams the principal owns';
COMMENT ON COLUMN diagsync.orphan.memberships IS
'of how many shared diagrams it is a member';

-- ---- What the policies ask ------------------------------------------------------
-- Their cost lets conditions on the diagram's id, which leak nothing, go first.

CREATE FUNCTION diagsync.row_access_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'diagsync_row_access_support'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION diagsync.row_access_support(internal) IS
'planner support of the functions that row-level policies ask';

CREATE FUNCTION diagsync.may_see(id text, storage_type text, owner text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'diagsync_may_see'
	LANGUAGE C STABLE PARALLEL SAFE COST 10
	SUPPORT diagsync.row_access_support;
COMMENT ON FUNCTION diagsync.may_see(text, text, text) IS
'for row-level policies: may the caller see this row of the directory?';

CREATE FUNCTION diagsync.may_read(diagram text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'diagsync_may_read'
	LANGUAGE C STABLE STRICT PARALLEL SAFE COST 10
	SUPPORT diagsync.row_access_support;
COMMENT ON FUNCTION diagsync.may_read(text) IS
'for row-level policies: may the caller read rows of this diagram?';

CREATE FUNCTION diagsync.may_write(diagram text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'diagsync_may_write'
	LANGUAGE C STABLE STRICT PARALLEL SAFE COST 10
	SUPPORT diagsync.row_access_support;
COMMENT ON FUNCTION diagsync.may_write(text) IS
'for row-level policies: may the caller change or delete rows of this diagram?';

CREATE FUNCTION diagsync.may_administer(diagram text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'diagsync_may_administer'
	LANGUAGE C STABLE STRICT PARALLEL SAFE COST 10
	SUPPORT diagsync.row_access_support;
COMMENT ON FUNCTION diagsync.may_administer(text) IS
'for row-level policies: is the caller the owner or an admin of this diagram?';

CREATE FUNCTION diagsync.check_may_write(diagram text, entity text DEFAULT NULL) RETURNS boolean
	AS 'MODULE_PATHNAME', 'diagsync_check_may_write'
	LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION diagsync.check_may_write(text, text) IS
'for row-level policies: true if the caller may add rows to this diagram, otherwise an error that says why not';

CREATE FUNCTION diagsync.access(diagram text) RETURNS text
	AS 'MODULE_PATHNAME', 'diagsync_access'
	LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION diagsync.access(text) IS
'what the caller may do with a diagram: reader, writer, admin or owner; null if they may not see it';

-- ---- The policies -----------------------------------------------------------------
-- Whoever reaches a table at all (diagsync.grant_usage) reaches these rows.

ALTER TABLE diagsync.directory ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON diagsync.directory FOR SELECT
	USING (diagsync.may_see(id, storage_type, owner));
CREATE POLICY updatable ON diagsync.directory FOR UPDATE
	USING (diagsync.may_administer(id));

ALTER TABLE diagsync.member ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON diagsync.member FOR SELECT
	USING (principal = (SELECT diagsync.principal()) OR diagsync.may_administer(diagram_id));

ALTER TABLE diagsync.access_token ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON diagsync.access_token FOR SELECT
	USING (diagsync.may_administer(diagram_id));

ALTER TABLE diagsync.known_role ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON diagsync.known_role FOR SELECT
	USING (principal = (SELECT diagsync.principal()));

ALTER TABLE diagsync.sync_log ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON diagsync.sync_log FOR SELECT
	USING (principal = (SELECT diagsync.principal()));

ALTER TABLE diagsync_local.base ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON diagsync_local.base FOR SELECT
	USING (diagsync.may_read(diagram_id));

ALTER TABLE diagsync_public.tombstone ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON diagsync_public.tombstone FOR SELECT
	USING (diagsync.may_read(diagram_id));

ALTER TABLE diagsync_private.tombstone ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON diagsync_private.tombstone FOR SELECT
	USING (diagsync.may_read(diagram_id));

ALTER TABLE diagsync_local.entity ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON diagsync_local.entity FOR SELECT
	USING (diagsync.may_read(diagram_id));
CREATE POLICY insertable ON diagsync_local.entity FOR INSERT
	WITH CHECK (diagsync.check_may_write(diagram_id, id));
CREATE POLICY updatable ON diagsync_local.entity FOR UPDATE
	USING (diagsync.may_write(diagram_id));
CREATE POLICY deletable ON diagsync_local.entity FOR DELETE
	USING (diagsync.may_write(diagram_id));

ALTER TABLE diagsync_public.entity ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON diagsync_public.entity FOR SELECT
	USING (diagsync.may_read(diagram_id));
CREATE POLICY insertable ON diagsync_public.entity FOR INSERT
	WITH CHECK (diagsync.check_may_write(diagram_id, id));
CREATE POLICY updatable ON diagsync_public.entity FOR UPDATE
	USING (diagsync.may_write(diagram_id));
CREATE POLICY deletable ON diagsync_public.entity FOR DELETE
	USING (diagsync.may_write(diagram_id));

ALTER TABLE diagsync_private.entity ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON diagsync_private.entity FOR SELECT
	USING (diagsync.may_read(diagram_id));
CREATE POLICY insertable ON diagsync_private.entity FOR INSERT
	WITH CHECK (diagsync.check_may_write(diagram_id, id));
CREATE POLICY updatable ON diagsync_private.entity FOR UPDATE
	USING (diagsync.may_write(diagram_id));
CREATE POLICY deletable ON diagsync_private.entity FOR DELETE
	USING (diagsync.may_write(diagram_id));

-- ---- Giving access ----------------------------------------------------------------

CREATE FUNCTION diagsync.add_member(diagram text, principal text, role text) RETURNS void
	AS 'MODULE_PATHNAME', 'diagsync_add_member'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.add_member(text, text, text) IS
'make a principal (role:NAME or sub:VALUE) reader, writer or admin of a shared diagram, or give a member another role';

CREATE FUNCTION diagsync.remove_member(diagram text, principal text) RETURNS void
	AS 'MODULE_PATHNAME', 'diagsync_remove_member'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.remove_member(text, text) IS
'end a principal''s membership of a shared diagram; members may end their own';

CREATE FUNCTION diagsync.set_owner(diagram text, principal text) RETURNS void
	AS 'MODULE_PATHNAME', 'diagsync_set_owner'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.set_owner(text, text) IS
'give a diagram to another owner; the former owner keeps only a membership, if there is one';

CREATE FUNCTION diagsync.owner(diagram text) RETURNS text
	AS 'MODULE_PATHNAME', 'diagsync_owner'
	LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION diagsync.owner(text) IS
'the principal who owns a diagram';

CREATE FUNCTION diagsync.create_token(
		diagram text,
		role text DEFAULT 'reader',
		expires_in interval DEFAULT NULL,
		label text DEFAULT NULL) RETURNS text
	AS 'MODULE_PATHNAME', 'diagsync_create_token'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.create_token(text, text, interval, text) IS
'make an access token for a shared diagram and return it, this once. Its bearer is reader, writer or admin, until it expires or is revoked';

CREATE FUNCTION diagsync.revoke_token(id text) RETURNS void
	AS 'MODULE_PATHNAME', 'diagsync_revoke_token'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.revoke_token(text) IS
'revoke an access token; its id is the part before the dot';

CREATE FUNCTION diagsync.limits(
		diagram text,
		OUT max_entities integer,
		OUT entities bigint,
		OUT max_size bigint,
		OUT size bigint)
	AS 'MODULE_PATHNAME', 'diagsync_limits'
	LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION diagsync.limits(text) IS
'how many entities and bytes a diagram may have, and has; null is no limit';

CREATE FUNCTION diagsync.sync_rate(
		OUT calls_per_minute integer,
		OUT calls_left integer)
	AS 'MODULE_PATHNAME', 'diagsync_sync_rate'
	LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION diagsync.sync_rate() IS
'how many syncs the caller may call a minute, and how many of them are left now; null is no limit';

CREATE FUNCTION diagsync.set_limits(
		diagram text,
		max_entities integer DEFAULT NULL,
		max_size bigint DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'diagsync_set_limits'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.set_limits(text, integer, bigint) IS
'say how many entities and bytes a diagram may have, below what the administrator allows; null is as much as that';

CREATE FUNCTION diagsync.grant_usage(role text, anonymous boolean DEFAULT false) RETURNS void
	AS 'MODULE_PATHNAME', 'diagsync_grant_usage'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.grant_usage(text, boolean) IS
'grant a database role what it needs to use diagsync. With anonymous it may read, and edit public diagrams and those that it has a token for, but own nothing';

CREATE FUNCTION diagsync.revoke_usage(role text) RETURNS void
	AS 'MODULE_PATHNAME', 'diagsync_revoke_usage'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.revoke_usage(text) IS
'revoke from a database role all that diagsync.grant_usage() grants';

CREATE FUNCTION diagsync.confirm_role(role text) RETURNS void
	AS 'MODULE_PATHNAME', 'diagsync_confirm_role'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync.confirm_role(text) IS
'confirm that a new role with the name of a former one is to have its diagrams and memberships';

-- ---- What HTTP routes ask -----------------------------------------------------------

CREATE FUNCTION diagsync.requested_diagram() RETURNS text
	AS 'MODULE_PATHNAME', 'diagsync_requested_diagram'
	LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION diagsync.requested_diagram() IS
'the diagram that the route of a PostgREST request names (header x-diagsync-diagram, percent-encoded), or null';

CREATE FUNCTION diagsync.check_request() RETURNS void
	AS 'MODULE_PATHNAME', 'diagsync_check_request'
	LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION diagsync.check_request() IS
'for PostgREST''s db-pre-request: an error if the route names a diagram that the caller may not see, or one whose storage type is not that of the header x-diagsync-storage';
