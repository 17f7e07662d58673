/* A descriptor that one thread writes to wake another out of its poll. */
#ifndef PYAIO_POLL_WAKEUP_H
#define PYAIO_POLL_WAKEUP_H

/* Returns a non-blocking descriptor, or -errno. */
int pyaio_wakeup_open(void);
/* Makes the descriptor readable; callable from any thread and from signal
 * handlers. */
void pyaio_wakeup_send(int fd);
/* Makes it unreadable again. */
void pyaio_wakeup_drain(int fd);

#endif
