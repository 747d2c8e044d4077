#include "deadlines.hpp"

#include <supd/net/stream.hpp>

namespace supd::net {

asio::execution_context::id Deadlines::id;

Deadlines::Deadlines(asio::execution_context& context)
    : asio::execution_context::service(context),
      timer_(static_cast<asio::io_context&>(context).get_executor()) {}

void Deadlines::add(Owner& owner) {
    owner.slot = static_cast<std::uint32_t>(entries_.size());
    entries_.push_back({Time::max(), &owner});
    arm();
}

void Deadlines::remove(Owner& owner) {
    entries_[owner.slot] = entries_.back();
    entries_[owner.slot].owner->slot = owner.slot;
    entries_.pop_back();
    if (!entries_.empty()) return;
    if (entries_.capacity() > 1024) entries_.shrink_to_fit();
    timer_.cancel();
}

void Deadlines::arm() {
    if (armed_) return;
    armed_ = true;
    timer_.expires_after(kDeadlineTick);
    timer_.async_wait([this](const boost::system::error_code&) {
        armed_ = false;
        tick();
    });
}

void Deadlines::tick() {
    if (entries_.empty()) return;
    const auto now = std::chrono::steady_clock::now();
    for (auto& entry : entries_) {
        if (entry.at > now) continue;
        entry.at = Time::max();
        entry.owner->expire();
    }
    arm();
}

}  // namespace supd::net
