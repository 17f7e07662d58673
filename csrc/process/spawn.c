/* Starting a program in a child. */
#include "process/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_clone3
#define SYS_clone3 435
#endif
/* Also CLONE_CLEAR_SIGHAND, since Linux 5.5. */
#define CLEAR_HANDLERS UINT64_C(0x100000000)

/* --- in the child -------------------------------------------------------- */

static const struct sigaction by_default = {.sa_handler = SIG_DFL};

/* The shared memory must not see a handler of the parent's run, once signals
 * come again. */
static void
forget_handlers(void)
{
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) == 0 &&
            action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN) {
            (void)sigaction(number, &by_default, NULL);
        }
    }
}

/* Takes back what the interpreter ignores. */
static void
restore_ignored(void)
{
    (void)sigaction(SIGPIPE, &by_default, NULL);
#ifdef SIGXFSZ
    (void)sigaction(SIGXFSZ, &by_default, NULL);
#endif
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
    if (!order->without_handlers) {
        forget_handlers();
    }
    if (order->restore_signals) {
        restore_ignored();
    }
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

static _Noreturn void
run_child(PyaioSpawnOrder *order)
{
    if (set_up(order) == 0) {
        execute(order);
    }
    order->failure = errno;
    _exit(255);
}

/* --- in the parent ------------------------------------------------------- */

/* A frame of its own, which nobody returns from in the child. */
static __attribute__((noinline)) pid_t
fork_child(PyaioSpawnOrder *order)
{
    /* NOLINTBEGIN: what a child of vfork() may do is known here. */
    pid_t pid = vfork();
    if (pid == 0) {
        run_child(order);
    }
    /* NOLINTEND */
    return pid;
}

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)

enum { CHILD_STACK = 12 * 1024 };

/* The same by a system call for which vfork() has no place: the kernel forgets
 * the handlers, instead of the child with a call for each signal, which takes
 * 2 % of the time of a short program. The child runs on a part of this frame,
 * which waits for it. */
static __attribute__((noinline)) pid_t
clone_child(PyaioSpawnOrder *order)
{
    _Alignas(16) char stack[CHILD_STACK];
    const struct {
        uint64_t flags, pidfd, child_tid, parent_tid;
        uint64_t exit_signal, stack, stack_size, tls;
    } how = {
        .flags = CLONE_VM | CLONE_VFORK | CLEAR_HANDLERS,
        .exit_signal = SIGCHLD,
        .stack = (uint64_t)(uintptr_t)stack,
        .stack_size = sizeof(stack),
    };
    long result;
    /* Registers that the system call leaves alone, none of them %rbp. */
    __asm__ volatile("syscall\n\t"
                     "testq %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xorl %%ebp, %%ebp\n\t"
                     "movq %%rdx, %%rdi\n\t"
                     "callq *%%rbx\n\t"
                     "hlt\n"
                     "1:"
                     : "=a"(result)
                     : "0"((long)SYS_clone3), "D"(&how), "S"(sizeof(how)),
                       "d"(order), "b"(run_child)
                     : "rcx", "r11", "memory", "cc");
    if (result < 0) {
        errno = (int)-result;
        return -1;
    }
    return (pid_t)result;
}

static pid_t
spawn_child(PyaioSpawnOrder *order)
{
    order->without_handlers = 1;
    pid_t pid = clone_child(order);
    if (pid < 0 && (errno == ENOSYS || errno == EINVAL || errno == EPERM)) {
        order->without_handlers = 0;
        pid = fork_child(order);
    }
    return pid;
}

#else

static pid_t
spawn_child(PyaioSpawnOrder *order)
{
    order->without_handlers = 0;
    return fork_child(order);
}

#endif

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
