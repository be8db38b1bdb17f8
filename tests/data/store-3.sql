-- The schema of job stores up to version 3, for tests of the upgrade.
CREATE TABLE lanes(
  lane_id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  weight INTEGER NOT NULL CHECK(weight > 0),
  pass INTEGER NOT NULL DEFAULT 0,
  tat_ms INTEGER NOT NULL DEFAULT 0,
  blocked_until INTEGER NOT NULL DEFAULT 0,
  br_state INTEGER NOT NULL DEFAULT 0 CHECK(br_state BETWEEN 0 AND 2),
  br_fails INTEGER NOT NULL DEFAULT 0,
  br_until INTEGER NOT NULL DEFAULT 0,
  br_trips INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE jobs(
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  site TEXT NOT NULL,
  kind TEXT NOT NULL,
  target TEXT NOT NULL,
  lane_id INTEGER NOT NULL REFERENCES lanes(lane_id),
  spec TEXT NOT NULL,
  job_limit INTEGER NOT NULL CHECK(job_limit >= 0),
  state INTEGER NOT NULL CHECK(state BETWEEN 0 AND 7),
  prio INTEGER NOT NULL CHECK(prio BETWEEN 0 AND 9),
  rank INTEGER NOT NULL,
  run_at INTEGER NOT NULL,
  fence INTEGER NOT NULL DEFAULT 0,
  nonce INTEGER,
  worker TEXT,
  lease_until INTEGER,
  suspect INTEGER NOT NULL DEFAULT 0 CHECK(suspect IN (0,1)),
  started INTEGER NOT NULL DEFAULT 0 CHECK(started IN (0,1)),
  cancel_req INTEGER NOT NULL DEFAULT 0 CHECK(cancel_req IN (0,1)),
  n_fail INTEGER NOT NULL DEFAULT 0,
  n_crash INTEGER NOT NULL DEFAULT 0,
  n_throttle INTEGER NOT NULL DEFAULT 0,
  n_release INTEGER NOT NULL DEFAULT 0,
  n_ok INTEGER NOT NULL DEFAULT 0 CHECK(n_ok <= 1),
  n_void INTEGER NOT NULL DEFAULT 0,
  max_fail INTEGER NOT NULL,
  max_crash INTEGER NOT NULL,
  max_throttle INTEGER NOT NULL,
  fail_base INTEGER NOT NULL DEFAULT 0 CHECK(fail_base <= n_fail),
  crash_base INTEGER NOT NULL DEFAULT 0 CHECK(crash_base <= n_crash),
  release_base INTEGER NOT NULL DEFAULT 0 CHECK(release_base <= n_release),
  progressed INTEGER NOT NULL DEFAULT 0 CHECK(progressed IN (0,1)),
  next_batch INTEGER NOT NULL DEFAULT 0,
  cursor TEXT,
  have INTEGER NOT NULL DEFAULT 0 CHECK(job_limit = 0 OR have <= job_limit),
  users INTEGER NOT NULL DEFAULT 0,
  counts INTEGER NOT NULL DEFAULT 0 CHECK(counts BETWEEN 0 AND 1),
  rejected INTEGER NOT NULL DEFAULT 0,
  conflicts INTEGER NOT NULL DEFAULT 0,
  filtered INTEGER NOT NULL DEFAULT 0,
  mark INTEGER NOT NULL DEFAULT 0 CHECK(mark BETWEEN 0 AND 2),
  variant TEXT NOT NULL DEFAULT '',
  known TEXT,
  failure INTEGER NOT NULL DEFAULT 0,
  verdict INTEGER NOT NULL DEFAULT 0,
  end_reason INTEGER NOT NULL DEFAULT 0,
  why TEXT,
  report TEXT,
  idem_key TEXT,
  idem_hash INTEGER,
  revision INTEGER NOT NULL DEFAULT 1,
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  finished_at INTEGER,
  CHECK(counts = 0 OR have = users),
  CHECK((state = 3) = (lease_until IS NOT NULL)),
  CHECK((state = 3) = (nonce IS NOT NULL)),
  CHECK((state >= 4) = (finished_at IS NOT NULL)),
  CHECK((state = 4) = (n_ok = 1)),
  CHECK((idem_key IS NULL) = (idem_hash IS NULL)),
  CHECK(n_fail - fail_base <= max_fail AND n_crash - crash_base <= max_crash AND n_throttle <= max_throttle),
  CHECK(fence = n_fail + n_crash + n_throttle + n_release + n_ok + n_void + (state = 3))
) STRICT;
CREATE INDEX jobs_ready ON jobs(lane_id, rank, seq) WHERE state = 2;
CREATE INDEX jobs_due ON jobs(run_at, seq) WHERE state = 1;
CREATE INDEX jobs_lease ON jobs(lease_until, seq) WHERE state = 3;
CREATE INDEX jobs_ended ON jobs(finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_state ON jobs(state, seq);
CREATE UNIQUE INDEX jobs_key ON jobs(idem_key) WHERE idem_key IS NOT NULL;
CREATE TABLE items(
  iid INTEGER PRIMARY KEY,
  job INTEGER NOT NULL,
  site TEXT NOT NULL,
  kind INTEGER NOT NULL CHECK(kind BETWEEN 0 AND 4),
  item_id TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  links INTEGER NOT NULL CHECK(links >= 0),
  json TEXT NOT NULL,
  UNIQUE(job, kind, item_id)
) STRICT;
CREATE TABLE job_items(
  job INTEGER NOT NULL,
  ord INTEGER NOT NULL,
  iid INTEGER NOT NULL,
  PRIMARY KEY(job, ord)
) WITHOUT ROWID, STRICT;
CREATE UNIQUE INDEX job_items_once ON job_items(job, iid);
CREATE TABLE marks(
  mid INTEGER PRIMARY KEY,
  site TEXT NOT NULL,
  kind TEXT NOT NULL,
  target TEXT NOT NULL,
  variant TEXT NOT NULL,
  posts TEXT NOT NULL,
  updated_at INTEGER NOT NULL,
  UNIQUE(site, kind, target, variant)
) STRICT;
CREATE INDEX marks_age ON marks(updated_at);
CREATE TABLE events(
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  job TEXT NOT NULL,
  kind TEXT NOT NULL,
  at INTEGER NOT NULL,
  body TEXT NOT NULL
) STRICT;
CREATE INDEX events_job ON events(job, seq);
CREATE TABLE field_counts(
  site TEXT NOT NULL,
  hour INTEGER NOT NULL,
  version TEXT NOT NULL,
  name TEXT NOT NULL,
  path INTEGER NOT NULL CHECK(path BETWEEN -2 AND 19),
  n INTEGER NOT NULL,
  PRIMARY KEY(site, version, name, path, hour)
) WITHOUT ROWID, STRICT;
CREATE INDEX field_counts_hour ON field_counts(site, hour, version, path);
CREATE TABLE evidence_files(
  hash TEXT PRIMARY KEY,
  bytes INTEGER NOT NULL CHECK(bytes >= 0),
  stored INTEGER NOT NULL CHECK(stored > 0),
  refs INTEGER NOT NULL CHECK(refs >= 0)
) WITHOUT ROWID, STRICT;
CREATE TABLE evidence(
  eid INTEGER PRIMARY KEY AUTOINCREMENT,
  job INTEGER NOT NULL,
  n INTEGER NOT NULL,
  kind INTEGER NOT NULL CHECK(kind BETWEEN 0 AND 2),
  attempt INTEGER NOT NULL,
  batch INTEGER NOT NULL,
  reason INTEGER NOT NULL,
  status INTEGER NOT NULL,
  at INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  strategy TEXT NOT NULL,
  name TEXT NOT NULL,
  url TEXT NOT NULL,
  headers TEXT NOT NULL,
  hash TEXT NOT NULL,
  UNIQUE(job, n)
) STRICT;
CREATE INDEX evidence_at ON evidence(at, eid);
CREATE TABLE evidence_gaps(
  job INTEGER NOT NULL,
  kind INTEGER NOT NULL CHECK(kind BETWEEN 0 AND 2),
  gap INTEGER NOT NULL CHECK(gap > 0),
  n INTEGER NOT NULL CHECK(n > 0),
  PRIMARY KEY(job, kind, gap)
) WITHOUT ROWID, STRICT;
CREATE TABLE files(
  fid INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE CHECK(length(hash) = 64),
  suffix TEXT NOT NULL,
  mime TEXT NOT NULL,
  bytes INTEGER NOT NULL CHECK(bytes > 0),
  first_seen INTEGER NOT NULL,
  refs INTEGER NOT NULL DEFAULT 0 CHECK(refs >= 0)
) STRICT;
CREATE INDEX files_free ON files(fid) WHERE refs = 0;
CREATE TABLE file_urls(
  site TEXT NOT NULL,
  url TEXT NOT NULL,
  fid INTEGER NOT NULL,
  status INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY(site, url)
) WITHOUT ROWID, STRICT;
CREATE INDEX file_urls_of ON file_urls(fid);
CREATE TABLE job_files(
  job INTEGER NOT NULL,
  fid INTEGER NOT NULL,
  PRIMARY KEY(job, fid)
) WITHOUT ROWID, STRICT;
PRAGMA user_version=3;
