#include "cli.hpp"

#include "commands.hpp"
#include "config.hpp"
#include "serve.hpp"

#include <supd/base/log.hpp>
#include <supd/db/embedded_postgres.hpp>
#include <supd/db/migrator.hpp>

#include <CLI/CLI.hpp>

#include <functional>
#include <iostream>

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
        add_healthcheck();
        command(app_, "version", "Print the version", [] {
            std::cout << "supd " << SUPD_VERSION << "\n";
            return kExitOk;
        });
    }

    int run(int argc, char** argv) {
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
        sub->add_option("--config", flags_.file, "TOML file; see config/supd.example.toml")
            ->envname("SUPD_CONFIG");
        sub->add_option("--data-dir", flags_.data_dir, "Folder for the embedded database and secrets");
        return sub;
    }

    static CLI::App* group(CLI::App& parent, const std::string& name, const std::string& about) {
        CLI::App* sub = parent.add_subcommand(name, about);
        sub->require_subcommand(1);
        return sub;
    }

    void add_serve() {
        auto* serve = configured(app_, "serve", "Run the daemon", [](const LoadedConfig& loaded) {
            base::log::set_level(loaded.config.log.level);
            return run_serve(loaded.config);
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

    void add_healthcheck() {
        auto* check = configured(app_, "healthcheck", "Exit 0 when the daemon is alive, 1 when it is not",
                                 [](const LoadedConfig& loaded) { return healthcheck(loaded.config); });
        check->add_option("--port", flags_.port, "TCP port of the public listener");
        check->add_option("--admin-port", flags_.admin_port, "TCP port of the admin listener");
    }

    CLI::App app_{"supd, a messenger daemon"};
    ConfigFlags flags_;
    MigrateOptions migrate_;
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
    } catch (const db::PostgresError& error) {
        return explain(error, kExitUnavailable);
    } catch (const db::MigrationError& error) {
        return explain(error, kExitUnavailable);
    } catch (const db::MigrationFileError& error) {
        return explain(error, kExitData);
    } catch (const std::exception& error) {
        return explain(error, kExitSoftware);
    }
}

}  // namespace supd::app
