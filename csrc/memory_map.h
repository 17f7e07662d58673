/* For tools that look at the memory of another process. */
#ifndef PYAIO_MEMORY_MAP_H
#define PYAIO_MEMORY_MAP_H

#include "base/compat.h"

#if !PYAIO_HAS_CALL_GRAPH
/* _memory_map(): a dictionary of addresses in this process and of offsets
 * ("struct.field"), from which the package finds the tasks of a process that
 * has loaded the same file. From Python 3.14 on stock's own tool finds them.
 */
PyObject *pyaio_py_memory_map(PyObject *module, PyObject *unused);
#endif

#endif
