/*
 * settings.h
 *	  Settings (GUCs) of the extension.
 */
#ifndef DIAGSYNC_SETTINGS_H
#define DIAGSYNC_SETTINGS_H

extern int	settings_batch_size;

#endif							/* DIAGSYNC_SETTINGS_H */
