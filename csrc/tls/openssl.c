/* Finding OpenSSL, and the SSL inside the ssl module's objects. */
#include "tls/openssl.h"
#include "tls/pipe.h"

#include <dlfcn.h>

/* Older ones are no longer maintained; forks number themselves otherwise. */
#define OLDEST_VERSION 0x10101000UL

PyaioOpenssl pyaio_openssl;

/* How _ssl's objects begin; compared with what is known of each before use. */
typedef struct {
    PyObject_HEAD
    PyObject *socket; /* NULL for one over memory */
    SSL *ssl;
    PyObject *context;
} SocketHead;

typedef struct {
    PyObject_HEAD
    BIO *bio;
} MemoryHead;

/* What the module is linked to is searched along with it. A module that is
 * built into the interpreter has no file. */
static void *
open_library(PyObject *module)
{
    PyObject *path = PyObject_GetAttrString(module, "__file__");
    PyObject *encoded = NULL;
    if (path != NULL && !PyUnicode_FSConverter(path, &encoded)) {
        encoded = NULL;
    }
    PyErr_Clear();
    void *library = dlopen(encoded ? PyBytes_AS_STRING(encoded) : NULL,
                           RTLD_NOW | RTLD_NOLOAD);
    Py_XDECREF(encoded);
    Py_XDECREF(path);
    return library;
}

static int
load_symbols(void *library, PyaioOpenssl *openssl)
{
    void *found;
#define X(result, name, arguments) \
    found = dlsym(library, #name); \
    if (found == NULL) {           \
        return 0;                  \
    }                              \
    memcpy((void *)&openssl->name, &found, sizeof(found));
    PYAIO_OPENSSL_SYMBOLS(X)
#undef X
    return 1;
}

/* Whether these functions are of the library that the module tells of. */
static int
is_the_modules(PyObject *module, const PyaioOpenssl *openssl)
{
    PyObject *number =
        PyObject_GetAttrString(module, "OPENSSL_VERSION_NUMBER");
    PyObject *text = PyObject_GetAttrString(module, "OPENSSL_VERSION");
    const char *said =
        text && PyUnicode_Check(text) ? PyUnicode_AsUTF8(text) : NULL;
    unsigned long version = openssl->OpenSSL_version_num();
    int same = number != NULL && PyLong_Check(number) && said != NULL &&
               PyLong_AsUnsignedLongMask(number) == version &&
               version >= OLDEST_VERSION &&
               strncmp(said, "OpenSSL ", 8) == 0 &&
               strcmp(said, openssl->OpenSSL_version(0)) == 0;
    Py_XDECREF(number);
    Py_XDECREF(text);
    PyErr_Clear();
    return same;
}

static int
find(void)
{
    PyObject *module = PyImport_ImportModule("_ssl");
    if (module == NULL) {
        PyErr_Clear();
        return 0;
    }
    void *library = open_library(module);
    int found = library != NULL && load_symbols(library, &pyaio_openssl) &&
                is_the_modules(module, &pyaio_openssl) &&
                pyaio_tls_pipe_make_method(&pyaio_openssl) == 0;
    Py_DECREF(module);
    if (!found && library != NULL) {
        dlclose(library);
    }
    return found;
}

int
pyaio_openssl_find(void)
{
    static int answer = -1;
    if (answer < 0) {
        answer = find();
    }
    return answer;
}

SSL *
pyaio_openssl_ssl_of(PyObject *sslsock, PyObject *incoming, BIO **bio)
{
    if (Py_TYPE(sslsock)->tp_basicsize < (Py_ssize_t)sizeof(SocketHead) ||
        Py_TYPE(incoming)->tp_basicsize < (Py_ssize_t)sizeof(MemoryHead)) {
        return NULL;
    }
    const SocketHead *head = (const SocketHead *)sslsock;
    PyObject *context = PyObject_GetAttrString(sslsock, "context");
    int known = context != NULL && head->context == context &&
                head->socket == NULL && head->ssl != NULL;
    Py_XDECREF(context);
    PyErr_Clear();
    /* The module keeps a pointer to its object in the SSL. */
    if (!known ||
        pyaio_openssl.SSL_get_ex_data(head->ssl, 0) != (void *)sslsock) {
        return NULL;
    }
    *bio = ((MemoryHead *)incoming)->bio;
    return pyaio_openssl.SSL_get_rbio(head->ssl) == *bio ? head->ssl : NULL;
}
