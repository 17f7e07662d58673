/* Wake-ups over a Linux eventfd. */
#include "poll/wakeup.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int
pyaio_wakeup_open(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

void
pyaio_wakeup_send(int fd)
{
    uint64_t one = 1;
    /* EAGAIN means that it is readable already, which is all we want. */
    while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR) {
    }
}

void
pyaio_wakeup_drain(int fd)
{
    uint64_t count;
    while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR) {
    }
}
