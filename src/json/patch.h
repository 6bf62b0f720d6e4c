/*
 * patch.h
 *	  JSON Patch (RFC 6902).
 */
#ifndef DIAGSYNC_PATCH_H
#define DIAGSYNC_PATCH_H

#include "json/jsonvalue.h"

/* Most operations of a patch; diff() makes none with more. */
#define PATCH_MAX_OPERATIONS 1000000

/* Bytes of jsonb that all "copy" of a patch may copy together */
#define PATCH_MAX_COPIED (16 * 1024 * 1024)

/* How deep in a document operations may work */
#define PATCH_MAX_DEPTH 1000

extern Jsonb *patch_apply(const Jsonb *doc, const Jsonb *patch);

#endif							/* DIAGSYNC_PATCH_H */
