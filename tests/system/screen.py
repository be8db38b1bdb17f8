"""Runs a program on a terminal of its own, 80 columns and 24 rows unless said otherwise.

usage: screen.py KEYS PROGRAM ARGUMENT...
KEYS are sent when a whole frame is there: text, ^C for Ctrl-C. Prints the last frame. Ends with 1 and a sentence when
the program left the terminal otherwise than it was, a line is too wide, or there are too many; else with the exit status
of the program, as a shell gives it.
"""
import fcntl
import os
import select
import struct
import sys
import termios
import time

ROWS, COLUMNS, SECONDS = int(os.environ.get("ROWS", 24)), int(os.environ.get("COLUMNS", 80)), 60
BACK = b"\x1b[?7h\x1b[?25h\x1b[?1049l"


def fail(words):
    print("screen:", words)
    sys.exit(1)


def start(argv, slave, master):
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in (0, 1, 2):
        os.dup2(slave, fd)
    os.close(master)
    os.execv(argv[0], argv)


def read(master, seconds):
    if not select.select([master], [], [], seconds)[0]:
        return b""
    return os.read(master, 65536)


def play(argv, keys):
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    before = termios.tcgetattr(slave)
    pid = start(argv, slave, master)
    out, deadline, ended = b"", time.time() + SECONDS, 0
    while not ended:
        if time.time() > deadline:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            fail("it did not end in time")
        out += read(master, 0.05)
        # A key for each frame, so that none is lost in a queue that is thrown away.
        if keys and out.count(b"\x1b[J") > 0 and out.rstrip().endswith(b"\x1b[J"):
            os.write(master, b"\x03" if keys[0] == "^C" else keys[0].encode())
            keys = keys[1:]
            out += read(master, 0.5)
        ended, status = os.waitpid(pid, os.WNOHANG)
    while True:
        more = read(master, 0.2)
        if not more:
            break
        out += more
    return out, status, before == termios.tcgetattr(slave)


def main():
    keys = ["^C"] if sys.argv[1] == "^C" else list(sys.argv[1])
    out, status, same = play(sys.argv[2:], keys)
    frames = [f.split(b"\x1b[J")[0] for f in out.split(b"\x1b[H")[1:]]
    if not frames:
        fail("nothing was drawn: %r" % out[-500:])
    for frame in frames:
        lines = frame.decode().replace("\x1b[K", "").replace("\r", "").split("\n")
        if len(lines) > ROWS:
            fail("%d lines" % len(lines))
        for line in lines:
            if len(line) > COLUMNS:
                fail("%d columns: %s" % (len(line), line))
    if not same:
        fail("the terminal is not as it was")
    if not out.endswith(BACK):
        fail("the screen was not given back: %r" % out[-60:])
    print("\n".join(lines))
    sys.exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))


main()
