/* Layer: api. */
#include "api/http/request_id.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

void request_id_choose(const char *wanted, char ret_id[REQUEST_ID_SIZE]) {
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t length = wanted ? strlen(wanted) : 0;
    if (length > 0 && length < REQUEST_ID_SIZE && strspn(wanted, allowed) == length) {
        memcpy(ret_id, wanted, length + 1);
        return;
    }
    unsigned char bytes[12] = {0};
    /* So few bytes never come in part; before the kernel has any they are zeros, which is no harm
     * for a name. */
    (void)!getrandom(bytes, sizeof(bytes), GRND_NONBLOCK);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        (void)snprintf(ret_id + 2 * i, 3, "%02x", bytes[i]);
    }
}
