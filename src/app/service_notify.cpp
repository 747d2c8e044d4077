#include "service_notify.hpp"

#include <supd/base/log.hpp>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace supd::app {
namespace {

std::string take(const char* name) {
    const char* value = std::getenv(name);
    std::string out = value == nullptr ? "" : value;
    ::unsetenv(name);
    return out;
}

std::int64_t number(const std::string& text) {
    std::int64_t out = 0;
    std::from_chars(text.data(), text.data() + text.size(), out);
    return out;
}

}  // namespace

ServiceNotify::ServiceNotify() : socket_(take("NOTIFY_SOCKET")) {
    const auto micros = number(take("WATCHDOG_USEC"));
    const auto pid = number(take("WATCHDOG_PID"));
    if (socket_.empty()) return;
    fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (micros > 0 && (pid == 0 || pid == ::getpid())) watchdog_ = std::chrono::microseconds(micros / 3);
}

ServiceNotify::~ServiceNotify() {
    if (fd_ >= 0) ::close(fd_);
}

void ServiceNotify::send(std::string_view lines) const {
    if (fd_ < 0) return;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (socket_.size() >= sizeof address.sun_path) return base::log::warn("service_notify_failed");
    std::memcpy(address.sun_path, socket_.data(), socket_.size());
    if (socket_.front() == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
    if (::sendto(fd_, lines.data(), lines.size(), MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&address), size) <
        0)
        base::log::warn("service_notify_failed", {{"error", std::strerror(errno)}});
}

void ServiceNotify::reloading() const {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();  // CLOCK_MONOTONIC
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
    send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(micros));
}

}  // namespace supd::app
