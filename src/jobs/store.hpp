// All SQL of the job table. Synchronous, on a db thread.
#pragma once

#include <supd/db/transaction.hpp>
#include <supd/jobs/job_commands.hpp>
#include <supd/jobs/queue.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace supd::jobs::store {

void insert(db::Transaction& tx, std::string_view kind, std::string_view payload,
            const EnqueueOptions& options);

/// Up to `limit` due jobs of `kinds`, now running under a fence of their own.
std::vector<Job> claim(db::Transaction& tx, const std::vector<std::string>& kinds, std::size_t limit,
                       std::chrono::milliseconds lease, const std::string& worker);
/// Takes one job whose holder went silent out of `running`; false when there is none.
bool reclaim_one(db::Transaction& tx);
/// Until the next of `kinds` or `schedules` is due; nullopt when nothing waits.
std::optional<std::chrono::milliseconds> next_due(db::Transaction& tx, const std::vector<std::string>& kinds,
                                                  const std::vector<std::string>& schedules);

/// Locks the job's row; false when the fence is no longer the current one.
bool hold(db::Transaction& tx, const Job& job);
/// The four below do nothing and return false when the fence is not the current one.
bool complete(db::Transaction& tx, const Job& job);
bool extend(db::Transaction& tx, const Job& job, std::chrono::milliseconds lease);
bool retry_later(db::Transaction& tx, const Job& job, const std::string& error,
                 std::chrono::milliseconds delay);
bool bury(db::Transaction& tx, const Job& job, const std::string& error);
/// Gives the job back as if it had not been claimed.
bool release(db::Transaction& tx, const Job& job);

Depth depth(db::Transaction& tx);

void ensure_schedule(db::Transaction& tx, const std::string& name, std::chrono::milliseconds interval);
std::vector<std::string> due_schedules(db::Transaction& tx, const std::vector<std::string>& names);
/// Locks a due schedule; false when it is not due or somebody else has it.
bool hold_schedule(db::Transaction& tx, const std::string& name);
void schedule_done(db::Transaction& tx, const std::string& name, std::chrono::milliseconds interval);
/// Number of failures in a row, this one included.
int schedule_failed(db::Transaction& tx, const std::string& name, const std::string& error);
void schedule_again(db::Transaction& tx, const std::string& name, std::chrono::milliseconds delay);

std::vector<JobRow> list(db::Transaction& tx, const std::string& state, int limit);
/// Dead -> ready; number of jobs.
std::int64_t revive(db::Transaction& tx, std::int64_t id);
std::int64_t revive_all(db::Transaction& tx);
std::optional<std::string> state_of(db::Transaction& tx, std::int64_t id);
/// A waiting or dead job; false when there is none such.
bool drop(db::Transaction& tx, std::int64_t id);

}  // namespace supd::jobs::store
