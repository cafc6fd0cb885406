/* SPDX-License-Identifier: Apache-2.0 */
/* What a client does after the TLS handshake: it has the keys, so that records of any type and
 * length arrive, in pieces, with bytes that are no record between them. A byte chooses what comes,
 * two say how much. What is read must be the data, in order; nothing may follow an error or the
 * end. */
#include "tls_records.c"

#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int pair[2];
static struct tls_records *ours, *theirs;
static struct buffer expected;
static bool over;

static void read_some(size_t cap)
{
    char *text = malloc(cap); /* of its own length, for the sanitizer */
    for (;;) {
        ssize_t got = tls_records_read(ours, text, cap);
        if (over && got > 0)
            abort();
        over = over || (got <= 0 && got != -EAGAIN);
        if (got <= 0)
            break;
        if (buffer_len(&expected) < (size_t)got ||
            memcmp(buffer_slice(&expected).ptr, text, (size_t)got) != 0)
            abort();
        buffer_consume(&expected, (size_t)got);
    }
    free(text);
}

/* One record of it, as the other side would make it. */
static void send_record(int type, const uint8_t *text, size_t len)
{
    AUTO_BUFFER record = {0};
    const struct iovec part = {(void *)(uintptr_t)text, len};
    size_t sealed = seal(theirs, type, &part, 1, 0, &record);
    if (type == TYPE_DATA)
        buffer_append(&expected, text, sealed);
    for (size_t piece = 1 + len % 1000; buffer_len(&record) > 0;) {
        size_t some = piece < buffer_len(&record) ? piece : buffer_len(&record);
        if (send(pair[1], buffer_slice(&record).ptr, some, MSG_DONTWAIT) != (ssize_t)some)
            break;
        buffer_consume(&record, some);
        if (piece < 100)
            read_some(1 + len % 5000);
    }
    if (type == TYPE_HANDSHAKE && len == 5 && memcmp(text, "\x18\0\0\1", 4) == 0 && text[4] <= 1)
        next_secret(theirs->suite, &theirs->out);
}

static void write_some(const uint8_t *text, size_t len)
{
    char ignored[4096];
    const struct iovec part = {(void *)(uintptr_t)text, len};
    (void)tls_records_writev(ours, &part, 1);
    while (recv(pair[1], ignored, sizeof(ignored), MSG_DONTWAIT) > 0)
        ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned char one[TLS_SECRET_BYTES_MAX] = {1}, two[TLS_SECRET_BYTES_MAX] = {2};
    if (size < 4 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0)
        return 0;
    uint16_t suite = (uint16_t)(0x1301 + data[0] % 3);
    ours = tls_records_new(pair[0], suite, one, two);
    theirs = tls_records_new(pair[1], suite, two, one);
    over = false;
    data++, size--;
    while (size >= 3) {
        size_t len = (size_t)data[1] << 8 | data[2];
        int what = data[0];
        data += 3, size -= 3;
        len = len < size ? len : size;
        if (what < 100)
            send_record(TYPE_DATA, data, len);
        else if (what < 130)
            send_record(TYPE_HANDSHAKE, data, len);
        else if (what < 160)
            send_record(TYPE_ALERT, data, len);
        else if (what < 190)
            send_record(what, data, len);
        else if (what < 210)
            (void)send(pair[1], data, len, MSG_DONTWAIT);
        else if (what < 230)
            write_some(data, len);
        read_some(1 + len);
        data += len, size -= len;
    }
    tls_records_shutdown(ours);
    tls_records_free(&ours);
    tls_records_free(&theirs);
    buffer_done(&expected);
    (void)close(pair[0]);
    (void)close(pair[1]);
    return 0;
}
