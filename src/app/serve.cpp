#include "serve.hpp"

#include "app.hpp"
#include "cli.hpp"
#include "config_keys.hpp"
#include "database_access.hpp"
#include "secrets.hpp"

#include <supd/base/log.hpp>
#include <supd/db/database.hpp>
#include <supd/db/migrator.hpp>

#include <signal.h>
#include <sys/resource.h>

#include <chrono>
#include <iostream>

namespace supd::app {
namespace {

// Each connection is a descriptor: take what the system allows.
void raise_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) base::log::warn("descriptor_limit_not_raised");
}

// False when it was told to stop meanwhile.
bool wait_for_database(const std::string& url, const sigset_t& signals, std::chrono::seconds patience) {
    constexpr timespec kPause{.tv_sec = 0, .tv_nsec = 250'000'000};
    const auto until = std::chrono::steady_clock::now() + patience;
    bool said = false;
    while (!db::answers(url) && std::chrono::steady_clock::now() < until) {
        if (!said) base::log::warn("database_awaited", {{"limit", patience.count()}});
        said = true;
        const int received = sigtimedwait(&signals, nullptr, &kPause);
        if (received == SIGTERM || received == SIGINT) return false;
    }
    return true;  // what is still wrong with it, the first connection says
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

}  // namespace

int run_serve(const Config& given, const std::function<Config()>& reread) {
    // Before the first thread, so that all inherit it: these signals are waited for below.
    sigset_t signals;
    sigemptyset(&signals);
    for (const int one : {SIGTERM, SIGINT, SIGHUP})
        sigaddset(&signals, one);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();

    auto config = given;
    fill_generated_secrets(config);
    auto migrations = db::embedded_migrations();  // before a server is started for them
    const auto database = DatabaseAccess::for_daemon(config);
    const std::chrono::seconds patience(config.database.connect_patience_s);
    if (!wait_for_database(database.url(), signals, patience)) return kExitOk;
    db::Migrator(database.url(), std::move(migrations)).up();

    App app(config, database.url());
    app.start();
    std::cout << app.ready_line() << std::endl;
    base::log::info("ready", {{"version", version()}, {"mode", config.mode}});

    for (;;) {
        int received = 0;
        sigwait(&signals, &received);
        if (received != SIGHUP) break;
        reload(app, given, reread);
    }
    base::log::info("stopping");
    app.stop();
    return kExitOk;
}

}  // namespace supd::app
