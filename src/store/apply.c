#include "store/apply.h"

#include "store/batches.h"

#include "base/need.h"

bool op_reads(const struct store_op *op)
{
    return op->verb >= STORE_READ;
}

bool op_reads_rows(const struct store_op *op)
{
    switch (op->verb) {
    case STORE_READ:
    case STORE_JOB:
    case STORE_JOBS:
    case STORE_ITEMS:
    case STORE_EVENTS:
    case STORE_EVIDENCE_LIST:
    case STORE_EVIDENCE_READ:
    case STORE_FILE:
    case STORE_FIELDS:
    case STORE_SCHEDULE:
    case STORE_SCHEDULES:
    case STORE_SCHEDULE_RUNS:
    case STORE_SESSION:
    case STORE_SESSIONS:
        return true;
    default:
        return false;
    }
}

bool op_needs_no_room(const struct store_op *op)
{
    return op->verb == STORE_FINISH || op->verb == STORE_CANCEL || op->verb == STORE_STARTED ||
           op->verb == STORE_HEARTBEAT || op->verb == STORE_LANE_PURGE ||
           op->verb == STORE_LANE_CHANGE || (op->verb == STORE_WRITE && op->in.work.ends_jobs);
}

static err write_schedule(struct store *s, struct store_op *op, wall now)
{
    struct fault *f = &op->fault;
    if (op->verb == STORE_SCHEDULE_PUT)
        return store_schedule_put(s, &op->in.schedule_put, now, op->arena, &op->out.schedule,
                                  f);
    if (op->verb == STORE_SCHEDULE_DELETE)
        return store_schedule_delete(s, &op->in.schedule_ask, f);
    if (op->verb == STORE_SCHEDULE_PAUSE)
        return store_schedule_pause(s, &op->in.schedule_ask, now, op->arena, &op->out.schedule,
                                    f);
    if (op->verb == STORE_SCHEDULE_TRIGGER)
        return store_schedule_trigger(s, &op->in.schedule_ask, now, op->arena,
                                      &op->out.schedule_fired, f);
    if (op->verb == STORE_SCHEDULE_BACKFILL)
        return store_schedule_backfill(s, &op->in.schedule_backfill, now, op->arena,
                                       &op->out.schedule_fired, f);
    if (op->verb == STORE_SCHEDULES_DUE)
        return store_schedules_due(s, now, op->in.schedules_due.elapsed,
                                   op->in.schedules_due.set_back, op->arena,
                                   &op->out.schedules_due, f);
    need(op->verb == STORE_SCHEDULE_FIRE);
    return store_schedule_fire(s, &op->in.schedule_fire, now, op->arena,
                               &op->out.schedule_fired, f);
}

err apply_write(struct store *s, struct store_op *op, wall now)
{
    struct fault *f = &op->fault;
    switch (op->verb) {
    case STORE_ACCEPT:
        return store_accept(s, &op->in.accept, now, &op->out.accept, f);
    case STORE_BATCH_CREATE:
        op->out.batch = (struct batch_reply){0};
        return store_batch_create(s, op->in.batch_create, now, op->arena, &op->out.batch, f);
    case STORE_RESERVE:
        return store_reserve(s, &op->in.reserve, now, op->arena, &op->out.lease, f);
    case STORE_STARTED:
        return store_started(s, op->in.lease.id, op->in.lease.nonce, f);
    case STORE_HEARTBEAT:
        return store_heartbeat(s, op->in.lease.id, op->in.lease.nonce, now, &op->out.heartbeat,
                               f);
    case STORE_COMMIT:
        return store_commit_batch(s, &op->in.commit, now, &op->out.commit, f);
    case STORE_FINISH:
        return store_finish(s, &op->in.finish, now, &op->out.finish, f);
    case STORE_CANCEL:
        return store_cancel(s, &op->in.cancel, now, &op->out.cancel, f);
    case STORE_EVIDENCE:
        return store_evidence_add(s, &op->in.evidence, now, &op->out.evidence, f);
    case STORE_REPAIR:
        return store_repair(s, &op->in.repair, now, &op->out.repair, f);
    case STORE_WRITE:
        return op->in.work.run(s, op->in.work.args, op->arena, now, f);
    case STORE_SCHEDULE_PUT:
    case STORE_SCHEDULE_DELETE:
    case STORE_SCHEDULE_PAUSE:
    case STORE_SCHEDULE_TRIGGER:
    case STORE_SCHEDULE_BACKFILL:
    case STORE_SCHEDULES_DUE:
    case STORE_SCHEDULE_FIRE:
        return write_schedule(s, op, now);
    case STORE_FILE_TAKE:
        return store_file_take(s, &op->in.file_take, &op->out.file_take, f);
    case STORE_FILE_PUT:
        return store_file_put(s, &op->in.file_put, now, f);
    case STORE_LANE_CHANGE:
        return store_lane_change(s, &op->in.lane_change, now, f);
    case STORE_LANE_PURGE:
        return store_lane_purge(s, &op->in.purge, now, &op->out.purge.cancelled,
                                &op->out.purge.more, f);
    case STORE_SESSION_ADD:
        return store_session_add(s, &op->in.session_add, now, f);
    case STORE_SESSION_COOKIES:
        return store_session_cookies(s, &op->in.session_cookies, now, f);
    case STORE_SESSION_LOCK:
        return store_session_lock(s, op->in.session.name, op->in.session.locked,
                                  op->in.session.reason, now, f);
    case STORE_SESSION_REMOVE:
        return store_session_remove(s, op->in.session.name, f);
    case STORE_READ:
    case STORE_EVIDENCE_LIST:
    case STORE_EVIDENCE_READ:
    case STORE_SESSION:
    case STORE_SESSIONS:
    case STORE_SESSION_OPEN:
    case STORE_JOB:
    case STORE_JOBS:
    case STORE_ITEMS:
    case STORE_EVENTS:
    case STORE_FILE:
    case STORE_FIELDS:
    case STORE_LANES:
    case STORE_LANE:
    case STORE_LANE_BOUNDS:
    case STORE_LIMITS:
    case STORE_MODE:
    case STORE_SCHEDULE:
    case STORE_SCHEDULES:
    case STORE_SCHEDULE_RUNS:
    case STORE_VERBS:
        break;
    }
    bug("not a writing operation");
}

err apply_read(struct store *s, struct store_op *op, wall now)
{
    struct fault *f = &op->fault;
    switch (op->verb) {
    case STORE_JOB:
        return store_job(s, op->in.job.id, now, op->arena, &op->out.job, f);
    case STORE_JOBS:
        return store_jobs(s, &op->in.jobs, now, op->arena, &op->out.jobs.jobs,
                          &op->out.jobs.count, f);
    case STORE_ITEMS:
        return store_items(s, op->in.items.id, op->in.items.kind, op->in.items.after,
                           op->in.items.limit, op->in.items.bytes_max, op->arena,
                           &op->out.items.items, &op->out.items.count, f);
    case STORE_EVENTS:
        return store_events(s, op->in.events.after, op->in.events.job, op->in.events.limit,
                            op->arena, &op->out.events.events, &op->out.events.count, f);
    case STORE_EVIDENCE_LIST:
        return store_evidence_list(s, op->in.piece.id, op->arena, &op->out.list, f);
    case STORE_EVIDENCE_READ:
        return store_evidence_read(s, op->in.piece.id, op->in.piece.n, op->arena,
                                   &op->out.piece, f);
    case STORE_FILE:
        return store_file(s, op->in.file.hash, &op->out.file, f);
    case STORE_FIELDS:
        return store_fields(s, op->in.fields.site, op->in.fields.hours, now, op->arena,
                            &op->out.fields, f);
    case STORE_READ:
        return op->in.work.run(s, op->in.work.args, op->arena, now, f);
    case STORE_LANES:
        return store_lanes(s, &op->in.lanes, now, op->arena, &op->out.lanes.lanes,
                           &op->out.lanes.count, &op->out.lanes.next, f);
    case STORE_LANE:
        return store_lane(s, op->in.lane.name, now, op->arena, &op->out.lane, f);
    case STORE_LANE_BOUNDS:
        return store_lane_bounds(s, op->in.lane.name, now, op->arena, &op->out.bounds, f);
    case STORE_LIMITS:
        return store_limits(s, &op->in.limits, op->arena, &op->out.limits, f);
    case STORE_MODE:
        return store_mode_get(s, op->arena, &op->out.mode, f);
    case STORE_SCHEDULE:
        return store_schedule(s, op->in.schedule_ask.tenant, op->in.schedule_ask.id, op->arena,
                              &op->out.schedule, f);
    case STORE_SCHEDULES:
        return store_schedules(s, &op->in.schedules, op->arena, &op->out.schedules, f);
    case STORE_SCHEDULE_RUNS:
        return store_schedule_runs(s, &op->in.schedule_runs, op->arena, &op->out.schedule_runs,
                                   f);
    case STORE_SESSION:
        return store_session(s, op->in.session.name, now, &op->out.session, f);
    case STORE_SESSIONS:
        return store_sessions(s, op->in.sessions.site, op->in.sessions.pool, now, op->arena,
                              &op->out.sessions.list, &op->out.sessions.count, f);
    case STORE_SESSION_OPEN:
        return store_session_open(s, op->in.lease.id, op->in.lease.nonce, &op->out.secret, f);
    case STORE_WRITE:
    case STORE_SCHEDULE_PUT:
    case STORE_SCHEDULE_DELETE:
    case STORE_SCHEDULE_PAUSE:
    case STORE_SCHEDULE_TRIGGER:
    case STORE_SCHEDULE_BACKFILL:
    case STORE_SCHEDULES_DUE:
    case STORE_SCHEDULE_FIRE:
    case STORE_LANE_CHANGE:
    case STORE_LANE_PURGE:
    case STORE_SESSION_ADD:
    case STORE_SESSION_COOKIES:
    case STORE_SESSION_LOCK:
    case STORE_SESSION_REMOVE:
    case STORE_EVIDENCE:
    case STORE_REPAIR:
    case STORE_FILE_TAKE:
    case STORE_FILE_PUT:
    case STORE_ACCEPT:
    case STORE_BATCH_CREATE:
    case STORE_RESERVE:
    case STORE_STARTED:
    case STORE_HEARTBEAT:
    case STORE_COMMIT:
    case STORE_FINISH:
    case STORE_CANCEL:
    case STORE_VERBS:
        break;
    }
    bug("not a reading operation");
}
