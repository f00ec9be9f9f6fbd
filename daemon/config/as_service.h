/* What the settings would be for the daemon that a unit starts, and what its user could use of
 * them.
 *
 * Layer: daemon/config. Thread rule: one thread, before there are others (it forks).
 */
#ifndef CUTOUTD_DAEMON_CONFIG_AS_SERVICE_H
#define CUTOUTD_DAEMON_CONFIG_AS_SERVICE_H

#include "daemon/config/config.h"

struct as_service;

/* Reads cutoutd.service with its drop-ins. On success *ret_service is the caller's
 * (as_service_free). Statuses of unit_file_read. */
enum status as_service_read(struct as_service **ret_service, struct error *error);

/* NULL is fine. */
void as_service_free(struct as_service *service);

/* As config_load_all, with the unit's environment and flags (argv comes behind them); tokens that
 * the unit loads as a credential count as they will. The paths of credentials become those of the
 * files that they are loaded from. */
void as_service_load(const struct as_service *service, int argc, char *const *argv,
                     const char *default_file, struct config *ret_config,
                     struct config_problems *ret_problems);

/* As config_check_files, for the unit's user and the directories that it sees. Credentials are read
 * by systemd, which may read everything; the directories that it makes need not be there. Only root
 * can find out what others may use: for anybody else that is a problem of its own. */
void as_service_check_files(const struct as_service *service, const struct config *config,
                            struct config_problems *problems);

#endif
