/* Layer: daemon/config. */
#include "daemon/config/unit_user.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "core/base/decimal.h"

enum {
    MOST_WORDS = 64,
    MOST_GROUPS = 256,
    DYNAMIC_FIRST = 61184, /* systemd's range of users that it makes */
    DYNAMIC_LAST = 65519,
};

/* A group by its name or number. False: there is none of that name. */
static bool find_group(const char *name, gid_t *ret_gid) {
    const struct group *group = getgrnam(name);
    int number = 0;
    if (!group && !text_to_int(name, 0, INT32_MAX, &number)) {
        return false;
    }
    *ret_gid = group ? group->gr_gid : (gid_t)number;
    return true;
}

/* A user that exists, by name or number; NULL: there is none. */
static const struct passwd *find_user(const char *name) {
    const struct passwd *user = getpwnam(name);
    int number = 0;
    return !user && text_to_int(name, 0, INT32_MAX, &number) ? getpwuid((uid_t)number) : user;
}

/* The unit's SupplementaryGroups= behind the groups that there are. False: *ret_unknown is a
 * setting that names one that does not exist. */
static bool add_groups(const struct unit_file *unit, gid_t *groups, int *n,
                       const struct unit_setting **ret_unknown) {
    const struct unit_setting *setting = NULL;
    size_t at = unit_file_first(unit, "SupplementaryGroups");
    while ((setting = unit_file_next(unit, "SupplementaryGroups", &at)) != NULL) {
        char *words[MOST_WORDS];
        CLEANUP(free_pointer) char *value = strdup(setting->value);
        size_t n_words = value ? unit_words(value, words, MOST_WORDS) : 0;
        for (size_t i = 0; i < n_words && *n < MOST_GROUPS; i++) {
            if (!find_group(words[i], &groups[*n])) {
                *ret_unknown = setting;
                return false;
            }
            (*n)++;
        }
    }
    return true;
}

bool unit_user_become(const struct unit_file *unit, bool may_be_made, const char *state_dir,
                      const struct unit_setting **ret_unknown) {
    const struct unit_setting *name = unit_file_last(unit, "User");
    const struct unit_setting *own = unit_file_last(unit, "Group");
    const struct passwd *user = name ? find_user(name->value) : NULL;
    gid_t given = 0;
    bool group = own && find_group(own->value, &given);
    bool dynamic = may_be_made && !user;
    gid_t groups[MOST_GROUPS];
    int n = 0;
    if (!dynamic && ((name && !user) || (own && !group))) {
        *ret_unknown = name && !user ? name : own;
        return false;
    }
    if (!user && !dynamic) {
        return true; /* root */
    }
    struct stat state;
    uid_t uid = user ? user->pw_uid : DYNAMIC_LAST;
    gid_t gid = group ? given : user ? user->pw_gid : DYNAMIC_LAST;
    if (!user && stat(state_dir, &state) == 0 && state.st_uid >= DYNAMIC_FIRST &&
        state.st_uid <= DYNAMIC_LAST) {
        uid = state.st_uid;
        gid = group ? gid : state.st_gid;
    }
    if (user) {
        n = MOST_GROUPS;
        if (getgrouplist(user->pw_name, gid, groups, &n) < 0) {
            n = MOST_GROUPS; /* as many as there is room for */
        }
    }
    return add_groups(unit, groups, &n, ret_unknown) && setgroups((size_t)n, groups) == 0 &&
           setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0;
}
