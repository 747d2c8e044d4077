#include "pq.hpp"

#include <supd/base/log.hpp>
#include <supd/db/migrator.hpp>

#include <algorithm>
#include <map>
#include <sstream>
#include <thread>

namespace supd::db {
namespace {

constexpr const char* kLockKey =
    "1937072228, 1";  // "supd" in ASCII; two numbers, apart from the locks of chats
constexpr std::chrono::milliseconds kLockPoll{50};
constexpr std::chrono::minutes kLockPatience{10};
// A migration that waits for a table lock holds up everybody who comes after it, so it waits
// briefly and tries again later.
constexpr const char* kTableLockTimeout = "500ms";
constexpr int kTableLockAttempts = 60;
constexpr std::chrono::milliseconds kTableLockPause{500};
constexpr const char* kLockNotAvailable = "55P03";

struct Applied {
    std::string name;
    std::string checksum;
    std::int64_t compat = 0;
    std::string applied_at;
};
using AppliedMap = std::map<std::int64_t, Applied>;

class Run {
public:
    Run(const std::string& conninfo, const std::vector<Migration>& migrations)
        : session_(conninfo), migrations_(migrations) {
        session_.script(
            "set application_name = 'supd-migrate'; set statement_timeout = 0; set lock_timeout = 0; "
            "set idle_in_transaction_session_timeout = 0; set client_min_messages = warning");
    }

    // Asked for again and again instead of waited for: a session that waits inside the server holds a
    // snapshot, which CREATE INDEX CONCURRENTLY of the one who has the lock would wait for in turn.
    void take_lock() {
        const auto deadline = std::chrono::steady_clock::now() + kLockPatience;
        bool said = false;
        while (session_.query(std::string("select pg_try_advisory_lock(") + kLockKey + ")").front().front() !=
               "t") {
            if (std::chrono::steady_clock::now() > deadline)
                throw MigrationError("another migration run does not end");
            if (!said) base::log::info("migration_waits", {{"reason", "another process migrates"}});
            said = true;
            std::this_thread::sleep_for(kLockPoll);
        }
        session_.script(
            "create table if not exists schema_migrations ("
            "version bigint primary key, name text not null, checksum text not null, "
            "applied_at timestamptz not null default clock_timestamp(), compat bigint not null)");
    }

    AppliedMap applied() {
        AppliedMap result;
        if (session_.query("select to_regclass('schema_migrations') is not null").front().front() != "t")
            return result;
        for (auto& row :
             session_.query("select version, name, checksum, compat, to_char(applied_at at time zone 'UTC', "
                            "'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') from schema_migrations order by version")) {
            result[std::stoll(row[0])] = {row[1], row[2], std::stoll(row[3]), row[4]};
        }
        return result;
    }

    std::string checksum(const Migration& migration) {
        return session_.query("select encode(sha256(convert_to($1, 'UTF8')), 'hex')", {migration.up})
            .front()
            .front();
    }

    std::int64_t newest() const { return migrations_.empty() ? 0 : migrations_.back().version; }

    // Everything that must hold before a step is taken, and before a daemon may use the schema.
    void refuse_unfit(const AppliedMap& applied) {
        std::int64_t needed = 0;
        for (const auto& [version, row] : applied)
            needed = std::max(needed, row.compat);
        if (needed > newest()) {
            throw MigrationError(
                "the database has schema version " + std::to_string(applied.rbegin()->first) +
                ", which needs a supd that knows version " + std::to_string(needed) +
                " or newer; this one knows up to " + std::to_string(newest()) + ". Nothing was changed.");
        }
        for (const auto& migration : migrations_) {
            const auto found = applied.find(migration.version);
            if (found == applied.end()) {
                if (!applied.empty() && applied.rbegin()->first > migration.version) {
                    throw MigrationError("migration " + std::to_string(migration.version) + " (" +
                                         migration.name +
                                         ") was not applied although a later one was. Nothing was changed.");
                }
            } else if (found->second.checksum != checksum(migration)) {
                throw MigrationError("migration " + std::to_string(migration.version) + " (" +
                                     migration.name +
                                     ") was changed after it had been applied. Nothing was changed.");
            }
        }
    }

    void step(const Migration& migration, bool forward) {
        const std::string& sql = forward ? migration.up : migration.down;
        try {
            if (forward ? migration.up_in_transaction : migration.down_in_transaction) {
                in_transaction(migration, sql, forward);
            } else {
                for (const auto& statement : statements_of(sql))
                    session_.script(statement);
                record(migration, forward);
            }
        } catch (const PqError& error) {
            throw MigrationError("migration " + std::to_string(migration.version) + " (" + migration.name +
                                 ") " + (forward ? "up" : "down") + ": " + error.what());
        }
        base::log::info(forward ? "migration_applied" : "migration_taken_back",
                        {{"migration", migration.version}, {"name", migration.name}});
    }

private:
    void in_transaction(const Migration& migration, const std::string& sql, bool forward) {
        for (int attempt = 1;; ++attempt) {
            try {
                session_.script(std::string("begin; set local lock_timeout = '") + kTableLockTimeout + "'");
                session_.script(sql);
                if (!session_.in_transaction()) {
                    throw MigrationError("migration " + std::to_string(migration.version) +
                                         " ends the transaction it runs in");
                }
                record(migration, forward);
                session_.script("commit");
                return;
            } catch (const PqError& error) {
                if (error.sqlstate().empty()) throw;
                session_.script("rollback");
                if (error.sqlstate() != kLockNotAvailable || attempt == kTableLockAttempts) throw;
                std::this_thread::sleep_for(kTableLockPause);
            }
        }
    }

    void record(const Migration& migration, bool forward) {
        if (!forward) {
            session_.query("delete from schema_migrations where version = $1",
                           {std::to_string(migration.version)});
            return;
        }
        session_.query(
            "insert into schema_migrations (version, name, checksum, compat) values ($1, $2, $3, $4)",
            {std::to_string(migration.version), migration.name, checksum(migration),
             std::to_string(migration.compat)});
    }

    static std::vector<std::string> statements_of(const std::string& sql) {
        std::vector<std::string> result;
        std::string current;
        std::istringstream lines(sql);
        for (std::string line; std::getline(lines, line);) {
            if (line.starts_with("--")) continue;
            current += line + "\n";
            if (line.ends_with(";")) result.push_back(std::exchange(current, ""));
        }
        if (current.find_first_not_of(" \n") != std::string::npos) result.push_back(current);
        return result;
    }

    PqSession session_;
    const std::vector<Migration>& migrations_;
};

template <class Body>
auto with_run(const std::string& conninfo, const std::vector<Migration>& migrations, Body body) {
    try {
        Run run(conninfo, migrations);
        return body(run);
    } catch (const PqError& error) {
        throw MigrationError(std::string("the database: ") + error.what());
    }
}

}  // namespace

const char* to_text(MigrationState state) {
    switch (state) {
        case MigrationState::applied:
            return "applied";
        case MigrationState::pending:
            return "pending";
        case MigrationState::changed:
            return "changed";
        case MigrationState::newer:
            return "newer";
    }
    return "";
}

Migrator::Migrator(std::string conninfo, std::vector<Migration> migrations)
    : conninfo_(std::move(conninfo)), migrations_(std::move(migrations)) {}

std::int64_t Migrator::newest() const noexcept {
    return migrations_.empty() ? 0 : migrations_.back().version;
}

std::vector<std::int64_t> Migrator::up(std::optional<std::int64_t> to) {
    return with_run(conninfo_, migrations_, [&](Run& run) {
        // Before the lock and its table: a database that is closed to this binary is not even touched.
        run.refuse_unfit(run.applied());
        run.take_lock();
        const auto applied = run.applied();
        run.refuse_unfit(applied);
        std::vector<std::int64_t> done;
        for (const auto& migration : migrations_) {
            if (applied.contains(migration.version) || (to && migration.version > *to)) continue;
            run.step(migration, true);
            done.push_back(migration.version);
        }
        return done;
    });
}

std::vector<std::int64_t> Migrator::down(std::optional<std::int64_t> to) {
    return with_run(conninfo_, migrations_, [&](Run& run) {
        run.refuse_unfit(run.applied());
        run.take_lock();
        const auto applied = run.applied();
        run.refuse_unfit(applied);
        std::vector<std::int64_t> done;
        if (applied.empty()) return done;
        const std::int64_t current = applied.rbegin()->first;
        if (current > newest()) {
            throw MigrationError("migration " + std::to_string(current) +
                                 " is unknown to this supd; the one that applied it has to take it back. "
                                 "Nothing was changed.");
        }
        const std::int64_t target = to.value_or(current - 1);
        for (auto migration = migrations_.rbegin(); migration != migrations_.rend(); ++migration) {
            if (migration->version <= target || !applied.contains(migration->version)) continue;
            run.step(*migration, false);
            done.push_back(migration->version);
        }
        return done;
    });
}

std::vector<MigrationStatus> Migrator::status() {
    return with_run(conninfo_, migrations_, [&](Run& run) {
        auto applied = run.applied();
        std::vector<MigrationStatus> result;
        for (const auto& migration : migrations_) {
            MigrationStatus status{migration.version, migration.name, MigrationState::pending,
                                   migration.compat, ""};
            if (const auto found = applied.find(migration.version); found != applied.end()) {
                const bool same = found->second.checksum == run.checksum(migration);
                status.state = same ? MigrationState::applied : MigrationState::changed;
                status.applied_at = found->second.applied_at;
                status.compat = found->second.compat;
                applied.erase(found);
            }
            result.push_back(std::move(status));
        }
        for (const auto& [version, row] : applied) {
            result.push_back({version, row.name, MigrationState::newer, row.compat, row.applied_at});
        }
        return result;
    });
}

void Migrator::check_compatible() {
    with_run(conninfo_, migrations_, [&](Run& run) {
        const auto applied = run.applied();
        run.refuse_unfit(applied);
        const std::int64_t current = applied.empty() ? 0 : applied.rbegin()->first;
        if (current < newest()) {
            throw MigrationError("the database has schema version " + std::to_string(current) +
                                 ", this supd needs " + std::to_string(newest()) + ": run `supd migrate up`");
        }
    });
}

}  // namespace supd::db
