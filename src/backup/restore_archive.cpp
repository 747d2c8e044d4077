#include "database_part.hpp"
#include "ledger.hpp"
#include "store.hpp"

#include <supd/base/ids.hpp>
#include <supd/db/migrator.hpp>
#include <supd/db/server.hpp>

#include <ostream>

namespace supd::backup {
namespace {

std::string unique_name(const char* what) {
    return std::string("supd_") + what + "_" + base::SessionId::make().text();
}

// Everything that can be known before anything is made.
void check_fits(const Head& head, int server_version) {
    const auto known = db::embedded_migrations();
    if (!known.empty() && head.schema_version > known.back().version) {
        throw ArchiveError("the archive has schema version " + std::to_string(head.schema_version) +
                           ", this supd knows up to " + std::to_string(known.back().version) +
                           ": restore it with the supd that made it (" + head.supd_version +
                           ") or a newer one");
    }
    if (head.postgres_version > server_version) {
        throw ArchiveError("the archive comes from PostgreSQL " + std::to_string(head.postgres_version) +
                           ", the server is PostgreSQL " + std::to_string(server_version));
    }
}

void refuse_while_served(db::Server& server, const std::string& database) {
    const auto sessions = server.sessions(database);
    if (sessions.empty()) return;
    throw ArchiveError("the database " + database + " is in use (" + std::to_string(sessions.size()) +
                       " sessions, one is " + sessions.front() + "): stop every supd that serves it first");
}

void describe(const Head& head, const std::vector<Part>& parts, std::ostream& out) {
    out << head.kind << " of " << head.created_at << " by supd " << head.supd_version << ", schema "
        << head.schema_version << ": whole and unchanged\n";
    for (const auto& part : parts)
        out << "  " << part.name << "  " << part.bytes << " bytes\n";
}

class Restore {
public:
    Restore(const std::filesystem::path& archive, const Target& target, const Settings& settings,
            const std::vector<ModuleHook>& hooks, std::ostream& out)
        : archive_(archive), target_(target), settings_(settings), hooks_(hooks), out_(out) {}

    void run(const RestoreOptions& options) {
        const auto head = ArchiveReader(archive_, settings_.key).head();
        describe(head, check_archive(archive_, settings_.key), out_);
        if (options.into_empty)
            fill(head, *options.into_empty, options.dry_run);
        else
            replace(head, options);
    }

private:
    void fill(const Head& head, const std::string& url, bool dry_run) {
        if (!db::is_empty(url)) throw ArchiveError("the database to restore into is not empty");
        check_fits(head, db::Server(url).major_version());
        if (dry_run) {
            out_ << "nothing was changed (dry run)\n";
            return;
        }
        load_database(archive_, settings_, url, "", hooks_);
        out_ << "restored into the database " << db::database_of(url) << "\n";
    }

    void replace(const Head& head, const RestoreOptions& options) {
        db::Server server(target_.maintenance_url);
        const auto live = db::database_of(target_.url);
        check_fits(head, server.major_version());
        if (const auto lack = server.missing_right(live); !lack.empty()) throw db::ServerError(lack);
        const bool there = server.exists(live);
        if (there) refuse_while_served(server, live);
        const bool filled = there && !db::is_empty(target_.url);
        if (options.dry_run) {
            out_ << "would replace the database " << live << (filled ? ", after a safety backup of it" : "")
                 << "; nothing was changed (dry run)\n";
            return;
        }
        if (filled && options.safety_backup)
            out_ << "safety backup: " << create(target_, settings_, kSafety).string() << "\n";
        const auto live_ledger = filled ? ledger_url(options.safety_backup) : std::string();
        ScratchDatabase fresh(target_, unique_name("restore"));
        load_database(archive_, settings_, fresh.url(), live_ledger, hooks_);
        const auto aside = unique_name("before");
        server.exchange(live, fresh.name(), aside);
        fresh.keep();
        out_ << "restored: the database " << live << " is as of " << head.created_at << "\n";
        if (there && (options.safety_backup || !filled))
            server.drop(aside);
        else if (there)
            out_ << "what was there before is the database " << aside << "\n";
    }

    // What was erased is also known to the database that is replaced, unless that is beyond reading.
    std::string ledger_url(bool must_be_readable) {
        try {
            auto look = [](db::Transaction& tx) { return store::has_ledger(tx); };
            session(target_.url)->transact(db::Access::read_only, look);
            return target_.url;
        } catch (const std::exception&) {
            if (must_be_readable) throw;
            out_ << "the deletion ledger of what is there cannot be read; its copies in "
                 << settings_.folder.string() << " are replayed\n";
            return "";
        }
    }

    const std::filesystem::path& archive_;
    const Target& target_;
    const Settings& settings_;
    const std::vector<ModuleHook>& hooks_;
    std::ostream& out_;
};

}  // namespace

void adopt(const Target& target, const Settings& settings, const std::vector<ModuleHook>& hooks,
           std::ostream& out) {
    db::Server server(target.maintenance_url);
    refuse_while_served(server, db::database_of(target.url));
    db::Migrator(target.url, db::embedded_migrations()).up();
    const auto erased = replay_ledger(target.url, settings, "");
    run_hooks(*session(target.url), hooks);
    out << "adopted: the stream has a new epoch, " << erased << " entries of the deletion ledger were new\n";
}

void restore(const std::filesystem::path& archive, const Target& target, const Settings& settings,
             const std::vector<ModuleHook>& hooks, const RestoreOptions& options, std::ostream& out) {
    Restore(archive, target, settings, hooks, out).run(options);
}

}  // namespace supd::backup
