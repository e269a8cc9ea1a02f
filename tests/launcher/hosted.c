/* The launcher as an ordinary program, for sanitizers and valgrind: the same source, started by a libc. */
#include "hosted.h"

#include "../../initcontainer/launcher.c"

int main(int argc, char **argv, char **envp)
{
    return launch(argc, argv, envp);
}
