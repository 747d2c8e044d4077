#include <supd/trace/span.hpp>
#include <supd/ws/commands.hpp>
#include <supd/ws/session.hpp>

#include <nlohmann/json.hpp>

#include <stdexcept>

namespace supd::ws {

Command::Command(std::shared_ptr<Session> session, http::Caller caller, std::string ref,
                 std::shared_ptr<const nlohmann::json> data, std::shared_ptr<trace::Span> span)
    : session_(std::move(session)),
      caller_(caller),
      ref_(std::move(ref)),
      data_(std::move(data)),
      span_(std::move(span)) {}

void Command::ack(std::string_view data_json) const {
    session_->send_ack(ref_, data_json);
}

void Command::refuse(const base::Error& error) const {
    if (span_ && error.status() >= 500) span_->fail(error.code());
    session_->send_error(ref_, error);
}

const trace::Context& Command::trace() const noexcept {
    static constexpr trace::Context kNone;
    return span_ ? span_->context() : kNone;
}

void Commands::add(CommandRow row) {
    if (find(row.type)) throw std::logic_error("two commands of one type: " + std::string(row.type));
    if (static_cast<bool>(row.pipelined) == static_cast<bool>(row.ordered))
        throw std::logic_error("a command is either pipelined or ordered: " + std::string(row.type));
    rows_.push_back(std::make_unique<CommandRow>(std::move(row)));
}

const CommandRow* Commands::find(std::string_view type) const {
    for (const auto& row : rows_)
        if (row->type == type) return row.get();
    return nullptr;
}

}  // namespace supd::ws
