#include "cli.hpp"

#include "app.hpp"
#include "commands.hpp"
#include "config.hpp"
#include "doctor.hpp"
#include "doctor_report.hpp"
#include "serve.hpp"

#include <supd/backup/archive.hpp>
#include <supd/base/error.hpp>
#include <supd/base/log.hpp>
#include <supd/blob/store.hpp>
#include <supd/db/embedded_postgres.hpp>
#include <supd/db/migrator.hpp>
#include <supd/db/server.hpp>

#include <CLI/CLI.hpp>

#include <functional>
#include <iostream>
#include <utility>

namespace supd::app {
namespace {

// Options of every subcommand that reads the configuration.
struct ConfigFlags {
    std::string file;
    std::string data_dir;
    std::string port;
    std::string admin_port;

    LoadedConfig load() const {
        ConfigSources sources;
        sources.environment = process_environment();
        if (!file.empty()) sources.file = file;
        for (const auto& [key, text] :
             {std::pair("server.data_dir", &data_dir), std::pair("server.port", &port),
              std::pair("server.admin_port", &admin_port)}) {
            if (!text->empty()) sources.flags.emplace_back(key, *text);
        }
        return load_config(sources);
    }
};

class Cli {
public:
    Cli() {
        app_.require_subcommand(1);
        app_.set_version_flag("--version", std::string("supd ") + SUPD_VERSION);
        add_serve();
        add_migrate();
        add_config();
        add_user();
        add_jobs();
        add_backup();
        add_healthcheck();
        add_doctor();
        auto* routes = command(app_, "routes", "List the routes and the commands of the WebSocket",
                               [this] { return print_routes(routes_json_); });
        routes->add_flag("--json", routes_json_, "As JSON");
        command(app_, "version", "Print the version", [] {
            std::cout << "supd " << SUPD_VERSION << "\n";
            return kExitOk;
        });
    }

    int run(int argc, char** argv) {
        const auto named = [&](const CLI::App* sub) { return sub->check_name(argv[1]); };
        if (argc > 1 && *argv[1] != '-' && std::as_const(app_).get_subcommands(named).empty()) {
            std::cerr << "supd: there is no command '" << argv[1] << "'; see supd --help\n";
            return kExitUsage;
        }
        try {
            app_.parse(argc, argv);
        } catch (const CLI::ParseError& error) {
            const int code = app_.exit(error, std::cout, std::cerr);
            return code == 0 ? kExitOk : kExitUsage;
        }
        return action_();
    }

private:
    CLI::App* command(CLI::App& parent, const std::string& name, const std::string& about,
                      std::function<int()> action) {
        CLI::App* sub = parent.add_subcommand(name, about);
        sub->callback([this, action = std::move(action)] { action_ = action; });
        return sub;
    }

    // A subcommand that works on the configuration.
    CLI::App* configured(CLI::App& parent, const std::string& name, const std::string& about,
                         std::function<int(const LoadedConfig&)> action) {
        auto* sub = command(parent, name, about,
                            [this, action = std::move(action)] { return action(flags_.load()); });
        add_config_options(*sub);
        return sub;
    }

    void add_config_options(CLI::App& sub) {
        sub.add_option("--config", flags_.file, "TOML file; see config/supd.example.toml")
            ->envname("SUPD_CONFIG");
        sub.add_option("--data-dir", flags_.data_dir, "Folder for the embedded database and secrets");
    }

    static CLI::App* group(CLI::App& parent, const std::string& name, const std::string& about) {
        CLI::App* sub = parent.add_subcommand(name, about);
        sub->require_subcommand(1);
        return sub;
    }

    void add_serve() {
        auto* serve = configured(app_, "serve", "Run the daemon", [this](const LoadedConfig& loaded) {
            base::log::set_level(loaded.config.log.level);
            return run_serve(loaded.config, [this] { return flags_.load().config; });
        });
        serve->add_option("--port", flags_.port, "TCP port of the public listener; 0 = any free one");
        serve->add_option("--admin-port", flags_.admin_port,
                          "TCP port of the admin listener; 0 = any free one");
    }

    void add_migrate() {
        auto* migrate = group(app_, "migrate", "Change the database schema");
        auto* up = configured(*migrate, "up", "Apply what is pending", [this](const LoadedConfig& loaded) {
            return migrate_up(loaded.config, migrate_);
        });
        auto* down =
            configured(*migrate, "down", "Take back the newest migration, or all above --to",
                       [this](const LoadedConfig& loaded) { return migrate_down(loaded.config, migrate_); });
        auto* status = configured(
            *migrate, "status", "List the migrations and their state",
            [this](const LoadedConfig& loaded) { return migrate_status(loaded.config, migrate_); });
        status->add_flag("--json", migrate_.json, "As JSON");
        for (auto* sub : {up, down}) {
            sub->add_option("--to", migrate_.to, "Schema version to stop at")->check(CLI::NonNegativeNumber);
        }
        for (auto* sub : {up, down, status}) {
            sub->add_option("--dir", migrate_.folder,
                            "Folder of migration files to use instead of the built-in ones");
        }
    }

    void add_config() {
        auto* config = group(app_, "config", "Look at the configuration");
        configured(*config, "check", "Check it; every fault is named", [](const LoadedConfig& loaded) {
            std::cout << "the configuration is in order (" << loaded.config.mode << " mode)\n";
            return kExitOk;
        });
        configured(*config, "print", "Print what is in force and where it comes from; secrets are not shown",
                   [](const LoadedConfig& loaded) {
                       std::cout << print_config(loaded);
                       return kExitOk;
                   });
        command(*config, "example", "Print the commented example file", [] {
            std::cout << example_config();
            return kExitOk;
        });
    }

    using UserCommand = int (*)(const Config&, const UserOptions&);
    CLI::App* add_user_command(CLI::App& user, const char* name, const char* about, UserCommand run) {
        return configured(user, name, about,
                          [this, run](const LoadedConfig& loaded) { return run(loaded.config, user_); });
    }

    void add_user() {
        auto& user = *group(app_, "user", "Manage accounts, also beside the running daemon");
        auto* create = add_user_command(user, "create", "Make an account", &create_user);
        create->add_flag("--admin", user_.admin, "Make it an administrator");
        auto* list = add_user_command(user, "list", "List the accounts", &list_users);
        list->add_flag("--json", user_.json, "As JSON");
        auto* disable = add_user_command(user, "disable", "Sign out and lock an account", &disable_user);
        auto* enable = add_user_command(user, "enable", "Unlock an account", &enable_user);
        auto* reset =
            add_user_command(user, "reset-password", "Set a new password and sign out", &reset_password);
        auto* admin = add_user_command(user, "make-admin", "Make an account an administrator", &make_admin);
        for (auto* sub : {create, disable, enable, reset, admin}) {
            sub->add_option("name", user_.name, "Username")->required();
        }
        for (auto* sub : {create, reset}) {
            sub->add_flag("--password-stdin", user_.password_stdin,
                          "Read the password from the first line of stdin; else one is made and printed");
        }
    }

    void add_jobs() {
        auto& jobs = *group(app_, "jobs", "Look after the background jobs");
        auto* list = configured(jobs, "list", "List jobs", [this](const LoadedConfig& loaded) {
            return list_jobs(loaded.config, jobs_);
        });
        list->add_option("--state", jobs_.state, "Only those")
            ->check(CLI::IsMember({"ready", "running", "dead"}));
        list->add_option("--limit", jobs_.limit, "At most so many")->check(CLI::Range(1, 1000));
        list->add_flag("--json", jobs_.json, "As JSON");
        auto* retry = configured(jobs, "retry", "Start dead jobs again", [this](const LoadedConfig& loaded) {
            return retry_jobs(loaded.config, jobs_);
        });
        auto* which = retry->add_option_group("which");
        which->add_option("id", jobs_.id, "Number of the job");
        which->add_flag("--all", all_jobs_, "All dead jobs");
        which->require_option(1);
        auto* drop =
            configured(jobs, "drop", "Delete a waiting or dead job",
                       [this](const LoadedConfig& loaded) { return drop_job(loaded.config, jobs_); });
        drop->add_option("id", jobs_.id, "Number of the job")->required();
    }

    void add_backup() {
        auto& backup =
            *group(app_, "backup", "Make, prove and thin out backups, also beside the running daemon");
        configured(backup, "create", "Make one", &create_backup);
        auto* list = configured(backup, "list", "List them",
                                [this](const LoadedConfig& loaded) { return list_backups(loaded, backup_); });
        list->add_flag("--offsite", backup_.offsite, "Those in the second place");
        configured(backup, "push", "Copy to the second place (backup.offsite)", &push_backups);
        configured(backup, "fetch", "Bring archives and copies of the ledger back from there",
                   [this](const LoadedConfig& loaded) { return fetch_backups(loaded, backup_); })
            ->add_option("name", backup_.file, "One archive; else all");
        configured(backup, "prune", "Remove all but the newest (backup.keep)", &prune_backups);
        auto* verify =
            configured(backup, "verify", "Prove one: restore it into a scratch database",
                       [this](const LoadedConfig& loaded) { return verify_backup(loaded, backup_); });
        verify->add_option("file", backup_.file, "The archive, by path or by name")->required();
        command(backup, "key", "Make a key file", [this] { return make_backup_key(backup_.file); })
            ->add_option("file", backup_.file, "Where; must not exist")
            ->required();
        auto* restore = configured(
            app_, "restore", "Put a backup in the place of the database; the daemon must be stopped",
            [this](const LoadedConfig& loaded) { return restore_backup(loaded, backup_); });
        restore->add_option("file", backup_.file, "The archive, by path or by name");
        restore->add_flag("--list", backup_.list, "List what there is and change nothing");
        restore->add_flag("--dry-run", backup_.dry_run, "Check everything and change nothing");
        restore->add_flag("--no-safety-backup", backup_.no_safety_backup,
                          "Make no backup of what is there; it stays as a database of another name");
        restore->add_flag("--end-sessions", backup_.end_sessions, "Everybody has to sign in again");
        restore->add_flag(
            "--recovered", backup_.recovered,
            "Instead of an archive: the database was recovered by PostgreSQL, make it fit for clients");
        restore->add_option("--into", backup_.into, "URL of an empty database to fill instead");
        for (auto* sub : {list, restore})
            sub->add_flag("--json", backup_.json, "As JSON");
    }

    void add_healthcheck() {
        auto* check =
            configured(app_, "healthcheck", "Exit 0 when the daemon is alive, 1 when it is not",
                       [this](const LoadedConfig& loaded) { return healthcheck(loaded.config, ready_); });
        check->add_flag("--ready", ready_,
                        "Ask whether it may get traffic: its database answers, it is not stopping");
        check->add_option("--port", flags_.port, "TCP port of the public listener");
        check->add_option("--admin-port", flags_.admin_port, "TCP port of the admin listener");
    }

    void add_doctor() {
        auto* doctor = app_.add_subcommand("doctor", "Look for what is wrong with this installation");
        doctor->callback([this, doctor] {
            if (!doctor->get_subcommands().empty()) return;
            action_ = [this] {
                doctor_.config_file = flags_.file;
                return run_doctor([this] { return flags_.load(); }, doctor_);
            };
        });
        add_config_options(*doctor);
        doctor->add_flag("--json", doctor_.json, "As JSON");
        doctor->add_option("--url", doctor_.url, "The server as clients see it: https://chat.example.org");
        doctor->add_flag("--slow", doctor_.slow, "Also wait for the idle time-out of the WebSocket");
        doctor->add_option("--token-file", doctor_.token_file, "An access token, for a longer --slow")
            ->check(CLI::ExistingFile);
        auto* report = configured(
            *doctor, "db", "What is slow, large or dead in the database",
            [this](const LoadedConfig& loaded) { return report_database(loaded.config, report_); });
        report->add_option("--top", report_.top, "Rows of each list")->check(CLI::Range(1, 100));
        report->add_flag("--json", report_.json, "As JSON");
    }

    CLI::App app_{"supd, a messenger daemon"};
    ConfigFlags flags_;
    MigrateOptions migrate_;
    UserOptions user_;
    bool routes_json_ = false;
    bool ready_ = false;
    JobsOptions jobs_;
    bool all_jobs_ = false;
    BackupOptions backup_;
    DoctorOptions doctor_;
    ReportOptions report_;
    std::function<int()> action_;
};

int explain(const std::exception& error, int code) {
    base::log::finish();
    std::cerr << "supd: " << error.what() << "\n";
    return code;
}

}  // namespace

int run_cli(int argc, char** argv) {
    try {
        base::log::start();
        base::log::set_level("warn");
        Cli cli;
        const int code = cli.run(argc, argv);
        base::log::finish();
        return code;
    } catch (const ConfigError& error) {
        return explain(error, kExitConfig);
    } catch (const ListenError& error) {
        return explain(error, kExitUnavailable);
    } catch (const db::PostgresError& error) {
        return explain(error, kExitUnavailable);
    } catch (const db::ServerError& error) {
        return explain(error, kExitUnavailable);
    } catch (const blob::StoreError& error) {
        return explain(error, kExitUnavailable);
    } catch (const backup::ArchiveError& error) {
        return explain(error, kExitData);
    } catch (const db::MigrationError& error) {
        return explain(error, kExitUnavailable);
    } catch (const db::MigrationFileError& error) {
        return explain(error, kExitData);
    } catch (const base::Error& error) {
        return explain(std::runtime_error(error.detail()),
                       error.status() == 503 ? kExitUnavailable : kExitSoftware);
    } catch (const std::exception& error) {
        return explain(error, kExitSoftware);
    }
}

}  // namespace supd::app
