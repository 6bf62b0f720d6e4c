/*
 * preset.h
 *	  Merge policies for known formats.
 */
#ifndef DIAGSYNC_PRESET_H
#define DIAGSYNC_PRESET_H

extern const char *preset_policy(const char *name);
extern const char *preset_names(void);

#endif							/* DIAGSYNC_PRESET_H */
