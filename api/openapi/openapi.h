/* The description of the API for programs: api/openapi, made part of the binary.
 *
 * Layer: api. Thread rule: a constant.
 */
#ifndef CUTOUTD_API_OPENAPI_OPENAPI_H
#define CUTOUTD_API_OPENAPI_OPENAPI_H

/* OpenAPI 3.1 as JSON text. */
extern const char openapi_json[];

#endif
