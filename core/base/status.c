/* Names of the statuses. Layer: core/base. */
#include "core/base/status.h"

const char *status_name(enum status status) {
    switch (status) {
#define X(name)                                                                                    \
    case STATUS_##name:                                                                            \
        return #name;
        STATUS_LIST(X)
#undef X
    }
    return "UNKNOWN";
}
