// Gathers marks and writes them in batches. A timer runs only while something waits, so an idle server does
// nothing. Thread-safe.
#pragma once

#include "store.hpp"

#include <supd/async/io_threads.hpp>
#include <supd/async/task_group.hpp>
#include <supd/db/database.hpp>

#include <functional>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

namespace supd::receipts {

namespace asio = boost::asio;

class Coalescer {
public:
    /// `announce` is told of what was stored, on an io thread, after COMMIT.
    Coalescer(db::Database& database, async::IoThreads& threads,
              std::function<void(const std::vector<Moved>&)> announce);

    /// Throws 503 `overloaded` when too many wait.
    void add(const Mark& mark);
    /// Writes what waits. Not on an io thread; the database and the io threads must still run.
    void stop();
    /// Marks that wait.
    std::size_t pending() const;

private:
    asio::awaitable<void> drain();
    asio::awaitable<void> flush(const std::vector<Mark>& batch);
    asio::awaitable<void> flush_rest();
    /// Sorted. Empty: nothing waits, and the next add() starts over.
    std::vector<Mark> take();
    void put_back(const std::vector<Mark>& marks);
    void merge(const Mark& mark);

    db::Database& database_;
    async::IoThreads& threads_;
    std::function<void(const std::vector<Moved>&)> announce_;
    mutable std::mutex mutex_;
    std::map<std::pair<ChatId, UserId>, Mark> waiting_;
    std::pair<ChatId, UserId> last_taken_;
    bool draining_ = false;
    async::TaskGroup tasks_{"receipts"};
};

}  // namespace supd::receipts
