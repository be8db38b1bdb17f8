"""Random operations on the design's prototype, printed for test_prototype.c: a line an operation with its
numbers and the answer, then a line with the whole state. prototype.py FOLDER EPISODES"""
import random
import sys

sys.path.insert(0, sys.argv[1])
from model import Model, Lane  # noqa: E402


def number(text):
    return int(text[1:]) if text else 0


def put(kind, *values):
    print(kind, *[int(v) for v in values])


def state(m):
    jobs, lanes, items = m.dump()
    out = [m.vt, len(jobs), len(lanes), len(items)]
    for j in jobs:
        (ident, seq, lane, st, prio, rank, run_at, fence, nonce, _worker, lease, suspect, creq, n_fail, n_crash,
         n_throttle, n_release, n_ok, n_void, gen, batch, cursor, uniq) = j
        out += [number(ident), seq, lane, st, prio, rank, run_at if st == 1 else 0, fence, nonce or 0, lease or 0,
                suspect, creq, n_fail, n_crash, n_throttle, n_release, n_ok, n_void, gen, batch, number(cursor),
                number(uniq)]
    for lane in lanes:
        out += lane
    for ident, (version, job, fence, writes) in items:
        out += [number(ident), version, number(job), fence, writes]
    put("S", *out)


OUTCOMES = ["ok", "fail", "health", "throttle", "release", "perm", "cancelled"]
FINISH = ["ok", "ok", "fail", "health", "throttle", "release", "perm", "cancelled"]
STALE = {"stale": 7, "done": 0, "ok": 0, "cancel": 1, "dup": 8, "gap": 9}
CANCEL = {"none": 1, "final": 11, "requested": 10, "cancelled": 0}


def episode(seed, steps):
    r = random.Random(seed)
    m = Model([Lane(0, 100, 2), Lane(1, 200, 1, emit=700, burst=2), Lane(2, 50, 3)])
    now, last, tokens, ids = 0, 0, [], []
    put("E", seed)
    for step in range(steps):
        now += r.choice([0, 0, 1, 5, 50, 300, 1500, 4000])
        op = r.random()
        token = r.choice(tokens[-8:]) if tokens else ("j0", 1)
        job, nonce = number(token[0]), token[1]
        if op < .22:
            last = last + 1 if r.random() < .9 else max(1, last)
            ident = "j%d" % last
            ids.append(ident)
            lane, prio, at = r.randrange(3), r.randrange(10), now + r.choice([0, 0, 0, 500, 3000])
            uniq = r.choice([None, None, "u1", "u2", "u3"])
            word, other = m.accept(ident, lane, prio, at, uniq, now)
            put("A", now, last, lane, prio, at, number(uniq), {"ok": 0, "exists": 2, "dup": 4}[word], number(other))
        elif op < .45:
            lease, nonce = r.choice([500, 2000]), r.randrange(1, 1 << 40)
            got = m.reserve("w", now, lease, nonce)
            put("R", now, lease, nonce, number(got[0]) if got else 0, got[1] if got else 0)
            if got:
                tokens.append((got[0], nonce))
        elif op < .55:
            put("H", now, job, nonce, 2000, STALE[m.heartbeat(token[0], nonce, now, 2000)])
        elif op < .63:
            items = [("p%d" % r.randrange(1, 10), r.randrange(5)) for _ in range(r.randrange(4))]
            batch = r.randrange(4)
            word = m.commit(token[0], nonce, batch, items, "c%d" % step)
            flat = [n for i, v in items for n in (number(i), v)]
            put("C", now, job, nonce, batch, step, STALE[word], len(items), *flat)
        elif op < .83:
            outcome, wait = r.choice(FINISH), r.choice([100, 2500])
            put("F", now, job, nonce, OUTCOMES.index(outcome), wait, STALE[m.finish(token[0], nonce, outcome, now, wait)])
        elif op < .89:
            put("X", now, m.reap(now))
        elif op < .93:
            put("P", now, m.promote(now))
        elif op < .97 and ids:
            ident, force = r.choice(ids), r.random() < .5
            put("K", now, number(ident), force, CANCEL[m.cancel(ident, force, now)])
        elif ids:
            ident = r.choice(ids)
            put("Y", now, number(ident), {"no": 0, "ok": 1, "dup": 2}[m.replay(ident, now)])
        else:
            continue
        m.check()
        state(m)


for number_of_episode in range(int(sys.argv[2])):
    episode(number_of_episode, 300)
