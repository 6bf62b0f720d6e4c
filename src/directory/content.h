/*
 * content.h
 *	  What may be in a document that is written.
 */
#ifndef DIAGSYNC_CONTENT_H
#define DIAGSYNC_CONTENT_H

extern void content_check(const char *diagram, const char *entity, Datum doc,
						  bool limited);

#endif							/* DIAGSYNC_CONTENT_H */
