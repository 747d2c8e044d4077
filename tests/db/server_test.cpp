#include <supd/db/server.hpp>

#include <gtest/gtest.h>

namespace supd::db {
namespace {

TEST(Server, TellsWhetherItIsOnThisMachine) {
    for (const char* url :
         {"postgresql:///supd?host=/run/postgresql", "postgresql:///supd", "host=@supd dbname=x",
          "postgresql://supd@localhost/supd", "postgresql://supd@127.0.0.1:5433/supd",
          "postgresql://supd@[::1]/supd", "host=db.example.org hostaddr=127.0.0.1"})
        EXPECT_TRUE(is_local(url)) << url;
    for (const char* url :
         {"postgresql://supd@db.example.org/supd", "postgresql://supd@10.0.0.7/supd",
          "postgresql://supd@a.example.org,b.example.org/supd", "host=localhost hostaddr=10.0.0.7",
          "service=main", "postgresql://supd@postgres/supd"})
        EXPECT_FALSE(is_local(url)) << url;
}

}  // namespace
}  // namespace supd::db
