// What systemd is told of this service: the datagrams of sd_notify(3) to $NOTIFY_SOCKET (a path, or @name for
// an abstract one). Without that variable nothing is sent.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace supd::app {

class ServiceNotify {
public:
    /// Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment, so that no child process
    /// speaks for us. Before the first thread.
    ServiceNotify();
    ~ServiceNotify();
    ServiceNotify(const ServiceNotify&) = delete;
    ServiceNotify& operator=(const ServiceNotify&) = delete;

    void send(std::string_view lines) const;
    void ready() const { send("READY=1\nSTATUS=serving"); }
    void stopping() const { send("STOPPING=1\nSTATUS=draining"); }
    /// Followed by ready() when it is done.
    void reloading() const;

    /// How often WATCHDOG=1 is to be sent: a third of what systemd allows. nullopt: there is no watchdog.
    std::optional<std::chrono::microseconds> watchdog() const noexcept { return watchdog_; }

private:
    std::string socket_;
    int fd_ = -1;
    std::optional<std::chrono::microseconds> watchdog_;
};

}  // namespace supd::app
