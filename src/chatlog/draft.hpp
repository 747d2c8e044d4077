// What the writer needs to know of a message on its way: its weight in a batch, what became of it, its event.
#pragma once

#include <supd/chatlog/writer.hpp>
#include <supd/trace/span.hpp>

namespace supd::chatlog {

struct Pending {
    Draft draft;
    std::function<void(const Receipt&)> done;
    std::size_t thread = 0;
    base::Monotonic::time_point queued;
    trace::Span span;  // from here to the answer
};

std::size_t weight(const Draft& draft);
/// The outcome column of append_messages.
Outcome outcome_of(std::int64_t code);
ws::ChatEvent event_of(const Draft& draft, const Receipt& receipt);

/// Tells of the commit that the message was in (0 rows: of none). Called before the answer, else the span may
/// outlast the one above it.
void end_span(trace::Span span, Outcome outcome, std::size_t rows);

}  // namespace supd::chatlog
