/* Layer: core/base. */
#include "core/base/host.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char separators[] = ", \t";

/* One part of a list at *list, which moves on behind it; its length, 0 at the end. */
static size_t next_part(const char **list, const char **ret_part) {
    *list += strspn(*list, separators);
    *ret_part = *list;
    size_t n = strcspn(*list, separators);
    *list += n;
    return n;
}

/* Digits only, up to `most`. -1: it is none. */
static int read_number(const char *text, size_t n_bytes, int most) {
    int value = 0;
    for (size_t i = 0; i < n_bytes; i++) {
        if (!isdigit((unsigned char)text[i])) {
            return -1;
        }
        value = value * 10 + (text[i] - '0');
        if (value > most) {
            return -1;
        }
    }
    return n_bytes > 0 ? value : -1;
}

static bool is_name(const char *text, size_t n_bytes) {
    for (size_t i = 0; i < n_bytes; i++) {
        if (!isalnum((unsigned char)text[i]) && !strchr("-._", text[i])) {
            return false;
        }
    }
    return n_bytes > 0 && text[0] != '.';
}

static bool is_v6(const char *text, size_t n_bytes) {
    char address[INET6_ADDRSTRLEN];
    struct in6_addr binary;
    if (n_bytes >= sizeof(address)) {
        return false;
    }
    memcpy(address, text, n_bytes);
    address[n_bytes] = '\0';
    return inet_pton(AF_INET6, address, &binary) == 1;
}

bool host_split(const char *text, size_t n_bytes, char ret_host[HOST_SIZE], int *ret_port) {
    const char *host = text;
    const char *rest = NULL; /* behind the host: nothing, or ":PORT" */
    size_t n_host = 0;
    if (n_bytes > 0 && text[0] == '[') {
        const char *end = memchr(text, ']', n_bytes);
        host = text + 1;
        if (!end || !is_v6(host, (size_t)(end - host))) {
            return false;
        }
        n_host = (size_t)(end - host);
        rest = end + 1;
    } else {
        const char *colon = n_bytes > 0 ? memchr(text, ':', n_bytes) : NULL;
        rest = colon ? colon : text + n_bytes;
        n_host = (size_t)(rest - host);
        n_host -= n_host > 1 && host[n_host - 1] == '.';
        if (!is_name(host, n_host)) {
            return false;
        }
    }
    size_t n_rest = n_bytes - (size_t)(rest - text);
    int port = n_rest > 1 && *rest == ':' ? read_number(rest + 1, n_rest - 1, 65535) : -1;
    /* A colon alone is the default port (RFC 3986, 3.2.3). */
    if (n_host >= HOST_SIZE || (n_rest > 0 && *rest != ':') || (n_rest > 1 && port < 0)) {
        return false;
    }
    for (size_t i = 0; i < n_host; i++) {
        ret_host[i] = (char)tolower((unsigned char)host[i]);
    }
    ret_host[n_host] = '\0';
    *ret_port = port;
    return true;
}

bool host_is_loopback(const char *host) {
    static const char suffix[] = ".localhost";
    size_t n = strlen(host);
    struct in_addr v4;
    struct in6_addr v6;
    if (strcmp(host, "localhost") == 0 ||
        (n >= sizeof(suffix) && strcmp(host + n - strlen(suffix), suffix) == 0)) {
        return true;
    }
    if (inet_aton(host, &v4) == 1) { /* also 127.1 */
        return ntohl(v4.s_addr) >> 24 == 127;
    }
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* A part of a list of hosts: as host_split has it, without port, brackets where one likes. */
static bool read_host(const char *part, size_t n, char ret_host[HOST_SIZE]) {
    int port = -1;
    if (is_v6(part, n)) {
        (void)snprintf(ret_host, HOST_SIZE, "%.*s", (int)n, part);
        for (char *c = ret_host; *c; c++) {
            *c = (char)tolower((unsigned char)*c);
        }
        return true;
    }
    return host_split(part, n, ret_host, &port) && port < 0 && part[n - 1] != ':';
}

bool host_is_listed(const char *host, const char *list) {
    const char *part = NULL;
    for (size_t n = next_part(&list, &part); n > 0; n = next_part(&list, &part)) {
        char listed[HOST_SIZE];
        if (read_host(part, n, listed) && strcmp(host, listed) == 0) {
            return true;
        }
    }
    return false;
}

/* 16 bytes; IPv4 in its IPv6 form. Returns the bits of the length where `text` counts, or -1. */
static int read_address(const char *text, unsigned char ret_bytes[16]) {
    static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    memcpy(ret_bytes, mapped, sizeof(mapped));
    if (inet_pton(AF_INET, text, ret_bytes + sizeof(mapped)) == 1) {
        return 32;
    }
    return inet_pton(AF_INET6, text, ret_bytes) == 1 ? 128 : -1;
}

/* "10.0.0.0/8": the address, and how many of the 128 bits of its IPv6 form count; -1: it is none.
 */
static int read_network(const char *part, size_t n, unsigned char ret_bytes[16]) {
    char text[INET6_ADDRSTRLEN];
    const char *slash = memchr(part, '/', n);
    size_t n_address = slash ? (size_t)(slash - part) : n;
    if (n_address >= sizeof(text)) {
        return -1;
    }
    memcpy(text, part, n_address);
    text[n_address] = '\0';
    int width = read_address(text, ret_bytes);
    int bits = slash ? read_number(slash + 1, n - n_address - 1, width > 0 ? width : 0) : width;
    return width < 0 || bits < 0 ? -1 : 128 - width + bits;
}

static bool begins_alike(const unsigned char a[16], const unsigned char b[16], int bits) {
    int whole = bits / 8;
    int mask = 0xff00 >> bits % 8 & 0xff;
    return memcmp(a, b, (size_t)whole) == 0 &&
           (bits % 8 == 0 || ((a[whole] ^ b[whole]) & mask) == 0);
}

bool host_address_is_listed(const char *address, const char *list) {
    unsigned char wanted[16];
    const char *part = NULL;
    if (read_address(address, wanted) < 0) {
        return false;
    }
    for (size_t n = next_part(&list, &part); n > 0; n = next_part(&list, &part)) {
        unsigned char listed[16];
        int bits = read_network(part, n, listed);
        if (bits >= 0 && begins_alike(wanted, listed, bits)) {
            return true;
        }
    }
    return false;
}

bool host_list_is_wrong(const char *list, char ret_word[HOST_SIZE]) {
    const char *part = NULL;
    for (size_t n = next_part(&list, &part); n > 0; n = next_part(&list, &part)) {
        char host[HOST_SIZE];
        if (!read_host(part, n, host)) {
            (void)snprintf(ret_word, HOST_SIZE, "%.*s", (int)n, part);
            return true;
        }
    }
    return false;
}

bool host_address_list_is_wrong(const char *list, char ret_word[HOST_SIZE]) {
    const char *part = NULL;
    for (size_t n = next_part(&list, &part); n > 0; n = next_part(&list, &part)) {
        unsigned char bytes[16];
        if (read_network(part, n, bytes) < 0) {
            (void)snprintf(ret_word, HOST_SIZE, "%.*s", (int)n, part);
            return true;
        }
    }
    return false;
}
