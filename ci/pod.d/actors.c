/* Stand-ins for the pod check: what a pod's containers run, each under the name that the binary is copied to.
 *
 *   pause                 PID 1 of the pod: collects what ends, stays until SIGTERM
 *   NAME                  stays until SIGTERM
 *   NAME MAIN WORDS...    a container's first process; each word starts a child, then it stays:
 *       orphan:PROGRAM    left behind by a session leader that has exited, with the environment of this container
 *       unmarked:PROGRAM  the same with no environment at all
 *       child:PROGRAM     a child of this process, in its own session
 *   NAME leave WORDS...   the same, and then it exits: `exec` into a running container
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void stop(int s) { (void)s; _exit(0); }
static void collect(int s) { (void)s; while (waitpid(-1, 0, WNOHANG) > 0) {} }

static void become(const char *program, char **env)
{
    const char *name = strrchr(program, '/');
    char *argv[] = { (char *)(name ? name + 1 : program), 0 };
    /* An open output would keep the caller of `exec` waiting for this process. */
    for (int fd = 0; fd < 3; fd++)
        close(fd);
    execve(program, argv, env);
    _exit(127);
}

static void start(const char *word, char **env)
{
    static char *nothing[] = { 0 };
    const char *program = strchr(word, ':') + 1;
    int is_child = !strncmp(word, "child:", 6);
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        if (is_child || fork() == 0)
            become(program, !strncmp(word, "unmarked:", 9) ? nothing : env);
        _exit(0);
    }
    if (!is_child)
        waitpid(pid, 0, 0);
}

int main(int argc, char **argv, char **env)
{
    for (int i = 2; i < argc; i++)
        start(argv[i], env);
    if (argc > 1 && !strcmp(argv[1], "leave"))
        return 0;
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    signal(SIGCHLD, collect);
    collect(0);
    for (;;)
        pause();
}
