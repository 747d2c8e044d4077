// Makes an account and signs it in. Refuses unfit or taken names and addresses, weak passwords, and
// everything when registration is closed.
#include "profile_rules.hpp"
#include "routes.hpp"
#include "sign_in.hpp"
#include "username.hpp"

#include <supd/accounts/limits.hpp>

#include <nlohmann/json.hpp>

namespace supd::accounts {
namespace {

struct RegisterRequest {
    Username username;
    std::string password;
    std::string display_name;
    std::optional<Email> email;
    std::optional<std::string> phone;
    DeviceRequest device;
};

RegisterRequest parse(const base::Json& body) {
    base::ObjectReader reader(body);
    const auto username = reader.text("username", {1, kMaxIdentifierBytes});
    auto password = reader.text("password", {1, crypto::kMaxPasswordBytes});
    const auto email = reader.maybe_text("email", {1, kMaxEmailBytes});
    const auto phone = reader.maybe_text("phone", {1, kMaxPhoneBytes * 2});
    const auto display_name = reader.maybe_text("display_name", {1, kMaxDisplayNameBytes});
    auto device = read_device_request(reader);
    require_null(reader, "invite");
    reader.finish();

    RegisterRequest out;
    out.username = parse_username(username);
    require_password("password", password);
    out.password = std::move(password);
    out.display_name =
        display_name ? clean_name("display_name", *display_name, kMaxDisplayName) : out.username.display;
    if (email) out.email = parse_email(*email);
    if (phone) out.phone = parse_phone(*phone);
    out.device = std::move(device);
    return out;
}

base::Error taken(const db::ConstraintViolation& violation) {
    if (violation.constraint() == "users_email_key_key")
        return base::conflict("email_taken", "An account with this e-mail address exists already.");
    return base::conflict("username_taken", "This username is taken, or too much like one that is.");
}

}  // namespace

asio::awaitable<http::Reply> register_account(const Context& context, http::Request request) {
    if (!context.config.registration_open)
        throw base::forbidden("This server does not take new accounts.", "registration_closed");
    auto wanted = parse(request.json());
    auto hash = [&](std::size_t) {
        return crypto::hash_password(wanted.password, context.config.password_profile);
    };

    store::NewUser user;
    user.id = base::UserId::make();
    user.username = wanted.username.display;
    user.username_key = wanted.username.key;
    user.username_skeleton = wanted.username.skeleton;
    user.display_name = wanted.display_name;
    if (wanted.email) {
        user.email = wanted.email->display;
        user.email_key = wanted.email->key;
    }
    user.phone = wanted.phone;
    user.password_hash = co_await context.cpu.run(hash);

    const auto seed = seed_session(std::move(wanted.device), origin_of(request));
    auto store_it = [&](db::Transaction& tx) {
        store::insert_user(tx, user);
        return begin_session(tx, store::find_user(tx, user.id).value(), seed);
    };
    try {
        const auto signed_in = co_await context.db.transact(store_it);
        // Nobody can be listening to what its log says of the first device.
        co_return tokens_reply(context, signed_in, 201);
    } catch (const db::ConstraintViolation& violation) {
        if (!violation.unique()) throw;
        throw taken(violation);
    }
}

}  // namespace supd::accounts
