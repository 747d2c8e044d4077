// The operations behind the router, as the server calls them, on a real PostgreSQL.
#include "support/private_postgres.hpp"

#include <supd/accounts/accounts.hpp>
#include <supd/accounts/limits.hpp>
#include <supd/accounts/user_commands.hpp>
#include <supd/async/blocking_pool.hpp>
#include <supd/async/task_group.hpp>
#include <supd/base/json.hpp>
#include <supd/db/database.hpp>
#include <supd/http/rate_limit.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <sstream>

using namespace supd;
using namespace std::chrono_literals;
using base::Json;

namespace {

struct Answer {
    int status = 0;
    Json body;
    std::string code;  // of a refusal
};

// One process: pools, revocations, module. Two of them on one database are two nodes.
class Node {
public:
    explicit Node(const std::string& url, bool limits = false)
        : database_({url, 2}),
          cpu_("cpu", {2, 64, 5000ms}),
          limiter_({limits}),
          module_(database_, cpu_, limiter_, revocations_, config()) {
        module_.add_routes(router_);
        run(revocations_.load(database_));
    }

    Answer call(const std::string& method, const std::string& path, const Json& body = nullptr,
                const std::string& token = "") {
        const auto match = router_.match(method, path);
        if (!match.route) return {404, {}, "no_route"};
        http::Request request;
        request.method = method;
        request.path = path;
        request.path_values = match.path_values;
        request.remote = boost::asio::ip::make_address(address);
        request.headers = {{"content-type", "application/json"}, {"user-agent", "test/1"}};
        if (!body.is_null()) request.body = body.dump();
        try {
            if (match.route->policy != http::Policy::open) request.caller_ = module_.authenticate(token);
            const auto reply = run(match.route->handler(std::move(request)));
            return {reply.status, reply.body.empty() ? Json() : base::parse_json(reply.body), ""};
        } catch (const base::Error& error) {
            return {error.status(), {}, error.code()};
        }
    }
    Json registered(const std::string& name, Json more = Json::object()) {
        more["username"] = name;
        more["password"] = "correct horse";
        const auto answer = call("POST", "/api/v1/auth/register", more);
        EXPECT_EQ(answer.status, 201) << answer.code;
        return answer.body;
    }
    Answer login(const std::string& identifier, const std::string& password = "correct horse",
                 Json more = Json::object()) {
        more["identifier"] = identifier;
        more["password"] = password;
        return call("POST", "/api/v1/auth/login", more);
    }
    Answer me(const Json& tokens) { return call("GET", "/api/v1/users/me", nullptr, tokens["access_token"]); }

    template <class T>
    T run(boost::asio::awaitable<T> work) {
        auto result = boost::asio::co_spawn(io_, std::move(work), boost::asio::use_future);
        io_.restart();
        io_.run();
        return result.get();
    }
    std::string address = "192.0.2.7";
    accounts::Revocations& revocations() { return revocations_; }
    db::Database& database() { return database_; }

private:
    static accounts::Config config() {
        accounts::Config out;
        out.secrets.emplace_back("a secret of at least thirty-two bytes");
        out.password_profile = crypto::PasswordProfile::minimal;
        return out;
    }

    boost::asio::io_context io_;  // outlives the pools, whose threads post to it
    db::Database database_;
    async::BlockingPool cpu_;
    http::RateLimiter limiter_;
    accounts::Revocations revocations_;
    accounts::Module module_;
    http::Router router_;
};

class OperationsTest : public ::testing::Test {
protected:
    std::string url_ = support::migrated_database();
    Node node_{url_};
};

}  // namespace

TEST_F(OperationsTest, RegisterAnswersUserDeviceAndTokens) {
    const auto answer = node_.registered("Ann", {{"email", "Ann@Example.org"},
                                                 {"phone", "+49 30 1234567"},
                                                 {"display_name", "Ann B."},
                                                 {"device", {{"name", "phone"}, {"platform", "ios"}}}});
    EXPECT_EQ(answer["user"]["username"], "Ann");
    EXPECT_EQ(answer["user"]["email"], "Ann@Example.org");
    EXPECT_EQ(answer["user"]["phone"], "+49301234567");
    EXPECT_EQ(answer["user"]["is_admin"], false);
    EXPECT_EQ(answer["device"]["platform"], "ios");
    EXPECT_EQ(answer["token_type"], "Bearer");
    EXPECT_EQ(answer["expires_in"], 900);
    EXPECT_EQ(node_.me(answer).body, answer["user"]);
    EXPECT_EQ(
        node_.call("POST", "/api/v1/auth/register", {{"username", "aNN"}, {"password", "correct horse"}})
            .code,
        "username_taken");
    EXPECT_EQ(node_
                  .call("POST", "/api/v1/auth/register",
                        {{"username", "other"}, {"password", "correct horse"}, {"email", "ann@example.ORG"}})
                  .code,
              "email_taken");
}

TEST_F(OperationsTest, BadRegistrationsAreRefusedAndStoreNothing) {
    const Json good{{"username", "carl"}, {"password", "correct horse"}};
    auto with = [&](Json patch) {
        auto body = good;
        body.update(patch);
        return node_.call("POST", "/api/v1/auth/register", body);
    };
    EXPECT_EQ(with({{"is_admin", true}}).code, "unknown_field");
    EXPECT_EQ(with({{"username", 5}}).status, 400);
    EXPECT_EQ(with({{"password", "short"}}).status, 422);
    EXPECT_EQ(with({{"password", std::string(129, 'x')}}).status, 422);
    EXPECT_EQ(with({{"email", "nonsense"}}).status, 422);
    EXPECT_EQ(with({{"device", "phone"}}).status, 400);
    EXPECT_EQ(with({{"device", {{"platform", "toaster"}}}}).status, 400);
    EXPECT_EQ(with({{"device", {{"name", "x"}, {"admin", true}}}}).status, 400);
    EXPECT_EQ(node_.call("POST", "/api/v1/auth/register").status, 400);
    EXPECT_EQ(with(Json::object()).status, 201) << "the name is still free";
}

TEST_F(OperationsTest, LoginByNameOrAddressAndOneAnswerForEveryRefusal) {
    node_.registered("ann", {{"email", "ann@example.org"}});
    for (const auto* identifier : {"ann", "ANN", "Ann@Example.ORG"})
        EXPECT_EQ(node_.login(identifier).status, 200) << identifier;
    for (const auto& [identifier, password] : {std::pair("ann", "wrong horse"),
                                               {"nobody", "correct horse"},
                                               {"no@example.org", "correct horse"},
                                               {"ann", "x"},
                                               {"not a name at all!", "correct horse"}}) {
        const auto refused = node_.login(identifier, password);
        EXPECT_EQ(refused.status, 401) << identifier;
        EXPECT_EQ(refused.code, "invalid_credentials");
    }
    db::Connection connection(url_, 5s, "cli");
    std::ostringstream out;
    accounts::disable_user(connection, "ann", out, out);
    EXPECT_EQ(node_.login("ann").code, "invalid_credentials");
}

TEST_F(OperationsTest, SignInsAreCountedPerIdentifier) {
    Node limited(url_, true);
    limited.registered("ann");
    limited.registered("bob");
    int refused = 0;
    for (int i = 0; i < 20; ++i)
        refused += limited.login(i % 2 ? "ann" : "ANN", "wrong horse").code == "rate_limited";
    EXPECT_EQ(refused, 10) << "the burst of the auth class";
    EXPECT_EQ(limited.login("bob").status, 200);
    limited.address = "192.0.2.8";
    EXPECT_EQ(limited.login("ann").status, 200) << "guesses from elsewhere do not lock her out";
}

TEST_F(OperationsTest, SignInsFromAllAddressesHaveABoundToo) {
    Node limited(url_, true);
    limited.registered("ann");
    int tried = 0;
    for (int address = 1; address <= 30; ++address) {
        limited.address = "198.51.100." + std::to_string(address);
        for (int i = 0; i < 10; ++i)
            tried += limited.login("ann", "wrong horse").code == "invalid_credentials";
    }
    EXPECT_GE(tried, 100) << "ten times the burst of the auth class";
    EXPECT_LE(tried, 200) << "and what comes back at fifty a minute meanwhile";
}

TEST_F(OperationsTest, AddressesAreNotFoundOutByChangingTheOwn) {
    Node limited(url_, true);
    limited.registered("bob", {{"email", "bob@example.org"}});
    const auto ann = limited.registered("ann");
    const auto change = [&](const Json& body) {
        return limited.call("PATCH", "/api/v1/users/me", body, ann["access_token"]).code;
    };
    int told = 0;
    for (int i = 0; i < 20; ++i)
        told += change({{"email", "bob@example.org"}}) == "email_taken";
    EXPECT_GE(told, 10) << "the burst of the auth class";
    EXPECT_LE(told, 15) << "and what comes back at five a minute meanwhile";
    EXPECT_EQ(change({{"bio", "hello"}}), "");
}

TEST_F(OperationsTest, AnOutdatedHashIsReplacedAtSignIn) {
    node_.registered("ann");
    db::Connection connection(url_, 5s, "cli");
    std::ostringstream out;
    std::istringstream password("correct horse\n");
    accounts::reset_password(connection, "ann", {&password, crypto::PasswordProfile::interactive}, out, out);
    auto hash = [&] {
        const db::Statement read{"read_hash", "select password_hash from users where username = 'ann'"};
        return connection.transact([&](db::Transaction& tx) { return tx.exec(read).front().text(0); });
    };
    EXPECT_TRUE(hash().starts_with("$argon2id$v=19$m=19456"));
    EXPECT_EQ(node_.login("ann").status, 200);
    EXPECT_TRUE(hash().starts_with("$argon2id$v=19$m=8,"));
    EXPECT_EQ(node_.login("ann").status, 200);
}

TEST_F(OperationsTest, LogoutAndRevocationTakeEffectAtOnceHereAndByPollElsewhere) {
    Node other(url_);
    const auto first = node_.registered("ann");
    const auto second = node_.login("ann").body;
    std::vector<base::SessionId> closed;
    other.revocations().on_revoked([&](base::SessionId id) { closed.push_back(id); });
    const auto list =
        node_.call("GET", "/api/v1/auth/sessions", nullptr, first["access_token"]).body["items"];
    ASSERT_EQ(list.size(), 2u);
    EXPECT_EQ(list[1]["current"], true);
    EXPECT_EQ(list[0]["current"], false);
    EXPECT_EQ(list[0]["remote_address"], "192.0.2.7");
    const std::string foreign = list[0]["id"];

    EXPECT_EQ(other.me(second).status, 200);
    EXPECT_EQ(node_.call("DELETE", "/api/v1/auth/sessions/" + foreign, nullptr, first["access_token"]).status,
              204);
    EXPECT_EQ(node_.me(second).status, 401);
    EXPECT_EQ(node_.call("DELETE", "/api/v1/auth/sessions/" + foreign, nullptr, first["access_token"]).status,
              404);
    EXPECT_EQ(other.me(second).status, 200) << "the other node has not asked yet";
    other.run(other.revocations().load(other.database()));
    EXPECT_EQ(other.me(second).status, 401);
    ASSERT_EQ(closed.size(), 1u);
    EXPECT_EQ(closed[0].text(), foreign);

    EXPECT_EQ(node_.call("POST", "/api/v1/auth/logout", nullptr, first["access_token"]).status, 204);
    EXPECT_EQ(node_.me(first).status, 401);
    EXPECT_EQ(node_.call("POST", "/api/v1/auth/refresh", {{"refresh_token", first["refresh_token"]}}).code,
              "unauthenticated");
    Node late(url_);
    EXPECT_EQ(late.me(first).status, 401) << "a node that starts later knows it too";
}

TEST_F(OperationsTest, ThePollTaskHearsOfOtherNodes) {
    boost::asio::io_context io;
    Node other(url_);
    const auto tokens = node_.registered("ann");
    async::TaskGroup tasks("test");
    const auto begun = base::Monotonic::now();
    other.revocations().on_revoked([&](base::SessionId) { tasks.cancel(); });
    tasks.spawn(io.get_executor(), other.revocations().poll(other.database()));
    EXPECT_EQ(node_.call("POST", "/api/v1/auth/logout", nullptr, tokens["access_token"]).status, 204);
    io.run_for(10s);
    tasks.cancel();
    io.run();
    EXPECT_EQ(other.me(tokens).status, 401);
    EXPECT_LT(base::Monotonic::now() - begun, 2s);
}

TEST_F(OperationsTest, PasswordChangeEndsTheOtherSessions) {
    const auto here = node_.registered("ann");
    const auto there = node_.login("ann").body;
    auto change = [&](const char* current, const char* next) {
        return node_.call("POST", "/api/v1/auth/password/change",
                          {{"current_password", current}, {"new_password", next}}, here["access_token"]);
    };
    EXPECT_EQ(change("wrong horse", "battery staple").code, "invalid_credentials");
    EXPECT_EQ(change("correct horse", "short").status, 422);
    EXPECT_EQ(change("correct horse", "battery staple").status, 204);
    EXPECT_EQ(node_.me(here).status, 200);
    EXPECT_EQ(node_.me(there).status, 401);
    EXPECT_EQ(node_.login("ann").status, 401);
    EXPECT_EQ(node_.login("ann", "battery staple").status, 200);
}

TEST_F(OperationsTest, ProfilesShowOthersOnlyWhatIsPublic) {
    const auto ann = node_.registered("ann", {{"email", "ann@example.org"}});
    const auto bob = node_.registered("bob");
    const std::string path = "/api/v1/users/" + ann["user"]["id"].get<std::string>();
    EXPECT_EQ(node_.call("GET", path, nullptr, ann["access_token"]).body, ann["user"]);
    const auto seen = node_.call("GET", path, nullptr, bob["access_token"]).body;
    std::vector<std::string> fields;
    for (const auto& [name, value] : seen.items())
        fields.push_back(name);
    EXPECT_EQ(fields, (std::vector<std::string>{"bio", "created_at", "display_name", "id", "username"}));
    EXPECT_EQ(node_.call("GET", "/api/v1/users/" + base::UserId::make().text(), nullptr, bob["access_token"])
                  .status,
              404);
    EXPECT_EQ(node_.call("GET", "/api/v1/users/x", nullptr, bob["access_token"]).status, 404);
    EXPECT_EQ(node_.call("PATCH", path, {{"display_name", "stolen"}}, bob["access_token"]).status, 403);
}

TEST_F(OperationsTest, ProfileEditChangesWhatIsGivenOnly) {
    const auto ann = node_.registered("ann", {{"email", "ann@example.org"}});
    node_.registered("bob", {{"email", "bob@example.org"}});
    auto edit = [&](const Json& body) {
        return node_.call("PATCH", "/api/v1/users/me", body, ann["access_token"]);
    };
    EXPECT_EQ(edit({{"display_name", "Annie"}}).body["display_name"], "Annie");
    EXPECT_EQ(edit({{"bio", "Here\nand there"}}).body["bio"], "Here\nand there");
    EXPECT_EQ(edit(Json::object()).body["display_name"], "Annie");
    EXPECT_EQ(edit({{"email", "bob@example.org"}}).code, "email_taken");
    EXPECT_EQ(edit({{"email", "new@example.org"}}).body["email"], "new@example.org");
    EXPECT_EQ(edit({{"email", nullptr}}).body["email"], nullptr);
    for (const auto* field : {"username", "is_admin", "id", "status", "password_hash"})
        EXPECT_EQ(edit({{field, true}}).code, "unknown_field");
    EXPECT_EQ(edit({{"display_name", "\u202e"}}).status, 422);
    EXPECT_EQ(node_.me(ann).body["display_name"], "Annie");
}

TEST_F(OperationsTest, DevicesAreListedAndRemoved) {
    const auto ann = node_.registered("ann");
    const auto second =
        node_.login("ann", "correct horse", {{"device", {{"name", "tablet"}, {"platform", "android"}}}}).body;
    const auto bob = node_.registered("bob");
    const auto list =
        node_.call("GET", "/api/v1/users/me/devices", nullptr, ann["access_token"]).body["items"];
    ASSERT_EQ(list.size(), 2u);
    EXPECT_EQ(list[0]["name"], "tablet");
    const std::string path = "/api/v1/users/me/devices/" + second["device"]["id"].get<std::string>();
    EXPECT_EQ(node_.call("DELETE", path, nullptr, bob["access_token"]).status, 404);
    EXPECT_EQ(node_.me(second).status, 200);
    EXPECT_EQ(node_.call("DELETE", path, nullptr, ann["access_token"]).status, 204);
    EXPECT_EQ(node_.me(second).status, 401);
    EXPECT_EQ(node_.call("DELETE", path, nullptr, ann["access_token"]).status, 404);
    EXPECT_NE(node_.login("ann", "correct horse", {{"device", second["device"]}}).status, 200)
        << "created_at is not a field of the request";
    const Json removed{{"id", second["device"]["id"]}, {"name", "tablet"}, {"platform", "android"}};
    EXPECT_NE(node_.login("ann", "correct horse", {{"device", removed}}).body["device"]["id"],
              second["device"]["id"]);
}

TEST_F(OperationsTest, AdministratorsAreKnownByTheirRowAndNotByTheirToken) {
    const auto ann = node_.registered("ann");
    const auto id = base::UserId::parse(ann["user"]["id"].get<std::string>()).value();
    db::Connection connection(url_, 5s, "cli");
    std::ostringstream out;
    accounts::make_admin(connection, "ann", out, out);
    EXPECT_FALSE(node_.revocations().is_admin(id));
    node_.run(node_.revocations().load(node_.database()));
    EXPECT_TRUE(node_.revocations().is_admin(id));
    accounts::disable_user(connection, "ann", out, out);
    node_.run(node_.revocations().load(node_.database()));
    EXPECT_FALSE(node_.revocations().is_admin(id));
    EXPECT_EQ(node_.me(ann).status, 401);
}

TEST_F(OperationsTest, UnknownUsersTakeAsLongAsKnownOnes) {
    node_.registered("ann");
    auto took = [&](const std::string& identifier) {
        const auto begun = base::Monotonic::now();
        node_.login(identifier, "wrong horse");
        return std::chrono::duration<double, std::micro>(base::Monotonic::now() - begun).count();
    };
    std::vector<double> known, unknown;
    for (int i = 0; i < 200; ++i) {
        known.push_back(took("ann"));
        unknown.push_back(took("nobody"));
    }
    std::sort(known.begin(), known.end());
    std::sort(unknown.begin(), unknown.end());
    RecordProperty("known_us", std::to_string(known[100]));
    RecordProperty("unknown_us", std::to_string(unknown[100]));
    EXPECT_LT(std::abs(known[100] - unknown[100]), 1000) << known[100] << " " << unknown[100];
}
