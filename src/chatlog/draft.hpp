// What the writer needs to know of a message on its way: its weight in a batch, what became of it, its event.
#pragma once

#include <supd/chatlog/writer.hpp>

namespace supd::chatlog {

std::size_t weight(const Draft& draft);
/// The outcome column of append_messages.
Outcome outcome_of(std::int64_t code);
ws::ChatEvent event_of(const Draft& draft, const Receipt& receipt);

}  // namespace supd::chatlog
