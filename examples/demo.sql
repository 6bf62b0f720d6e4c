-- One diagram, two people: a session that shows what diagsync does.
--
--     psql -X -f examples/demo.sql
--
-- Play it from the root of the repository on an empty database, as a
-- superuser (it creates the extension). Statements are shown as they run. A
-- line "checked: ..." says that the demo compared what just happened with what
-- it claims; where a claim does not hold, psql stops there with exit status 3.
--
-- One role plays both people here, so that nothing has to be set up first.
-- What belongs to whom is said by the name of the diagram:
--
--     architecture            your local copy
--     architecture-shared     the shared copy
--     architecture-colleague  your colleague's local copy

\set ON_ERROR_STOP on
\set ECHO none
\set QUIET on
\pset pager off
\pset footer off
\pset null '-'

-- How a claim is checked: the table refuses a row that does not hold. Neither
-- the query nor its frame is shown, only the claim and an empty line.
--     :check('What is claimed.', <condition>) FROM ... :end
CREATE TEMPORARY TABLE claim (
	says text,
	holds boolean NOT NULL,
	CONSTRAINT this_claim_does_not_hold CHECK (holds)
);
CREATE FUNCTION pg_temp.claim(says text, holds boolean) RETURNS text
	LANGUAGE sql
	AS $$ INSERT INTO claim VALUES (says, holds) RETURNING 'checked: ' || says $$;
\set check '\\set ECHO none \\\\ SELECT pg_temp.claim'
\set end '\\g (format=unaligned tuples_only=on) \\\\ \\echo \\\\ \\set ECHO queries'

\echo
\echo '1. A diagram'
\echo '============'
\echo 'examples/load.sql creates the extension and a local diagram, and puts the'
\echo 'entities of examples/architecture.json into it: shapes, and connections'
\echo 'between them. Each entity is one row with one JSON object.'
\echo

\i examples/load.sql
\set QUIET off
\set ECHO queries

SELECT doc->>'template' AS template, count(*) AS entities
  FROM diagsync_local.entity
 WHERE diagram_id = 'architecture'
 GROUP BY template
 ORDER BY entities DESC;

:check('Every entity of the file is in the diagram.',
       count(*) > 0
       AND count(*) = count(f.value)
       AND count(*) = count(*) FILTER (WHERE l.doc = f.value))
  FROM jsonb_each(:'doc'::jsonb -> 'entities') AS f
  FULL JOIN (SELECT * FROM diagsync_local.entity
              WHERE diagram_id = 'architecture') AS l ON l.id = f.key
:end

\echo '2. Sharing it'
\echo '============='
\echo 'share() makes a shared copy and links your local diagram to it. From now on'
\echo 'the triggers of the tables note what you change.'
\echo

SELECT diagsync.share('architecture', 'architecture-shared');

SELECT * FROM diagsync.status('architecture') \gx

:check('Your copy and the shared one agree.',
       state = 'in_sync' AND NOT diverged)
  FROM diagsync.status('architecture')
:end

\echo '3. A colleague'
\echo '=============='
\echo 'clone() makes a local copy of a shared diagram, linked to it as well.'
\echo

SELECT diagsync.clone('architecture-shared', 'architecture-colleague',
                      'Architecture of diagsync, a colleague''s copy');

SELECT id, storage_type, public_copy_id FROM diagsync.directory ORDER BY id;

:check('Both local copies are in sync with the shared one.',
       count(*) = 2 AND bool_and(state = 'in_sync'))
  FROM diagsync.status_all()
:end

\echo '4. Both edit, each something else'
\echo '================================='
\echo 'Entities are edited with plain SQL, or many at once with put() and remove().'
\echo 'You recolor one shape, remove a connection and add a shape with its'
\echo 'connection.'
\echo

UPDATE diagsync_local.entity
   SET doc = doc || '{"color": "#5B2C6F"}'
 WHERE diagram_id = 'architecture' AND id = 'shape-directory';

DELETE FROM diagsync_local.entity
 WHERE diagram_id = 'architecture' AND id = 'link-psql-public-entity';

SELECT diagsync.put('architecture', '[
    {"id": "shape-cron", "type": "entity", "template": "#box-template",
     "text": "nightly job", "color": "#2A6FDB",
     "position": {"x": 0.6, "y": 3.0, "z": 3.0}},
    {"id": "link-cron-prune", "type": "entity",
     "template": "#connection-template", "text": "once a night",
     "color": "#333333", "from": "shape-cron", "to": "shape-prune"}]');

\echo 'Your colleague renames a shape and adds another one.'
\echo

UPDATE diagsync_local.entity
   SET doc = doc || '{"text": "psql, the administrator"}'
 WHERE diagram_id = 'architecture-colleague' AND id = 'shape-psql';

INSERT INTO diagsync_local.entity (diagram_id, id, doc) VALUES
    ('architecture-colleague', 'shape-mobile',
     '{"id": "shape-mobile", "type": "entity", "template": "#sphere-template",
       "text": "mobile app", "color": "#2A6FDB",
       "position": {"x": -0.6, "y": 3.4, "z": 3.0}}');

\echo
\echo 'status_all() compares every linked diagram with its shared copy; it only'
\echo 'reads. Nobody has pushed yet, so that neither sees anything of the other.'
\echo

SELECT local_id, state, local_changes, public_changes, conflicts
  FROM diagsync.status_all();

:check('You changed four entities, your colleague two, and nothing conflicts.',
       array_agg((local_changes, public_changes, conflicts)::text ORDER BY local_id)
       = '{"(4,0,0)","(2,0,0)"}')
  FROM diagsync.status_all()
:end

\echo 'changes() names them: what each side did since both last agreed.'
\echo

SELECT entity_id, side, local_change, public_change
  FROM diagsync.changes('architecture');

:check('Two inserts, one update and one deletion, all yours.',
       count(*) = 4 AND bool_and(side = 'local')
       AND array_agg(local_change ORDER BY local_change)
           = '{delete,insert,insert,update}')
  FROM diagsync.changes('architecture')
:end

\echo 'A dry run says what a push would do, and changes nothing.'
\echo

SELECT * FROM diagsync.push('architecture', dry_run => true) \gx

\echo 'Its plan is a digest of exactly that. Given as expected_plan, the push does'
\echo 'what the dry run showed, or nothing. psql keeps it in a variable.'
\echo

SELECT plan FROM diagsync.push('architecture', dry_run => true) \gset
\echo 'plan =' :plan
\echo

:check('The dry run promised four entities and wrote none.',
       r.success AND r.plan = :'plan'
       AND (r.documents_updated, r.inserted, r.updated, r.deleted) = (4, 2, 1, 1)
       AND s.local_changes = 4)
  FROM diagsync.push('architecture', dry_run => true) AS r,
       diagsync.status('architecture') AS s
:end

SELECT * FROM diagsync.push('architecture',
                            expected_plan => :'plan') \gx

:check('Nothing is left to push.', state = 'in_sync')
  FROM diagsync.status('architecture')
:end

:check('The shared copy holds your edits.',
       count(*) FILTER (WHERE id IN ('shape-cron', 'link-cron-prune')) = 2
       AND count(*) FILTER (WHERE id = 'link-psql-public-entity') = 0
       AND count(*) FILTER (WHERE id = 'shape-directory'
                              AND doc->>'color' = '#5B2C6F') = 1)
  FROM diagsync_public.entity WHERE diagram_id = 'architecture-shared'
:end

\echo 'Your colleague now has changes of both sides, on different entities.'
\echo

SELECT entity_id, side, local_change, public_change, conflict
  FROM diagsync.changes('architecture-colleague');

:check('Two local changes, four public ones, no conflict.',
       (local_changes, public_changes, conflicts) = (2, 4, 0))
  FROM diagsync.status('architecture-colleague')
:end

\echo 'A plan can be out of date. Your colleague looks at what a push would do,'
\echo 'then edits one more shape. The old plan is no longer what the push would do,'
\echo 'so nothing is written: success is false, and the new figures and the new'
\echo 'plan are the answer.'
\echo

SELECT plan AS old_plan
  FROM diagsync.push('architecture-colleague', dry_run => true) \gset
\echo 'old_plan =' :old_plan
\echo

UPDATE diagsync_local.entity
   SET doc = doc || '{"color": "#17406D"}'
 WHERE diagram_id = 'architecture-colleague' AND id = 'shape-backend';

SELECT * FROM diagsync.push('architecture-colleague',
                            expected_plan => :'old_plan') \gx

:check('The push with the old plan wrote nothing.', local_changes = 3)
  FROM diagsync.status('architecture-colleague')
:end

\echo 'A push sends local changes and leaves the public ones for the next pull;'
\echo 'a pull does the reverse. Neither has to come first.'
\echo

SELECT * FROM diagsync.push('architecture-colleague') \gx

SELECT * FROM diagsync.pull('architecture-colleague') \gx

\echo 'You pull what your colleague pushed.'
\echo

SELECT * FROM diagsync.pull('architecture') \gx

SELECT local_id, state, local_changes, public_changes, conflicts
  FROM diagsync.status_all();

:check('Both local copies are in sync with the shared one.',
       count(*) = 2 AND bool_and(state = 'in_sync'))
  FROM diagsync.status_all()
:end

:check('You have what your colleague made.',
       count(*) = 3)
  FROM diagsync_local.entity
 WHERE diagram_id = 'architecture'
   AND ((id = 'shape-mobile')
        OR (id = 'shape-psql' AND doc->>'text' = 'psql, the administrator')
        OR (id = 'shape-backend' AND doc->>'color' = '#17406D'))
:end

\echo '5. Both edit the same entities'
\echo '=============================='
\echo 'Your colleague recolors some shapes, renames a connection, removes another,'
\echo 'adds a shape, and pushes.'
\echo

UPDATE diagsync_local.entity
   SET doc = doc || '{"color": "#1F618D"}'
 WHERE diagram_id = 'architecture-colleague'
   AND id IN ('shape-candidates', 'shape-lock', 'shape-prune', 'shape-seen',
              'shape-classify');

UPDATE diagsync_local.entity
   SET doc = doc || '{"text": "fills the new copy"}'
 WHERE diagram_id = 'architecture-colleague' AND id = 'link-clone-local-entity';

DELETE FROM diagsync_local.entity
 WHERE diagram_id = 'architecture-colleague' AND id = 'link-share-directory';

SELECT diagsync.put('architecture-colleague', '[
    {"id": "shape-proxy", "type": "entity", "template": "#box-template",
     "text": "nginx", "color": "#1B998B",
     "position": {"x": -1.2, "y": 3.2, "z": 3.0}}]');

SELECT success, documents_updated, conflicts
  FROM diagsync.push('architecture-colleague');

\echo 'Meanwhile you write the names of the same shapes in capitals, remove the'
\echo 'connection that your colleague renamed, rename the one that your colleague'
\echo 'removed, and add another shape under the same id.'
\echo

UPDATE diagsync_local.entity
   SET doc = doc || jsonb_build_object('text', upper(doc->>'text'))
 WHERE diagram_id = 'architecture'
   AND id IN ('shape-candidates', 'shape-lock', 'shape-prune', 'shape-seen',
              'shape-classify');

DELETE FROM diagsync_local.entity
 WHERE diagram_id = 'architecture' AND id = 'link-clone-local-entity';

UPDATE diagsync_local.entity
   SET doc = doc || '{"text": "records the link"}'
 WHERE diagram_id = 'architecture' AND id = 'link-share-directory';

SELECT diagsync.put('architecture', '[
    {"id": "shape-proxy", "type": "entity", "template": "#box-template",
     "text": "load balancer", "color": "#1B998B",
     "position": {"x": -0.6, "y": 3.2, "z": 3.0}}]');

\echo 'A push that meets conflicts is not an error. It answers how many there are,'
\echo 'and writes nothing.'
\echo

SELECT * FROM diagsync.push('architecture') \gx

SELECT local_id, state, local_changes, public_changes, conflicts
  FROM diagsync.status('architecture');

:check('Eight entities conflict, and the push left all of them alone.',
       (state, local_changes, public_changes, conflicts) = ('conflict', 8, 8, 8))
  FROM diagsync.status('architecture')
:end

\echo 'conflicts() shows them. The kind names your side first.'
\echo

SELECT entity_id, local_change, public_change, conflict, paths
  FROM diagsync.conflicts('architecture');

:check('The four kinds of conflict are all there.',
       array_agg(conflict ORDER BY entity_id)
       = '{delete_update,update_delete,update_update,update_update,update_update,insert_insert,update_update,update_update}')
  FROM diagsync.conflicts('architecture')
:end

\echo 'Each comes with its three versions: what both sides last agreed on (base),'
\echo 'yours (local), and the shared one (public).'
\echo

SELECT entity_id,
       concat_ws(' ', base->>'text', base->>'color') AS base,
       concat_ws(' ', local->>'text', local->>'color') AS local,
       concat_ws(' ', public->>'text', public->>'color') AS public
  FROM diagsync.conflicts('architecture')
 WHERE entity_id LIKE 'shape-%';

\echo 'This is one of them in full. version is a digest of the three documents; it'
\echo 'serves further down.'
\echo

SELECT entity_id, local_change, public_change, conflict, paths,
       jsonb_pretty(base) AS base, local, jsonb_pretty(public) AS public,
       local_modified_at, local_modified_by,
       public_modified_at, public_modified_by, version
  FROM diagsync.conflicts('architecture')
 WHERE entity_id = 'link-clone-local-entity' \gx

:check('Each side says when it changed an entity, and who did.',
       count(*) = 8
       AND bool_and(local_modified_at IS NOT NULL AND local_modified_by IS NOT NULL)
       AND bool_and(public_modified_at IS NOT NULL AND public_modified_by IS NOT NULL))
  FROM diagsync.conflicts('architecture')
:end

\echo '6. Resolving conflicts one by one'
\echo '================================='
\echo 'resolve() settles one conflict and returns the entity as it is afterwards.'
\echo 'A resolution changes your copy only; the next push sends what is left.'
\echo
\echo 'local keeps your version. It is an ordinary local change now, on top of the'
\echo 'shared version.'
\echo

SELECT entity_id, side, local_change, public_change, conflict
  FROM diagsync.resolve('architecture', 'shape-classify', 'local');

:check('Your version stayed, as a change on top of the shared one.',
       bool_and(side = 'local' AND local_change = 'update' AND conflict IS NULL
                AND base = public AND local->>'text' = 'CLASSIFY'))
  FROM diagsync.changes('architecture') WHERE entity_id = 'shape-classify'
:end

\echo 'public takes the shared version. Nothing is left to sync, so side is empty.'
\echo

SELECT entity_id, side, local_change, public_change, conflict,
       local->>'text' AS text, local->>'color' AS color
  FROM diagsync.resolve('architecture', 'shape-lock', 'public');

:check('Your copy holds the shared version.', bool_and(l.doc = p.doc))
  FROM diagsync_local.entity AS l
  JOIN diagsync_public.entity AS p USING (id)
 WHERE l.diagram_id = 'architecture' AND p.diagram_id = 'architecture-shared'
   AND id = 'shape-lock'
:end

\echo 'both keeps both: the shared version keeps the id, yours is inserted beside it'
\echo 'under a new one. The row returned is the one under the new id.'
\echo

SELECT entity_id AS new_id, side, local_change, local->>'text' AS text
  FROM diagsync.resolve('architecture', 'shape-proxy', 'both');

SELECT id, doc->>'id' AS "doc.id", doc->>'text' AS text
  FROM diagsync_local.entity
 WHERE diagram_id = 'architecture' AND doc->>'text' IN ('nginx', 'load balancer')
 ORDER BY text DESC;

:check('Both shapes are there, each with its own id in its document.',
       count(*) = 2 AND bool_and(doc->>'id' = id)
       AND bool_and((id = 'shape-proxy') = (doc->>'text' = 'nginx')))
  FROM diagsync_local.entity
 WHERE diagram_id = 'architecture' AND doc->>'text' IN ('nginx', 'load balancer')
:end

\echo 'newest takes the version that was edited last. Here that is yours.'
\echo

SELECT entity_id, side, local_change, local->>'text' AS text,
       local_modified_at > public_modified_at AS local_is_newer
  FROM diagsync.resolve('architecture', 'shape-candidates', 'newest');

:check('The later version stayed.', bool_and(doc->>'text' = 'CANDIDATES'))
  FROM diagsync_local.entity
 WHERE diagram_id = 'architecture' AND id = 'shape-candidates'
:end

\echo 'merged takes a document that you bring: here your text with the color of'
\echo 'the shared version.'
\echo

SELECT local || jsonb_build_object('color', public->'color') AS merged_doc
  FROM diagsync.conflicts('architecture')
 WHERE entity_id = 'shape-seen' \gset
\echo

SELECT entity_id, side, local_change, local->>'text' AS text,
       local->>'color' AS color
  FROM diagsync.resolve('architecture', 'shape-seen', 'merged',
                        doc => :'merged_doc');

:check('The merged shape has your text and the shared color.',
       bool_and(doc->>'text' = 'SEEN' AND doc->>'color' = '#1F618D'))
  FROM diagsync_local.entity
 WHERE diagram_id = 'architecture' AND id = 'shape-seen'
:end

\echo 'A deletion against an edit is a conflict like the others. You removed a'
\echo 'connection that your colleague renamed; with public it comes back.'
\echo

SELECT entity_id, side, local_change, public_change, local->>'text' AS text
  FROM diagsync.resolve('architecture', 'link-clone-local-entity', 'public');

\echo 'Your colleague removed one that you renamed; with local it stays, and since'
\echo 'the shared copy has none, it is an insert for the next push.'
\echo

SELECT entity_id, side, local_change, public_change, local->>'text' AS text
  FROM diagsync.resolve('architecture', 'link-share-directory', 'local');

:check('Both connections are in your copy.',
       count(*) = 2)
  FROM diagsync_local.entity
 WHERE diagram_id = 'architecture'
   AND (id, doc->>'text') IN (('link-clone-local-entity', 'fills the new copy'),
                              ('link-share-directory', 'records the link'))
:end

\echo 'Somebody may edit an entity while you look at its conflict. Given the version'
\echo 'that you were shown as expected, resolve() decides on that or not at all.'
\echo

SELECT version FROM diagsync.conflicts('architecture')
 WHERE entity_id = 'shape-prune' \gset
\echo 'version =' :version
\echo

\echo 'Before you decide, your colleague edits the shape again and pushes.'
\echo

UPDATE diagsync_local.entity
   SET doc = doc || '{"color": "#B03A2E"}'
 WHERE diagram_id = 'architecture-colleague' AND id = 'shape-prune';

SELECT success, documents_updated, conflicts
  FROM diagsync.push('architecture-colleague');

\echo 'So nothing is written, and the entity comes back as it is now.'
\echo

SELECT entity_id, conflict, public->>'color' AS public_color,
       version = :'version' AS as_shown
  FROM diagsync.resolve('architecture', 'shape-prune', 'local',
                        expected => :'version');

:check('The conflict is still there.', count(*) = 1)
  FROM diagsync.conflicts('architecture') WHERE entity_id = 'shape-prune'
:end

\echo 'You look again, and decide on what you see now.'
\echo

SELECT version FROM diagsync.conflicts('architecture')
 WHERE entity_id = 'shape-prune' \gset
\echo 'version =' :version
\echo

SELECT entity_id, side, local_change, conflict
  FROM diagsync.resolve('architecture', 'shape-prune', 'local',
                        expected => :'version');

SELECT local_id, state, local_changes, public_changes, conflicts
  FROM diagsync.status('architecture');

:check('No conflict is left; six changes wait for a push.',
       (state, local_changes, public_changes, conflicts) = ('pending', 6, 0, 0))
  FROM diagsync.status('architecture')
:end

\echo 'The push sends them, your colleague pulls them, and no resolved conflict'
\echo 'comes back.'
\echo

SELECT * FROM diagsync.push('architecture') \gx

SELECT * FROM diagsync.pull('architecture-colleague') \gx

:check('Both local copies are in sync with the shared one.',
       count(*) = 2 AND bool_and(state = 'in_sync'))
  FROM diagsync.status_all()
:end

\echo '7. Conflicts settled by a rule'
\echo '=============================='
\echo 'A sync can be told what to do about conflicts: on_conflict is abort, skip,'
\echo 'local, public, both or newest. You and your colleague edit two shapes each,'
\echo 'the same ones, and you edit a third.'
\echo

UPDATE diagsync_local.entity
   SET doc = doc || '{"text": "web browser"}'
 WHERE diagram_id = 'architecture-colleague' AND id = 'shape-browser';

UPDATE diagsync_local.entity
   SET doc = doc || '{"text": "PostgREST, the REST server"}'
 WHERE diagram_id = 'architecture-colleague' AND id = 'shape-postgrest';

SELECT success, documents_updated, conflicts
  FROM diagsync.push('architecture-colleague');

UPDATE diagsync_local.entity
   SET doc = jsonb_set(doc, '{color}', '"#0E6655"')
 WHERE diagram_id = 'architecture'
   AND id IN ('shape-browser', 'shape-postgrest', 'shape-status');

\echo
\echo 'skip leaves the conflicting entities as they are on both ends and syncs the'
\echo 'rest. success is false, because conflicts are left.'
\echo

SELECT * FROM diagsync.push('architecture', on_conflict => 'skip') \gx

:check('The third shape was sent, the two others still conflict.',
       bool_and((s.local_changes, s.public_changes, s.conflicts) = (2, 2, 2)
                AND p.doc->>'color' = '#0E6655'))
  FROM diagsync.status('architecture') AS s,
       diagsync_public.entity AS p
 WHERE p.diagram_id = 'architecture-shared' AND p.id = 'shape-status'
:end

\echo 'Your colleague edits one of the two once more and pushes. Of that shape the'
\echo 'shared version is the newer one now, of the other yours is.'
\echo

UPDATE diagsync_local.entity
   SET doc = doc || '{"text": "any web browser"}'
 WHERE diagram_id = 'architecture-colleague' AND id = 'shape-browser';

SELECT success, documents_updated, conflicts
  FROM diagsync.push('architecture-colleague');

\echo 'With newest each conflict goes to the version that was edited last, in the'
\echo 'same call.'
\echo

SELECT * FROM diagsync.push('architecture', on_conflict => 'newest') \gx

SELECT id, l.doc->>'text' AS text, l.doc->>'color' AS color,
       l.doc = p.doc AS same_in_shared_copy
  FROM diagsync_local.entity AS l
  JOIN diagsync_public.entity AS p USING (id)
 WHERE l.diagram_id = 'architecture' AND p.diagram_id = 'architecture-shared'
   AND id IN ('shape-browser', 'shape-postgrest')
 ORDER BY id;

:check('The shared version of the browser won, and yours of PostgREST.',
       count(*) = 2 AND bool_and(l.doc = p.doc)
       AND bool_and((id = 'shape-browser') = (l.doc->>'text' = 'any web browser'))
       AND bool_and((id = 'shape-postgrest') = (l.doc->>'color' = '#0E6655')))
  FROM diagsync_local.entity AS l
  JOIN diagsync_public.entity AS p USING (id)
 WHERE l.diagram_id = 'architecture' AND p.diagram_id = 'architecture-shared'
   AND id IN ('shape-browser', 'shape-postgrest')
:end

:check('Your copy and the shared one agree.', state = 'in_sync')
  FROM diagsync.status('architecture')
:end

\echo '8. What was undone is no change'
\echo '==============================='
\echo 'Contents decide. An edit that is taken back, and an entity that is deleted'
\echo 'and put back as it was, leave nothing to sync.'
\echo

UPDATE diagsync_local.entity
   SET doc = doc || '{"color": "#000000"}'
 WHERE diagram_id = 'architecture' AND id = 'shape-mobile';

SELECT doc AS connection FROM diagsync_local.entity
 WHERE diagram_id = 'architecture' AND id = 'link-push-classify' \gset
\echo

SELECT diagsync.remove('architecture', '{link-push-classify}');

SELECT entity_id, side, local_change FROM diagsync.changes('architecture');

:check('Two changes wait.', local_changes = 2)
  FROM diagsync.status('architecture')
:end


UPDATE diagsync_local.entity
   SET doc = doc || '{"color": "#2A6FDB"}'
 WHERE diagram_id = 'architecture' AND id = 'shape-mobile';

INSERT INTO diagsync_local.entity (diagram_id, id, doc)
VALUES ('architecture', 'link-push-classify', :'connection');

SELECT local_id, state, local_changes, public_changes, conflicts
  FROM diagsync.status('architecture');

:check('No change is left.', state = 'in_sync' AND local_changes = 0)
  FROM diagsync.status('architecture')
:end

\echo '9. Property by property'
\echo '======================='
\echo 'A merge policy makes it finer: edits of different properties merge, noise is no'
\echo 'change, and no connection is left without its end. There are presets for known'
\echo 'formats; set_merge_policy() returns what the preset means.'
\echo

SELECT jsonb_pretty(diagsync.set_merge_policy('architecture',
                                              '{"preset": "immersive"}')) AS policy;

SELECT diagsync.set_merge_policy('architecture-colleague',
                                 '{"preset": "immersive"}') ->> 'granularity' AS granularity;

\echo 'First both of you take what the other did. Then your colleague moves a shape,'
\echo 'and draws a connection to another one; you recolor the first, and remove the'
\echo 'second.'
\echo

SELECT success, documents_updated FROM diagsync.push('architecture');

SELECT success, documents_updated FROM diagsync.pull('architecture-colleague');

UPDATE diagsync_local.entity
   SET doc = jsonb_set(doc, '{position,y}', '2.2')
 WHERE diagram_id = 'architecture-colleague' AND id = 'shape-backend';

SELECT diagsync.put('architecture-colleague', '[
    {"id": "link-mobile-cron", "type": "entity",
     "template": "#connection-template", "text": "is told of",
     "color": "#333333", "from": "shape-mobile", "to": "shape-cron"}]');

SELECT success, documents_updated FROM diagsync.push('architecture-colleague');

UPDATE diagsync_local.entity
   SET doc = doc || '{"color": "#7D3C98"}'
 WHERE diagram_id = 'architecture' AND id = 'shape-backend';

SELECT diagsync.remove('architecture', '{shape-cron,link-cron-prune}');

SELECT entity_id, local_change, public_change, conflict, paths
  FROM diagsync.changes('architecture');

:check('The shape that both edited is no conflict; the connection to what you removed is.',
       array_agg(format('%s %s', entity_id, conflict) ORDER BY entity_id COLLATE "C")
       = '{"link-cron-prune ","link-mobile-cron dangling","shape-backend ","shape-cron dangling"}')
  FROM diagsync.changes('architecture')
:end

\echo 'You see that your colleague needs the shape, and keep it.'
\echo

SELECT entity_id, side, conflict, local->>'text' AS text
  FROM diagsync.resolve('architecture', 'shape-cron', 'public');

SELECT * FROM diagsync.push('architecture') \gx

:check('The shape has its new place and its new color, on both ends.',
       count(*) = 2 AND bool_and(doc @> '{"color": "#7D3C98", "position": {"y": 2.2}}'))
  FROM diagsync.entity
 WHERE diagram_id IN ('architecture', 'architecture-shared') AND id = 'shape-backend'
:end

\echo '10. Level'
\echo '========='
\echo 'A last push and pull on each side:'
\echo

SELECT success, documents_updated, inserted, updated, deleted
  FROM diagsync.push('architecture');

SELECT success, documents_updated, inserted, updated, deleted
  FROM diagsync.pull('architecture-colleague');

SELECT success, documents_updated, inserted, updated, deleted
  FROM diagsync.push('architecture-colleague');

SELECT success, documents_updated, inserted, updated, deleted
  FROM diagsync.pull('architecture');

SELECT local_id, state, local_changes, public_changes, conflicts
  FROM diagsync.status_all();

:check('Both local copies are in sync with the shared one.',
       count(*) = 2 AND bool_and(state = 'in_sync'))
  FROM diagsync.status_all()
:end

\echo 'The three copies side by side, without diagsync''s help:'
\echo

SELECT count(yours.id) AS yours, count(shared.id) AS shared,
       count(theirs.id) AS colleagues,
       count(*) FILTER (WHERE yours.doc IS DISTINCT FROM shared.doc
                           OR theirs.doc IS DISTINCT FROM shared.doc) AS differences
  FROM (SELECT id, doc FROM diagsync_public.entity
         WHERE diagram_id = 'architecture-shared') AS shared
  FULL JOIN (SELECT id, doc FROM diagsync_local.entity
              WHERE diagram_id = 'architecture') AS yours USING (id)
  FULL JOIN (SELECT id, doc FROM diagsync_local.entity
              WHERE diagram_id = 'architecture-colleague') AS theirs USING (id);

:check('All three copies hold the same entities.',
       count(*) > 0
       AND bool_and(yours.doc IS NOT DISTINCT FROM shared.doc)
       AND bool_and(theirs.doc IS NOT DISTINCT FROM shared.doc))
  FROM (SELECT id, doc FROM diagsync_public.entity
         WHERE diagram_id = 'architecture-shared') AS shared
  FULL JOIN (SELECT id, doc FROM diagsync_local.entity
              WHERE diagram_id = 'architecture') AS yours USING (id)
  FULL JOIN (SELECT id, doc FROM diagsync_local.entity
              WHERE diagram_id = 'architecture-colleague') AS theirs USING (id)
:end

\set ECHO none
SELECT count(*) AS claims FROM claim \gset
\echo 'The demo is over; all' :claims 'claims held. To try it yourself, with this diagram'
\echo 'loaded into a server of its own that is gone when you leave it, type'
\echo
\echo '    make playground'
