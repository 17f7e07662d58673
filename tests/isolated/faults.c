/* Preloaded into a process under test: makes chosen system calls of one thread
 * fail, counts them, and watches whose descriptors they are made on.
 *
 * A second thread, in C so that nothing holds it up, opens and closes
 * descriptors all the time: a number that the program under test has closed is
 * somebody else's at once. Whatever the program then does with it is counted
 * as trespassing. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    CALL_SOCKET,
    CALL_BIND,
    CALL_LISTEN,
    CALL_ACCEPT,
    CALL_CONNECT,
    CALL_EPOLL_CTL,
    CALL_RECV,
    CALL_SEND,
    CALL_READ,
    CALL_WRITE,
    CALL_SENDFILE,
    CALL_COUNT,
};

#define DESCRIPTORS 4096

static _Atomic int foreign[DESCRIPTORS]; /* 1: the second thread's */
static atomic_long trespasses;
static atomic_long bad_closes; /* of numbers that are no descriptors */
static _Thread_local int watched_thread;

/* Of the watched thread: how often each call was made, and which is to fail. */
static long made[CALL_COUNT];
static int failing_call = -1;
static long failing_at;
static int failing_errno;
static long failed;

/* --- what the program is told -------------------------------------------- */

void
faults_begin(void)
{
    memset(made, 0, sizeof(made));
    failing_call = -1;
    failed = 0;
    watched_thread = 1;
}

/* The `at`-th such call from now on fails, once. */
void
faults_arm(int call, long at, int number)
{
    failing_call = call;
    failing_at = made[call] + at;
    failing_errno = number;
}

void
faults_end(void)
{
    failing_call = -1;
    watched_thread = 0;
}

long
faults_made(int call)
{
    return made[call];
}

long
faults_failed(void)
{
    return failed;
}

long
faults_trespasses(void)
{
    return trespasses;
}

long
faults_bad_closes(void)
{
    return bad_closes;
}

/* --- the second thread --------------------------------------------------- */

#define HELD 3

static pthread_t recycler;
static atomic_int recycling;
static int spare = -1;

static void *
recycle(void *unused)
{
    (void)unused;
    while (recycling) {
        int fds[HELD];
        for (int i = 0; i < HELD; i++) {
            fds[i] = fcntl(spare, F_DUPFD_CLOEXEC, 0);
            if (fds[i] >= 0 && fds[i] < DESCRIPTORS) {
                foreign[fds[i]] = 1;
            }
        }
        usleep(30);
        for (int i = 0; i < HELD; i++) {
            if (fds[i] >= 0 && fds[i] < DESCRIPTORS) {
                foreign[fds[i]] = 0;
            }
            if (fds[i] >= 0) {
                close(fds[i]);
            }
        }
    }
    return NULL;
}

int
faults_recycle(void)
{
    spare = open("/dev/null", O_RDWR | O_CLOEXEC);
    recycling = 1;
    return pthread_create(&recycler, NULL, recycle, NULL);
}

void
faults_stop_recycling(void)
{
    recycling = 0;
    pthread_join(recycler, NULL);
    close(spare);
}

/* --- the calls ----------------------------------------------------------- */

static void
check_owner(int fd)
{
    if (watched_thread && fd >= 0 && fd < DESCRIPTORS && foreign[fd]) {
        trespasses++;
    }
}

/* Whether this call is the one that fails; errno is set then. */
static int
fails(int call)
{
    if (!watched_thread) {
        return 0;
    }
    made[call]++;
    if (call != failing_call || made[call] != failing_at) {
        return 0;
    }
    failed++;
    errno = failing_errno;
    return 1;
}

#define REAL(name)                                 \
    static __typeof__(name) *real;                 \
    if (real == NULL) {                            \
        *(void **)&real = dlsym(RTLD_NEXT, #name); \
    }

int
close(int fd)
{
    REAL(close);
    check_owner(fd);
    int result = real(fd);
    if (result < 0 && errno == EBADF && watched_thread) {
        bad_closes++;
    }
    return result;
}

int
socket(int family, int type, int protocol)
{
    REAL(socket);
    return fails(CALL_SOCKET) ? -1 : real(family, type, protocol);
}

int
bind(int fd, const struct sockaddr *address, socklen_t length)
{
    REAL(bind);
    check_owner(fd);
    return fails(CALL_BIND) ? -1 : real(fd, address, length);
}

int
listen(int fd, int backlog)
{
    REAL(listen);
    check_owner(fd);
    return fails(CALL_LISTEN) ? -1 : real(fd, backlog);
}

int
accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    REAL(accept4);
    check_owner(fd);
    return fails(CALL_ACCEPT) ? -1 : real(fd, address, length, flags);
}

int
accept(int fd, struct sockaddr *address, socklen_t *length)
{
    REAL(accept);
    check_owner(fd);
    return fails(CALL_ACCEPT) ? -1 : real(fd, address, length);
}

/* One that is interrupted goes on in the background. */
int
connect(int fd, const struct sockaddr *address, socklen_t length)
{
    REAL(connect);
    check_owner(fd);
    if (fails(CALL_CONNECT)) {
        if (failing_errno == EINTR) {
            (void)real(fd, address, length);
            errno = EINTR;
        }
        return -1;
    }
    return real(fd, address, length);
}

int
epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    REAL(epoll_ctl);
    check_owner(fd);
    return fails(CALL_EPOLL_CTL) ? -1 : real(epoll, operation, fd, event);
}

ssize_t
recv(int fd, void *buffer, size_t size, int flags)
{
    REAL(recv);
    check_owner(fd);
    return fails(CALL_RECV) ? -1 : real(fd, buffer, size, flags);
}

ssize_t __recv_chk(int, void *, size_t, size_t, int);

ssize_t
__recv_chk(int fd, void *buffer, size_t size, size_t room, int flags)
{
    (void)room;
    return recv(fd, buffer, size, flags);
}

ssize_t
recvfrom(int fd, void *buffer, size_t size, int flags,
         struct sockaddr *address, socklen_t *length)
{
    REAL(recvfrom);
    check_owner(fd);
    return fails(CALL_RECV) ? -1
                            : real(fd, buffer, size, flags, address, length);
}

ssize_t __recvfrom_chk(int, void *, size_t, size_t, int, struct sockaddr *,
                       socklen_t *);

ssize_t
__recvfrom_chk(int fd, void *buffer, size_t size, size_t room, int flags,
               struct sockaddr *address, socklen_t *length)
{
    (void)room;
    return recvfrom(fd, buffer, size, flags, address, length);
}

ssize_t
recvmsg(int fd, struct msghdr *message, int flags)
{
    REAL(recvmsg);
    check_owner(fd);
    return fails(CALL_RECV) ? -1 : real(fd, message, flags);
}

ssize_t
send(int fd, const void *data, size_t size, int flags)
{
    REAL(send);
    check_owner(fd);
    return fails(CALL_SEND) ? -1 : real(fd, data, size, flags);
}

ssize_t
sendto(int fd, const void *data, size_t size, int flags,
       const struct sockaddr *address, socklen_t length)
{
    REAL(sendto);
    check_owner(fd);
    return fails(CALL_SEND) ? -1
                            : real(fd, data, size, flags, address, length);
}

ssize_t
sendmsg(int fd, const struct msghdr *message, int flags)
{
    REAL(sendmsg);
    check_owner(fd);
    return fails(CALL_SEND) ? -1 : real(fd, message, flags);
}

ssize_t
sendfile(int out, int in, off_t *offset, size_t count)
{
    REAL(sendfile);
    check_owner(out);
    return fails(CALL_SENDFILE) ? -1 : real(out, in, offset, count);
}

/* Its name where offsets have 64 bits, as Python asks for. */
ssize_t
sendfile64(int out, int in, off64_t *offset, size_t count)
{
    REAL(sendfile64);
    check_owner(out);
    return fails(CALL_SENDFILE) ? -1 : real(out, in, offset, count);
}

/* The two below serve pipes here, and files that nobody wants to fail: only
 * what does not block is counted. */
static int
is_counted(int fd)
{
    int saved = errno, flags = fcntl(fd, F_GETFL);
    errno = saved;
    return watched_thread && flags != -1 && (flags & O_NONBLOCK);
}

ssize_t
read(int fd, void *buffer, size_t size)
{
    REAL(read);
    check_owner(fd);
    return is_counted(fd) && fails(CALL_READ) ? -1 : real(fd, buffer, size);
}

ssize_t
write(int fd, const void *data, size_t size)
{
    REAL(write);
    check_owner(fd);
    return is_counted(fd) && fails(CALL_WRITE) ? -1 : real(fd, data, size);
}

ssize_t
writev(int fd, const struct iovec *parts, int count)
{
    REAL(writev);
    check_owner(fd);
    return is_counted(fd) && fails(CALL_WRITE) ? -1 : real(fd, parts, count);
}
