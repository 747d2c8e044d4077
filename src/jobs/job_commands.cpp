#include "store.hpp"

#include <supd/jobs/job_commands.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <iomanip>
#include <ostream>

namespace supd::jobs {
namespace {

constexpr int kDone = 0;
constexpr int kRefused = 1;

int refuse(db::Connection& connection, std::int64_t id, std::string_view wish, std::ostream& err) {
    const auto state = connection.transact(db::Access::read_only,
                                           [&](db::Transaction& tx) { return store::state_of(tx, id); });
    if (!state)
        err << "job " << id << " does not exist\n";
    else if (*state == "dead")
        err << "job " << id << " cannot be " << wish << ": a newer job with its key already waits\n";
    else
        err << "job " << id << " cannot be " << wish << ": it is " << *state << '\n';
    return kRefused;
}

}  // namespace

int list_jobs(db::Connection& connection, const ListOptions& options, std::ostream& out) {
    const int limit = std::clamp(options.limit, 1, kMaxListed);
    const auto jobs = connection.transact(
        db::Access::read_only, [&](db::Transaction& tx) { return store::list(tx, options.state, limit); });
    if (options.json) {
        auto items = nlohmann::json::array();
        for (const auto& job : jobs) {
            nlohmann::json item;
            item["id"] = job.id;
            item["kind"] = job.kind;
            item["state"] = job.state;
            item["attempts"] = job.attempts;
            item["max_attempts"] = job.max_attempts;
            item["run_after"] = job.run_after;
            item["created_at"] = job.created_at;
            item["last_error"] = nullptr;
            if (!job.last_error.empty()) item["last_error"] = job.last_error;
            items.push_back(std::move(item));
        }
        out << items.dump() << '\n';
        return kDone;
    }
    out << std::left << std::setw(10) << "ID" << std::setw(9) << "STATE" << std::setw(28) << "KIND"
        << std::setw(9) << "TRIES" << std::setw(26) << "RUN AFTER" << "LAST ERROR\n";
    for (const auto& job : jobs)
        out << std::left << std::setw(10) << job.id << std::setw(9) << job.state << std::setw(28) << job.kind
            << std::setw(9) << (std::to_string(job.attempts) + "/" + std::to_string(job.max_attempts))
            << std::setw(26) << job.run_after << job.last_error << '\n';
    return kDone;
}

int retry_jobs(db::Connection& connection, std::optional<std::int64_t> id, std::ostream& out,
               std::ostream& err) {
    const auto revived = connection.transact(
        [&](db::Transaction& tx) { return id ? store::revive(tx, *id) : store::revive_all(tx); });
    if (id && revived == 0) return refuse(connection, *id, "retried", err);
    out << revived << (revived == 1 ? " job waits again\n" : " jobs wait again\n");
    return kDone;
}

int drop_job(db::Connection& connection, std::int64_t id, std::ostream& out, std::ostream& err) {
    if (!connection.transact([&](db::Transaction& tx) { return store::drop(tx, id); }))
        return refuse(connection, id, "dropped", err);
    out << "job " << id << " is gone\n";
    return kDone;
}

}  // namespace supd::jobs
