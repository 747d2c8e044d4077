// How a coroutine knows its trace: its executor carries it, and so does that of every coroutine it awaits, on
// whatever thread it is resumed. Nothing is kept per thread, nothing changes for a coroutine that is not
// traced.
//
//     group.spawn(trace::carry(executor, span.context()), work());     // whoever begins it
//     const auto parent = trace::carried(co_await asio::this_coro::executor);     // somewhere inside
#pragma once

#include <supd/trace/context.hpp>

#include <boost/asio/any_io_executor.hpp>

namespace supd::trace {

namespace asio = boost::asio;

/// `executor` itself when nothing of `context` is recorded.
asio::any_io_executor carry(asio::any_io_executor executor, const Context& context);
/// An empty context when the executor carries none.
Context carried(const asio::any_io_executor& executor) noexcept;

}  // namespace supd::trace
