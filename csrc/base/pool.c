/* Freelists given back to the allocator. */
#include "base/pool.h"

void
pyaio_pool_drain(PyaioPool *pool)
{
    pool->closed = 1;
    while (pool->count > 0) {
        PyObject_GC_Del(pool->items[--pool->count]);
    }
}
