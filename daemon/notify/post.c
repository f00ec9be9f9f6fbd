/* Layer: daemon/notify. */
#include "daemon/notify/post.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/host.h"
#include "core/base/text.h"

/* Not of the public network (RFC 6890 and its successors). */
static const char special[] =
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24"
    " 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24"
    " 224.0.0.0/4 240.0.0.0/4 ::/127 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32"
    " 2002::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8";

void post_init(void) {
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

bool post_address_is_special(const char *address) {
    return host_address_is_listed(address, special);
}

static void free_url(CURLU **url) {
    curl_url_cleanup(*url);
}

static bool url_has(CURLU *url, CURLUPart part) {
    char *text = NULL;
    bool has = curl_url_get(url, part, &text, 0) == CURLUE_OK && text[0];
    curl_free(text);
    return has;
}

enum status post_check_url(const char *text, struct error *error) {
    __attribute__((cleanup(free_url))) CURLU *url = curl_url();
    char *scheme = NULL;
    bool good = url && strlen(text) < WEBHOOK_URL_SIZE && text_is_plain(text, strlen(text)) &&
                curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
                curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                (!strcasecmp(scheme, "http") || !strcasecmp(scheme, "https")) &&
                url_has(url, CURLUPART_HOST) && !url_has(url, CURLUPART_USER) &&
                !url_has(url, CURLUPART_PASSWORD) && !url_has(url, CURLUPART_FRAGMENT);
    curl_free(scheme);
    return good ? STATUS_OK
                : error_set(error, STATUS_INVALID,
                            "url must be a whole http or https URL without user, of less than %d "
                            "bytes",
                            WEBHOOK_URL_SIZE);
}

/* ---- one exchange ---- */

struct exchange {
    const struct post *post;
    char refused[INET6_ADDRSTRLEN]; /* the last address that was */
};

/* The address that the name stood for at this moment: a name that changes its mind gains nothing.
 */
static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address) {
    struct exchange *exchange = user;
    char text[INET6_ADDRSTRLEN] = "";
    (void)purpose;
    if (getnameinfo(&address->addr, address->addrlen, text, sizeof(text), NULL, 0,
                    NI_NUMERICHOST) != 0 ||
        (post_address_is_special(text) && !host_address_is_listed(text, exchange->post->allowed))) {
        (void)snprintf(exchange->refused, sizeof(exchange->refused), "%s", text[0] ? text : "?");
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static int is_given_up(void *user, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up) {
    const struct exchange *exchange = user;
    (void)down_total;
    (void)down;
    (void)up_total;
    (void)up;
    return atomic_load(exchange->post->stop);
}

/* The status is all that is of interest. */
static size_t pass_over(char *data, size_t size, size_t n, void *user) {
    (void)data;
    (void)user;
    return size * n;
}

static void free_list(struct curl_slist **list) {
    curl_slist_free_all(*list);
}

static bool add_header(struct curl_slist **list, const char *name, const char *value) {
    char line[MESSAGE_SIZE + 64];
    (void)snprintf(line, sizeof(line), "%s: %s", name, value);
    for (char *c = line; *c; c++) {
        *c = (unsigned char)*c < ' ' ? ' ' : *c;
    }
    struct curl_slist *longer = curl_slist_append(*list, line);
    *list = longer ? longer : *list;
    return longer != NULL;
}

static bool add_headers(struct curl_slist **list, const struct post *post) {
    char delivery[24];
    (void)snprintf(delivery, sizeof(delivery), "%" PRId64, post->delivery);
    return add_header(list, "Content-Type", post->content_type) &&
           add_header(list, "X-Cutoutd-Event", post->event) &&
           add_header(list, "X-Cutoutd-Delivery", delivery) &&
           add_header(list, "X-Cutoutd-Signature", post->signature) &&
           add_header(list, "Expect", "") &&
           (!post->title || add_header(list, "Title", post->title));
}

static void set_options(CURL *curl, struct exchange *exchange, struct curl_slist *headers) {
    const struct post *post = exchange->post;
    (void)curl_easy_setopt(curl, CURLOPT_URL, post->url);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)POST_MOST_S);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)POST_MOST_S);
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "cutoutd/" CUTOUTD_VERSION);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, post->body);
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(post->body));
    (void)curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    (void)curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, exchange);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, pass_over);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, is_given_up);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, exchange);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
}

static void free_curl(CURL **curl) {
    curl_easy_cleanup(*curl);
}

enum status post_send(const struct post *post, int *ret_http_status, struct error *error) {
    __attribute__((cleanup(free_curl))) CURL *curl = curl_easy_init();
    __attribute__((cleanup(free_list))) struct curl_slist *headers = NULL;
    struct exchange exchange = {.post = post};
    long http_status = 0;
    *ret_http_status = 0;
    if (!curl || !add_headers(&headers, post)) {
        return error_set(error, STATUS_IO, "no memory to send");
    }
    set_options(curl, &exchange, headers);
    CURLcode code = curl_easy_perform(curl);
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &http_status);
    *ret_http_status = (int)http_status;
    if (code == CURLE_ABORTED_BY_CALLBACK) {
        return error_set(error, STATUS_STOPPED, "the daemon stops");
    }
    if (code != CURLE_OK && exchange.refused[0]) {
        return error_set(error, STATUS_IO,
                         "%s is loopback or private: name it in webhook_addresses of the config",
                         exchange.refused);
    }
    if (code != CURLE_OK) {
        return error_set(error, STATUS_IO, "%s", curl_easy_strerror(code));
    }
    return http_status / 100 == 2 ? STATUS_OK
                                  : error_set(error, STATUS_IO, "it answered %ld%s", http_status,
                                              http_status / 100 == 3 ? ", and redirects are not "
                                                                       "followed"
                                                                     : "");
}
