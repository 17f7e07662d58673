/* Wake-ups: any number of them, from any thread, end one wait. */
#include "check.h"
#include "poll/poller.h"
#include "poll/wakeup.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#define THREADS 3

static int wakeup_fd;
static long sends;

static void *
send_all(void *unused)
{
    (void)unused;
    for (long i = 0; i < sends; i++) {
        pyaio_wakeup_send(wakeup_fd);
    }
    return NULL;
}

int
main(int argc, char **argv)
{
    sends = start(argc, argv);
    PyaioPoller *poller;
    CHECK(pyaio_poller.open(&poller) == 0);
    wakeup_fd = pyaio_wakeup_open();
    CHECK(wakeup_fd >= 0);
    CHECK(fcntl(wakeup_fd, F_GETFD) & FD_CLOEXEC);
    CHECK(fcntl(wakeup_fd, F_GETFL) & O_NONBLOCK);
    CHECK(pyaio_poller.add(poller, wakeup_fd, PYAIO_POLL_READ) == 0);
    const PyaioPollEvent *events;
    pyaio_wakeup_drain(wakeup_fd); /* of what is not there: no block */
    CHECK(pyaio_poller.wait(poller, 0, &events) == 0);

    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, send_all, NULL) == 0);
    }
    CHECK(pyaio_poller.wait(poller, -1, &events) == 1);
    CHECK(events[0].fd == wakeup_fd && events[0].mask & PYAIO_POLL_READ);
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    CHECK(pyaio_poller.wait(poller, 0, &events) == 1);
    pyaio_wakeup_drain(wakeup_fd);
    CHECK(pyaio_poller.wait(poller, 0, &events) == 0);
    close(wakeup_fd);
    pyaio_poller.close(poller);
    return 0;
}
