/*
 * diagsync.c
 *	  The library: what is done when it is loaded.
 *
 * Which file is for what, from the bottom up (lower ones never call higher
 * ones):
 *
 *	  settings.c   settings
 *	  shared.c     what sessions share in memory
 *	  request.c    the PostgREST request that a call is part of
 *	  textarg.c    texts that users give, and how long they may be
 *	  claims.c     what its JWT claims, and whether that is believed
 *	  function.c   what every SQL-callable function begins with
 *	  httperror.c  what a PostgREST request tells of errors
 *	  progress.c   how far a long operation is: progress
 *	  deadlock.c   a sync is the one that gives way in a deadlock
 *	  own.c        which rows diagsync's own commands write
 *	  session.c    what a session remembers between triggers and statements
 *	  storage.c    the tables: names, rows found and locked by key
 *	  asmade.c     what applications have added to the tables
 *	  noted.c      were the books written?
 *	  rowwriter.c  rows updated and deleted without SQL
 *	  attempt.c    work done whole or not at all
 *	  rolecheck.c  whether a role is the one that its name meant
 *	  principal.c  who is asking
 *	  access.c     who may do what with a diagram
 *	  jsonvalue.c  values inside binary jsonb, and objects made of them
 *	  document.c   documents compared by value, digests
 *	  pointer.c    JSON Pointers
 *	  preset.c     merge policies for known formats
 *	  policy.c     merge policies, checked and parsed
 *	  same.c       values compared as a merge policy sees it
 *	  threeway.c   the three-way merge of a document
 *	  reference.c  references to other entities in a document
 *	  seen.c       what a link has seen of its far end
 *	  planning.c   plans that no setting and no statistics have a say in
 *	  command.c    SQL commands of diagsync's own, their plans kept
 *	  rolenote.c   which role a name means: confirm_role
 *	  directory.c  entries of the directory and links
 *	  linkwalk.c   the links of a shared diagram, one after the other
 *	  quota.c      how large entities and diagrams may be, and how many
 *	  content.c    what may be in a document that is written
 *	  ratelimit.c  how many syncs and new diagrams a principal may have in a minute
 *	  synclog.c    the log of syncs
 *	  compare.c    two copies compared in full
 *	  weigh.c      an entity in three versions: what is a change, a conflict
 *	  reader.c     an entity in three versions, read
 *	  candidate.c  the entities that have to be weighed
 *	  mark.c       how much of a shared diagram a reader has seen
 *	  condition.c  conditional requests over HTTP
 *	  effect.c     what a sync does with an entity
 *	  tieset.c     what ties changed entities to each other, sorted
 *	  ties.c       what ties them: references, found among the candidates
 *	  work.c       a sync at work, and the entities that it works on
 *	  listing.c    what a sync would do with its entities
 *	  lock.c       a batch of entities locked
 *	  columns.c    columns of a batch, for the arrays of a command
 *	  apply.c      a batch of entities written
 *	  deletions.c  how many deletions are done unasked
 *
 * and on top of them the functions that users call:
 *
 *	  httpbody.c   bodies of plain writes over HTTP
 *	  httpcall.c   functions called over HTTP
 *	  route.c      what HTTP routes ask: requested_diagram, check_request
 *	  trigger.c    the small triggers of the storage tables
 *	  edits.c      which rows of a statement are edits
 *	  survey.c     what a statement did, as far as its rows tell
 *	  edittime.c   the time of an edit
 *	  bulkbase.c   base rows of many inserted entities
 *	  guard.c      the event trigger that keeps the tables out of inheritance trees
 *	  books.c      the trigger that keeps the books
 *	  diagram.c    create_diagram, drop_diagram, set_storage_type,
 *				   set_merge_policy
 *	  entity.c     put, remove
 *	  link.c       share, clone, link, unlink
 *	  sync.c       push, pull
 *	  preview.c    preview_push, preview_pull
 *	  changes.c    changes, conflicts
 *	  resolve.c    resolve
 *	  merge.c      merge
 *	  status.c     status, status_all
 *	  refresh.c    refresh
 *	  prune.c      prune
 *	  feed.c       changes_since
 *	  member.c     add_member, remove_member, set_owner, create_token,
 *				   revoke_token
 *	  limits.c     limits, set_limits
 *	  rowaccess.c  what the row-level policies ask; access
 *	  usage.c      grant_usage, revoke_usage
 *	  privileges.c what the install script leaves to whom
 */
#include "postgres.h"

#include "fmgr.h"

#include "httperror.h"
#include "planning.h"
#include "session.h"
#include "settings.h"
#include "shared.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	settings_init();
	planning_init();
	session_init();
	shared_init();
	httperror_init();
}
