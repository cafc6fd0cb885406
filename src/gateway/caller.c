/* SPDX-License-Identifier: Apache-2.0 */
#include "caller.h"

#include "conn.h"
#include "dispatch.h"
#include "prisma.h"
#include "service_call.h"

bool caller_waits(const struct request *request)
{
    return request->conn || request->call || request->is_event;
}

void caller_respond(struct request *request, int status, struct slice headers, int64_t body_bytes,
                    struct slice body, bool ended)
{
    if (request->conn)
        conn_respond(request->conn, request, status, headers, body_bytes, body, ended);
    else if (request->call)
        service_call_respond(request->call, request, status, headers, body_bytes, body, ended);
    else
        dispatch_credit(request, (uint32_t)body.len);
}

void caller_respond_body(struct request *request, struct slice body, bool ended)
{
    if (request->conn)
        conn_respond_body(request->conn, request, body, ended);
    else if (request->call)
        service_call_respond_body(request->call, body, ended);
    else
        dispatch_credit(request, (uint32_t)body.len);
}

void caller_fail(struct request *request, enum failure failure, struct slice message,
                 struct slice detail)
{
    if (request->conn)
        conn_fail(request->conn, request, failure, message, detail);
    else if (request->call)
        service_call_fail(request->call, request, failure, message, detail);
}

void caller_error(const struct request *request, enum failure failure, struct slice accept,
                  struct slice message, struct slice detail, struct buffer *ret_headers,
                  struct buffer *ret_body)
{
    if (!request->deployment->prisma) {
        error_page_build(failure, request->id, accept, gateway.dev, message, detail, ret_headers,
                         ret_body);
        return;
    }
    error_page_headers(failure, "application/json", ret_headers);
    buffer_append_slice(ret_body, prisma_failure(failure));
}

void caller_request_over(struct request *request)
{
    if (request->conn)
        conn_request_over(request->conn, request);
    else if (request->call)
        service_call_over(request->call, request);
}

void caller_resume_body(struct request *request)
{
    if (request->body_ended)
        return;
    if (request->conn)
        conn_resume_body(request->conn);
    else if (request->call)
        service_call_resume_body(request->call);
}
