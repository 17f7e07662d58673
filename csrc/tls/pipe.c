/* The BIO: memory in, memory out. */
#include "tls/pipe.h"

#include <limits.h>
#include <stdlib.h>

#define SMALLEST_OUT 512

static PyaioTlsPipe *
pipe_of(BIO *bio)
{
    return pyaio_openssl.BIO_get_data(bio);
}

static size_t
kept_size(const PyaioTlsPipe *pipe)
{
    return (size_t)pyaio_openssl.BIO_ctrl(pipe->kept, PYAIO_BIO_CTRL_PENDING,
                                          0, NULL);
}

static int
pipe_read(BIO *bio, char *data, int size)
{
    PyaioTlsPipe *pipe = pipe_of(bio);
    pyaio_openssl.BIO_clear_flags(bio, PYAIO_BIO_FLAGS_RETRY);
    if (kept_size(pipe) > 0) {
        return pyaio_openssl.BIO_read(pipe->kept, data, size);
    }
    if (pipe->window_size == 0) {
        pyaio_openssl.BIO_set_flags(bio, PYAIO_BIO_FLAGS_READ |
                                             PYAIO_BIO_FLAGS_SHOULD_RETRY);
        return -1;
    }
    size_t count =
        (size_t)size < pipe->window_size ? (size_t)size : pipe->window_size;
    memcpy(data, pipe->window, count);
    pipe->window += count;
    pipe->window_size -= count;
    return (int)count;
}

int
pyaio_tls_pipe_reserve(PyaioTlsPipe *pipe, size_t size)
{
    size_t need = pipe->out_size + size;
    if (need <= pipe->out_capacity) {
        return 0;
    }
    size_t capacity = pipe->out_capacity * 2;
    if (capacity < need) {
        capacity = need < SMALLEST_OUT ? SMALLEST_OUT : need;
    }
    char *grown = realloc(pipe->out, capacity);
    if (grown == NULL) {
        return -1;
    }
    pipe->out = grown;
    pipe->out_capacity = capacity;
    return 0;
}

static int
pipe_write(BIO *bio, const char *data, int size)
{
    PyaioTlsPipe *pipe = pipe_of(bio);
    pyaio_openssl.BIO_clear_flags(bio, PYAIO_BIO_FLAGS_RETRY);
    if (size <= 0 || pyaio_tls_pipe_reserve(pipe, (size_t)size) < 0) {
        return -1;
    }
    memcpy(pipe->out + pipe->out_size, data, (size_t)size);
    pipe->out_size += (size_t)size;
    return size;
}

static long
pipe_ctrl(BIO *bio, int command, long Py_UNUSED(number),
          void *Py_UNUSED(pointer))
{
    if (command == PYAIO_BIO_CTRL_PENDING) {
        return (long)pyaio_tls_pipe_incoming(pipe_of(bio));
    }
    return command == PYAIO_BIO_CTRL_FLUSH;
}

static int
pipe_destroy(BIO *bio)
{
    PyaioTlsPipe *pipe = pipe_of(bio);
    if (pipe != NULL) {
        pyaio_openssl.BIO_set_data(bio, NULL);
        pyaio_openssl.BIO_free(pipe->kept);
        free(pipe->out);
        free(pipe);
    }
    return 1;
}

int
pyaio_tls_pipe_make_method(PyaioOpenssl *openssl)
{
    int index = openssl->BIO_get_new_index();
    if (index < 0) {
        return -1;
    }
    BIO_METHOD *method = openssl->BIO_meth_new(
        index | PYAIO_BIO_TYPE_SOURCE_SINK, "pyaio pipe");
    if (method == NULL) {
        return -1;
    }
    (void)openssl->BIO_meth_set_read(method, pipe_read);
    (void)openssl->BIO_meth_set_write(method, pipe_write);
    (void)openssl->BIO_meth_set_ctrl(method, pipe_ctrl);
    (void)openssl->BIO_meth_set_destroy(method, pipe_destroy);
    openssl->pipe_method = method;
    return 0;
}

BIO *
pyaio_tls_pipe_new(BIO *kept, PyaioTlsPipe **pipe)
{
    PyaioTlsPipe *made = calloc(1, sizeof(*made));
    BIO *bio = made ? pyaio_openssl.BIO_new(pyaio_openssl.pipe_method) : NULL;
    if (bio == NULL) {
        free(made);
        return NULL;
    }
    (void)pyaio_openssl.BIO_up_ref(kept);
    made->kept = kept;
    pyaio_openssl.BIO_set_data(bio, made);
    pyaio_openssl.BIO_set_init(bio, 1);
    *pipe = made;
    return bio;
}

int
pyaio_tls_pipe_close_window(PyaioTlsPipe *pipe)
{
    const char *data = pipe->window;
    size_t size = pipe->window_size;
    pyaio_tls_pipe_open_window(pipe, NULL, 0);
    if (size == 0) {
        return 0;
    }
    int kept = size > INT_MAX
                   ? -1
                   : pyaio_openssl.BIO_write(pipe->kept, data, (int)size);
    return kept == (int)size ? 0 : -1;
}

size_t
pyaio_tls_pipe_incoming(const PyaioTlsPipe *pipe)
{
    return kept_size(pipe) + pipe->window_size;
}

char *
pyaio_tls_pipe_take(PyaioTlsPipe *pipe, size_t *size)
{
    char *out = pipe->out;
    *size = pipe->out_size;
    pipe->out = NULL;
    pipe->out_size = pipe->out_capacity = 0;
    return out;
}
