#include "cli/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum { FRAME_MAX = 256 * 1024, COLUMNS = 80, ROWS = 24 };

/* Other screen, no cursor, no wrapping; and back. */
static const char opening[] = "\x1b[?1049h\x1b[?25l\x1b[?7l";
static const char closing[] = "\x1b[?7h\x1b[?25h\x1b[?1049l";
static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGABRT};

static struct termios before;
static volatile sig_atomic_t is_open;

static void put(const char *text, size_t n)
{
    while (n) {
        ssize_t written = write(STDOUT_FILENO, text, n);
        if (written < 0 && errno != EINTR && errno != EAGAIN)
            return;
        if (written > 0) {
            text += written;
            n -= (size_t)written;
        }
    }
}

/* Nothing in here but what a signal handler may call. */
static void give_back(void)
{
    if (!is_open)
        return;
    is_open = 0;
    put(closing, sizeof closing - 1);
    tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

static void take(void)
{
    struct termios own = before;
    own.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    own.c_cc[VMIN] = 0;
    own.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSANOW, &own);
    put(opening, sizeof opening - 1);
    is_open = 1;
}

static void on_end(int signum)
{
    give_back();
    signal(signum, SIG_DFL);
    raise(signum); /* comes when this handler returns */
}

static void on_stop(int signum)
{
    (void)signum;
    int kept = errno;
    give_back();
    raise(SIGSTOP);
    take();
    errno = kept;
}

static void on_nothing(int signum)
{
    (void)signum; /* that a wait ends is all that is wanted */
}

static void catch (int signum, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    sigaction(signum, &action, NULL);
}

bool screen_open(void)
{
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before))
        return false;
    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++)
        catch (ending[i], on_end);
    catch (SIGTSTP, on_stop);
    catch (SIGWINCH, on_nothing);
    take();
    return true;
}

void screen_close(void)
{
    give_back();
}

void screen_size(size_t *out_columns, size_t *out_rows)
{
    struct winsize size;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col && size.ws_row;
    *out_columns = known ? size.ws_col : COLUMNS;
    *out_rows = known ? size.ws_row : ROWS;
}

void screen_draw(struct span frame)
{
    struct buf out = BUF(FRAME_MAX);
    struct span line;
    size_t columns, rows, row = 0;
    screen_size(&columns, &rows);
    buf_add_text(&out, "\x1b[H");
    while (row < rows && span_next(&frame, '\n', &line)) {
        buf_add_text(&out, row++ ? "\r\n" : "");
        buf_add(&out, line);
        buf_add_text(&out, "\x1b[K");
    }
    buf_add_text(&out, "\x1b[J");
    put(out.p, out.n);
    buf_free(&out);
}

char screen_key(int timeout_ms)
{
    struct pollfd keys = {.fd = STDIN_FILENO, .events = POLLIN};
    char key = 0;
    if (poll(&keys, 1, timeout_ms) == 1 && read(STDIN_FILENO, &key, 1) != 1)
        key = 'q'; /* the terminal is gone */
    return key;
}
