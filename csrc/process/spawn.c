/* Starting a program in a child. */
#include "process/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/* --- in the child -------------------------------------------------------- */

/* The shared memory must not see a handler of the parent's run, once signals
 * come again. */
static void
forget_handlers(int restore_signals)
{
    const struct sigaction by_default = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) == 0 &&
            action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN) {
            (void)sigaction(number, &by_default, NULL);
        }
    }
    if (restore_signals) {
        (void)sigaction(SIGPIPE, &by_default, NULL);
#ifdef SIGXFSZ
        (void)sigaction(SIGXFSZ, &by_default, NULL);
#endif
    }
}

/* Makes `fd` the descriptor `number`, which the program inherits. */
static int
place_file(int fd, int number)
{
    if (fd == number) {
        int flags = fcntl(fd, F_GETFD);
        return flags < 0 ? -1 : fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC);
    }
    return fd < 0 || dup2(fd, number) >= 0 ? 0 : -1;
}

static int
place_files(const int files[3])
{
    int in = files[0], out = files[1], error = files[2];
    /* None may be overwritten before it is in its place. */
    if (out == 0 && (out = dup(out)) < 0) {
        return -1;
    }
    while (error == 0 || error == 1) {
        if ((error = dup(error)) < 0) {
            return -1;
        }
    }
    return place_file(in, 0) < 0 || place_file(out, 1) < 0 ||
                   place_file(error, 2) < 0
               ? -1
               : 0;
}

static int
set_up(PyaioSpawnOrder *order)
{
    order->stage = PYAIO_SPAWN_SETUP;
    if (place_files(order->files) < 0) {
        return -1;
    }
    if (order->cwd != NULL && chdir(order->cwd) < 0) {
        order->stage = PYAIO_SPAWN_CHDIR;
        return -1;
    }
    forget_handlers(order->restore_signals);
    (void)sigprocmask(SIG_SETMASK, &order->signals, NULL);
    if (order->new_session && setsid() < 0) {
        return -1;
    }
    if (order->process_group >= 0 && setpgid(0, order->process_group) < 0) {
        return -1;
    }
    return syscall(SYS_close_range, 3u, ~0u, 0u) < 0 ? -1 : 0;
}

/* Returns where no path leads to a program that can be executed. */
static void
execute(PyaioSpawnOrder *order)
{
    int remembered = 0;
    order->stage = PYAIO_SPAWN_EXEC;
    for (char *const *path = order->paths; *path != NULL; path++) {
        if (order->env != NULL) {
            (void)execve(*path, order->argv, order->env);
        }
        else {
            (void)execv(*path, order->argv);
        }
        if (errno != ENOENT && errno != ENOTDIR && remembered == 0) {
            remembered = errno;
        }
    }
    if (remembered != 0) {
        errno = remembered;
    }
}

/* --- in the parent ------------------------------------------------------- */

/* A frame of its own, which nobody returns from in the child. */
static __attribute__((noinline)) pid_t
spawn_child(PyaioSpawnOrder *order)
{
    /* NOLINTBEGIN: what a child of vfork() may do is known here. */
    pid_t pid = vfork();
    if (pid == 0) {
        if (set_up(order) == 0) {
            execute(order);
        }
        order->failure = errno;
        _exit(255);
    }
    /* NOLINTEND */
    return pid;
}

pid_t
pyaio_spawn(PyaioSpawnOrder *order)
{
    sigset_t all;
    order->failure = 0;
    order->stage = PYAIO_SPAWN_SETUP;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &order->signals);
    pid_t pid = spawn_child(order);
    int number = errno;
    (void)pthread_sigmask(SIG_SETMASK, &order->signals, NULL);
    if (pid < 0) {
        order->failure = number;
    }
    else if (order->failure != 0) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
        }
        pid = -1;
    }
    return pid;
}
