/* The poller against what the tests know of some socket pairs. */
#include "check.h"
#include "poll/poller.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAIRS 90

typedef struct {
    int fd, peer;
    unsigned asked; /* 0 while not watched */
    int full;       /* a byte is there to be read */
} Pair;

static Pair pairs[PAIRS];

static void
pair_open(Pair *pair)
{
    int fds[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    pair->fd = fds[0];
    pair->peer = fds[1];
    pair->asked = 0;
    pair->full = 0;
}

static void
pair_close(PyaioPoller *poller, Pair *pair, int unwatch_first)
{
    if (pair->asked && unwatch_first) {
        CHECK(pyaio_poller.remove(poller, pair->fd) == 0);
    }
    close(pair->fd);
    if (pair->asked && !unwatch_first) {
        /* Closing took the registration away; the count follows. */
        CHECK(pyaio_poller.remove(poller, pair->fd) == -EBADF);
    }
    close(pair->peer);
}

static unsigned
expected(const Pair *pair)
{
    unsigned ready = PYAIO_POLL_WRITE | (pair->full ? PYAIO_POLL_READ : 0);
    return ready & pair->asked;
}

static void
compare(PyaioPoller *poller)
{
    unsigned seen[PAIRS] = {0};
    const PyaioPollEvent *events;
    int count = pyaio_poller.wait(poller, 0, &events);
    CHECK(count >= 0);
    for (int i = 0; i < count; i++) {
        int found = 0;
        for (size_t j = 0; j < PAIRS; j++) {
            if (pairs[j].fd == events[i].fd) {
                CHECK(seen[j] == 0);
                seen[j] = events[i].mask;
                found = 1;
            }
        }
        CHECK(found);
    }
    for (size_t j = 0; j < PAIRS; j++) {
        CHECK((seen[j] & pairs[j].asked) == expected(&pairs[j]));
    }
}

static void
change(PyaioPoller *poller, Pair *pair)
{
    unsigned mask = 1 + (unsigned)random_below(3);
    char byte = 'x';
    switch (random_below(6)) {
    case 0:
        if (pair->asked) {
            CHECK(pyaio_poller.modify(poller, pair->fd, mask) == 0);
            pair->asked = mask;
            break;
        }
        allocations_left = random_below(3) == 0 ? (long)random_below(2) : -1;
        int err = pyaio_poller.add(poller, pair->fd, mask);
        CHECK(err == 0 || (err == -ENOMEM && allocations_left == -1));
        allocations_left = -1;
        pair->asked = err == 0 ? mask : 0;
        break;
    case 1:
        if (pair->asked) {
            CHECK(pyaio_poller.remove(poller, pair->fd) == 0);
            pair->asked = 0;
        }
        break;
    case 2:
        if (!pair->full) {
            CHECK(write(pair->peer, &byte, 1) == 1);
            pair->full = 1;
        }
        break;
    case 3:
        if (pair->full) {
            CHECK(read(pair->fd, &byte, 1) == 1);
            pair->full = 0;
        }
        break;
    default:
        if (random_below(20) == 0) {
            pair_close(poller, pair, (int)random_below(2));
            pair_open(pair);
        }
        break;
    }
}

static void
check_errors(PyaioPoller *poller)
{
    int fds[2], file = open("/dev/null", O_RDONLY);
    CHECK(file >= 0 && pipe(fds) == 0);
    CHECK(pyaio_poller.add(poller, -1, PYAIO_POLL_READ) == -EBADF);
    CHECK(pyaio_poller.add(poller, file, PYAIO_POLL_READ) == -EPERM);
    CHECK(pyaio_poller.modify(poller, fds[0], PYAIO_POLL_READ) == -ENOENT);
    CHECK(pyaio_poller.add(poller, fds[0], PYAIO_POLL_READ) == 0);
    CHECK(pyaio_poller.add(poller, fds[0], PYAIO_POLL_READ) == -EEXIST);
    close(fds[1]); /* a hang-up sets what was asked for */
    const PyaioPollEvent *events;
    CHECK(pyaio_poller.wait(poller, -1, &events) == 1);
    CHECK(events[0].fd == fds[0] && (events[0].mask & PYAIO_POLL_READ));
    CHECK(pyaio_poller.remove(poller, fds[0]) == 0);
    CHECK(pyaio_poller.wait(poller, 1, &events) == 0);
    close(fds[0]);
    close(file);
}

/* Once: a report is the last until the descriptor is modified. */
static void
check_once(PyaioPoller *poller)
{
    const unsigned once = PYAIO_POLL_READ | PYAIO_POLL_ONCE;
    const PyaioPollEvent *events;
    int fds[2];
    CHECK(pipe(fds) == 0 && write(fds[1], "x", 1) == 1);
    CHECK(pyaio_poller.add(poller, fds[0], once) == 0);
    for (int i = 0; i < 3; i++) {
        CHECK(pyaio_poller.wait(poller, 0, &events) == 1);
        CHECK(events[0].fd == fds[0] && events[0].mask == PYAIO_POLL_READ);
        CHECK(pyaio_poller.wait(poller, 0, &events) == 0);
        CHECK(pyaio_poller.modify(poller, fds[0], once) == 0);
    }
    CHECK(pyaio_poller.wait(poller, 0, &events) == 1);
    int other = dup(fds[0]); /* keeps the registration, which stays silent */
    close(fds[0]);
    CHECK(pyaio_poller.wait(poller, 0, &events) == 0);
    CHECK(pyaio_poller.remove(poller, fds[0]) == -EBADF);
    close(other);
    close(fds[1]);
}

static void
check_open_without_memory(void)
{
    PyaioPoller *poller = NULL;
    int err = -ENOMEM;
    for (long left = 0; err == -ENOMEM; left++) {
        CHECK(left < 10);
        allocations_left = left;
        err = pyaio_poller.open(&poller);
    }
    allocations_left = -1;
    CHECK(err == 0);
    pyaio_poller.close(poller);
}

int
main(int argc, char **argv)
{
    long rounds = start(argc, argv);
    check_open_without_memory();
    PyaioPoller *poller;
    CHECK(pyaio_poller.open(&poller) == 0);
    CHECK(fcntl(pyaio_poller.fileno(poller), F_GETFD) & FD_CLOEXEC);
    check_errors(poller);
    check_once(poller);
    for (size_t i = 0; i < PAIRS; i++) {
        pair_open(&pairs[i]);
    }
    for (long round = 0; round < rounds; round++) {
        change(poller, &pairs[random_below(PAIRS)]);
        if (random_below(20) == 0) {
            compare(poller);
        }
    }
    for (size_t i = 0; i < PAIRS; i++) {
        pair_close(poller, &pairs[i], 1);
    }
    pyaio_poller.close(poller);
    return 0;
}
