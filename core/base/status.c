/* Names, texts and HTTP codes of the statuses. Layer: core/base. */
#include "core/base/status.h"

const char *status_name(enum status status) {
    switch (status) {
#define X(name, text, http)                                                                        \
    case STATUS_##name:                                                                            \
        return #name;
        STATUS_LIST(X)
#undef X
    }
    return "UNKNOWN";
}

const char *status_text(enum status status) {
    switch (status) {
#define X(name, text, http)                                                                        \
    case STATUS_##name:                                                                            \
        return text;
        STATUS_LIST(X)
#undef X
    }
    return "unknown status";
}

int status_http(enum status status) {
    switch (status) {
#define X(name, text, http)                                                                        \
    case STATUS_##name:                                                                            \
        return http;
        STATUS_LIST(X)
#undef X
    }
    return 500;
}
