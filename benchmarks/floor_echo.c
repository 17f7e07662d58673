/* The floor of the echo rows: a server with the system calls that one needs
 * and nothing else.
 *
 *     floor_echo tcp | sock | udp | unix PATH | tls CERTIFICATE KEY
 *
 * "sock" receives as sock_recv() must: in vain first, then from a descriptor
 * that is armed for once. TLS is that of the libssl.so.3 that is found at run
 * time. Prints its port or path, and ends when its standard input does. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "openssl.h"

#define RECEIVED_AT_ONCE (256 * 1024)
#define DATAGRAMS_AT_ONCE 64

typedef struct Watched Watched;

struct Watched {
    int fd;
    void (*ready)(Watched *);
    void *ssl; /* NULL without TLS */
    uint32_t armed;
    char *queue; /* what the socket did not take */
    size_t queue_size, begin, end;
};

static int epfd;
static int armed_for_once; /* the descriptors of streams */
static void *tls_context, *tls_bio_method;
/* To the beginning of a page the kernel copies fastest. */
static _Alignas(4096) char received[RECEIVED_AT_ONCE];
/* What is encrypted of all that was received, and of an unfinished record. */
static _Alignas(4096) char encrypted[2 * RECEIVED_AT_ONCE];
static size_t received_begin, received_end, encrypted_end;

static void
fail(const char *what)
{
    perror(what);
    exit(1);
}

static Watched *
watch(int fd, void (*ready)(Watched *), uint32_t events)
{
    Watched *watched = calloc(1, sizeof(*watched));
    struct epoll_event event = {.events = events, .data.ptr = watched};
    if (watched == NULL || epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event) < 0) {
        fail("watch");
    }
    watched->fd = fd;
    watched->ready = ready;
    watched->armed = events;
    return watched;
}

static void
arm(Watched *watched, uint32_t events)
{
    if (armed_for_once) {
        events |= EPOLLONESHOT;
    }
    else if (events == watched->armed) {
        return;
    }
    struct epoll_event event = {.events = events, .data.ptr = watched};
    if (epoll_ctl(epfd, EPOLL_CTL_MOD, watched->fd, &event) < 0) {
        fail("epoll_ctl");
    }
    watched->armed = events;
}

/* --- TLS between the two buffers ------------------------------------------ */

static int
bio_read(void *bio, char *data, int size)
{
    size_t left = received_end - received_begin;
    if (left == 0) {
        tls.BIO_set_flags(bio, BIO_READ_AND_RETRY);
        return -1;
    }
    size_t taken = (size_t)size < left ? (size_t)size : left;
    memcpy(data, received + received_begin, taken);
    received_begin += taken;
    tls.BIO_clear_flags(bio, BIO_READ_AND_RETRY);
    return (int)taken;
}

static int
bio_write(void *bio, const char *data, int size)
{
    (void)bio;
    if ((size_t)size > sizeof(encrypted) - encrypted_end) {
        return -1;
    }
    memcpy(encrypted + encrypted_end, data, (size_t)size);
    encrypted_end += (size_t)size;
    return size;
}

static long
bio_ctrl(void *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static void
set_up_tls(const char *certificate, const char *key)
{
    load_openssl();
    tls_context = tls.SSL_CTX_new(tls.TLS_server_method());
    if (tls.SSL_CTX_use_certificate_file(tls_context, certificate,
                                         SSL_FILETYPE_PEM) != 1 ||
        tls.SSL_CTX_use_PrivateKey_file(tls_context, key, SSL_FILETYPE_PEM) !=
            1) {
        fail("certificate");
    }
    tls_bio_method = tls.BIO_meth_new(BIO_SOURCE_SINK, "buffers");
    tls.BIO_meth_set_read(tls_bio_method, bio_read);
    tls.BIO_meth_set_write(tls_bio_method, bio_write);
    tls.BIO_meth_set_ctrl(tls_bio_method, bio_ctrl);
}

static void *
new_ssl(void)
{
    void *ssl = tls.SSL_new(tls_context), *bio = tls.BIO_new(tls_bio_method);
    tls.BIO_set_init(bio, 1);
    tls.SSL_set_bio(ssl, bio, bio);
    tls.SSL_set_accept_state(ssl);
    return ssl;
}

/* Encrypt what the received bytes say; return how many bytes that makes. The
 * handshake is done on the way. */
static size_t
echo_records(void *ssl, size_t size)
{
    static char message[1 << 14];
    received_begin = 0;
    received_end = size;
    encrypted_end = 0;
    int got;
    while ((got = tls.SSL_read(ssl, message, sizeof(message))) > 0) {
        if (tls.SSL_write(ssl, message, got) != got) {
            fail("SSL_write");
        }
        if (received_begin == received_end) {
            break;
        }
    }
    if (got <= 0 && tls.SSL_get_error(ssl, got) != SSL_ERROR_WANT_READ) {
        fail("SSL_read");
    }
    return encrypted_end;
}

/* --- Streams -------------------------------------------------------------- */

static void
close_stream(Watched *watched)
{
    close(watched->fd);
    if (watched->ssl != NULL) {
        tls.SSL_free(watched->ssl);
    }
    free(watched->queue);
    free(watched);
}

/* Return how many bytes the socket took. */
static size_t
send_at_once(const Watched *watched, const char *data, size_t size)
{
    ssize_t sent = send(watched->fd, data, size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
        fail("send");
    }
    return sent < 0 ? 0 : (size_t)sent;
}

/* Nothing more is received before all of it is sent. */
static void
queue_rest(Watched *watched, const char *data, size_t size)
{
    if (watched->queue_size < size) {
        free(watched->queue);
        watched->queue = malloc(sizeof(encrypted));
        watched->queue_size = sizeof(encrypted);
    }
    if (watched->queue == NULL) {
        fail("malloc");
    }
    memcpy(watched->queue, data, size);
    watched->begin = 0;
    watched->end = size;
    arm(watched, EPOLLOUT);
}

static void
echo_stream(Watched *watched)
{
    if (watched->begin < watched->end) {
        watched->begin +=
            send_at_once(watched, watched->queue + watched->begin,
                         watched->end - watched->begin);
        if (watched->begin < watched->end) {
            arm(watched, EPOLLOUT);
            return;
        }
    }
    do {
        ssize_t got = recv(watched->fd, received, sizeof(received), 0);
        if (got == 0) {
            close_stream(watched);
            return;
        }
        if (got < 0) {
            if (errno != EAGAIN) {
                fail("recv");
            }
            break;
        }
        const char *data = received;
        size_t size = (size_t)got;
        if (watched->ssl != NULL) {
            size = echo_records(watched->ssl, size);
            data = encrypted;
        }
        size_t sent = size > 0 ? send_at_once(watched, data, size) : 0;
        if (sent < size) {
            queue_rest(watched, data + sent, size - sent);
            return;
        }
    } while (armed_for_once);
    arm(watched, EPOLLIN);
}

static void
accept_streams(Watched *listener)
{
    int fd, on = 1;
    while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        uint32_t events = EPOLLIN | (armed_for_once ? EPOLLONESHOT : 0u);
        Watched *watched = watch(fd, echo_stream, events);
        watched->ssl = tls_context != NULL ? new_ssl() : NULL;
    }
}

/* --- Datagrams, and the rest ---------------------------------------------- */

static void
echo_datagrams(Watched *watched)
{
    for (int i = 0; i < DATAGRAMS_AT_ONCE; i++) {
        struct sockaddr_in from;
        socklen_t length = sizeof(from);
        ssize_t got = recvfrom(watched->fd, received, sizeof(received), 0,
                               (void *)&from, &length);
        if (got < 0) {
            return;
        }
        /* What is not taken is lost, as datagrams are: it is sent again. */
        (void)sendto(watched->fd, received, (size_t)got, 0, (void *)&from,
                     length);
    }
}

static void
end(Watched *standard_input)
{
    (void)standard_input;
    exit(0);
}

static int
bound_socket(int family, int type, const void *name, socklen_t length)
{
    int fd = socket(family, type | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, name, length) < 0) {
        fail("bind");
    }
    return fd;
}

static int
bound_to_port(int type)
{
    struct sockaddr_in name = {.sin_family = AF_INET};
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(name);
    int fd = bound_socket(AF_INET, type, &name, length);
    getsockname(fd, (void *)&name, &length);
    printf("%d\n", ntohs(name.sin_port));
    return fd;
}

static int
bound_to_path(const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    strncpy(name.sun_path, path, sizeof(name.sun_path) - 1);
    printf("%s\n", path);
    return bound_socket(AF_UNIX, SOCK_STREAM, &name, sizeof(name));
}

int
main(int argc, char **argv)
{
    if (argc < 2) {
        return 2;
    }
    epfd = epoll_create1(0);
    armed_for_once = strcmp(argv[1], "sock") == 0;
    if (argc == 4) {
        set_up_tls(argv[2], argv[3]);
    }
    if (strcmp(argv[1], "udp") == 0) {
        watch(bound_to_port(SOCK_DGRAM), echo_datagrams, EPOLLIN);
    }
    else {
        int fd =
            argc == 3 ? bound_to_path(argv[2]) : bound_to_port(SOCK_STREAM);
        if (listen(fd, 1024) < 0) {
            fail("listen");
        }
        watch(fd, accept_streams, EPOLLIN);
    }
    watch(STDIN_FILENO, end, EPOLLIN);
    fflush(stdout);
    for (;;) {
        static struct epoll_event events[1024];
        int count = epoll_wait(epfd, events, 1024, -1);
        for (int i = 0; i < count; i++) {
            Watched *watched = events[i].data.ptr;
            watched->ready(watched);
        }
    }
}
