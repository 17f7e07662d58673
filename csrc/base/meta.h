/* The metaclass of our native classes: isinstance() and issubclass() against
 * one of them also accept what the stock class of its name accepts. */
#ifndef PYAIO_BASE_META_H
#define PYAIO_BASE_META_H

#include "base/state.h"

/* Makes the metaclass itself. Returns 0 or -1. */
int pyaio_meta_init(PyObject *module);
/* Makes `type` an instance of the metaclass. Returns 0 or -1. */
int pyaio_meta_adopt(PyaioState *state, PyTypeObject *type);

/* Whether attribute `name` of `type` is that of `ours`, our own type. No
 * exception may be set, and none is afterwards. */
int pyaio_attribute_is_original(PyObject *type, PyObject *ours,
                                PyObject *name);

#endif
