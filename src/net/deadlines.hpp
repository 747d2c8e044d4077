// The deadlines of all streams of one io_context, scanned by one timer that runs only while there are
// streams.
#pragma once

#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace supd::net {

namespace asio = boost::asio;

class Deadlines final : public asio::execution_context::service {
public:
    using key_type = Deadlines;
    using Time = std::chrono::steady_clock::time_point;
    static asio::execution_context::id id;

    class Owner {
    public:
        /// The deadline has passed. Must not destroy or make streams.
        virtual void expire() = 0;
        std::uint32_t slot = 0;

    protected:
        ~Owner() = default;
    };

    explicit Deadlines(asio::execution_context& context);

    void add(Owner& owner);
    void remove(Owner& owner);
    void set(const Owner& owner, Time at) { entries_[owner.slot].at = at; }

private:
    struct Entry {
        Time at;
        Owner* owner;
    };
    void shutdown() override {}
    void arm();
    void tick();

    asio::steady_timer timer_;
    bool armed_ = false;
    std::vector<Entry> entries_;  // times side by side: a scan of many idle streams touches no stream
};

}  // namespace supd::net
