/* The BIO between an SSL and us: encrypted bytes in memory.
 *
 * What comes in is read from where it was received, the window, and only what
 * is left of it afterwards is copied, into the BIO of the ssl.MemoryBIO that
 * the SSL was made with. So that object goes on to show and to accept what
 * waits to be decrypted. What goes out stays here until it is sent.
 *
 * The ssl module calls into an SSL without the GIL: nothing here is Python.
 * The memory belongs to the BIO, which the SSL may keep longer than we do. */
#ifndef PYAIO_TLS_PIPE_H
#define PYAIO_TLS_PIPE_H

#include "tls/openssl.h"

typedef struct {
    BIO *kept;          /* owned: of the MemoryBIO; what it has comes first */
    const char *window; /* borrowed: what else is to be read */
    size_t window_size;
    char *out; /* owned: encrypted bytes to send, NULL for none */
    size_t out_size;
    size_t out_capacity;
} PyaioTlsPipe;

/* Makes the kind of BIO. Returns 0 or -1, without an exception. It is never
 * freed: an SSL that somebody keeps may need it at any later time. */
int pyaio_tls_pipe_make_method(PyaioOpenssl *openssl);

/* A new BIO, with *pipe inside it; `kept` is borrowed. NULL where there is no
 * memory, without an exception. */
BIO *pyaio_tls_pipe_new(BIO *kept, PyaioTlsPipe **pipe);

/* Shows the SSL what was received. */
static inline void
pyaio_tls_pipe_open_window(PyaioTlsPipe *pipe, const char *data, size_t size)
{
    pipe->window = data;
    pipe->window_size = size;
}

/* Keeps what the SSL did not read of it. Returns 0, or -1 where there is no
 * memory, without an exception. */
int pyaio_tls_pipe_close_window(PyaioTlsPipe *pipe);

/* Bytes that were received and not read by the SSL. */
size_t pyaio_tls_pipe_incoming(const PyaioTlsPipe *pipe);

/* Makes room for `size` more bytes to send, at once rather than bit by bit.
 * Returns 0, or -1 where there is no memory, without an exception. */
int pyaio_tls_pipe_reserve(PyaioTlsPipe *pipe, size_t size);

/* Takes what is to be sent: memory to be released with free(). */
char *pyaio_tls_pipe_take(PyaioTlsPipe *pipe, size_t *size);

#endif
