/* Starting a program in a child: plain system calls.
 *
 * The child of a vfork() runs on its parent's memory, and the parent's thread
 * waits until it executes the program or exits; so the order tells what went
 * wrong, and nobody is to be called who would notice a fork. */
#ifndef PYAIO_PROCESS_SPAWN_H
#define PYAIO_PROCESS_SPAWN_H

#include <signal.h>
#include <sys/types.h>

/* How far a child came that failed. */
enum {
    PYAIO_SPAWN_SETUP,
    PYAIO_SPAWN_CHDIR,
    PYAIO_SPAWN_EXEC,
};

typedef struct {
    char *const *paths; /* to try one after another; ends with NULL */
    char *const *argv;
    char *const *env; /* NULL for the environment of this process */
    const char *cwd;  /* NULL for that of this process */
    int files[3];     /* what becomes standard input, output and error; -1 for
                         what these are here */
    int restore_signals; /* take back what the interpreter ignores */
    int new_session;
    int without_handlers; /* the child has none: set by pyaio_spawn() */
    pid_t process_group;  /* -1 for that of this process */
    sigset_t signals;     /* blocked in the child: set by pyaio_spawn() */
    volatile int stage;   /* of a failure */
    volatile int failure; /* error number, 0 for none */
} PyaioSpawnOrder;

/* Starts the program; every descriptor above 2 is closed in the child. Returns
 * its process id, or -1 with the order's `failure`. */
pid_t pyaio_spawn(PyaioSpawnOrder *order);

#endif
