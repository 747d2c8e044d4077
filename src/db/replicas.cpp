#include <supd/base/log.hpp>
#include <supd/db/replicas.hpp>

namespace supd::db {

Replicas::Replicas(std::vector<DatabaseOptions> options) {
    for (auto& one : options)
        all_.push_back(std::make_unique<One>(std::move(one)));
}

Replicas::One* Replicas::next() {
    const auto now = base::Monotonic::now();
    for (std::size_t i = 0; i < all_.size(); ++i) {
        auto& one = *all_[turn_.fetch_add(1, std::memory_order_relaxed) % all_.size()];
        if (one.rests_until.load(std::memory_order_relaxed) <= now) return &one;
    }
    return nullptr;
}

void Replicas::note(One& one, std::string_view failed, bool found) {
    if (failed.empty()) {
        (found ? reads_ : behind_).fetch_add(1, std::memory_order_relaxed);
        return;
    }
    failures_.fetch_add(1, std::memory_order_relaxed);
    one.rests_until.store(base::Monotonic::now() + kReplicaRest, std::memory_order_relaxed);
    base::log::warn("replica_failed", {{"kind", failed}});
}

}  // namespace supd::db
