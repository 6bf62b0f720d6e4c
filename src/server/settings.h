/*
 * settings.h
 *	  Settings (GUCs) of the extension.
 */
#ifndef DIAGSYNC_SETTINGS_H
#define DIAGSYNC_SETTINGS_H

/* Most calls a minute that sync_rate_limit can be set to */
#define SETTINGS_MAX_RATE 60000

/*
 * Most levels that max_depth can be set to: what merging takes with
 * PostgreSQL's default of max_stack_depth, with room for what is around it
 */
#define SETTINGS_MAX_DEPTH 1000

extern int	settings_batch_size;
extern char *settings_trusted_authenticators;
extern char *settings_token;
extern int	settings_sync_rate_limit;
extern int	settings_sync_log_days;
extern int	settings_max_depth;
extern int	settings_max_entity_size;
extern int	settings_max_entities;
extern int	settings_max_put_entities;
extern double settings_max_deleted_fraction;
extern int	settings_max_diagram_size;
extern int	settings_max_owner_size;
extern int	settings_max_diagrams;
extern int	settings_create_rate_limit;
extern int	settings_anonymous_timeout;

extern void settings_init(void);

#endif							/* DIAGSYNC_SETTINGS_H */
