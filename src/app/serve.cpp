#include "serve.hpp"

#include "app.hpp"
#include "cli.hpp"
#include "config_keys.hpp"
#include "database_access.hpp"
#include "secrets.hpp"
#include "service_notify.hpp"
#include "signals.hpp"

#include <supd/base/log.hpp>
#include <supd/db/database.hpp>
#include <supd/db/migrator.hpp>

#include <signal.h>
#include <sys/resource.h>

#include <cerrno>
#include <chrono>
#include <iostream>

namespace supd::app {
namespace {

// Beyond the grace, for a private PostgreSQL that has to be stopped the hard way.
constexpr std::chrono::seconds kHardStop{5};

// Each connection is a descriptor: take what the system allows.
void raise_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) base::log::warn("descriptor_limit_not_raised");
}

// False when it was told to stop meanwhile.
bool wait_for_database(const std::string& url, Signals& signals, std::chrono::seconds patience) {
    constexpr std::chrono::milliseconds kPause{250};
    const auto until = base::Monotonic::now() + patience;
    bool said = false;
    while (!db::answers(url) && base::Monotonic::now() < until) {
        if (!said) base::log::warn("database_awaited", {{"limit", patience.count()}});
        said = true;
        if (signals.wait_for_stop(kPause)) return false;
    }
    return !signals.stopping();  // what is still wrong with it, the first connection says
}

// The log's level and the content of the certificate's files may change while serving; the rest is named.
void reload(App& app, const Config& running, const std::function<Config()>& reread) {
    app.reload_certificate();
    try {
        const auto now = reread();
        base::log::set_level("info");  // whoever sent the signal sees its outcome at any level
        for (const auto& key : config_keys())
            if (key.full() != "log.level" && !same_value(running, now, key))
                base::log::warn("restart_needed", {{"name", key.full()}});
        base::log::info("reloaded", {{"level", now.log.level}});
        base::log::set_level(now.log.level);
    } catch (const ConfigError& error) {
        base::log::error("reload_refused", {{"error", error.what()}});
    }
}

// SIGHUP reloads; the stop ends it. Meanwhile systemd is told that all is well, as long as it is.
void attend(App& app, const Config& given, const std::function<Config()>& reread, Signals& signals,
            const ServiceNotify& service) {
    for (;;) {
        switch (signals.wait(service.watchdog())) {
            case Signals::Woken::stop:
                return;
            case Signals::Woken::time:
                if (app.io_threads_turn()) service.send("WATCHDOG=1");
                break;
            case Signals::Woken::hangup:
                service.reloading();
                reload(app, given, reread);
                service.ready();
        }
    }
}

void serve(const Config& given, const std::function<Config()>& reread, Signals& signals,
           const ServiceNotify& service) {
    auto config = given;
    fill_generated_secrets(config);
    auto migrations = db::embedded_migrations();  // before a server is started for them
    auto database = DatabaseAccess::for_daemon(config, signals.stop_token());
    const std::chrono::seconds patience(config.database.connect_patience_s);
    if (!wait_for_database(database.url(), signals, patience)) return;
    db::Migrator(database.url(), std::move(migrations)).up();
    if (signals.stopping()) return;
    {
        App app(config, database.url());
        app.start();
        service.ready();
        std::cout << app.ready_line() << std::endl;
        base::log::info("ready", {{"version", version()}, {"mode", config.mode}});
        attend(app, given, reread, signals, service);
        service.stopping();
        base::log::info("stopping");
        app.stop();
    }
    database.stop(signals.deadline() - kHardStop);
}

}  // namespace

int run_serve(const Config& given, const std::function<Config()>& reread) {
    const ServiceNotify service;  // before the first thread
    service.send("STATUS=starting");
    const std::chrono::seconds grace(given.server.grace_s);
    Signals signals(given.embedded_database() ? grace + kHardStop : grace);
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    try {
        serve(given, reread, signals, service);
    } catch (const std::exception& error) {
        if (!signals.stopping()) throw;
        base::log::warn("stopped_while_starting", {{"error", error.what()}});
    }
    return kExitOk;
}

}  // namespace supd::app
