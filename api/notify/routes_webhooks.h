/* Webhooks: who is told when something has happened.
 *
 * Layer: api. Thread rule: as api/routes/routes.h.
 */
#ifndef CUTOUTD_API_NOTIFY_ROUTES_WEBHOOKS_H
#define CUTOUTD_API_NOTIFY_ROUTES_WEBHOOKS_H

#include "api/routes/routes.h"

/* routes_webhooks.c */
handler route_webhook_create, route_webhook_list, route_webhook_delete, route_webhook_deliveries,
    route_webhook_test;

#endif
