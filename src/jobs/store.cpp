#include "store.hpp"

namespace supd::jobs::store {
namespace {

using db::Statement;

// The update takes the waiting row's lock until the caller commits: without it a worker could claim that row
// and finish before the caller's change is visible, and the change would be missed.
constexpr Statement kInsert{"jobs_insert",
                            "insert into jobs (kind, payload, unique_key, max_attempts, run_after) "
                            "values ($1, $2, $3, $4, now() + $5::bigint * interval '1 millisecond') "
                            "on conflict (kind, unique_key) where state = 'ready' and unique_key is not null "
                            "do update set payload = excluded.payload, "
                            "run_after = least(jobs.run_after, excluded.run_after)"};

constexpr Statement kClaim{
    "jobs_claim",
    "with picked as (select id from jobs where state = 'ready' and run_after <= now() "
    "and kind = any($1) order by run_after, id limit $2 for update skip locked) "
    "update jobs set state = 'running', attempts = attempts + 1, fence = nextval('job_fences'), "
    "lease_until = now() + $3::bigint * interval '1 millisecond', leased_by = $4 "
    "from picked where jobs.id = picked.id "
    "returning jobs.id, kind, payload, attempts, max_attempts, fence"};

// A holder that went silent. If the same key waits anew, that row does this one's work; if no attempt is
// left, the job is what kills its workers.
constexpr Statement kReclaim{
    "jobs_reclaim",
    "with lost as (select id, kind, unique_key, attempts, max_attempts from jobs where state = 'running' "
    "and lease_until < now() order by lease_until limit 1 for update skip locked), "
    "superseded as (delete from jobs using lost where jobs.id = lost.id and lost.attempts < "
    "lost.max_attempts "
    "and exists (select from jobs other where other.state = 'ready' and other.kind = lost.kind "
    "and other.unique_key = lost.unique_key) returning jobs.id), "
    "back as (update jobs set state = case when lost.attempts < lost.max_attempts then 'ready' else 'dead' "
    "end, "
    "died_at = case when lost.attempts < lost.max_attempts then null else now() end, "
    "fence = null, lease_until = null, leased_by = null, run_after = now(), last_error = 'lease_expired' "
    "from lost where jobs.id = lost.id and not exists (select from superseded)) "
    "select count(*) from lost"};

constexpr Statement kNextDue{
    "jobs_next_due",
    "select ceil(extract(epoch from least("
    "(select min(run_after) from jobs where state = 'ready' and run_after > now() and kind = any($1)), "
    "(select min(next_run_at) from job_schedules where next_run_at > now() and name = any($2))) - now()) * "
    "1000)::bigint"};

constexpr Statement kHold{"jobs_hold",
                          "select 1 from jobs where id = $1 and fence = $2 and state = 'running' for update"};
constexpr Statement kComplete{"jobs_complete",
                              "delete from jobs where id = $1 and fence = $2 and state = 'running'"};
constexpr Statement kExtend{"jobs_extend",
                            "update jobs set lease_until = now() + $3::bigint * interval '1 millisecond' "
                            "where id = $1 and fence = $2 and state = 'running'"};
constexpr Statement kRetryLater{
    "jobs_retry_later",
    "with held as (select id, kind, unique_key from jobs where id = $1 and fence = $2 and state = 'running' "
    "for update), "
    "superseded as (delete from jobs using held where jobs.id = held.id and exists (select from jobs other "
    "where other.state = 'ready' and other.kind = held.kind and other.unique_key = held.unique_key) "
    "returning jobs.id), "
    "back as (update jobs set state = 'ready', fence = null, lease_until = null, leased_by = null, "
    "run_after = now() + $4::bigint * interval '1 millisecond', last_error = $3 "
    "from held where jobs.id = held.id and not exists (select from superseded)) "
    "select count(*) from held"};
constexpr Statement kBury{
    "jobs_bury",
    "update jobs set state = 'dead', died_at = now(), fence = null, lease_until = null, "
    "leased_by = null, last_error = $3 where id = $1 and fence = $2 and state = 'running'"};
constexpr Statement kRelease{
    "jobs_release",
    "with held as (select id, kind, unique_key from jobs where id = $1 and fence = $2 and state = 'running' "
    "for update), "
    "superseded as (delete from jobs using held where jobs.id = held.id and exists (select from jobs other "
    "where other.state = 'ready' and other.kind = held.kind and other.unique_key = held.unique_key) "
    "returning jobs.id), "
    "back as (update jobs set state = 'ready', fence = null, lease_until = null, leased_by = null, "
    "attempts = attempts - 1, run_after = now() "
    "from held where jobs.id = held.id and not exists (select from superseded)) "
    "select count(*) from held"};

// Each count stops at the cap: a heap of dead jobs must not make the look expensive.
constexpr Statement kDepth{
    "jobs_depth",
    "select (select count(*) from (select from jobs where state = 'ready' limit $1) r), "
    "(select count(*) from (select from jobs where state = 'running' limit $1) r), "
    "(select count(*) from (select from jobs where state = 'dead' limit $1) r), "
    "coalesce((extract(epoch from now() - (select min(run_after) from jobs where state = 'ready')) * "
    "1000)::bigint, 0)"};

constexpr Statement kEnsureSchedule{
    "jobs_ensure_schedule",
    "insert into job_schedules (name, interval_s) values ($1, $2::bigint / 1000.0) on conflict (name) do "
    "update "
    "set interval_s = excluded.interval_s, "
    "next_run_at = least(job_schedules.next_run_at, now() + $2::bigint * interval '1 millisecond') "
    "where job_schedules.interval_s <> excluded.interval_s"};
constexpr Statement kDueSchedules{
    "jobs_due_schedules", "select name from job_schedules where name = any($1) and next_run_at <= now()"};
constexpr Statement kHoldSchedule{
    "jobs_hold_schedule",
    "select 1 from job_schedules where name = $1 and next_run_at <= now() for update skip locked"};
constexpr Statement kScheduleDone{
    "jobs_schedule_done",
    "update job_schedules set last_run_at = now(), runs = runs + 1, failures = 0, last_error = null, "
    "next_run_at = now() + $2::bigint * interval '1 millisecond' where name = $1"};
constexpr Statement kScheduleFailed{
    "jobs_schedule_failed",
    "update job_schedules set failures = failures + 1, last_error = $2 where name = $1 returning failures"};
constexpr Statement kScheduleAgain{
    "jobs_schedule_again",
    "update job_schedules set next_run_at = now() + $2::bigint * interval '1 millisecond' where name = $1"};

constexpr Statement kList{
    "jobs_list",
    "select id, kind, state, attempts, max_attempts, "
    "to_char(run_after at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), "
    "to_char(created_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), coalesce(last_error, '') "
    "from jobs where $1 = '' or state = $1 order by id limit $2"};
constexpr Statement kRevive{
    "jobs_revive",
    "update jobs set state = 'ready', attempts = 0, run_after = now(), died_at = null where id = $1 and "
    "state = 'dead' "
    "and not exists (select from jobs other where other.state = 'ready' and other.kind = jobs.kind "
    "and other.unique_key = jobs.unique_key)"};
// Of several dead jobs with one key only the newest may wait again.
constexpr Statement kReviveAll{
    "jobs_revive_all",
    "update jobs set state = 'ready', attempts = 0, run_after = now(), died_at = null where state = 'dead' "
    "and not exists (select from jobs other where other.kind = jobs.kind and other.unique_key = "
    "jobs.unique_key "
    "and (other.state = 'ready' or (other.state = 'dead' and other.id > jobs.id)))"};
constexpr Statement kStateOf{"jobs_state_of", "select state from jobs where id = $1"};
constexpr Statement kDrop{"jobs_drop", "delete from jobs where id = $1 and state <> 'running'"};

}  // namespace

void insert(db::Transaction& tx, std::string_view kind, std::string_view payload,
            const EnqueueOptions& options) {
    std::optional<std::string> key;
    if (!options.unique_key.empty()) key = options.unique_key;
    tx.exec(kInsert, kind, payload, key, options.max_attempts, std::int64_t{options.run_after.count()});
}

std::vector<Job> claim(db::Transaction& tx, const std::vector<std::string>& kinds, std::size_t limit,
                       std::chrono::milliseconds lease, const std::string& worker) {
    std::vector<Job> jobs;
    for (const auto row :
         tx.exec(kClaim, kinds, static_cast<std::int64_t>(limit), std::int64_t{lease.count()}, worker)) {
        Job job;
        job.id = row.integer(0);
        job.kind = row.text(1);
        job.payload = row.text(2);
        job.attempt = static_cast<int>(row.integer(3));
        job.max_attempts = static_cast<int>(row.integer(4));
        job.fence = row.integer(5);
        jobs.push_back(std::move(job));
    }
    return jobs;
}

bool reclaim_one(db::Transaction& tx) {
    return tx.exec(kReclaim).front().integer(0) > 0;
}

std::optional<std::chrono::milliseconds> next_due(db::Transaction& tx, const std::vector<std::string>& kinds,
                                                  const std::vector<std::string>& schedules) {
    const auto rows = tx.exec(kNextDue, kinds, schedules);
    const auto ms = rows.front().maybe_integer(0);
    if (!ms) return std::nullopt;
    return std::chrono::milliseconds(*ms);
}

bool hold(db::Transaction& tx, const Job& job) {
    return !tx.exec(kHold, job.id, job.fence).empty();
}

bool complete(db::Transaction& tx, const Job& job) {
    return tx.exec(kComplete, job.id, job.fence).affected() == 1;
}

bool extend(db::Transaction& tx, const Job& job, std::chrono::milliseconds lease) {
    return tx.exec(kExtend, job.id, job.fence, std::int64_t{lease.count()}).affected() == 1;
}

bool retry_later(db::Transaction& tx, const Job& job, const std::string& error,
                 std::chrono::milliseconds delay) {
    return tx.exec(kRetryLater, job.id, job.fence, error, std::int64_t{delay.count()}).front().integer(0) ==
           1;
}

bool bury(db::Transaction& tx, const Job& job, const std::string& error) {
    return tx.exec(kBury, job.id, job.fence, error).affected() == 1;
}

bool release(db::Transaction& tx, const Job& job) {
    return tx.exec(kRelease, job.id, job.fence).front().integer(0) == 1;
}

Depth depth(db::Transaction& tx) {
    const auto rows = tx.exec(kDepth, kDepthCap);
    const auto row = rows.front();
    Depth depth;
    depth.ready = row.integer(0);
    depth.running = row.integer(1);
    depth.dead = row.integer(2);
    depth.oldest_age_s = static_cast<double>(std::max<std::int64_t>(0, row.integer(3))) / 1000.0;
    return depth;
}

void ensure_schedule(db::Transaction& tx, const std::string& name, std::chrono::milliseconds interval) {
    tx.exec(kEnsureSchedule, name, std::int64_t{interval.count()});
}

std::vector<std::string> due_schedules(db::Transaction& tx, const std::vector<std::string>& names) {
    std::vector<std::string> due;
    for (const auto row : tx.exec(kDueSchedules, names))
        due.push_back(row.text(0));
    return due;
}

bool hold_schedule(db::Transaction& tx, const std::string& name) {
    return !tx.exec(kHoldSchedule, name).empty();
}

void schedule_done(db::Transaction& tx, const std::string& name, std::chrono::milliseconds interval) {
    tx.exec(kScheduleDone, name, std::int64_t{interval.count()});
}

int schedule_failed(db::Transaction& tx, const std::string& name, const std::string& error) {
    const auto rows = tx.exec(kScheduleFailed, name, error);
    return rows.empty() ? 1 : static_cast<int>(rows.front().integer(0));
}

void schedule_again(db::Transaction& tx, const std::string& name, std::chrono::milliseconds delay) {
    tx.exec(kScheduleAgain, name, std::int64_t{delay.count()});
}

std::vector<JobRow> list(db::Transaction& tx, const std::string& state, int limit) {
    std::vector<JobRow> out;
    for (const auto row : tx.exec(kList, state, limit)) {
        JobRow job;
        job.id = row.integer(0);
        job.kind = row.text(1);
        job.state = row.text(2);
        job.attempts = static_cast<int>(row.integer(3));
        job.max_attempts = static_cast<int>(row.integer(4));
        job.run_after = row.text(5);
        job.created_at = row.text(6);
        job.last_error = row.text(7);
        out.push_back(std::move(job));
    }
    return out;
}

std::int64_t revive(db::Transaction& tx, std::int64_t id) {
    return static_cast<std::int64_t>(tx.exec(kRevive, id).affected());
}

std::int64_t revive_all(db::Transaction& tx) {
    return static_cast<std::int64_t>(tx.exec(kReviveAll).affected());
}

std::optional<std::string> state_of(db::Transaction& tx, std::int64_t id) {
    const auto rows = tx.exec(kStateOf, id);
    if (rows.empty()) return std::nullopt;
    return rows.front().text(0);
}

bool drop(db::Transaction& tx, std::int64_t id) {
    return tx.exec(kDrop, id).affected() == 1;
}

}  // namespace supd::jobs::store
