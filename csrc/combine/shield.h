/* What shield() leaves between the inner future and the outer ones.
 *
 * A Shielding stands in the inner future's list of callbacks, for all shields
 * that were made one after the other without a callback of another kind in
 * between; each has a Shield in its list. So a shield that is cancelled leaves
 * at the same cost however many there are. */
#ifndef PYAIO_COMBINE_SHIELD_H
#define PYAIO_COMBINE_SHIELD_H

#include "task/future.h"

/* Connects the two, both plain futures of ours and pending. `task`, the one
 * that is to be recorded as awaiting `inner`, may be NULL. Returns 0 or -1. */
int pyaio_shield_connect(PyaioState *state, PyObject *inner, PyObject *outer,
                         PyObject *task);

int pyaio_shielding_init(PyObject *module);

#endif
