// Read replicas: databases that follow the primary, a little behind. Whoever reads there first finds out from
// the primary what must be visible, and looks in the replica's snapshot whether it is; what is not goes back
// to the primary. Nothing with a cursor is read here. Thread-safe.
#pragma once

#include <supd/base/clock.hpp>
#include <supd/db/database.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string_view>
#include <typeinfo>
#include <vector>

namespace supd::db {

/// A replica that failed is left alone for so long.
inline constexpr std::chrono::seconds kReplicaRest{5};

class Replicas {
public:
    explicit Replicas(std::vector<DatabaseOptions> options);
    Replicas(const Replicas&) = delete;
    Replicas& operator=(const Replicas&) = delete;

    bool empty() const noexcept { return all_.empty(); }

    /// Runs fn(Transaction&), which returns an optional, in one snapshot of a replica: nothing when fn says
    /// so (the replica is behind), or when no replica could be read. Then the primary is to be asked.
    template <class F>
    asio::awaitable<std::invoke_result_t<F&, Transaction&>> read(F fn) {
        auto* one = next();
        if (!one) co_return std::nullopt;
        std::invoke_result_t<F&, Transaction&> out;
        std::string_view failed;
        try {
            out = co_await one->database.transact(Access::snapshot, std::ref(fn));
        } catch (const boost::system::system_error&) {
            throw;  // cancelled: nobody waits for an answer
        } catch (const std::exception& error) {
            // Away, behind in its schema, without a grant, damaged: the primary is there.
            failed = typeid(error).name();
        }
        note(*one, failed, out.has_value());
        co_return out;
    }

    std::uint64_t reads() const noexcept { return reads_.load(std::memory_order_relaxed); }
    std::uint64_t behind() const noexcept { return behind_.load(std::memory_order_relaxed); }
    std::uint64_t failures() const noexcept { return failures_.load(std::memory_order_relaxed); }

private:
    struct One {
        explicit One(DatabaseOptions options) : database(std::move(options)) {}
        Database database;
        std::atomic<base::Monotonic::time_point> rests_until{};
    };
    /// In turn, of those that do not rest.
    One* next();
    /// `failed`: the kind of error; empty when there was none.
    void note(One& one, std::string_view failed, bool found);

    std::vector<std::unique_ptr<One>> all_;
    std::atomic<std::size_t> turn_{0};
    std::atomic<std::uint64_t> reads_{0};
    std::atomic<std::uint64_t> behind_{0};
    std::atomic<std::uint64_t> failures_{0};
};

}  // namespace supd::db
