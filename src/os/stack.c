#include "os/stack.h"

#include "base/need.h"
#include "os/symbols.h"

#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

/* What is read from it is looked at before it is used, and read once: the child may write at any time. */
struct stack_page {
    _Atomic uint32_t asked, told; /* by number; the same: it has answered */
    _Atomic uint32_t count;
    uintptr_t at[STACK_FRAMES];
};
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "used in a handler of a signal");

/* ---- of who asks ---- */

static err fail_page(struct fault *f)
{
    return fail(f, E_OS, "no page of memory for a stack: %s", strerrordesc_np(errno));
}

static err map(int fd, struct stack_page **out, struct fault *f)
{
    void *p = mmap(NULL, sizeof **out, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return fail_page(f);
    *out = p;
    return E_OK;
}

err stack_new(struct stack_page **out, int *out_fd, struct fault *f)
{
    int fd = memfd_create("stack", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return fail_page(f);
    /* It stays as large as it is: a page that is gone would kill who looks. */
    err e = ftruncate(fd, sizeof **out) ||
                    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)
                ? fail_page(f)
                : map(fd, out, f);
    if (e)
        close(fd);
    else
        *out_fd = fd;
    return e;
}

void stack_free(struct stack_page **p)
{
    if (*p)
        munmap(*p, sizeof **p);
    *p = NULL;
}

err stack_ask(struct stack_page *p, pid_t child, struct fault *f)
{
    atomic_fetch_add(&p->asked, 1);
    if (kill(child, SIGQUIT) != 0)
        return fail(f, E_OS, "process %d cannot be asked: %s", (int)child,
                    strerrordesc_np(errno));
    return E_OK;
}

bool stack_take(const struct stack_page *p, uintptr_t out[STACK_FRAMES], size_t *out_count)
{
    if (atomic_load(&p->told) != atomic_load(&p->asked))
        return false;
    size_t count = atomic_load(&p->count);
    count = count < STACK_FRAMES ? count : STACK_FRAMES;
    memcpy(out, p->at, count * sizeof *out);
    *out_count = count;
    return true;
}

void stack_names(pid_t child, const uintptr_t *at, size_t count, struct arena *a,
                 const char **out)
{
    need(count <= STACK_FRAMES);
    struct symbol found[STACK_FRAMES] = {{.size = 0}};
    for (size_t i = 0; i < count; i++) /* behind a call may be the next function */
        found[i].at = i ? at[i] - 1 : at[i];
    symbols_find(child, found, count, a);
    for (size_t i = 0; i < count; i++) {
        const struct symbol *s = &found[i];
        unsigned long long more = s->offset + (i ? 1 : 0);
        if (s->name && s->ours)
            out[i] = arena_fmt(a, "%s+0x%llx", s->name, more);
        else if (s->name)
            out[i] = arena_fmt(a, "%s+0x%llx in %s", s->name, more, s->file);
        else if (s->file)
            out[i] = arena_fmt(a, "%s+0x%llx", s->file, more);
        else
            out[i] = arena_fmt(a, "0x%llx", (unsigned long long)at[i]);
    }
}

/* ---- of the child ---- */

static struct stack_page *page;

static uintptr_t interrupted(const void *context)
{
    const ucontext_t *u = context;
#if defined(__x86_64__)
    return (uintptr_t)u->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)u->uc_mcontext.pc;
#else
    (void)u;
    return 0;
#endif
}

/* The unwinder was loaded before (stack_tell); with it there it takes no lock and no memory. */
static void on_asked(int signum, siginfo_t *info, void *context)
{
    (void)signum;
    (void)info;
    enum { OF_HANDLER = 4 };
    void *at[STACK_FRAMES + OF_HANDLER];
    int before = errno;
    uint32_t asked = atomic_load(&page->asked);
    int n = backtrace(at, STACK_FRAMES + OF_HANDLER), first = 0;
    for (int i = 0; i < n && i < OF_HANDLER; i++) /* what is this handler's is left out */
        if ((uintptr_t)at[i] == interrupted(context))
            first = i;
    uint32_t count = 0;
    for (int i = first; i < n && count < STACK_FRAMES; i++)
        page->at[count++] = (uintptr_t)at[i];
    atomic_store(&page->count, count);
    atomic_store(&page->told, asked);
    errno = before;
}

err stack_tell(int fd, struct fault *f)
{
    void *first[1];
    err e = map(fd, &page, f);
    close(fd);
    if (e)
        return e;
    (void)backtrace(first, 1);
    struct sigaction act = {.sa_sigaction = on_asked, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigemptyset(&act.sa_mask);
    if (sigaction(SIGQUIT, &act, NULL) != 0)
        return fail(f, E_OS, "no handler for SIGQUIT: %s", strerrordesc_np(errno));
    return E_OK;
}
