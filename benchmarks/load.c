/* The other end of the echo rows: sends messages and reads them back.
 *
 *     load CORE CONTROL_PORT FAMILY ADDRESS CONNECTIONS SIZE [ANSWER]
 *
 * FAMILY is "tcp", "tls" or "udp", with a port of 127.0.0.1 as ADDRESS, or
 * "unix", with a path. TLS is that of the libssl.so.3 that is found at run
 * time; it believes every certificate. An answer has as many bytes as a message, unless ANSWER says
 * otherwise. Datagrams are numbered; one that was lost is sent again. Once all connections are made it reads lines from the control port:
 * each is a number of echoes, shared by all connections, and is answered by
 * the same line when they are done. Ends when the control connection does. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "openssl.h"

typedef struct {
    int fd;
    void *ssl; /* NULL without TLS */
    size_t to_send;
    size_t to_receive;
    int wants_out;   /* registered for EPOLLOUT */
    uint64_t number; /* of the datagram that was sent last */
} Connection;

/* After so long without any answer a datagram counts as lost. */
#define LOST_MS 20

static int epfd;
static size_t size, answer;
static int datagrams;
static char *message;
static char scratch[1 << 18];
static long unstarted; /* echoes of this order that no connection began */
static long unfinished;

static void
fail(const char *what)
{
    perror(what);
    exit(1);
}

static void *tls_context;

static void *
shake_hands(int fd)
{
    void *ssl = tls.SSL_new(tls_context);
    tls.SSL_ctrl(ssl, SSL_CTRL_MODE, SSL_PARTIAL_AND_MOVING_WRITES, NULL);
    if (!tls.SSL_set_fd(ssl, fd) || tls.SSL_connect(ssl) != 1) {
        fail("SSL_connect");
    }
    return ssl;
}

/* What send() and recv() would return. */
static ssize_t
of_tls(const Connection *connection, int result)
{
    if (result > 0) {
        return result;
    }
    int error = tls.SSL_get_error(connection->ssl, result);
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE
                ? EAGAIN
                : EPROTO;
    return -1;
}

static ssize_t
transmit(const Connection *connection)
{
    if (connection->ssl == NULL) {
        return send(connection->fd, message, connection->to_send, 0);
    }
    return of_tls(connection, tls.SSL_write(connection->ssl, message,
                                            (int)connection->to_send));
}

static ssize_t
collect(const Connection *connection)
{
    if (connection->ssl == NULL) {
        return recv(connection->fd, scratch, sizeof(scratch), 0);
    }
    return of_tls(connection,
                  tls.SSL_read(connection->ssl, scratch, sizeof(scratch)));
}

static int
connect_to(const char *family, const char *address)
{
    int fd;
    if (strcmp(family, "unix") == 0) {
        struct sockaddr_un name = {.sun_family = AF_UNIX};
        strncpy(name.sun_path, address, sizeof(name.sun_path) - 1);
        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        if (fd < 0 || connect(fd, (void *)&name, sizeof(name)) < 0) {
            fail("connect");
        }
        return fd;
    }
    struct sockaddr_in name = {.sin_family = AF_INET};
    name.sin_port = htons((unsigned short)atoi(address));
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int type = strcmp(family, "udp") == 0 ? SOCK_DGRAM : SOCK_STREAM;
    fd = socket(AF_INET, type, 0);
    if (fd < 0 || connect(fd, (void *)&name, sizeof(name)) < 0) {
        fail("connect");
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

static void
watch(Connection *connection, int operation, int out)
{
    struct epoll_event event = {.data.ptr = connection};
    event.events = EPOLLIN | (out ? (unsigned)EPOLLOUT : 0u);
    if (epoll_ctl(epfd, operation, connection->fd, &event) < 0) {
        fail("epoll_ctl");
    }
    connection->wants_out = out;
}

static void
send_more(Connection *connection)
{
    while (connection->to_send > 0) {
        if (datagrams) {
            memcpy(message, &connection->number, sizeof(uint64_t));
        }
        ssize_t sent = transmit(connection);
        if (sent < 0) {
            if (errno != EAGAIN) {
                fail("send");
            }
            break;
        }
        connection->to_send -= (size_t)sent;
    }
    int out = connection->to_send > 0;
    if (out != connection->wants_out) {
        watch(connection, EPOLL_CTL_MOD, out);
    }
}

static void
begin_echo(Connection *connection)
{
    if (unstarted > 0) {
        unstarted--;
        connection->to_send = size;
        connection->to_receive = answer;
        connection->number++;
        send_more(connection);
    }
}

/* Returns 0 where there is nothing. */
static int
receive_some(Connection *connection)
{
    ssize_t got = collect(connection);
    if (got <= 0) {
        if (got < 0 && errno == EAGAIN) {
            return 0;
        }
        fail("recv");
    }
    uint64_t number;
    memcpy(&number, scratch, sizeof(number));
    if (datagrams &&
        (number != connection->number || connection->to_receive == 0)) {
        return 1; /* the answer to one that was sent again */
    }
    if ((size_t)got > connection->to_receive) {
        fprintf(stderr, "more came back than was sent\n");
        exit(1);
    }
    connection->to_receive -= (size_t)got;
    if (connection->to_receive == 0) {
        unfinished--;
        begin_echo(connection);
    }
    return 1;
}

static void
send_again(Connection *connections, long count)
{
    for (long i = 0; i < count; i++) {
        if (connections[i].to_receive > 0) {
            connections[i].to_send = size;
            send_more(&connections[i]);
        }
    }
}

static void
carry_out(Connection *connections, long count, long echoes)
{
    static struct epoll_event events[1024];
    unstarted = unfinished = echoes;
    for (long i = 0; i < count; i++) {
        begin_echo(&connections[i]);
    }
    while (unfinished > 0) {
        int ready = epoll_wait(epfd, events, 1024, datagrams ? LOST_MS : -1);
        if (ready == 0) {
            send_again(connections, count);
        }
        for (int i = 0; i < ready; i++) {
            Connection *connection = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) {
                send_more(connection);
            }
            if (events[i].events & ~(unsigned)EPOLLOUT) {
                while (receive_some(connection) && connection->ssl != NULL) {
                    /* OpenSSL may hold what the poller does not know of. */
                }
            }
        }
    }
}

int
main(int argc, char **argv)
{
    if (argc != 7 && argc != 8) {
        return 2;
    }
    int core = atoi(argv[1]);
    if (core >= 0) {
        cpu_set_t cores;
        CPU_ZERO(&cores);
        CPU_SET(core, &cores);
        (void)sched_setaffinity(0, sizeof(cores), &cores);
    }
    long count = atol(argv[5]);
    size = (size_t)atol(argv[6]);
    answer = argc == 8 ? (size_t)atol(argv[7]) : size;
    datagrams = strcmp(argv[3], "udp") == 0;
    message = calloc(1, size);
    Connection *connections = calloc((size_t)count, sizeof(*connections));
    epfd = epoll_create1(0);
    if (message == NULL || connections == NULL || epfd < 0) {
        fail("setup");
    }
    int secure = strcmp(argv[3], "tls") == 0;
    if (secure) {
        load_openssl();
        tls_context = tls.SSL_CTX_new(tls.TLS_client_method());
    }
    for (long i = 0; i < count; i++) {
        connections[i].fd = connect_to(argv[3], argv[4]);
        connections[i].ssl = secure ? shake_hands(connections[i].fd) : NULL;
        fcntl(connections[i].fd, F_SETFL, O_NONBLOCK);
        watch(&connections[i], EPOLL_CTL_ADD, 0);
    }
    int control = connect_to("tcp", argv[2]);
    FILE *orders = fdopen(control, "r"), *answers = fdopen(dup(control), "w");
    long echoes;
    while (fscanf(orders, "%ld", &echoes) == 1) {
        carry_out(connections, count, echoes);
        fprintf(answers, "%ld\n", echoes);
        fflush(answers);
    }
    return 0;
}
