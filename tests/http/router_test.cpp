// The route table: what a path and method find, and which rows are refused.
#include <supd/http/router.hpp>

#include <gtest/gtest.h>

namespace supd::http {
namespace {

Route row(std::string_view method, std::string_view path, std::string_view operation) {
    return {method, path, Policy::open, Limit::none, operation, nullptr};
}

TEST(Router, FixedSegmentsWinOverValues) {
    Router router;
    router.add(row("GET", "/users/:id", "get_user"));
    router.add(row("GET", "/users/me", "get_me"));
    router.add(row("GET", "/users/:user_id/contacts", "contacts"));
    router.add(row("GET", "/users/me/devices", "devices"));
    router.add(row("DELETE", "/users/:id", "delete_user"));
    router.add(row("GET", "/", "front"));
    const auto operation = [&](std::string_view method, std::string_view path) -> std::string_view {
        const auto found = router.match(method, path);
        return found.route ? found.route->operation : "";
    };
    EXPECT_EQ(operation("GET", "/users/me"), "get_me");
    EXPECT_EQ(operation("GET", "/users/you"), "get_user");
    EXPECT_EQ(operation("GET", "/users/me/devices"), "devices");
    EXPECT_EQ(operation("GET", "/users/me/contacts"), "contacts")
        << "goes back to the value when the fixed way ends";
    EXPECT_EQ(operation("HEAD", "/users/x"), "get_user");
    EXPECT_EQ(operation("GET", "/"), "front");
    for (const auto* path : {"", "users", "/users", "/users/", "/users//", "/users//contacts", "/users/me//",
                             "//", "/users/a/b/c", "*"})
        EXPECT_EQ(operation("GET", path), "") << path;
    EXPECT_EQ(operation("GET", "/users/me/"), "get_me") << "one slash at the end";
    EXPECT_EQ(operation("GET", "/users/me/contacts/"), "contacts");

    const auto found = router.match("GET", "/users/abc/contacts");
    ASSERT_EQ(found.path_values.size(), 1u);
    EXPECT_EQ(found.path_values[0], (std::pair<std::string, std::string>("user_id", "abc")));

    const auto wrong = router.match("PATCH", "/users/x");
    EXPECT_EQ(wrong.route, nullptr);
    EXPECT_EQ(wrong.allowed, (std::vector<std::string_view>{"DELETE", "GET"}));
    EXPECT_TRUE(router.match("GET", "/none").allowed.empty());
}

TEST(Router, ClashesAreRefused) {
    Router router;
    router.add(row("GET", "/a/:b", "one"));
    EXPECT_THROW(router.add(row("GET", "/a/:c", "two")), std::logic_error);
    EXPECT_THROW(router.add(row("GET", "a", "three")), std::logic_error);
    EXPECT_NO_THROW(router.add(row("POST", "/a/:c", "four")));
    EXPECT_EQ(router.routes().size(), 2u);
}

}  // namespace
}  // namespace supd::http
