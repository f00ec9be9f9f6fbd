/* Names and addresses of machines as URLs and the header Host have them.
 *
 * Layer: core/base. Thread rule: pure functions on their arguments.
 */
#ifndef CUTOUTD_CORE_BASE_HOST_H
#define CUTOUTD_CORE_BASE_HOST_H

#include <stdbool.h>
#include <stddef.h>

enum { HOST_SIZE = 256 };

/* Takes "name", "name:8080", "127.0.0.1:80", "[::1]:8080" (n_bytes) apart. ret_host is in lower
 * case, without brackets and without a dot at its end; *ret_port is -1 when none was given. False:
 * it is none of these; nothing is returned. */
bool host_split(const char *text, size_t n_bytes, char ret_host[HOST_SIZE], int *ret_port);

/* Whether a host as host_split gives it is this machine for sure, whatever a name server says:
 * localhost, a name that ends with .localhost (RFC 6761), 127.0.0.0/8, ::1. */
bool host_is_loopback(const char *host);

/* Whether a host as host_split gives it stands in a list of hosts, separated by blanks and commas
 * ("lab.example.org, fd00::7"); letters compare in either case. */
bool host_is_listed(const char *host, const char *list);

/* Whether a numeric address stands in a list of such, each alone or with a length in bits
 * ("10.0.0.0/8, ::1"); a part that is neither lists nobody. IPv4 addresses that are written as IPv6
 * (::ffff:10.1.2.3) count as IPv4. */
bool host_address_is_listed(const char *address, const char *list);

/* The first part of `list` that is no host, respectively no address with or without a length, into
 * ret_word (cut to fit). False: all are. */
bool host_list_is_wrong(const char *list, char ret_word[HOST_SIZE]);
bool host_address_list_is_wrong(const char *list, char ret_word[HOST_SIZE]);

#endif
