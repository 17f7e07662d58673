/* The pipes between a subprocess and its transport: their protocols, in the
 * shape of stock's ReadSubprocessPipeProto and WriteSubprocessPipeProto. */
#ifndef PYAIO_PROCESS_CHILD_PIPE_H
#define PYAIO_PROCESS_CHILD_PIPE_H

#include "process/transport.h"

/* All return 0, or -1 with an exception. */

/* Connects every pipe. Its protocol and its transport know of each other then,
 * and what comes from the child is queued behind what is queued by now. */
int pyaio_child_pipes_connect(PyaioState *state, PyaioSubprocess *self);
/* Closes all of them, however far that came. */
int pyaio_child_pipes_abandon(PyaioState *state, PyaioSubprocess *self);

#endif
