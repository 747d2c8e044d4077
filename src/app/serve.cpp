#include "serve.hpp"

#include "app.hpp"
#include "cli.hpp"
#include "database_access.hpp"
#include "secrets.hpp"

#include <supd/base/log.hpp>
#include <supd/db/migrator.hpp>

#include <signal.h>
#include <sys/resource.h>

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

}  // namespace

int run_serve(Config config) {
    // Before the first thread, so that all inherit it: these signals are waited for below.
    sigset_t signals;
    sigemptyset(&signals);
    for (const int one : {SIGTERM, SIGINT, SIGHUP})
        sigaddset(&signals, one);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();

    fill_generated_secrets(config);
    auto migrations = db::embedded_migrations();  // before a server is started for them
    const auto database = DatabaseAccess::for_daemon(config);
    db::Migrator(database.url(), std::move(migrations)).up();

    App app(config, database.url());
    app.start();
    std::cout << app.ready_line() << std::endl;
    base::log::info("ready", {{"version", version()}, {"mode", config.mode}});

    for (;;) {
        int received = 0;
        sigwait(&signals, &received);
        if (received != SIGHUP) break;
        app.reload();
    }
    base::log::info("stopping");
    app.stop();
    return kExitOk;
}

}  // namespace supd::app
