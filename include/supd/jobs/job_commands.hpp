// `supd jobs list|retry|drop`: what an operator does about the job table. Each returns the exit code of the
// process (0, or 1 when the job is not there or not in a state for it) and writes to the given streams.
// Payloads are not shown: they refer to people's content.
#pragma once

#include <supd/db/database.hpp>

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>

namespace supd::jobs {

struct JobRow {
    std::int64_t id = 0;
    std::string kind;
    std::string state;
    int attempts = 0;
    int max_attempts = 0;
    std::string run_after;  ///< RFC 3339
    std::string created_at;
    std::string last_error;  ///< a code, or empty
};

struct ListOptions {
    std::string state;  ///< ready, running, dead; empty = all
    int limit = 100;
    bool json = false;
};
inline constexpr int kMaxListed = 1000;

int list_jobs(db::Connection& connection, const ListOptions& options, std::ostream& out);
/// A dead job, or all of them (nullopt), start over with fresh attempts.
int retry_jobs(db::Connection& connection, std::optional<std::int64_t> id, std::ostream& out,
               std::ostream& err);
/// Deletes a waiting or dead job; a running one must end first.
int drop_job(db::Connection& connection, std::int64_t id, std::ostream& out, std::ostream& err);

}  // namespace supd::jobs
