/* The attributes of a coroutine: for the layer's own files. */
#ifndef PYAIO_COMBINE_COROUTINE_ATTRIBUTES_H
#define PYAIO_COMBINE_COROUTINE_ATTRIBUTES_H

#include "combine/coroutine.h"

extern PyGetSetDef pyaio_coroutine_getset[];

/* cr_origin: a tuple of (file, line, function) of up to `depth` callers. */
PyObject *pyaio_coroutine_origin(int depth);

#endif
