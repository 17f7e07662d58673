/* Where things are in memory, for `python -m pyaio ps`. */
#include "memory_map.h"
#include "combine/coroutine.h"
#include "combine/taskgroup.h"
#include "loop/loop.h"
#include "task/task.h"

#if !PYAIO_HAS_CALL_GRAPH

typedef struct {
    const char *name;
    size_t value;
} Place;

#define FIELD(label, type, field) {label, offsetof(type, field)}

static const Place places[] = {
    FIELD("state.tasks", PyaioState, tasks),
    FIELD("state.Task", PyaioState, Task_type),
    FIELD("state.Future", PyaioState, Future_type),
    FIELD("state.Coroutine", PyaioState, Coroutine_type),
    FIELD("state.ReadyCall", PyaioState, ReadyCall_type),
    FIELD("state.EventLoop", PyaioState, EventLoopBase_type),
    FIELD("state.TaskGroup", PyaioState, TaskGroupBase_type),
    FIELD("link.next", PyaioLink, next),

    FIELD("future.callback", PyaioFutureBase, callback0),
    FIELD("future.callbacks", PyaioFutureBase, callbacks),
    FIELD("future.kind", PyaioFutureObject, future.callback0_kind),
    FIELD("task.kind", PyaioTask, future.callback0_kind),
    FIELD("task.loop", PyaioTask, future.loop),
    FIELD("task.link", PyaioTask, link),
    FIELD("task.coroutine", PyaioTask, base.coro),
    FIELD("task.name", PyaioTask, base.name),
    FIELD("call.kind", PyaioReadyCall, kind),
    FIELD("call.target", PyaioReadyCall, a),
    FIELD("kind.waiter", PyaioReadyKind, waiter),
    FIELD("kind.waiters", PyaioReadyKind, waiters),
    FIELD("group.parent", PyaioTaskGroup, parent_task),
    FIELD("loop.thread", PyaioLoop, head.sched.thread),
    FIELD("native.kind", PyaioCoroutine, kind),
    FIELD("native.qualname", PyaioCoroutine, qualname),
    FIELD("native.awaited", PyaioCoroutine, await.awaited),
    FIELD("native_kind.function", PyaioCoroutineKind, function),

    FIELD("object.type", PyObject, ob_type),
    FIELD("object.size", PyVarObject, ob_size),
    FIELD("type.name", PyTypeObject, tp_name),
    FIELD("type.base", PyTypeObject, tp_base),
    FIELD("list.items", PyListObject, ob_item),
    FIELD("tuple.items", PyTupleObject, ob_item),
    {"int.digits", sizeof(PyVarObject)},
    FIELD("str.length", PyASCIIObject, length),
    FIELD("str.state", PyASCIIObject, state),
    {"str.ascii", sizeof(PyASCIIObject)},
    {"str.other", sizeof(PyCompactUnicodeObject)},
    FIELD("bytes.data", PyBytesObject, ob_sval),
    FIELD("function.qualname", PyFunctionObject, func_qualname),
    FIELD("function.closure", PyFunctionObject, func_closure),
    FIELD("builtin_function_or_method.self", PyCFunctionObject, m_self),
    FIELD("method.self", PyMethodObject, im_self),
    FIELD("cell.content", PyCellObject, ob_ref),
    FIELD("code.name", PyCodeObject, co_qualname),
    FIELD("code.file", PyCodeObject, co_filename),
    FIELD("code.line", PyCodeObject, co_firstlineno),
    FIELD("code.lines", PyCodeObject, co_linetable),
    FIELD("code.start", PyCodeObject, co_code_adaptive),
    FIELD("coroutine.qualname", PyCoroObject, cr_qualname),
    FIELD("coroutine.state", PyCoroObject, cr_frame_state),
    FIELD("coroutine.frame", PyCoroObject, cr_iframe),
    /* The one field of what only hands on to a coroutine or generator. */
    {"wrapper.wrapped", sizeof(PyObject)},
    FIELD("frame.code", PyaioFrame, code),
    FIELD("frame.previous", PyaioFrame, previous),
    FIELD("frame.instruction", PyaioFrame, instruction),
    FIELD("frame.stack_top", PyaioFrame, stack_top),
    FIELD("frame.locals", PyaioFrame, locals),
    FIELD("thread.id", PyThreadState, native_thread_id),
#if PYAIO_THREAD_HAS_CFRAME
    FIELD("thread.cframe", PyThreadState, cframe),
    {"cframe.frame", PYAIO_CFRAME_FRAME},
#else
    FIELD("thread.frame", PyThreadState, current_frame),
#endif
};

static int
map_add(PyObject *map, const char *name, size_t value)
{
    PyObject *number = PyLong_FromSize_t(value);
    int err = number ? PyDict_SetItemString(map, name, number) : -1;
    Py_XDECREF(number);
    return err;
}

PyObject *
pyaio_py_memory_map(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    PyObject *map = PyDict_New();
    if (map == NULL) {
        return NULL;
    }
    int err = map_add(map, "only_state", (size_t)&pyaio_only_state) < 0;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && !err; i++) {
        err = map_add(map, places[i].name, places[i].value) < 0;
    }
    if (err) {
        Py_CLEAR(map);
    }
    return map;
}

#endif
