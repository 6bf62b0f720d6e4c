-- What is there over HTTP: the schema that PostgREST exposes. Views and
-- functions of one statement each over those of schema diagsync, with the names
-- that JSON clients know. PostgREST shows the comments to clients as
-- documentation: the first line of a longer one is its summary.

CREATE SCHEMA diagsync_api;
COMMENT ON SCHEMA diagsync_api IS
'diagsync
Diagrams as sets of entities, local copies of shared diagrams, and the changes between them. Without a login, public diagrams can be read and edited, and others with an access token in the header x-diagsync-token. An error has its HTTP status and a JSON body with code, message, details and hint; what the caller may not see is answered with 404. A conflict is an answer (200, success is false), not an error.';

-- ---- Diagrams ----------------------------------------------------------------

CREATE VIEW diagsync_api.diagrams WITH (security_invoker = true) AS
	SELECT id AS "_id", name, description, storage_type AS "storageType", created_at AS "createdAt",
		   public_copy_id AS "publicCopyId", last_pushed_at AS "lastPushedAt",
		   last_pulled_at AS "lastPulledAt", public_version AS "publicVersion"
	  FROM diagsync.directory;
COMMENT ON VIEW diagsync_api.diagrams IS
'The diagrams that the caller may see

Their own local ones, all public ones, and the private ones that they own, are a member of, or have an access token for. The owner and admins may change name and description with PATCH; everything else changes through the functions.';
COMMENT ON COLUMN diagsync_api.diagrams."_id" IS
'the diagram''s id: any text of 1 to 255 characters';
COMMENT ON COLUMN diagsync_api.diagrams.name IS
'the name that people see';
COMMENT ON COLUMN diagsync_api.diagrams.description IS
'what the diagram is about, or null';
COMMENT ON COLUMN diagsync_api.diagrams."storageType" IS
'local (its owner alone), public (anyone), private (its owner and its members), or null for an old public one that cannot be synced yet';
COMMENT ON COLUMN diagsync_api.diagrams."createdAt" IS
'when the diagram was made';
COMMENT ON COLUMN diagsync_api.diagrams."publicCopyId" IS
'the shared diagram that this local one pushes to and pulls from, or null';
COMMENT ON COLUMN diagsync_api.diagrams."lastPushedAt" IS
'when it last pushed (sharing counts), even if nothing had changed';
COMMENT ON COLUMN diagsync_api.diagrams."lastPulledAt" IS
'when it last pulled (cloning counts), even if nothing had changed';
COMMENT ON COLUMN diagsync_api.diagrams."publicVersion" IS
'greatest revision of the shared diagram at the last sync, to be shown; no ETag';

CREATE FUNCTION diagsync_api.create_diagram(
		name text,
		"storageType" text DEFAULT 'local',
		id text DEFAULT NULL,
		description text DEFAULT NULL) RETURNS json
	LANGUAGE SQL VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	SELECT pg_catalog.format('{"_id": %s}', pg_catalog.to_json(d.id))::json
	  FROM diagsync.create_diagram(create_diagram.name, create_diagram."storageType",
								   create_diagram.id, create_diagram.description) AS d(id);
END;
COMMENT ON FUNCTION diagsync_api.create_diagram(text, text, text, text) IS
'Make an empty diagram

Returns {"_id": its id}, a new uuid where no id is given. storageType: local (default), public or private. 409 where the id is taken.';

CREATE FUNCTION diagsync_api.drop_diagram(diagram text) RETURNS void
	LANGUAGE SQL VOLATILE PARALLEL UNSAFE
	RETURN diagsync.drop_diagram(drop_diagram.diagram);
COMMENT ON FUNCTION diagsync_api.drop_diagram(text) IS
'Remove a diagram and its entities

For its owner and admins. Local diagrams that are linked to it keep their entities and become unlinked.';

CREATE FUNCTION diagsync_api.set_storage_type(diagram text, "storageType" text) RETURNS void
	LANGUAGE SQL VOLATILE PARALLEL UNSAFE
	RETURN diagsync.set_storage_type(set_storage_type.diagram, set_storage_type."storageType");
COMMENT ON FUNCTION diagsync_api.set_storage_type(text, text) IS
'Move a shared diagram between public and private

For its owner and admins. Links to it stay. Also gives its storage type to a diagram that has none.';

CREATE FUNCTION diagsync_api.set_merge_policy(diagram text, policy jsonb) RETURNS json
	LANGUAGE SQL VOLATILE PARALLEL UNSAFE
	RETURN diagsync.set_merge_policy(set_merge_policy.diagram, set_merge_policy.policy)::json;
COMMENT ON FUNCTION diagsync_api.set_merge_policy(text, jsonb) IS
'Say what counts as a change and as a conflict, and what merges

For the owner and admins. The policy is an object such as {"preset": "reactflow"} or {"granularity": "property"}, or null for the default: two edits of the same entity conflict. Returns the policy in force.';

CREATE FUNCTION diagsync_api.merge_policy(diagram text) RETURNS json
	LANGUAGE SQL STABLE PARALLEL RESTRICTED
	RETURN diagsync.merge_policy(merge_policy.diagram)::json;
COMMENT ON FUNCTION diagsync_api.merge_policy(text) IS
'The merge policy of a diagram

An object, with a preset written out, or null for the default: two edits of the same entity conflict.';

CREATE FUNCTION diagsync_api.owner(diagram text) RETURNS json
	LANGUAGE SQL STABLE PARALLEL RESTRICTED
	RETURN pg_catalog.json_build_object('owner', diagsync.owner(owner.diagram));
COMMENT ON FUNCTION diagsync_api.owner(text) IS
'Who owns a diagram

Returns {"owner": PRINCIPAL}: "sub:" and the claim sub of that user''s JWT, or "role:" and a role of the database.';

CREATE FUNCTION diagsync_api.set_owner(diagram text, principal text) RETURNS void
	LANGUAGE SQL VOLATILE PARALLEL UNSAFE
	RETURN diagsync.set_owner(set_owner.diagram, set_owner.principal);
COMMENT ON FUNCTION diagsync_api.set_owner(text, text) IS
'Give a diagram to another owner

For its owner, who has no access afterwards unless they are also a member. A principal is "sub:" and the claim sub of that user''s JWT.';

CREATE FUNCTION diagsync_api.access(diagram text) RETURNS json
	LANGUAGE SQL STABLE PARALLEL RESTRICTED
	RETURN pg_catalog.format('{"access": %s}',
							 COALESCE(pg_catalog.to_json(diagsync.access(access.diagram))::text, 'null'))::json;
COMMENT ON FUNCTION diagsync_api.access(text) IS
'What the caller may do with a diagram

Returns {"access": "owner", "admin", "writer", "reader" or null}. null: there is no such diagram, as far as the caller may know.';

CREATE FUNCTION diagsync_api.limits(diagram text) RETURNS json
	LANGUAGE SQL STABLE PARALLEL RESTRICTED
BEGIN ATOMIC
	SELECT pg_catalog.format('{"maxEntities": %s, "entities": %s, "maxSize": %s, "size": %s}',
							 COALESCE(l.max_entities::text, 'null'), l.entities,
							 COALESCE(l.max_size::text, 'null'), l.size)::json
	  FROM diagsync.limits(limits.diagram) AS l;
END;
COMMENT ON FUNCTION diagsync_api.limits(text) IS
'How much a diagram may hold, and holds

Returns {"maxEntities", "entities", "maxSize", "size"}: entities, and bytes as they are stored. null is no limit.';

CREATE FUNCTION diagsync_api.set_limits(
		diagram text,
		"maxEntities" integer DEFAULT NULL,
		"maxSize" bigint DEFAULT NULL) RETURNS void
	LANGUAGE SQL VOLATILE PARALLEL UNSAFE
	RETURN diagsync.set_limits(set_limits.diagram, set_limits."maxEntities", set_limits."maxSize");
COMMENT ON FUNCTION diagsync_api.set_limits(text, integer, bigint) IS
'Say how much a diagram may hold

For the owner and admins, below what the administrator of the server allows. null, or left out, is as much as that.';

-- ---- Entities ----------------------------------------------------------------

CREATE VIEW diagsync_api.entities WITH (security_invoker = true) AS
	SELECT diagram_id AS diagram, id, doc, storage_type AS "storageType",
		   modified_at AS "modifiedAt", modified_by AS "modifiedBy"
	  FROM diagsync.entity;
COMMENT ON VIEW diagsync_api.entities IS
'The entities of all diagrams that the caller may read

For reading, usually with ?diagram=eq.ID. They are written in local_entities, public_entities and private_entities, or with put and remove.';
COMMENT ON COLUMN diagsync_api.entities.diagram IS
'the diagram that it belongs to';
COMMENT ON COLUMN diagsync_api.entities.id IS
'the entity''s id, unique in its diagram';
COMMENT ON COLUMN diagsync_api.entities.doc IS
'the entity: a JSON object';
COMMENT ON COLUMN diagsync_api.entities."storageType" IS
'the diagram''s storage type: local, public or private';
COMMENT ON COLUMN diagsync_api.entities."modifiedAt" IS
'when the content was last edited, here or where it was pushed or pulled from';
COMMENT ON COLUMN diagsync_api.entities."modifiedBy" IS
'the principal who last edited the content';

-- A row that an HTTP route inserts belongs to the diagram of that route. (A
-- default of the views would be shown to clients.)
ALTER TABLE diagsync_local.entity ALTER COLUMN diagram_id SET DEFAULT diagsync.requested_diagram();
ALTER TABLE diagsync_public.entity ALTER COLUMN diagram_id SET DEFAULT diagsync.requested_diagram();
ALTER TABLE diagsync_private.entity ALTER COLUMN diagram_id SET DEFAULT diagsync.requested_diagram();

CREATE VIEW diagsync_api.local_entities WITH (security_invoker = true) AS
	SELECT diagram_id AS diagram, id, doc, modified_at AS "modifiedAt", modified_by AS "modifiedBy"
	  FROM diagsync_local.entity;
COMMENT ON VIEW diagsync_api.local_entities IS
'The entities of the caller''s local diagrams

Read and written here. An upsert is a POST with ?on_conflict=diagram,id and the header Prefer: resolution=merge-duplicates.';
COMMENT ON COLUMN diagsync_api.local_entities.diagram IS
'the diagram that it belongs to; it cannot be changed';
COMMENT ON COLUMN diagsync_api.local_entities.id IS
'the entity''s id, unique in its diagram: any text of 1 to 400 characters; it cannot be changed';
COMMENT ON COLUMN diagsync_api.local_entities.doc IS
'the entity: a JSON object';
COMMENT ON COLUMN diagsync_api.local_entities."modifiedAt" IS
'when the content was last edited, here or where it was pulled from; set by the server';
COMMENT ON COLUMN diagsync_api.local_entities."modifiedBy" IS
'the principal who last edited the content; set by the server';

CREATE VIEW diagsync_api.public_entities WITH (security_invoker = true) AS
	SELECT diagram_id AS diagram, id, doc, modified_at AS "modifiedAt", modified_by AS "modifiedBy"
	  FROM diagsync_public.entity;
COMMENT ON VIEW diagsync_api.public_entities IS
'The entities of public diagrams

Read and written here, by anyone. An upsert is a POST with ?on_conflict=diagram,id and the header Prefer: resolution=merge-duplicates.';
COMMENT ON COLUMN diagsync_api.public_entities.diagram IS
'the diagram that it belongs to; it cannot be changed';
COMMENT ON COLUMN diagsync_api.public_entities.id IS
'the entity''s id, unique in its diagram: any text of 1 to 400 characters; it cannot be changed';
COMMENT ON COLUMN diagsync_api.public_entities.doc IS
'the entity: a JSON object';
COMMENT ON COLUMN diagsync_api.public_entities."modifiedAt" IS
'when the content was last edited, here or where it was pushed from; set by the server';
COMMENT ON COLUMN diagsync_api.public_entities."modifiedBy" IS
'the principal who last edited the content; set by the server';

CREATE VIEW diagsync_api.private_entities WITH (security_invoker = true) AS
	SELECT diagram_id AS diagram, id, doc, modified_at AS "modifiedAt", modified_by AS "modifiedBy"
	  FROM diagsync_private.entity;
COMMENT ON VIEW diagsync_api.private_entities IS
'The entities of private diagrams that the caller may read

Read by the owner, members and bearers of an access token; written here by those who are not mere readers. An upsert is a POST with ?on_conflict=diagram,id and the header Prefer: resolution=merge-duplicates.';
COMMENT ON COLUMN diagsync_api.private_entities.diagram IS
'the diagram that it belongs to; it cannot be changed';
COMMENT ON COLUMN diagsync_api.private_entities.id IS
'the entity''s id, unique in its diagram: any text of 1 to 400 characters; it cannot be changed';
COMMENT ON COLUMN diagsync_api.private_entities.doc IS
'the entity: a JSON object';
COMMENT ON COLUMN diagsync_api.private_entities."modifiedAt" IS
'when the content was last edited, here or where it was pushed from; set by the server';
COMMENT ON COLUMN diagsync_api.private_entities."modifiedBy" IS
'the principal who last edited the content; set by the server';

CREATE FUNCTION diagsync_api.put(diagram text, entities jsonb) RETURNS json
	LANGUAGE SQL VOLATILE PARALLEL UNSAFE
	RETURN pg_catalog.format('{"documentsUpdated": %s}', diagsync.put(put.diagram, put.entities))::json;
COMMENT ON FUNCTION diagsync_api.put(text, jsonb) IS
'Write many entities of any diagram in one call

entities is an array of objects, each with its "id". Returns {"documentsUpdated": how many were new or different}.';

CREATE FUNCTION diagsync_api.remove(diagram text, ids text[]) RETURNS json
	LANGUAGE SQL VOLATILE PARALLEL UNSAFE
	RETURN pg_catalog.format('{"documentsUpdated": %s}', diagsync.remove(remove.diagram, remove.ids))::json;
COMMENT ON FUNCTION diagsync_api.remove(text, text[]) IS
'Delete many entities of any diagram in one call

ids is an array of their ids. Returns {"documentsUpdated": how many there were}.';

-- ---- Links -------------------------------------------------------------------

CREATE FUNCTION diagsync_api.share(
		"localDbName" text,
		"publicDbName" text DEFAULT NULL,
		"storageType" text DEFAULT 'public') RETURNS json
	LANGUAGE SQL VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	SELECT pg_catalog.format('{"publicDbName": %s}', pg_catalog.to_json(s.id))::json
	  FROM diagsync.share(share."localDbName", share."publicDbName", share."storageType") AS s(id);
END;
COMMENT ON FUNCTION diagsync_api.share(text, text, text) IS
'Make a shared copy of a local diagram and link the local one to it

storageType of the copy: public (default) or private. Returns {"publicDbName": its id}, a new uuid where no publicDbName is given. 409 where that id is taken.';

CREATE FUNCTION diagsync_api.clone(
		"publicDbName" text,
		"localDbName" text DEFAULT NULL,
		name text DEFAULT NULL) RETURNS json
	LANGUAGE SQL VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	SELECT pg_catalog.format('{"localDbName": %s}', pg_catalog.to_json(c.id))::json
	  FROM diagsync.clone(clone."publicDbName", clone."localDbName", clone.name) AS c(id);
END;
COMMENT ON FUNCTION diagsync_api.clone(text, text, text) IS
'Make a local copy of a shared diagram, linked to it

Returns {"localDbName": its id}, a new uuid where no localDbName is given. 409 where that id is taken.';

CREATE FUNCTION diagsync_api.link("localDbName" text, "publicDbName" text) RETURNS void
	LANGUAGE SQL VOLATILE PARALLEL UNSAFE
	RETURN diagsync.link(link."localDbName", link."publicDbName");
COMMENT ON FUNCTION diagsync_api.link(text, text) IS
'Link a local diagram to a shared one, both of which exist

Equal entities agree, one-sided ones are inserts of that side, differing ones conflict.';

CREATE FUNCTION diagsync_api.unlink("localDbName" text) RETURNS void
	LANGUAGE SQL VOLATILE PARALLEL UNSAFE
	RETURN diagsync.unlink(unlink."localDbName");
COMMENT ON FUNCTION diagsync_api.unlink(text) IS
'Forget the link of a local diagram

No entity changes, on either side.';

-- ---- Syncing -----------------------------------------------------------------

CREATE FUNCTION diagsync_api.push(
		"localDbName" text,
		"publicDbName" text DEFAULT NULL,
		"onConflict" text DEFAULT 'abort',
		"dryRun" boolean DEFAULT false,
		"expectedPlan" text DEFAULT NULL,
		first integer DEFAULT 0,
		max integer DEFAULT 100,
		"allowDeletions" boolean DEFAULT false,
		entities text[] DEFAULT NULL) RETURNS json
	LANGUAGE SQL VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	SELECT CASE WHEN push."dryRun" THEN
			(SELECT pg_catalog.format('{"success": %s, "documentsUpdated": %s, "conflicts": %s, "refusedDeletions": %s, "inserted": %s, "updated": %s, "deleted": %s, "merged": %s, "resolved": %s, "plan": %s, "entities": %s, "more": %s%s}',
									  e.ok::text,
									  CASE WHEN e.ok THEN (p.result).documents_updated ELSE 0 END,
									  (p.result).conflicts, (p.result).refused_deletions,
									  CASE WHEN e.ok THEN (p.result).inserted ELSE 0 END,
									  CASE WHEN e.ok THEN (p.result).updated ELSE 0 END,
									  CASE WHEN e.ok THEN (p.result).deleted ELSE 0 END,
									  CASE WHEN e.ok THEN (p.result).merged ELSE 0 END,
									  CASE WHEN e.ok THEN (p.result).resolved ELSE 0 END,
									  pg_catalog.to_json((p.result).plan), p.entities, p.more::text,
									  pg_catalog.concat(', "included": ' || pg_catalog.to_json((p.result).included)::text))::json
			   FROM diagsync.preview_push(push."localDbName", push."publicDbName", push."onConflict", push.first, push.max, push."allowDeletions", push.entities) AS p,
					LATERAL (SELECT (p.result).success
								AND (push."expectedPlan" IS NULL OR push."expectedPlan" = (p.result).plan)) AS e(ok))
		ELSE
			(SELECT pg_catalog.format('{"success": %s, "documentsUpdated": %s, "conflicts": %s, "refusedDeletions": %s%s}',
									  r.success::text,
									  CASE WHEN push."expectedPlan" IS NULL OR push."expectedPlan" = r.plan
										   THEN r.documents_updated ELSE 0 END,
									  r.conflicts, r.refused_deletions,
									  pg_catalog.concat(', "plan": ' || pg_catalog.to_json(r.plan)::text,
														', "included": ' || pg_catalog.to_json(r.included)::text,
														', "refused": ' || r.refused::text))::json
			   FROM diagsync.push(push."localDbName", push."publicDbName", push."onConflict", push."dryRun",
								  push."expectedPlan", push."allowDeletions", push.entities) AS r)
		END;
END;
COMMENT ON FUNCTION diagsync_api.push(text, text, text, boolean, text, integer, integer, boolean, text[]) IS
'Send the local changes to the shared copy

Returns {"success", "documentsUpdated", "conflicts", "refusedDeletions"}: whether no conflict is left and nothing was refused, how many entities were written in the shared copy, how many conflicts are left, and how many deletions were refused because they are too large a part of the copy (then nothing is written; allowDeletions, or the expectedPlan of a dry run that showed them, allows them). onConflict says what becomes of entities that both sides changed differently: abort (default: nothing is written at all), skip, local, public, both or newest. Without publicDbName the link is used. With dryRun nothing is written, and the answer says what would be: also {"inserted", "updated", "deleted", "merged", "resolved", "plan", "entities", "more"}, of the entities up to max (100; 1000 at most) after the first so many. That plan as expectedPlan: the call does that or nothing, and then answers with the plan of now. With entities, an array of ids, only these are synced, and what has to go along with them since they refer to each other; included says which these are. Where the copy does not take an entity (a constraint, a limit), it stays as it is and counts in conflicts; refused then says which, {"id", "conflict", "reason"}, and with abort nothing is written. 429 with Retry-After where the caller syncs too often.';

CREATE FUNCTION diagsync_api.pull(
		"localDbName" text,
		"publicDbName" text DEFAULT NULL,
		"onConflict" text DEFAULT 'abort',
		"dryRun" boolean DEFAULT false,
		"expectedPlan" text DEFAULT NULL,
		first integer DEFAULT 0,
		max integer DEFAULT 100,
		"allowDeletions" boolean DEFAULT false,
		entities text[] DEFAULT NULL) RETURNS json
	LANGUAGE SQL VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	SELECT CASE WHEN pull."dryRun" THEN
			(SELECT pg_catalog.format('{"success": %s, "documentsUpdated": %s, "conflicts": %s, "refusedDeletions": %s, "inserted": %s, "updated": %s, "deleted": %s, "merged": %s, "resolved": %s, "plan": %s, "entities": %s, "more": %s%s}',
									  e.ok::text,
									  CASE WHEN e.ok THEN (p.result).documents_updated ELSE 0 END,
									  (p.result).conflicts, (p.result).refused_deletions,
									  CASE WHEN e.ok THEN (p.result).inserted ELSE 0 END,
									  CASE WHEN e.ok THEN (p.result).updated ELSE 0 END,
									  CASE WHEN e.ok THEN (p.result).deleted ELSE 0 END,
									  CASE WHEN e.ok THEN (p.result).merged ELSE 0 END,
									  CASE WHEN e.ok THEN (p.result).resolved ELSE 0 END,
									  pg_catalog.to_json((p.result).plan), p.entities, p.more::text,
									  pg_catalog.concat(', "included": ' || pg_catalog.to_json((p.result).included)::text))::json
			   FROM diagsync.preview_pull(pull."localDbName", pull."publicDbName", pull."onConflict", pull.first, pull.max, pull."allowDeletions", pull.entities) AS p,
					LATERAL (SELECT (p.result).success
								AND (pull."expectedPlan" IS NULL OR pull."expectedPlan" = (p.result).plan)) AS e(ok))
		ELSE
			(SELECT pg_catalog.format('{"success": %s, "documentsUpdated": %s, "conflicts": %s, "refusedDeletions": %s%s}',
									  r.success::text,
									  CASE WHEN pull."expectedPlan" IS NULL OR pull."expectedPlan" = r.plan
										   THEN r.documents_updated ELSE 0 END,
									  r.conflicts, r.refused_deletions,
									  pg_catalog.concat(', "plan": ' || pg_catalog.to_json(r.plan)::text,
														', "included": ' || pg_catalog.to_json(r.included)::text,
														', "refused": ' || r.refused::text))::json
			   FROM diagsync.pull(pull."localDbName", pull."publicDbName", pull."onConflict", pull."dryRun",
								  pull."expectedPlan", pull."allowDeletions", pull.entities) AS r)
		END;
END;
COMMENT ON FUNCTION diagsync_api.pull(text, text, text, boolean, text, integer, integer, boolean, text[]) IS
'Take the changes of the shared copy into the local one

Returns {"success", "documentsUpdated", "conflicts", "refusedDeletions"}: whether no conflict is left and nothing was refused, how many entities were written in the local copy, how many conflicts are left, and how many deletions were refused because they are too large a part of the copy (then nothing is written; allowDeletions, or the expectedPlan of a dry run that showed them, allows them). onConflict says what becomes of entities that both sides changed differently: abort (default: nothing is written at all), skip, local, public, both or newest. Without publicDbName the link is used. With dryRun nothing is written, and the answer says what would be: also {"inserted", "updated", "deleted", "merged", "resolved", "plan", "entities", "more"}, of the entities up to max (100; 1000 at most) after the first so many. That plan as expectedPlan: the call does that or nothing, and then answers with the plan of now. With entities, an array of ids, only these are synced, and what has to go along with them since they refer to each other; included says which these are. Where the copy does not take an entity (a constraint, a limit), it stays as it is and counts in conflicts; refused then says which, {"id", "conflict", "reason"}, and with abort nothing is written. 429 with Retry-After where the caller syncs too often.';

CREATE FUNCTION diagsync_api.discard(
		"localDbName" text,
		entities text[],
		"allowDeletions" boolean DEFAULT false) RETURNS json
	LANGUAGE SQL VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	SELECT pg_catalog.json_build_object('success', r.success, 'documentsUpdated', r.documents_updated,
										'conflicts', r.conflicts, 'refusedDeletions', r.refused_deletions,
										'inserted', r.inserted, 'updated', r.updated, 'deleted', r.deleted)
	  FROM diagsync.discard(discard."localDbName", discard.entities, discard."allowDeletions") AS r;
END;
COMMENT ON FUNCTION diagsync_api.discard(text, text[], boolean) IS
'Take local changes back

entities is an array of ids, or null for all local changes. What was deleted is there again (inserted), what was inserted is gone (deleted), what was edited is as it was (updated). What the shared copy did meanwhile is left for a pull. Returns {"success", "documentsUpdated", "conflicts", "refusedDeletions", "inserted", "updated", "deleted"}; conflicts of kind unknown, of which nobody knows how they were before, are left, and counted in conflicts. Removing more than half of the copy unnamed needs allowDeletions.';

CREATE FUNCTION diagsync_api.status(local text, public text DEFAULT NULL) RETURNS json
	LANGUAGE SQL STABLE PARALLEL RESTRICTED
BEGIN ATOMIC
	SELECT pg_catalog.format('{"diverged": %s, "localChanges": %s, "publicChanges": %s, "lastSyncedAt": %s, "state": %s, "conflicts": %s}',
							 COALESCE(s.diverged::text, 'null'),
							 COALESCE(s.local_changes::text, 'null'),
							 COALESCE(s.public_changes::text, 'null'),
							 COALESCE(pg_catalog.to_json(s.last_synced_at)::text, 'null'),
							 COALESCE(pg_catalog.to_json(s.state)::text, 'null'),
							 COALESCE(s.conflicts::text, 'null'))::json
	  FROM diagsync.status(status.local, status.public) AS s;
END;
COMMENT ON FUNCTION diagsync_api.status(text, text) IS
'How a local diagram differs from its shared copy

Returns {"diverged", "localChanges", "publicChanges", "lastSyncedAt", "state", "conflicts"}. localChanges and publicChanges count the entities that each side changed since they last agreed (conflicting edits count on both sides, identical edits on neither), state is in_sync, pending, conflict or unlinked; the figures of an unlinked one are null. It changes nothing and takes no locks.';

CREATE FUNCTION diagsync_api.status_all() RETURNS json
	LANGUAGE SQL STABLE PARALLEL RESTRICTED
BEGIN ATOMIC
	SELECT COALESCE(pg_catalog.json_agg(pg_catalog.json_build_object(
					'local', s.local_id, 'public', s.public_id,
					'diverged', s.diverged, 'localChanges', s.local_changes,
					'publicChanges', s.public_changes, 'lastSyncedAt', s.last_synced_at,
					'state', s.state, 'conflicts', s.conflicts)), '[]'::json)
	  FROM diagsync.status_all() AS s;
END;
COMMENT ON FUNCTION diagsync_api.status_all() IS
'How each linked local diagram of the caller differs from its shared copy

Returns an array of {"local", "public", "diverged", "localChanges", "publicChanges", "lastSyncedAt", "state", "conflicts"}, in ascending ids of the local ones: in one call what status says of each.';

CREATE FUNCTION diagsync_api.sync_rate() RETURNS json
	LANGUAGE SQL STABLE PARALLEL RESTRICTED
BEGIN ATOMIC
	SELECT pg_catalog.json_build_object('limit', r.calls_per_minute, 'left', r.calls_left)
	  FROM diagsync.sync_rate() AS r;
END;
COMMENT ON FUNCTION diagsync_api.sync_rate() IS
'How often the caller may sync, and still may

Returns {"limit", "left"}: so many syncs a minute, and so many of them are left now. null is no limit.';

CREATE FUNCTION diagsync_api.refresh("localDbName" text) RETURNS json
	LANGUAGE SQL VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	SELECT pg_catalog.json_build_object(
					'diverged', s.diverged, 'localChanges', s.local_changes,
					'publicChanges', s.public_changes, 'lastSyncedAt', s.last_synced_at,
					'state', s.state, 'conflicts', s.conflicts)
	  FROM diagsync.refresh(refresh."localDbName") AS s;
END;
COMMENT ON FUNCTION diagsync_api.refresh(text) IS
'Compare a local diagram with its shared copy in full

Notes what was seen, so that later calls compare only what changes, and returns what status does. For a link that is slow since its merge policy was changed, or since a restore. No entity changes.';

CREATE FUNCTION diagsync_api.merge(
		base jsonb,
		local jsonb,
		public jsonb,
		policy jsonb DEFAULT NULL) RETURNS json
	LANGUAGE SQL IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT pg_catalog.json_build_object('merged', m.merged, 'conflict', m.conflict, 'paths', m.paths,
										'baseValues', m.base_values, 'localValues', m.local_values,
										'publicValues', m.public_values)
	  FROM diagsync.merge(merge.base, merge.local, merge.public, merge.policy) AS m;
END;
COMMENT ON FUNCTION diagsync_api.merge(jsonb, jsonb, jsonb, jsonb) IS
'Merge two versions of a document that come from the same base

Returns {"merged", "conflict", "paths", "baseValues", "localValues", "publicValues"}: the merged document, or null where it conflicts or is deleted; whether anything conflicts; and in arrays that are in step the JSON Pointers in conflict and what each version has there. A document that is null does not exist. policy is a merge policy as for set_merge_policy. Nothing is read or written.';

CREATE FUNCTION diagsync_api.diff(old jsonb, new jsonb, policy jsonb DEFAULT NULL) RETURNS json
	LANGUAGE SQL IMMUTABLE PARALLEL SAFE
	RETURN diagsync.diff(diff.old, diff.new, diff.policy)::json;
COMMENT ON FUNCTION diagsync_api.diff(jsonb, jsonb, jsonb) IS
'What makes a new document of an old one

Returns a JSON Patch (RFC 6902), but for what the policy ignores; policy is a merge policy as for set_merge_policy. A document that is null does not exist. Nothing is read or written.';

CREATE FUNCTION diagsync_api.patch(doc jsonb, diff jsonb) RETURNS json
	LANGUAGE SQL IMMUTABLE PARALLEL SAFE
	RETURN diagsync.patch(patch.doc, patch.diff)::json;
COMMENT ON FUNCTION diagsync_api.patch(jsonb, jsonb) IS
'Apply a JSON Patch to a document

Returns the document with all operations of diff (RFC 6902) applied, null where it does not exist any more; 422 where one of them cannot be. Nothing is read or written.';

CREATE TYPE diagsync_api.change AS (
	"entityId" text,
	side text,
	"localChange" text,
	"publicChange" text,
	conflict text,
	paths text[],
	base jsonb,
	local jsonb,
	public jsonb,
	"localModifiedAt" timestamptz,
	"localModifiedBy" text,
	"publicModifiedAt" timestamptz,
	"publicModifiedBy" text,
	version text
);
COMMENT ON TYPE diagsync_api.change IS
'An entity on which a local diagram and its shared copy differ';
COMMENT ON COLUMN diagsync_api.change."entityId" IS
'the entity';
COMMENT ON COLUMN diagsync_api.change.side IS
'who changed it: local, public or both; null where nothing is left to sync';
COMMENT ON COLUMN diagsync_api.change."localChange" IS
'what the local side did: insert, update, delete or null';
COMMENT ON COLUMN diagsync_api.change."publicChange" IS
'what the shared side did: insert, update, delete or null';
COMMENT ON COLUMN diagsync_api.change.conflict IS
'null, or its kind, the local side first: update_update, update_delete, delete_update, insert_insert; or dangling, or cycle, or unknown';
COMMENT ON COLUMN diagsync_api.change.paths IS
'JSON Pointers in conflict (the empty pointer is the whole entity), or null';
COMMENT ON COLUMN diagsync_api.change.base IS
'the version that both sides last agreed on, or null';
COMMENT ON COLUMN diagsync_api.change.local IS
'the local version, or null';
COMMENT ON COLUMN diagsync_api.change.public IS
'the shared version, or null';
COMMENT ON COLUMN diagsync_api.change."localModifiedAt" IS
'when the local version was edited or deleted';
COMMENT ON COLUMN diagsync_api.change."localModifiedBy" IS
'by whom the local version was edited or deleted';
COMMENT ON COLUMN diagsync_api.change."publicModifiedAt" IS
'when the shared version was edited or deleted';
COMMENT ON COLUMN diagsync_api.change."publicModifiedBy" IS
'by whom the shared version was edited or deleted';
COMMENT ON COLUMN diagsync_api.change.version IS
'a digest of the three versions, to be given to resolve as "expected"';

CREATE FUNCTION diagsync_api.changes(local text) RETURNS SETOF diagsync_api.change
	LANGUAGE SQL STABLE PARALLEL RESTRICTED
BEGIN ATOMIC
	SELECT c.entity_id, c.side, c.local_change, c.public_change, c.conflict, c.paths, c.base, c.local, c.public,
		   c.local_modified_at, c.local_modified_by, c.public_modified_at, c.public_modified_by, c.version
	  FROM diagsync.changes(changes.local) AS c;
END;
COMMENT ON FUNCTION diagsync_api.changes(text) IS
'Each entity that differs between a local diagram and its shared copy

What each side did since they last agreed, the three versions, who edited them and when, and whether they conflict; ordered by id.';

CREATE FUNCTION diagsync_api.conflicts(local text) RETURNS SETOF diagsync_api.change
	LANGUAGE SQL STABLE PARALLEL RESTRICTED
BEGIN ATOMIC
	SELECT c.entity_id, c.side, c.local_change, c.public_change, c.conflict, c.paths, c.base, c.local, c.public,
		   c.local_modified_at, c.local_modified_by, c.public_modified_at, c.public_modified_by, c.version
	  FROM diagsync.conflicts(conflicts.local) AS c;
END;
COMMENT ON FUNCTION diagsync_api.conflicts(text) IS
'Those changes that conflict

The entities that both sides changed differently, in the form of changes: all that a dialog needs to offer a choice.';

CREATE FUNCTION diagsync_api.resolve(
		"localDbName" text,
		"entityId" text,
		resolution text,
		doc jsonb DEFAULT NULL,
		expected text DEFAULT NULL) RETURNS diagsync_api.change
	LANGUAGE SQL VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	SELECT c.entity_id, c.side, c.local_change, c.public_change, c.conflict, c.paths, c.base, c.local, c.public,
		   c.local_modified_at, c.local_modified_by, c.public_modified_at, c.public_modified_by, c.version
	  FROM diagsync.resolve(resolve."localDbName", resolve."entityId", resolve.resolution,
							resolve.doc, resolve.expected) AS c;
END;
COMMENT ON FUNCTION diagsync_api.resolve(text, text, text, jsonb, text) IS
'Settle one conflict

resolution: local, public, both, newest, or merged with the document to keep in doc. expected is the version that conflicts showed: nothing is written if the entity has changed since. Returns the entity as it is afterwards, in the form of changes (for both: the one under the new id). A push sends the result.';

CREATE FUNCTION diagsync_api.resolve_all(
		"localDbName" text,
		resolution text,
		kinds text[] DEFAULT NULL,
		paths text[] DEFAULT NULL,
		entities text[] DEFAULT NULL,
		"allowDeletions" boolean DEFAULT false) RETURNS json
	LANGUAGE SQL VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	SELECT pg_catalog.json_build_object(
					'success', COALESCE(pg_catalog.bool_and(r.conflict IS NULL AND r.outcome <> 'no_entity'), true),
					'resolved', pg_catalog.count(*) FILTER (WHERE r.outcome = 'resolved'),
					'conflicts', pg_catalog.count(r.conflict),
					'refusedDeletions', COALESCE(pg_catalog.max(r.refused_deletions), 0),
					'entities', COALESCE(pg_catalog.json_agg(pg_catalog.json_build_object(
							'entityId', r.entity_id, 'outcome', r.outcome, 'conflict', r.conflict,
							'copyId', r.copy_id, 'version', r.version)), '[]'::json))
	  FROM diagsync.resolve_all(resolve_all."localDbName", resolve_all.resolution, resolve_all.kinds,
								resolve_all.paths, resolve_all.entities, resolve_all."allowDeletions") AS r;
END;
COMMENT ON FUNCTION diagsync_api.resolve_all(text, text, text[], text[], text[], boolean) IS
'Settle all conflicts by one rule

resolution: local, public, both or newest. Only those of some kinds (as conflicts shows them), those that lie within some paths (JSON Pointers, * for any key), or those of some entities, where these are given. Returns {"success", "resolved", "conflicts", "refusedDeletions", "entities"}: whether no conflict is left of these, how many were settled and are left, how many deletions were refused and with them all else (allowDeletions allows them), and an array of {"entityId", "outcome", "conflict", "copyId", "version"}. It counts as one sync.';

CREATE FUNCTION diagsync_api.resolve_many("localDbName" text, choices jsonb) RETURNS json
	LANGUAGE SQL VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	SELECT pg_catalog.json_build_object(
					'success', COALESCE(pg_catalog.bool_and(r.conflict IS NULL AND r.outcome <> 'no_entity'), true),
					'resolved', pg_catalog.count(*) FILTER (WHERE r.outcome = 'resolved'),
					'conflicts', pg_catalog.count(r.conflict),
					'refusedDeletions', COALESCE(pg_catalog.max(r.refused_deletions), 0),
					'entities', COALESCE(pg_catalog.json_agg(pg_catalog.json_build_object(
							'entityId', r.entity_id, 'outcome', r.outcome, 'conflict', r.conflict,
							'copyId', r.copy_id, 'version', r.version)), '[]'::json))
	  FROM diagsync.resolve_many(resolve_many."localDbName", resolve_many.choices) AS r;
END;
COMMENT ON FUNCTION diagsync_api.resolve_many(text, jsonb) IS
'Settle many conflicts in one call, each by its own choice

choices is an array of {"entityId", "resolution", "expected", "doc"}, each entity once: what resolve takes for each. Returns what resolve_all does; one that has changed since the expected version is left alone (outcome changed), and the others are not. It counts as one sync.';

-- ---- Following a shared diagram ------------------------------------------------

CREATE FUNCTION diagsync_api.changes_since(
		diagram text,
		since text DEFAULT NULL,
		max integer DEFAULT 1000) RETURNS json
	LANGUAGE SQL STABLE PARALLEL RESTRICTED
BEGIN ATOMIC
	SELECT pg_catalog.format('{"mark": %s, "resync": %s, "more": %s, "changes": %s}',
							 pg_catalog.to_json(p.mark), p.resync::text, p.more::text, p.changes)::json
	  FROM diagsync.changes_since(changes_since.diagram, changes_since.since, changes_since.max) AS p;
END;
COMMENT ON FUNCTION diagsync_api.changes_since(text, text, integer) IS
'What was written and deleted in a shared diagram since a mark

Returns {"mark", "resync", "more", "changes"}: the mark to give next, whether to forget what one has (none or no valid mark was given, and this page begins with all that there is), whether there is more at once, and an array of {"id", "deleted", "doc", "modifiedAt", "modifiedBy"}, in ascending ids, up to max of them (1000; 10000 at most).';

-- ---- Members and tokens ------------------------------------------------------

-- The joins with nothing keep the views from being taken for updatable ones.

CREATE VIEW diagsync_api.members WITH (security_invoker = true) AS
	SELECT diagram_id AS diagram, principal, role, added_at AS "addedAt", added_by AS "addedBy"
	  FROM diagsync.member, (SELECT) AS read_only;
COMMENT ON VIEW diagsync_api.members IS
'The members of shared diagrams

The owner and admins see those of their diagrams, everybody else only their own memberships. Changed with add_member and remove_member.';
COMMENT ON COLUMN diagsync_api.members.diagram IS
'the diagram';
COMMENT ON COLUMN diagsync_api.members.principal IS
'who: "sub:" and the claim sub of that user''s JWT';
COMMENT ON COLUMN diagsync_api.members.role IS
'reader, writer or admin';
COMMENT ON COLUMN diagsync_api.members."addedAt" IS
'when the member got this role';
COMMENT ON COLUMN diagsync_api.members."addedBy" IS
'the principal who gave it';

CREATE FUNCTION diagsync_api.add_member(diagram text, principal text, role text) RETURNS void
	LANGUAGE SQL VOLATILE PARALLEL UNSAFE
	RETURN diagsync.add_member(add_member.diagram, add_member.principal, add_member.role);
COMMENT ON FUNCTION diagsync_api.add_member(text, text, text) IS
'Make somebody a member of a shared diagram, or change a member''s role

For the owner and admins. A principal is "sub:" and the claim sub of that user''s JWT; role: reader, writer or admin.';

CREATE FUNCTION diagsync_api.remove_member(diagram text, principal text) RETURNS void
	LANGUAGE SQL VOLATILE PARALLEL UNSAFE
	RETURN diagsync.remove_member(remove_member.diagram, remove_member.principal);
COMMENT ON FUNCTION diagsync_api.remove_member(text, text) IS
'End a membership

For the owner and admins; members may end their own.';

CREATE VIEW diagsync_api.tokens WITH (security_invoker = true) AS
	SELECT id, diagram_id AS diagram, role, label, created_at AS "createdAt", created_by AS "createdBy",
		   expires_at AS "expiresAt"
	  FROM diagsync.access_token, (SELECT) AS read_only;
COMMENT ON VIEW diagsync_api.tokens IS
'The access tokens of diagrams

For the owner and admins, without the secrets. Made with create_token, ended with revoke_token.';
COMMENT ON COLUMN diagsync_api.tokens.id IS
'the token''s id: the part of the token before the dot';
COMMENT ON COLUMN diagsync_api.tokens.diagram IS
'the diagram that it opens';
COMMENT ON COLUMN diagsync_api.tokens.role IS
'what its bearer may do: reader, writer or admin';
COMMENT ON COLUMN diagsync_api.tokens.label IS
'a note of what it is for, or null';
COMMENT ON COLUMN diagsync_api.tokens."createdAt" IS
'when it was made';
COMMENT ON COLUMN diagsync_api.tokens."createdBy" IS
'the principal who made it';
COMMENT ON COLUMN diagsync_api.tokens."expiresAt" IS
'from when on it is worthless; null: never';

CREATE FUNCTION diagsync_api.create_token(
		diagram text,
		role text DEFAULT 'reader',
		"expiresIn" interval DEFAULT NULL,
		label text DEFAULT NULL) RETURNS json
	LANGUAGE SQL VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	SELECT pg_catalog.format('{"id": %s, "token": %s}',
							 pg_catalog.to_json(pg_catalog.split_part(t.secret, '.', 1)),
							 pg_catalog.to_json(t.secret))::json
	  FROM diagsync.create_token(create_token.diagram, create_token.role,
								 create_token."expiresIn", create_token.label) AS t(secret);
END;
COMMENT ON FUNCTION diagsync_api.create_token(text, text, interval, text) IS
'Make an access token for a shared diagram

For the owner and admins. Returns {"id", "token"}; the token is shown this once. Whoever sends it in the header x-diagsync-token may do what its role allows: reader (default), writer or admin. expiresIn is an interval such as "7 days" or "PT1H"; without one it does not expire.';

CREATE FUNCTION diagsync_api.revoke_token(id text) RETURNS void
	LANGUAGE SQL VOLATILE PARALLEL UNSAFE
	RETURN diagsync.revoke_token(revoke_token.id);
COMMENT ON FUNCTION diagsync_api.revoke_token(text) IS
'End an access token

For the owner and admins, by the token''s id.';

-- ---- How the web server calls functions ------------------------------------------

CREATE FUNCTION diagsync_api.call(jsonb) RETURNS json
	AS 'MODULE_PATHNAME', 'diagsync_api_call'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync_api.call(jsonb) IS
'For the web server alone: calls a function that writes

The header x-diagsync-function names it, the body has its parameters.';

CREATE FUNCTION diagsync_api.call_void(jsonb) RETURNS void
	AS 'MODULE_PATHNAME', 'diagsync_api_call'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION diagsync_api.call_void(jsonb) IS
'For the web server alone: calls a function that answers nothing

The header x-diagsync-function names it, the body has its parameters.';

CREATE FUNCTION diagsync_api.call_read(jsonb) RETURNS json
	AS 'MODULE_PATHNAME', 'diagsync_api_call_read'
	LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION diagsync_api.call_read(jsonb) IS
'For the web server alone: calls a function that only looks

The header x-diagsync-function names it, the body or the header x-diagsync-query has its parameters.';
