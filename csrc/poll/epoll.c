/* The Linux back end of the poller contract: epoll, level-triggered. */
#include "poll/poller.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define FIRST_ROOM 64

struct PyaioPoller {
    int epfd;
    int room;    /* how many events one wait can return */
    int watched; /* descriptors registered; room follows it when the next wait
                    begins, so that no ready descriptor has to wait for a
                    later turn, and what the last one brought stays */
    struct epoll_event *raw;
    PyaioPollEvent *events;
};

static int
epoll_make_room(PyaioPoller *poller, int room)
{
    struct epoll_event *raw =
        realloc(poller->raw, (size_t)room * sizeof(*raw));
    if (raw == NULL) {
        return -ENOMEM;
    }
    poller->raw = raw;
    PyaioPollEvent *events =
        realloc(poller->events, (size_t)room * sizeof(*events));
    if (events == NULL) {
        return -ENOMEM;
    }
    poller->events = events;
    poller->room = room;
    return 0;
}

static void
epoll_close(PyaioPoller *poller)
{
    close(poller->epfd);
    free(poller->raw);
    free(poller->events);
    free(poller);
}

static int
epoll_open(PyaioPoller **result)
{
    PyaioPoller *poller = calloc(1, sizeof(*poller));
    if (poller == NULL) {
        return -ENOMEM;
    }
    int err;
    poller->epfd = epoll_create1(EPOLL_CLOEXEC);
    if (poller->epfd < 0) {
        err = -errno;
        free(poller);
        return err;
    }
    err = epoll_make_room(poller, FIRST_ROOM);
    if (err < 0) {
        epoll_close(poller);
        return err;
    }
    *result = poller;
    return 0;
}

static int
epoll_control(PyaioPoller *poller, int operation, int fd, unsigned mask)
{
    struct epoll_event event = {0};
    event.data.fd = fd;
    if (mask & PYAIO_POLL_READ) {
        event.events |= EPOLLIN;
    }
    if (mask & PYAIO_POLL_WRITE) {
        event.events |= EPOLLOUT;
    }
    if (mask & PYAIO_POLL_ONCE) {
        event.events |= EPOLLONESHOT;
    }
    return epoll_ctl(poller->epfd, operation, fd, &event) < 0 ? -errno : 0;
}

static int
epoll_add(PyaioPoller *poller, int fd, unsigned mask)
{
    int err = epoll_control(poller, EPOLL_CTL_ADD, fd, mask);
    if (err == 0) {
        poller->watched++;
    }
    return err;
}

static int
epoll_modify(PyaioPoller *poller, int fd, unsigned mask)
{
    return epoll_control(poller, EPOLL_CTL_MOD, fd, mask);
}

static int
epoll_remove(PyaioPoller *poller, int fd)
{
    /* Counted also when the kernel no longer knows the descriptor: closing
     * it took the registration away. */
    poller->watched--;
    return epoll_control(poller, EPOLL_CTL_DEL, fd, 0);
}

static int
epoll_wait_ready(PyaioPoller *poller, int timeout_ms,
                 const PyaioPollEvent **events)
{
    if (poller->watched > poller->room) {
        int room = poller->room;
        while (room < poller->watched) {
            room *= 2;
        }
        (void)epoll_make_room(poller, room); /* without it: in turns */
    }
    int count =
        epoll_wait(poller->epfd, poller->raw, poller->room, timeout_ms);
    if (count < 0) {
        return -errno;
    }
    for (int i = 0; i < count; i++) {
        unsigned mask = 0;
        if (poller->raw[i].events & ~(unsigned)EPOLLIN) {
            mask |= PYAIO_POLL_WRITE;
        }
        if (poller->raw[i].events & ~(unsigned)EPOLLOUT) {
            mask |= PYAIO_POLL_READ;
        }
        poller->events[i].fd = poller->raw[i].data.fd;
        poller->events[i].mask = mask;
    }
    *events = poller->events;
    return count;
}

static int
epoll_fileno(const PyaioPoller *poller)
{
    return poller->epfd;
}

const PyaioPollerOps pyaio_poller = {
    .name = "epoll",
    .open = epoll_open,
    .close = epoll_close,
    .add = epoll_add,
    .modify = epoll_modify,
    .remove = epoll_remove,
    .wait = epoll_wait_ready,
    .fileno = epoll_fileno,
};
