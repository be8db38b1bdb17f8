# A Redis and a PostgreSQL of a test's own: on sockets below $WORK, ended by their pids. Read it behind lib.sh.
# shellcheck shell=bash
REDIS_PID="" POSTGRES_PID=""
POSTGRES_BIN=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -1)
QUEUE=unix://$WORK/redis.sock
ARCHIVE="postgresql:///postgres?host=$WORK/pg&user=postgres"

have_servers() { command -v redis-server >/dev/null && [ -n "$POSTGRES_BIN" ]; }
redis() { redis-cli -s "$WORK/redis.sock" "$@"; }
redis_answers() { [ "$(redis PING 2>/dev/null)" = PONG ]; }
start_redis() {
    mkdir -p "$WORK/redis"
    redis-server --port 0 --unixsocket "$WORK/redis.sock" --unixsocketperm 777 --dir "$WORK/redis" --save "" \
        --appendonly yes --appendfsync everysec --logfile redis.log "$@" >/dev/null &
    REDIS_PID=$!
    wait_until 20 "Redis answers" redis_answers
}
# As an unprivileged user: PostgreSQL refuses root. The shell becomes it, so that $! is its pid.
as_postgres() {
    if [ "$(id -u)" = 0 ]; then
        exec setpriv --reuid postgres --regid postgres --clear-groups -- "$@"
    else
        exec "$@"
    fi
}
postgres_answers() { "$POSTGRES_BIN/pg_isready" -q -h "$WORK/pg"; }
start_postgres() {
    if [ ! -d "$WORK/pg" ]; then
        mkdir "$WORK/pg"
        [ "$(id -u)" = 0 ] && chown postgres "$WORK/pg"
        (as_postgres "$POSTGRES_BIN/initdb" -D "$WORK/pg/data" -A trust -U postgres -E UTF8 --locale C) >"$WORK/initdb.log" 2>&1 ||
            die "PostgreSQL cannot be made: $(tail -3 "$WORK/initdb.log")"
    fi
    as_postgres "$POSTGRES_BIN/postgres" -D "$WORK/pg/data" -k "$WORK/pg" -c listen_addresses= -c unix_socket_permissions=0777 \
        >>"$WORK/postgres.log" 2>&1 &
    POSTGRES_PID=$!
    wait_until 30 "PostgreSQL answers" postgres_answers
}
kill_redis() {
    kill -KILL "$REDIS_PID"
    wait "$REDIS_PID" 2>/dev/null
    REDIS_PID=""
}
# Its processes do not outlive the first one for long; QUIT is its crash.
kill_postgres() {
    [ "$(head -1 "$WORK/pg/data/postmaster.pid")" = "$POSTGRES_PID" ] || die "PostgreSQL is not process $POSTGRES_PID"
    kill -QUIT "$POSTGRES_PID"
    wait "$POSTGRES_PID" 2>/dev/null
    POSTGRES_PID=""
}
stop_servers() {
    [ -z "$REDIS_PID" ] || kill_redis
    [ -z "$POSTGRES_PID" ] || kill_postgres
}
# For a trap: the servers go with the test, however it ends.
finish_with_servers() {
    local code=$?
    stop_servers
    (exit $code)
    finish
}
