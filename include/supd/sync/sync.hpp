// Bringing a device up to date: over the socket after authentication, and by GET /api/v1/sync. Both read the
// same snapshot logic of chatlog, so that neither can skip what the other shows.
#pragma once

#include <supd/chatlog/reader.hpp>
#include <supd/http/router.hpp>
#include <supd/ws/hub.hpp>
#include <supd/ws/session.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace supd::sync {

namespace asio = boost::asio;

inline constexpr std::size_t kDefaultPage = 200;
inline constexpr std::size_t kMaxPage = 1000;

/// Chats of a user with id > after, ascending by id, as JSON objects: the snapshot's content. Given by app.
struct ChatPage {
    std::vector<std::string> chats;
    std::vector<base::ChatId> ids;
    bool more = false;
};
using ListChats =
    std::function<ChatPage(db::Transaction&, base::UserId, base::ChatId after, std::size_t limit)>;

class Module {
public:
    Module(db::Database& database, chatlog::Reader& reader, ws::Hub& hub, ListChats list_chats);

    void add_routes(http::Router& router);
    /// For ws::Endpoint::set_catch_up.
    asio::awaitable<void> catch_up(std::shared_ptr<ws::Session> session, std::optional<std::string> cursor);

private:
    asio::awaitable<http::Reply> get_sync(http::Request request);
    asio::awaitable<http::Reply> snapshot_page(base::UserId user, std::optional<chatlog::Cursor> cursor,
                                               std::size_t limit);

    db::Database& database_;
    chatlog::Reader& reader_;
    ws::Hub& hub_;
    ListChats list_chats_;
};

}  // namespace supd::sync
