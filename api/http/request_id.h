/* A name for each request, by which client, answer and log line find each other.
 *
 * Layer: api. Thread rule: any thread.
 */
#ifndef CUTOUTD_API_HTTP_REQUEST_ID_H
#define CUTOUTD_API_HTTP_REQUEST_ID_H

enum { REQUEST_ID_SIZE = 65 };

/* The client's own (NULL: none) when it has up to 64 letters, digits, '.', '_' and '-'; otherwise a
 * random one. */
void request_id_choose(const char *wanted, char ret_id[REQUEST_ID_SIZE]);

#endif
