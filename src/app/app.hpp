// The wiring: constructs the modules in order, starts them, stops them in reverse. Nothing receives an App&,
// it has no getters; a module gets what it needs in its constructor.
#pragma once

#include "config.hpp"

#include <supd/base/clock.hpp>
#include <supd/http/router.hpp>
#include <supd/ws/commands.hpp>

#include <memory>
#include <stdexcept>
#include <string>

namespace supd::app {

/// A port that cannot be opened; the text is for the operator (exit code 69).
class ListenError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

class App {
public:
    /// `database_url`: where PostgreSQL is. Opens nothing yet, so that the route table can be listed without
    /// one.
    App(Config config, std::string database_url);
    ~App();
    App(const App&) = delete;
    App& operator=(const App&) = delete;

    /// Serves. Throws ConfigError for a certificate that cannot be used, base::Error when the database cannot
    /// be reached, ListenError for a port.
    void start();
    /// The line for stdout: `{"event": "ready", ...}`.
    std::string ready_line() const;
    /// Unready, stop accepting, sockets 1012 with a spread hint, drain, flush; done within the grace.
    void stop();
    /// Reads the certificate and its key again; what is wrong with them is logged and changes nothing.
    void reload_certificate();
    /// Every io thread has turned since the last call; after start(), one caller.
    bool io_threads_turn();

    const http::Router& routes() const;
    const ws::Commands& commands() const;

private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

/// Version of the build, "0.1.0".
std::string_view version() noexcept;
/// The commit it was built from, 12 digits, "-dirty" behind it when files had been changed; "unknown" without
/// git.
std::string_view commit() noexcept;

}  // namespace supd::app
