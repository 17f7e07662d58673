/* What the layer gives to the module. */
#ifndef PYAIO_PROCESS_PROCESS_H
#define PYAIO_PROCESS_PROCESS_H

#include "base/state.h"

/* Has the loop call callback(pid, exit code, *arguments) when a child of this
 * process ends, which nobody else waits for; or tell the transport that is
 * given instead. Returns 0, or -1 with an exception: OSError where there is no
 * process descriptor to be had. */
int pyaio_child_watch(PyaioState *state, PyObject *loop, int pid,
                      PyObject *callback, PyObject *arguments);
/* _watch_child(): the same for Python */
PyObject *pyaio_py_watch_child(PyObject *module, PyObject *args);
/* _adopt_subprocess(): process/create.c */
PyObject *pyaio_py_adopt_subprocess(PyObject *module, PyObject *args,
                                    PyObject *kwargs);

int pyaio_child_init(PyObject *module);
int pyaio_subprocess_init(PyObject *module);
int pyaio_child_pipe_init(PyObject *module);
/* A method of one of asyncio's classes, with the arguments of a vectorcall:
 * stock.<name>(op, ...) */
PyObject *pyaio_call_stock(PyObject *stock, PyObject *op, const char *name,
                           PyObject *const *args, Py_ssize_t nargs,
                           PyObject *kwnames);
/* SubprocessStreamProtocol(limit, loop) */
PyObject *pyaio_child_protocol_new(PyaioState *state, PyObject *limit,
                                   PyObject *loop);
/* Takes the writer from a protocol of ours that has it. */
void pyaio_child_protocol_forget_input(PyaioState *state, PyObject *protocol,
                                       PyObject *writer);
int pyaio_create_init(PyObject *module);
/* After the streams' types. */
int pyaio_process_init(PyObject *module);
int pyaio_communicate_init(PyObject *module);
int pyaio_child_wait_init(PyObject *module);
/* After the streams' types, before they are adopted. */
int pyaio_child_protocol_init(PyObject *module);
/* Gives it its metaclass, after them. */
int pyaio_child_protocol_adopt(PyObject *module);

#endif
