#include "profile_rules.hpp"
#include "store.hpp"
#include "store_upkeep.hpp"
#include "username.hpp"

#include <supd/accounts/limits.hpp>
#include <supd/accounts/user_commands.hpp>
#include <supd/base/clock.hpp>
#include <supd/crypto/bytes.hpp>

#include <nlohmann/json.hpp>

#include <istream>
#include <ostream>

namespace supd::accounts {
namespace {

constexpr int kOk = 0;
constexpr int kBadInput = 65;    // EX_DATAERR
constexpr int kNoUser = 67;      // EX_NOUSER
constexpr int kCannotMake = 73;  // EX_CANTCREAT
constexpr int kListPage = 500;

int no_such_user(const std::string& name, std::ostream& err) {
    err << "no user is called " << name << "\n";
    return kNoUser;
}

struct NewPassword {
    std::string text;
    bool generated = false;
};

NewPassword take_password(const PasswordSource& source) {
    NewPassword out;
    if (source.from) {
        std::getline(*source.from, out.text);
        if (out.text.ends_with('\r')) out.text.pop_back();
        require_password("password", out.text);
    } else {
        out.text = crypto::random_token();
        out.generated = true;
    }
    return out;
}

/// Runs `change` on the named user in one transaction.
template <class F>
int change_user(db::Connection& connection, const std::string& name, std::ostream& err, F change) {
    const auto key = fold_identifier(name);
    const bool found = connection.transact([&](db::Transaction& tx) {
        const auto id = store::user_by_name(tx, key);
        if (id) change(tx, *id);
        return id.has_value();
    });
    return found ? kOk : no_such_user(name, err);
}

}  // namespace

int create_user(db::Connection& connection, const std::string& name, bool admin, PasswordSource password,
                std::ostream& out, std::ostream& err) {
    try {
        const auto username = parse_username(name);
        const auto chosen = take_password(password);
        store::NewUser user;
        user.id = base::UserId::make();
        user.username = username.display;
        user.username_key = username.key;
        user.username_skeleton = username.skeleton;
        user.display_name = username.display;
        user.password_hash = crypto::hash_password(chosen.text, password.profile);
        user.admin = admin;
        connection.transact([&](db::Transaction& tx) { store::insert_user(tx, user); });
        out << "created " << username.display << " " << user.id.text() << (admin ? " (administrator)" : "")
            << "\n";
        if (chosen.generated) out << "password: " << chosen.text << "\n";
        return kOk;
    } catch (const base::Error& error) {
        if (error.status() >= 500) throw;
        err << error.detail() << "\n";
        return kBadInput;
    } catch (const db::ConstraintViolation&) {
        err << "the name " << name << " is taken, or too much like one that is\n";
        return kCannotMake;
    }
}

int list_users(db::Connection& connection, bool json, std::ostream& out, std::ostream&) {
    std::string after;
    while (true) {
        std::string last;
        const auto users = connection.transact(db::Access::read_only, [&](db::Transaction& tx) {
            return store::list_users(tx, after, kListPage, last);
        });
        for (const auto& user : users) {
            const auto created = base::format_time(user.created_at);
            if (json)
                out << nlohmann::json{{"id", user.id},
                                      {"username", user.username},
                                      {"is_admin", user.admin},
                                      {"status", user.status},
                                      {"created_at", created}}
                           .dump()
                    << "\n";
            else
                out << user.id << "  " << created << "  " << user.status << "  "
                    << (user.admin ? "admin" : "     ") << "  " << user.username << "\n";
        }
        if (users.size() < static_cast<std::size_t>(kListPage)) return kOk;
        after = last;
    }
}

int disable_user(db::Connection& connection, const std::string& name, std::ostream& out, std::ostream& err) {
    const auto code = change_user(connection, name, err, [](db::Transaction& tx, base::UserId id) {
        store::set_status(tx, id, "disabled");
        store::revoke_sessions_of_user(tx, id, std::nullopt, "disabled");
    });
    if (code == kOk) out << "disabled " << name << "\n";
    return code;
}

int enable_user(db::Connection& connection, const std::string& name, std::ostream& out, std::ostream& err) {
    const auto code = change_user(connection, name, err, [](db::Transaction& tx, base::UserId id) {
        store::set_status(tx, id, "active");
    });
    if (code == kOk) out << "enabled " << name << "\n";
    return code;
}

int reset_password(db::Connection& connection, const std::string& name, PasswordSource password,
                   std::ostream& out, std::ostream& err) {
    try {
        const auto chosen = take_password(password);
        const auto hash = crypto::hash_password(chosen.text, password.profile);
        const auto code = change_user(connection, name, err, [&](db::Transaction& tx, base::UserId id) {
            store::set_password(tx, id, hash);
            store::revoke_sessions_of_user(tx, id, std::nullopt, "password_changed");
        });
        if (code != kOk) return code;
        out << "password of " << name << " set\n";
        if (chosen.generated) out << "password: " << chosen.text << "\n";
        return kOk;
    } catch (const base::Error& error) {
        if (error.status() >= 500) throw;
        err << error.detail() << "\n";
        return kBadInput;
    }
}

int make_admin(db::Connection& connection, const std::string& name, std::ostream& out, std::ostream& err) {
    const auto code = change_user(connection, name, err,
                                  [](db::Transaction& tx, base::UserId id) { store::set_admin(tx, id); });
    if (code == kOk) out << name << " is an administrator\n";
    return code;
}

}  // namespace supd::accounts
