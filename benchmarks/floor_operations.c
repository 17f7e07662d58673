/* The floor of rows that make connections or start children: the system calls
 * that an operation needs, and nothing else.
 *
 *     floor_operations ROW
 *
 * Reads lines: each is a number of operations, and is answered by the number
 * of those that were done. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define MESSAGE 10000

static int epfd;
static int listener;
static struct sockaddr_storage address;
static socklen_t address_length;

static void
fail(const char *what)
{
    perror(what);
    exit(1);
}

static void
add(int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event) < 0) {
        fail("epoll_ctl");
    }
}

static void
drop(int fd)
{
    epoll_ctl(epfd, EPOLL_CTL_DEL, fd, NULL);
    close(fd);
}

static void
wait_for(int fd)
{
    struct epoll_event event;
    do {
        if (epoll_wait(epfd, &event, 1, -1) < 0) {
            fail("epoll_wait");
        }
    } while (event.data.fd != fd);
}

/* --- Connections ---------------------------------------------------------- */

static void
set_up_listener(int family)
{
    address.ss_family = (sa_family_t)family;
    address_length = sizeof(sa_family_t); /* the kernel finds a name */
    if (family == AF_INET) {
        struct sockaddr_in *name = (void *)&address;
        name->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address_length = sizeof(*name);
    }
    listener = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(listener, (void *)&address, address_length) < 0 ||
        listen(listener, 100) < 0) {
        fail("listen");
    }
    address_length = sizeof(address);
    getsockname(listener, (void *)&address, &address_length);
    add(listener);
}

static void
set_up_end(int fd)
{
    struct sockaddr_storage name;
    socklen_t length = sizeof(name);
    int on = 1;
    getsockname(fd, (void *)&name, &length);
    if (address.ss_family == AF_INET) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    add(fd);
}

/* The second call tells that a connection within the machine is there. */
static int
connect_at_once(void)
{
    int fd = socket(address.ss_family,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connect(fd, (void *)&address, address_length) < 0 &&
        (errno != EINPROGRESS ||
         connect(fd, (void *)&address, address_length) < 0)) {
        fail("connect");
    }
    return fd;
}

static int
make_connection(void)
{
    struct sockaddr_storage name;
    socklen_t length = sizeof(name);
    char byte;
    int ours = connect_at_once();
    getpeername(ours, (void *)&name, &length);
    set_up_end(ours);
    wait_for(listener);
    length = sizeof(name);
    int theirs = accept4(listener, (void *)&name, &length,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (theirs < 0) {
        fail("accept4");
    }
    set_up_end(theirs);
    drop(ours);
    wait_for(theirs);
    int ended = recv(theirs, &byte, 1, 0) == 0;
    drop(theirs);
    return ended;
}

/* --- Children ------------------------------------------------------------- */

/* Start a program with these descriptors as its first two, -1 for ours;
 * return a descriptor of the process. */
static int
start(const char *path, int input, int output)
{
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    pid_t child = vfork();
    if (child == 0) {
        if (input >= 0) {
            dup2(input, 0);
        }
        if (output >= 0) {
            dup2(output, 1);
        }
        syscall(SYS_close_range, 3u, ~0u, 0u);
        sigprocmask(SIG_SETMASK, &before, NULL);
        execl(path, path, (char *)NULL);
        _exit(127);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    int fd = child < 0 ? -1 : (int)syscall(SYS_pidfd_open, child, 0);
    if (fd < 0) {
        fail("start");
    }
    add(fd);
    return fd;
}

static int
finish(int process)
{
    siginfo_t info = {0};
    wait_for(process);
    waitid(P_PIDFD, (id_t)process, &info, WEXITED);
    drop(process);
    return info.si_code == CLD_EXITED && info.si_status == 0;
}

static int
spawn(void)
{
    return finish(start("/bin/true", -1, -1));
}

static int
communicate(void)
{
    static char message[MESSAGE], answer[1 << 16];
    int input[2], output[2];
    if (pipe2(input, O_CLOEXEC) < 0 || pipe2(output, O_CLOEXEC) < 0) {
        fail("pipe2");
    }
    fcntl(input[1], F_SETFL, O_NONBLOCK);
    fcntl(output[0], F_SETFL, O_NONBLOCK);
    int process = start("/bin/cat", input[0], output[1]);
    close(input[0]);
    close(output[1]);
    add(output[0]);
    if (write(input[1], message, sizeof(message)) != sizeof(message)) {
        fail("write");
    }
    close(input[1]);
    size_t came = 0;
    ssize_t got;
    do {
        wait_for(output[0]);
        got = read(output[0], answer, sizeof(answer));
        came += got > 0 ? (size_t)got : 0;
    } while (got != 0);
    drop(output[0]);
    return finish(process) && came == sizeof(message);
}

int
main(int argc, char **argv)
{
    if (argc != 2) {
        return 2;
    }
    epfd = epoll_create1(EPOLL_CLOEXEC);
    int (*operation)(void) = make_connection;
    if (strcmp(argv[1], "connect_tcp") == 0) {
        set_up_listener(AF_INET);
    }
    else if (strcmp(argv[1], "connect_unix") == 0) {
        set_up_listener(AF_UNIX);
    }
    else if (strcmp(argv[1], "subprocess_spawn") == 0) {
        operation = spawn;
    }
    else if (strcmp(argv[1], "subprocess_pipes") == 0) {
        operation = communicate;
    }
    else {
        return 2;
    }
    long count;
    while (scanf("%ld", &count) == 1) {
        long done = 0;
        for (long i = 0; i < count; i++) {
            done += operation();
        }
        printf("%ld\n", done);
        fflush(stdout);
    }
    return 0;
}
