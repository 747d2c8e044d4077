#include "serve.hpp"

#include "cli.hpp"
#include "database_access.hpp"
#include "secrets.hpp"

#include <supd/db/migrator.hpp>

#include <signal.h>

namespace supd::app {

int run_serve(Config config) {
    // Before the first thread, so that all inherit it: SIGTERM and SIGINT are waited for below.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);

    fill_generated_secrets(config);
    auto migrations = db::embedded_migrations();  // before a server is started for them
    const auto database = DatabaseAccess::for_daemon(config);
    db::Migrator(database.url(), std::move(migrations)).up();

    int received = 0;
    sigwait(&signals, &received);
    return kExitOk;
}

}  // namespace supd::app
