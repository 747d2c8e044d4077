#include "periodic_jobs.hpp"

#include "backup_settings.hpp"

#include <supd/accounts/accounts.hpp>
#include <supd/backup/ledger_copies.hpp>
#include <supd/chatlog/reader.hpp>
#include <supd/http/idempotency.hpp>

namespace supd::app {

void add_periodic_jobs(jobs::Queue& queue, const Config& config) {
    using namespace std::chrono_literals;
    queue.add_periodic("accounts.expire_sessions", 10min,
                       [](db::Transaction& tx) { return accounts::expire_sessions(tx); });
    queue.add_periodic("http.expire_idempotency_keys", 10min,
                       [](db::Transaction& tx) { return http::expire_idempotency_keys(tx); });
    queue.add_periodic("chatlog.expire_cursors", 1h, [](db::Transaction& tx) {
        chatlog::Reader::prune(tx, kCursorDays);
        return false;
    });
    if (const auto settings = backup_settings(config)) {
        queue.add_periodic(
            "backup.export_ledger", std::chrono::seconds(config.backup.ledger_interval_s),
            [settings = *settings](db::Transaction& tx) { return backup::export_ledger(tx, settings); });
    }
}

}  // namespace supd::app
