// Another executor of the same thread for one part of a coroutine: `task` is run there, with everything it
// awaits, and is cancelled with whoever waits for it.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <utility>

namespace supd::async {

namespace asio = boost::asio;

template <class T>
asio::awaitable<T> run_on(asio::any_io_executor executor, asio::awaitable<T> task) {
    co_return co_await asio::co_spawn(std::move(executor), std::move(task), asio::use_awaitable);
}

}  // namespace supd::async
