/* SPDX-License-Identifier: Apache-2.0 */
/* idle_clients PORT COUNT: opens COUNT keep-alive connections to 127.0.0.1:PORT, asks once on each,
 * prints how many were answered, and holds them until stdin ends. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PER_ADDRESS = 20000 }; /* below the range of local ports */

static const char ask[] = "GET /json HTTP/1.1\r\nhost: bench.test\r\n\r\n";

static int open_one(in_addr_t from, uint16_t port)
{
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr.s_addr = from};
    struct sockaddr_in server = {.sin_family = AF_INET,
                                 .sin_port = htons(port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char answer[1024];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (bind(fd, (struct sockaddr *)&local, sizeof(local)) < 0 ||
        connect(fd, (struct sockaddr *)&server, sizeof(server)) < 0 ||
        send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL) < 0 || recv(fd, answer, sizeof(answer), 0) <= 12 ||
        memcmp(answer, "HTTP/1.1 200", 12) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        (void)fprintf(stderr, "usage: idle_clients PORT COUNT\n");
        return 2;
    }
    uint16_t port = (uint16_t)strtoul(argv[1], NULL, 10);
    unsigned long count = strtoul(argv[2], NULL, 10), opened = 0;
    struct rlimit limit = {count + 64, count + 64};
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
        perror("idle_clients: raising the limit of open files");
        return 1;
    }
    for (unsigned long i = 0; i < count; i++)
        opened += open_one(htonl((uint32_t)(INADDR_LOOPBACK + 1 + i / PER_ADDRESS)), port) >= 0;
    (void)printf("%lu\n", opened);
    (void)fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    return opened == count ? 0 : 1;
}
