-- The tables of entities, tombstones and bases. The three storage types have
-- the same layout: what comes second is LIKE what came first, with defaults,
-- constraints, indexes and comments. Text keys are collated "C", because that is
-- the order in which a sync locks them.

CREATE TABLE diagsync_local.entity (
	diagram_id text COLLATE "C" NOT NULL,
	id text COLLATE "C" NOT NULL,
	doc jsonb NOT NULL,
	rev bigint NOT NULL DEFAULT diagsync.revision(),
	modified_at timestamptz NOT NULL DEFAULT diagsync.edit_time(),
	modified_by text NOT NULL DEFAULT diagsync.principal(),
	CONSTRAINT entity_pkey PRIMARY KEY (diagram_id, id),
	CONSTRAINT entity_id_length CHECK (length(id) BETWEEN 1 AND 400),
	CONSTRAINT entity_doc_is_object CHECK (jsonb_typeof(doc) = 'object'),
	CONSTRAINT entity_modified_at_finite CHECK (isfinite(modified_at))
);
COMMENT ON TABLE diagsync_local.entity IS
'the entities of local diagrams; written with plain SQL or diagsync.put(); triggers capture what changes';
COMMENT ON COLUMN diagsync_local.entity.diagram_id IS
'the diagram that it belongs to';
COMMENT ON COLUMN diagsync_local.entity.id IS
'the entity''s id, unique in its diagram: any text of 1 to 400 characters; it cannot be changed';
COMMENT ON COLUMN diagsync_local.entity.doc IS
'the entity: a JSON object';
COMMENT ON COLUMN diagsync_local.entity.rev IS
'64-bit id of the transaction that wrote this row; set by the server';
COMMENT ON COLUMN diagsync_local.entity.modified_at IS
'when the content was last edited, here or where it was pushed or pulled from; set by the server';
COMMENT ON COLUMN diagsync_local.entity.modified_by IS
'the principal who last edited the content; set by the server';

CREATE TABLE diagsync_local.base (
	diagram_id text COLLATE "C" NOT NULL,
	id text COLLATE "C" NOT NULL,
	doc jsonb,
	changed_at timestamptz,
	changed_by text,
	accepted text[],
	unknown boolean,
	CONSTRAINT base_pkey PRIMARY KEY (diagram_id, id)
);
COMMENT ON TABLE diagsync_local.base IS
'base rows: each entity of a linked local diagram that was changed since it last agreed with the shared copy, and the version that it was changed from. An entity without a row here is its own base';
COMMENT ON COLUMN diagsync_local.base.diagram_id IS
'the local diagram';
COMMENT ON COLUMN diagsync_local.base.id IS
'the changed entity';
COMMENT ON COLUMN diagsync_local.base.doc IS
'the version that both copies last agreed on; null where there was none';
COMMENT ON COLUMN diagsync_local.base.changed_at IS
'when the entity was deleted, if it was';
COMMENT ON COLUMN diagsync_local.base.changed_by IS
'the principal who deleted it, if it was deleted';
COMMENT ON COLUMN diagsync_local.base.accepted IS
'ids of the entities to or from which a resolution has accepted a dangling reference; null if there are none';
COMMENT ON COLUMN diagsync_local.base.unknown IS
'true: the copies differ, and no captured change explains it (conflict "unknown"). false: the link knows that the shared entity was deleted, even if its tombstone is gone. null: base row and tombstone decide';

CREATE TABLE diagsync_public.entity (LIKE diagsync_local.entity INCLUDING ALL);
CREATE INDEX entity_rev ON diagsync_public.entity (diagram_id, rev);
COMMENT ON TABLE diagsync_public.entity IS
'the entities of public diagrams, and of those without a storage type; written with plain SQL or diagsync.put(); triggers capture what changes';

CREATE TABLE diagsync_public.tombstone (
	diagram_id text COLLATE "C" NOT NULL,
	id text COLLATE "C" NOT NULL,
	rev bigint NOT NULL,
	deleted_at timestamptz,
	deleted_by text,
	CONSTRAINT tombstone_pkey PRIMARY KEY (diagram_id, id)
);
COMMENT ON TABLE diagsync_public.tombstone IS
'which entities were deleted from public diagrams. A tombstone is a hint: whether the entity exists, the table of entities says. diagsync.prune() drops those that no link needs';
COMMENT ON COLUMN diagsync_public.tombstone.diagram_id IS
'the diagram';
COMMENT ON COLUMN diagsync_public.tombstone.id IS
'the deleted entity';
COMMENT ON COLUMN diagsync_public.tombstone.rev IS
'64-bit id of the transaction that deleted it';
COMMENT ON COLUMN diagsync_public.tombstone.deleted_at IS
'when it was deleted, here or in the copy that pushed the deletion; null where that is not known';
COMMENT ON COLUMN diagsync_public.tombstone.deleted_by IS
'the principal who deleted it; null where that is not known';

CREATE TABLE diagsync_private.entity (LIKE diagsync_local.entity INCLUDING ALL);
CREATE INDEX entity_rev ON diagsync_private.entity (diagram_id, rev);
COMMENT ON TABLE diagsync_private.entity IS
'the entities of private shared diagrams; written with plain SQL or diagsync.put(); triggers capture what changes';

CREATE TABLE diagsync_private.tombstone (LIKE diagsync_public.tombstone INCLUDING ALL);
-- (Not before: LIKE would copy it under another name.)
CREATE INDEX tombstone_rev ON diagsync_public.tombstone (diagram_id, rev);
CREATE INDEX tombstone_rev ON diagsync_private.tombstone (diagram_id, rev);
COMMENT ON TABLE diagsync_private.tombstone IS
'which entities were deleted from private diagrams. A tombstone is a hint: whether the entity exists, the table of entities says. diagsync.prune() drops those that no link needs';

CREATE VIEW diagsync.entity WITH (security_invoker = true) AS
	SELECT 'local' AS storage_type, diagram_id, id, doc, rev, modified_at, modified_by
	  FROM diagsync_local.entity
	UNION ALL
	SELECT 'public', diagram_id, id, doc, rev, modified_at, modified_by
	  FROM diagsync_public.entity
	UNION ALL
	SELECT 'private', diagram_id, id, doc, rev, modified_at, modified_by
	  FROM diagsync_private.entity;
COMMENT ON VIEW diagsync.entity IS
'the entities of all diagrams, for reading; write to the table of the storage type, or with diagsync.put()';
COMMENT ON COLUMN diagsync.entity.storage_type IS
'which of the three tables the row comes from: local, public or private';
COMMENT ON COLUMN diagsync.entity.diagram_id IS
'the diagram that it belongs to';
COMMENT ON COLUMN diagsync.entity.id IS
'the entity''s id, unique in its diagram';
COMMENT ON COLUMN diagsync.entity.doc IS
'the entity: a JSON object';
COMMENT ON COLUMN diagsync.entity.rev IS
'64-bit id of the transaction that wrote this row';
COMMENT ON COLUMN diagsync.entity.modified_at IS
'when the content was last edited';
COMMENT ON COLUMN diagsync.entity.modified_by IS
'the principal who last edited the content';
