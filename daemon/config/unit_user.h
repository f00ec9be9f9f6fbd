/* The user of a systemd unit.
 *
 * Layer: daemon/config. Thread rule: one thread; the user and group databases are not thread-safe.
 */
#ifndef CUTOUTD_DAEMON_CONFIG_UNIT_USER_H
#define CUTOUTD_DAEMON_CONFIG_UNIT_USER_H

#include "daemon/config/unit_file.h"

/* Becomes the unit's user for good, with the groups that systemd gives it: that of Group= or else
 * its own, those that list it as a member, and those of SupplementaryGroups=. may_be_made: systemd
 * makes a user that does not exist (DynamicUser=). It is nobody yet: the one that owns state_dir,
 * or any of systemd's range, may do what it will be able to. False: *ret_unknown is the setting
 * that names a user or a group that does not exist; when it is unchanged, errno says why. */
bool unit_user_become(const struct unit_file *unit, bool may_be_made, const char *state_dir,
                      const struct unit_setting **ret_unknown);

#endif
