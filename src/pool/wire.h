/* SPDX-License-Identifier: Apache-2.0 */
/* Postgres's wire protocol 3: messages made, and looked into where the pool must
 * (https://www.postgresql.org/docs/current/protocol-message-formats.html). */
#ifndef WEIR_POOL_WIRE_H
#define WEIR_POOL_WIRE_H

#include <stdint.h>

#include "buffer.h"

enum {
    WIRE_HEADER_BYTES = 5, /* type, length (which counts itself but not the type) */
    WIRE_LENGTH_MAX = 1 << 30,
    WIRE_PROTOCOL_3_0 = 3 << 16,
    WIRE_PROTOCOL_3_2 = 3 << 16 | 2,
    WIRE_CANCEL = 80877102,
    WIRE_SSL = 80877103,
    WIRE_GSS = 80877104,
    STARTUP_BYTES_MAX = 10000, /* as Postgres has it */
};

enum auth_code {
    AUTH_CODE_OK = 0,
    AUTH_CODE_PASSWORD = 3,
    AUTH_CODE_MD5 = 5,
    AUTH_CODE_SASL = 10,
    AUTH_CODE_SASL_CONTINUE = 11,
    AUTH_CODE_SASL_FINAL = 12,
};

static inline uint32_t wire_get_u32(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static inline uint16_t wire_get_u16(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return (uint16_t)(u[0] << 8 | u[1]);
}

static inline void wire_put_u32(char *p, uint32_t value)
{
    p[0] = (char)(value >> 24), p[1] = (char)(value >> 16), p[2] = (char)(value >> 8);
    p[3] = (char)value;
}

/* A message is begun, filled and ended; type 0: none (the startup packet). */
size_t wire_begin(struct buffer *out, char type);
void wire_end(struct buffer *out, size_t begun);
void wire_u32(struct buffer *out, uint32_t value);
void wire_u16(struct buffer *out, uint16_t value);
/* With its NUL. */
void wire_text(struct buffer *out, const char *text);

/* Whole messages. */
void wire_plain(struct buffer *out, char type); /* without a body */
void wire_query(struct buffer *out, const char *sql);
void wire_ask_for_tls(struct buffer *out);
void wire_complete(struct buffer *out, const char *tag);
void wire_ready(struct buffer *out, char status);
void wire_parameter(struct buffer *out, struct slice name, struct slice value);
void wire_auth(struct buffer *out, enum auth_code code, struct slice rest);

/* Describe ('D') or Close ('C') of a statement ('S') or portal ('P'). */
void wire_target(struct buffer *out, char type, char kind, const char *name);

/* What we say ourselves. Texts are ours or came through wire's own checks; NULL: left out. */
struct wire_error {
    const char *sqlstate;
    const char *message, *detail, *hint;
    const char *routine; /* where drivers look at it; else NULL */
};
void wire_error(struct buffer *out, const char *severity, const struct wire_error *error);

/* The same as a message of its own, to be freed; its length is in it. */
char *wire_error_copy(const char *severity, const struct wire_error *error);

/* Of such a message; borrowed. */
struct slice wire_error_body(const char *message);

/* The field of an ErrorResponse's or NoticeResponse's body; ptr NULL when it is not there. */
struct slice wire_error_field(struct slice body, char field);

/* Takes a NUL-terminated text from the front of *rest; false: there is no NUL. */
bool wire_take_text(struct slice *rest, struct slice *ret_text) WARN_UNUSED;
bool wire_take_u32(struct slice *rest, uint32_t *ret_value) WARN_UNUSED;
/* A length and so many bytes, of a Bind or a row; ptr NULL: it is null. False: it is cut short. */
bool wire_take_value(struct slice *rest, struct slice *ret_value) WARN_UNUSED;
/* What stands before the values of a Bind: their formats, two bytes each, and how many there are.
 */
bool wire_take_formats(struct slice *rest, struct slice *ret_formats,
                       uint16_t *ret_count) WARN_UNUSED;
/* The text in a Parse's body after its name; false: text and types do not fill the body. */
bool wire_parse_text(struct slice body, struct slice *ret_text) WARN_UNUSED;

#endif
