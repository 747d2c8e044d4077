#!/usr/bin/env python3
"""Plants one violation of each rule in a small tree and asks check_modules.py to name it."""
import tempfile
import unittest
from pathlib import Path

import check_modules

MODULES = "# order\nfloor: base metrics\nengine: async\ndrivers: db http ws\nkernel: chatlog\nfeatures: chats messages\ntop: app\n"
CLEAN = {
    "docs/modules.txt": MODULES,
    "docs/architecture.md": "See `src/messages/send_message.cpp`, `store.{hpp,cpp}`, `src/<feature>/x.cpp` and `GET /x`.\n",
    "include/supd/base/error.hpp": "#pragma once\n// What a refusal is.\n#include <string>\nnamespace supd::base {}\n",
    "src/base/error.cpp": "#include <supd/base/error.hpp>\n",
    "src/metrics/registry.cpp": "#include <prometheus/registry.h>\n",
    "src/async/group.cpp": "void f() { co_spawn(x, y, z); }\n",
    "src/db/pool.cpp": '#include <pqxx/pqxx>\nauto kSql = "SELECT 1";\n',
    "src/http/server.cpp": "#include <boost/beast/http.hpp>\n",
    "src/ws/hub.cpp": "void g() { hub.publish(1); }\n",
    "src/chatlog/store.cpp": 'auto kSql = R"(insert into chats values (1))";\n',
    "src/chats/list_chats.cpp": "// reads select id from chats, says the store\n",
    "src/messages/store.hpp": "#pragma once\n",
    "src/messages/store.cpp": '#include "store.hpp"\n',
    "src/messages/send_message.cpp": '#include "store.hpp"\n#include <supd/base/error.hpp>\nauto kText = "Select a chat";\n',
    "src/app/app.cpp": "#include <supd/base/error.hpp>\n",
    "src/main.cpp": "int main() {}\n",
}


def findings(changes):
    with tempfile.TemporaryDirectory() as folder:
        files = {**CLEAN, **changes}
        for name, text in files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return check_modules.Checker(folder, list(files)).run()


class Rules(unittest.TestCase):
    def planted(self, rule, changes):
        found = findings(changes)
        self.assertEqual({f[0] for f in found}, {rule}, found)

    def clean(self, changes):
        self.assertEqual(findings(changes), [])

    def test_clean_tree_has_no_findings(self):
        self.clean({})

    def test_r1_private_header_of_another_module(self):
        self.planted("R1", {"src/chats/list_chats.cpp": '#include "../messages/store.hpp"\n'})
        self.planted("R1", {"src/chats/list_chats.cpp": '#include "store.hpp"\n'})
        self.planted("R1", {"src/chats/list_chats.cpp": "#include <supd/base/gone.hpp>\n"})

    def test_r2_upward_include(self):
        self.planted("R2", {"src/base/error.cpp": "#include <supd/chats/chats.hpp>\n",
                            "include/supd/chats/chats.hpp": "#pragma once\n// Chats.\n"})

    def test_r2_order_inside_a_group(self):
        header = {"include/supd/messages/messages.hpp": "#pragma once\n// Messages.\n"}
        self.planted("R2", {**header, "src/chats/list_chats.cpp": "#include <supd/messages/messages.hpp>\n"})

    def test_r3_owner_of_a_library(self):
        self.planted("R3", {"src/messages/send_message.cpp": "#include <pqxx/pqxx>\n"})
        self.planted("R3", {"src/messages/send_message.cpp": "#include <boost/beast/core.hpp>\n"})
        self.planted("R3", {"src/http/server.cpp": "#include <openssl/ssl.h>\n"})
        self.planted("R3", {"src/http/server.cpp": "#include <zlib.h>\n"})
        self.planted("R3", {"src/http/server.cpp": "#include <spdlog/spdlog.h>\n"})

    def test_r4_sql_outside_a_store(self):
        for sql in ('"SELECT id FROM chats"', '"select now()"', 'R"(\n  update chats set x = 1)"',
                    '"insert " "into chats values (1)"', '"with a as (select 1) select * from a"'):
            self.planted("R4", {"src/chats/list_chats.cpp": f"auto kSql = {sql};\n"})
        self.clean({"src/chats/store_members.cpp": 'auto kSql = "SELECT id FROM chats";\n'})

    def test_r5_public_header_with_a_library_type(self):
        self.planted("R5", {"include/supd/db/pool.hpp": "#pragma once\n// Pool.\n#include <pqxx/pqxx>\n"})
        self.planted("R5", {"include/supd/db/pool.hpp": "#pragma once\n// Pool.\n#include <foreign/lib.hpp>\n"})
        self.clean({"include/supd/db/pool.hpp": "#pragma once\n// Pool.\n#include <boost/asio/awaitable.hpp>\n#include <sys/types.h>\n"})

    def test_r6_publish_from_a_store(self):
        self.planted("R6", {"src/messages/store.cpp": "void f() { hub_.publish(1); }\n"})
        self.planted("R6", {"src/app/app.cpp": "void f() { hub->publish_all(1); }\n"})
        self.clean({"src/messages/send_message.cpp": "void f() { hub_.publish(1); }\n"})

    def test_r7_size_and_drawers(self):
        self.planted("R7", {"src/base/error.cpp": "\n" * 401})
        self.planted("R7", {"tests/base/error_test.cpp": "\n" * 601})
        self.planted("R7", {"src/base/utils.cpp": ""})
        self.planted("R7", {"scripts/helpers/x.py": ""})
        self.planted("R7", {"src/base/string_utils.cpp": ""})
        self.planted("R7", {"src/chats/chat_manager.cpp": ""})
        self.clean({"src/chats/commonality.cpp": ""})
        self.clean({"src/base/error.cpp": "\n" * 400})

    def test_r8_docs_and_headers(self):
        self.planted("R8", {"docs/architecture.md": "`src/messages/gone.cpp`\n"})
        self.planted("R8", {"docs/architecture.md": "`gone.cpp`\n"})
        self.planted("R8", {"docs/architecture.md": "`src/gone`\n"})
        self.planted("R8", {"README.md": "`src/gone`\n"})
        self.planted("R8", {"docs/style.md": "[gone](gone.md)\n"})
        self.planted("R8", {"docs/install.md": "`scripts/gone.sh`\n"})
        self.planted("R8", {"docs/scaling.md": "`docker/gone.yaml`\n"})
        self.planted("R8", {"tests/rig/README.md": "`gone.py`\n"})
        self.clean({"docs/style.md": "[order](modules.txt), [it](architecture.md#1-it), [far](https://example.org/x.md)\n"})
        self.planted("R8", {"src/stories/x.cpp": ""})
        self.planted("R8", {"docs/modules.txt": MODULES + "more: stories\n"})
        self.planted("R8", {"include/supd/base/ids.hpp": "#pragma once\nnamespace supd::base {\nstruct Id {};\n}\n"})

    def test_r9_spawn_and_detached(self):
        self.planted("R9", {"src/messages/send_message.cpp": "void f() { asio::co_spawn(x, y, z); }\n"})
        self.planted("R9", {"src/async/group.cpp": "void f() { go(x, asio::detached); }\n"})
        self.clean({"src/messages/send_message.cpp": "// co_spawn( and detached are not used here\n"})

    def test_r10_unneeded_entry(self):
        entry = ("R4", "src/chats/list_chats.cpp", "SQL outside")
        self.assertEqual([f[0] for f in check_modules.judge([], [entry])], ["R10"])
        self.assertEqual(check_modules.judge([("R4", "src/chats/list_chats.cpp", 3, "SQL outside store*.cpp: x")], [entry]), [])

    def test_r11_unfinished_and_sleeps(self):
        self.planted("R11", {"src/base/error.cpp": "// TODO: later\n"})
        self.planted("R11", {"src/base/error.cpp": "void f() { std::this_thread::sleep_for(1s); }\n"})

    def test_r12_coroutine_traps(self):
        head = "awaitable<void> f() { "
        self.planted("R12", {"src/chats/list_chats.cpp": head + "co_await db.transact([id](Tx& tx) { go(); }); }\n"})
        self.planted("R12", {"src/chats/list_chats.cpp": head + "co_await send(Reply{1, text}); }\n"})
        self.clean({"src/chats/list_chats.cpp": head + "co_await db.transact([&](Tx& tx) { go(Reply{1}); }); }\n"})
        self.clean({"src/chats/list_chats.cpp": head + "if (co_await ready()) { x[i] = Reply{1}; } }\n"})


if __name__ == "__main__":
    unittest.main()
