#include "pq.hpp"

#include <supd/db/server.hpp>

#include <chrono>
#include <cstdlib>
#include <map>

namespace supd::db {
namespace {

constexpr std::chrono::seconds kClosingPatience{3};

std::string quoted(const std::string& name) {
    std::string out = "\"";
    for (const char c : name)
        out += c == '"' ? std::string("\"\"") : std::string(1, c);
    return out + "\"";
}

std::string conninfo_value(std::string_view value) {
    std::string out = "'";
    for (const char c : value) {
        if (c == '\'' || c == '\\') out += '\\';
        out += c;
    }
    return out + "'";
}

std::map<std::string, std::string> parsed(const std::string& url) {
    const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(
        PQconninfoParse(url.c_str(), nullptr), &PQconninfoFree);
    if (!options) throw ServerError("the database URL is not a valid connection string");
    std::map<std::string, std::string> out;
    for (auto* option = options.get(); option->keyword; ++option)
        if (option->val) out[option->keyword] = option->val;
    return out;
}

std::string value_of(const std::string& url, const std::string& keyword) {
    const auto all = parsed(url);
    const auto found = all.find(keyword);
    return found == all.end() ? "" : found->second;
}

template <class Body>
auto said(Body body) {
    try {
        return body();
    } catch (const PqError& error) {
        throw ServerError(std::string("the database server: ") + error.what());
    }
}

}  // namespace

std::string conninfo_with(const std::string& url,
                          const std::vector<std::pair<std::string, std::string>>& keywords) {
    auto all = parsed(url);
    for (const auto& [keyword, value] : keywords) {
        if (value.empty())
            all.erase(keyword);
        else
            all[keyword] = value;
    }
    std::string out;
    for (const auto& [keyword, value] : all)
        out += (out.empty() ? "" : " ") + keyword + "=" + conninfo_value(value);
    return out;
}

bool is_local(const std::string& url) {
    const auto all = parsed(url);
    const auto address = all.find("hostaddr");
    const auto host = address != all.end() ? address : all.find("host");
    if (host == all.end() || host->second.empty())  // libpq's default: the socket
        return !all.contains("service") && !getenv("PGHOST") && !getenv("PGSERVICE");
    const auto& name = host->second;
    return name.starts_with('/') || name.starts_with('@') || name == "localhost" || name == "::1" ||
           name.starts_with("127.");
}

std::string database_of(const std::string& url) {
    return value_of(url, "dbname");
}

std::string password_of(const std::string& url) {
    return value_of(url, "password");
}

struct Server::Impl {
    explicit Impl(const std::string& url) : session(conninfo_with(url, {})) {
        session.script(
            "set application_name = 'supd-restore'; set statement_timeout = 0; set lock_timeout = 0; "
            "set idle_session_timeout = 0; set client_min_messages = warning");
    }
    PqSession session;
};

Server::Server(const std::string& url) : impl_(said([&] { return std::make_unique<Impl>(url); })) {}
Server::~Server() = default;

int Server::major_version() {
    return said([&] {
        const auto text = impl_->session.query("show server_version_num").front().front();
        return std::stoi(text) / 10000;
    });
}

bool Server::exists(const std::string& database) {
    return said([&] {
        return !impl_->session.query("select 1 from pg_database where datname = $1", {database}).empty();
    });
}

std::string Server::missing_right(const std::string& live) {
    return said([&]() -> std::string {
        const auto row =
            impl_->session
                .query(
                    "select quote_ident(r.rolname), r.rolsuper or r.rolcreatedb, coalesce((select "
                    "r.rolsuper or pg_has_role(r.oid, d.datdba, 'usage') from pg_database d "
                    "where d.datname = $1), true) from pg_roles r where r.rolname = current_user",
                    {live})
                .front();
        if (row[1] != "t") {
            return "the role " + row[0] +
                   " may not create databases: let an administrator of the server run `alter role " + row[0] +
                   " createdb`";
        }
        if (row[2] != "t") {
            return "the role " + row[0] + " does not own the database " + live + ", so it cannot exchange it";
        }
        return "";
    });
}

void Server::create(const std::string& database, const std::string& owner) {
    said([&] {
        impl_->session.script("create database " + quoted(database) +
                              (owner.empty() ? "" : " owner " + quoted(owner)) + " template template0");
    });
}

void Server::drop(const std::string& database) {
    said([&] { impl_->session.script("drop database if exists " + quoted(database) + " with (force)"); });
}

std::vector<std::string> Server::sessions(const std::string& database) {
    return said([&] {
        std::vector<std::string> names;
        // A session that has just been closed is listed for a moment longer.
        const auto deadline = std::chrono::steady_clock::now() + kClosingPatience;
        const auto busy = [&] {
            return !impl_->session
                        .query(
                            "select pg_sleep(0.05) from pg_stat_activity where datname = $1 and pid <> "
                            "pg_backend_pid() and backend_type = 'client backend' limit 1",
                            {database})
                        .empty();
        };
        while (busy() && std::chrono::steady_clock::now() < deadline) {
        }
        for (const auto& row :
             impl_->session.query("select coalesce(nullif(application_name, ''), 'a session without a name') "
                                  "from pg_stat_activity where datname = $1 and pid <> pg_backend_pid() "
                                  "and backend_type = 'client backend' order by 1",
                                  {database}))
            names.push_back(row.front());
        return names;
    });
}

void Server::exchange(const std::string& live, const std::string& fresh, const std::string& aside) {
    said([&] {
        std::string script = "begin;";
        if (exists(live)) script += "alter database " + quoted(live) + " rename to " + quoted(aside) + ";";
        script += "alter database " + quoted(fresh) + " rename to " + quoted(live) + "; commit";
        try {
            impl_->session.script(script);
        } catch (const PqError&) {
            impl_->session.script("rollback");  // the session goes on, to drop `fresh`
            throw;
        }
    });
}

bool is_empty(const std::string& url) {
    return said([&] {
        PqSession session(conninfo_with(url, {}));
        return session
            .query(
                "select 1 from pg_class c join pg_namespace n on n.oid = c.relnamespace "
                "where c.relkind in ('r', 'p', 'v', 'm', 'S') and n.nspname not in ('pg_catalog', "
                "'information_schema') and n.nspname not like 'pg_toast%' limit 1")
            .empty();
    });
}

}  // namespace supd::db
