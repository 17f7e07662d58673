/* What the module takes from here. */
#ifndef PYAIO_STREAM_STREAM_H
#define PYAIO_STREAM_STREAM_H

#include "base/compat.h"

/* Adds all types of the layer. Returns 0 or -1. */
int pyaio_stream_init(PyObject *module);

int pyaio_reader_init(PyObject *module);
int pyaio_writer_init(PyObject *module);
int pyaio_stream_protocol_init(PyObject *module);
/* Gives the protocols their metaclass, once all types that derive from them
 * exist. Returns 0 or -1. */
int pyaio_stream_protocol_adopt(PyObject *module);

#endif
