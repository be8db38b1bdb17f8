/* Lease, fence and cancel of one job: two workers whose messages may come late, twice or never, a
 * reaper that may think a living worker dead, a person who cancels. The store answers one message
 * after the other, as transactions do. Compiled with -DNO_FENCE a finish counts when the job is
 * running, whoever sends it; -DNO_SUSPECT reaps at the first look; models/check.sh runs all three.
 *
 * Time is left out: a lease may lapse at any moment. */

#define WORKERS 2
#define LEASES_MAX 3

mtype = { ready, running, succeeded, cancelled, dead };
mtype = { heartbeat, commit, finish };

mtype state = ready;
byte fence = 0;          /* leases granted so far: the number of the current one is its nonce */
bool suspect = false;
bool cancel_asked = false;
bool no_more = false;    /* a forced cancel was answered */

/* Watched, not part of the store. */
byte successes = 0;
byte next_batch = 0;
bool wrong_write = false;     /* a lost lease wrote */
bool late_write = false;      /* something was written after a forced cancel */
bool spoke_and_reaped = false; /* reaped though it was heard of after the first look */
bool heard = false;

/* Messages on their way: kind, lease. A channel keeps them as long as it likes. */
chan wire = [2] of { mtype, byte };

#ifdef NO_FENCE
#define HOLDS(lease) (state == running)
#else
#define HOLDS(lease) (state == running && lease == fence)
#endif

inline wrote(lease)
{
    wrong_write = wrong_write || lease != fence;
    late_write = late_write || no_more;
}

inline answer(kind, lease)
{
    if
    :: kind == heartbeat && HOLDS(lease) ->
        wrote(lease);
        suspect = false;
        heard = true
    :: kind == commit && HOLDS(lease) ->
        wrote(lease);
        next_batch = (next_batch < 2 -> next_batch + 1 : 2)
    :: kind == finish && HOLDS(lease) ->
        wrote(lease);
        successes++;
        state = succeeded
    :: else -> skip /* stale: nothing changes */
    fi
}

/* The store takes messages in any order (??), may take one and leave it there (delivered twice),
 * or lose it. */
active proctype store()
{
    mtype kind;
    byte lease;
end:
    do
    :: atomic {
            wire??kind, lease ->
            answer(kind, lease);
            if
            :: nfull(wire) -> wire!kind, lease
            :: skip
            fi
        }
    :: atomic { wire??kind, lease -> skip }
    od
}

active [WORKERS] proctype worker()
{
    byte mine;
end:
    do
    :: atomic { state == ready && fence < LEASES_MAX ->
            fence++;
            mine = fence;
            suspect = false;
            heard = false;
            state = running
        };
        /* It works on, whether or not its lease is still held: nobody can tell it in time. */
        do
        :: atomic { nfull(wire) -> wire!heartbeat, mine }
        :: atomic { nfull(wire) -> wire!commit, mine }
        :: atomic { nfull(wire) -> wire!finish, mine }; break
        :: break /* it dies */
        od
    od
}

active proctype reaper()
{
end:
    do
    :: atomic { state == running && !suspect -> suspect = true; heard = false }
#ifdef NO_SUSPECT
    :: atomic { state == running ->
#else
    :: atomic { state == running && suspect ->
#endif
            spoke_and_reaped = spoke_and_reaped || heard;
            suspect = false;
            if
            :: cancel_asked -> state = cancelled
            :: !cancel_asked && fence < LEASES_MAX -> state = ready
            :: else -> state = dead
            fi
        }
    od
}

active proctype person()
{
    if
    :: atomic { state == ready -> state = cancelled; no_more = true }
    :: atomic { state == running -> cancel_asked = true }
    :: atomic { state == running -> state = cancelled; no_more = true } /* by force */
    :: skip
    fi
}

active proctype watch()
{
end:
    do
    :: atomic { wrong_write -> assert(false) }
    :: atomic { late_write -> assert(false) }
    :: atomic { successes > 1 -> assert(false) }
    :: atomic { spoke_and_reaped -> assert(false) }
    od
}
