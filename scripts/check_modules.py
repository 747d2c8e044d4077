#!/usr/bin/env python3
"""Checks the layer rules of the tree (docs/style.md explains each). Exit 0: clean, 1: findings.

R1  "x.hpp" stays inside src/<module>; what crosses modules is <supd/other/x.hpp>
R2  modules include only modules that stand earlier in docs/modules.txt
R3  each third-party library has its owner
R4  SQL stands only in store*.cpp and src/db
R5  public headers speak std, ours, asio and nlohmann
R6  only operation files, frames.cpp, chatlog and ws publish to the hub
R7  sizes; no drawers (utils, helpers, common, misc, manager)
R8  docs name what exists, every module is listed, every public header says what it is
R9  co_spawn only where tasks have an owner; nothing is detached
R10 an allowlist entry that nothing needs is a finding
R11 no TODO, no sleeps in the product
R12 no capture by value and no braced aggregate inside a co_await expression
"""
import argparse
import fnmatch
import re
import subprocess
import sys
from pathlib import Path

SOURCE_LIMIT = 400
TEST_LIMIT = 600
DRAWER = re.compile(r"(?:^|_)(utils?|helpers?|common|misc|managers?)(?:_|$)", re.I)
CPP = (".cpp", ".hpp")
SIZED = CPP + (".py", ".sh", ".ts", ".js", ".css", ".html")
PRODUCT = ("src/", "include/")

# header prefix -> modules that may include it. "main" is src/main.cpp.
OWNERS = [
    ("pqxx/", {"db"}),
    ("libpq", {"db"}),
    ("postgresql/", {"db"}),
    ("hiredis", {"cache"}),
    ("sodium", {"crypto"}),
    ("openssl/", {"crypto", "net"}),
    ("boost/beast", {"http", "ws", "net"}),
    ("zlib", {"ws"}),
    ("spdlog/", {"base"}),
    ("fmt/", {"app", "base"}),
    ("prometheus/", {"metrics"}),
    ("toml++/", {"app"}),
    ("CLI/", {"app", "main"}),
    ("unicode/", {"base", "accounts"}),
]
# Everything else of others that a public header may name.
PUBLIC_THIRD_PARTY = ("boost/asio", "boost/system/", "nlohmann/")
# What names files of the tree: their code spans are looked up.
DOCUMENTS = ("README.md", "docs/adding-an-endpoint.md", "docs/architecture.md", "docs/backup.md", "docs/benchmarks.md", "docs/deploy.md",
             "docs/doctor.md", "docs/features.md", "docs/install.md", "docs/scaling.md", "docs/style.md", "docs/systemd.md",
             "tests/rig/README.md")
SPAWNERS = {"async", "app"}
HUB_CALL = re.compile(r"\bhub\w*(?:\(\))?\s*(?:\.|->)\s*publish\w*\s*\(")
HUB_FILES_NOT = ("store*", "wire*", "module.*", "routes.*", "jobs.*")

SQL = re.compile(
    r"^\s*select\b.*\bfrom\s+\w|^\s*select\s+(?:\w+\s*\(|\d|\$)|\binsert\s+into\s+\w|\bupdate\s+\w+\s+(?:as\s+\w+\s+)?set\s"
    r"|\bdelete\s+from\s+\w|^\s*with\s+(?:recursive\s+)?\w+\s*(?:\([^)]*\))?\s+as\s*(?:not\s+)?(?:materialized\s*)?\("
    r"|\b(?:create|alter|drop)\s+(?:unique\s+)?(?:table|index|schema|function|trigger|type)\s+\w"
    r"|^\s*(?:set\s+local|lock\s+table|listen|notify)\s+\w",
    re.I | re.S,
)
STRING = re.compile(r'R"(\w*)\((.*?)\)\1"|"((?:[^"\\\n]|\\.)*)"', re.S)
TOKEN = re.compile(
    r'R"(?P<d>\w*)\(.*?\)(?P=d)"|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)+\'|//[^\n]*|/\*.*?\*/', re.S
)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
BY_VALUE = re.compile(r"\bco_await\b(?P<expr>[^;]*?)\[(?P<captures>[^\[\]]*)\]\s*[({]")
AGGREGATE = re.compile(r"\bco_await\b[^;{}]*[(,]\s*(?:\w+::)*[A-Z]\w*\{")


def without(text, comments=True, strings=False):
    """Blanks comments and, if asked, literals; keeps line numbers."""

    def blank(match):
        token = match.group(0)
        is_comment = token.startswith(("//", "/*"))
        if (is_comment and comments) or (not is_comment and strings and len(token) > 1):
            return re.sub(r"[^\n]", " ", token)
        return token

    return TOKEN.sub(blank, text)


def strings_of(text):
    """(line, literal): neighbouring literals are one, as for the compiler."""
    end, current, line = None, None, 0
    for match in STRING.finditer(text):
        value = match.group(2) if match.group(2) is not None else match.group(3)
        if end is not None and not text[end : match.start()].strip():
            current += value
        else:
            if current is not None:
                yield line, current
            current, line = value, line_of(text, match.start())
        end = match.end()
    if current is not None:
        yield line, current


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


class Checker:
    def __init__(self, root, files=None):
        self.root = Path(root)
        self.files = sorted(files if files is not None else self.listed())
        self.findings = []  # (rule, path, line, text)
        self.order = self.read_order()

    def listed(self):
        listing = subprocess.run(
            ["git", "-C", str(self.root), "ls-files", "-co", "--exclude-standard"],
            check=True, capture_output=True, text=True,
        ).stdout
        return [name for name in listing.splitlines() if (self.root / name).is_file()]

    def read_order(self):
        order = []
        for line in (self.root / "docs/modules.txt").read_text().splitlines():
            line = line.split("#")[0].strip()
            if line:
                order += line.split(":", 1)[1].split()
        return order

    def add(self, rule, path, line, text):
        self.findings.append((rule, path, line, text))

    def text(self, name):
        return (self.root / name).read_text(encoding="utf-8", errors="replace")

    @staticmethod
    def module_of(name):
        parts = name.split("/")
        if name == "src/main.cpp":
            return "main"
        if parts[0] == "src" and len(parts) > 2:
            return parts[1]
        if parts[:2] == ["include", "supd"] and len(parts) > 3:
            return parts[2]
        return None

    def run(self):
        for name in self.files:
            self.check_name(name)
            if name.endswith(SIZED) and name.startswith(PRODUCT + ("tests/", "scripts/", "web/")):
                self.check_size(name)
            if name.endswith(CPP) and name.startswith(PRODUCT):
                self.check_source(name)
        self.check_docs()
        return self.findings

    def check_name(self, name):
        for part in name.split("/"):
            if DRAWER.search(part.split(".")[0]):
                self.add("R7", name, 0, f"'{part}' is a drawer: name it for what it does")

    def check_size(self, name):
        limit = SOURCE_LIMIT if name.startswith(PRODUCT) else TEST_LIMIT
        lines = self.text(name).count("\n")
        if lines > limit:
            self.add("R7", name, 0, f"{lines} lines, the limit is {limit}: split it by noun")

    def check_source(self, name):
        raw = self.text(name)
        code = without(raw)
        bare = without(raw, strings=True)
        module = self.module_of(name)
        if module is None:
            self.add("R1", name, 0, "belongs to no module")
            return
        for match in INCLUDE.finditer(code):
            self.check_include(name, module, match.group(1), match.group(2), line_of(code, match.start()))
        file = Path(name).name
        if module != "db" and not fnmatch.fnmatch(file, "store*.cpp"):
            for line, literal in strings_of(code):
                if SQL.search(literal):
                    self.add("R4", name, line, f"SQL outside store*.cpp: {' '.join(literal.split())[:60]}")
        self.check_hub(name, module, file, bare)
        for match in re.finditer(r"\bco_spawn\s*\(", bare):
            if module not in SPAWNERS:
                self.add("R9", name, line_of(bare, match.start()), "co_spawn outside the owners of tasks")
        for match in re.finditer(r"\bdetached\b", bare):
            self.add("R9", name, line_of(bare, match.start()), "detached: nobody would wait for it or see it fail")
        for match in re.finditer(r"\b(?:TODO|FIXME|XXX)\b", raw):
            self.add("R11", name, line_of(raw, match.start()), "unfinished work belongs in an issue")
        for match in re.finditer(r"\b(?:sleep_for|sleep_until|usleep|nanosleep)\s*\(", bare):
            self.add("R11", name, line_of(bare, match.start()), "a sleep: wait for the condition")
        for match in BY_VALUE.finditer(bare):
            if "{" in match.group("expr"):
                continue
            captures = [c.strip() for c in match.group("captures").split(",") if c.strip()]
            if match.group("expr").rstrip().endswith(("(", ",")) and any(
                not c.startswith("&") and c != "this" for c in captures
            ):
                self.add("R12", name, line_of(bare, match.start()), "captures by value inside co_await: name the lambda first")
        for match in AGGREGATE.finditer(bare):
            self.add("R12", name, line_of(bare, match.start()), "braced aggregate inside co_await: name it first")
        if name.startswith("include/") and not self.has_opening_comment(raw):
            self.add("R8", name, 0, "a public header says what it is: put a comment above its first declaration")

    @staticmethod
    def has_opening_comment(raw):
        for line in raw.splitlines():
            line = line.strip()
            if line.startswith(("//", "/*")):
                return True
            if line and not line.startswith("#") and not re.match(r"(?:inline )?namespace\b[^;]*\{$", line):
                return False
        return False

    def check_include(self, name, module, kind, header, line):
        if kind == '"':
            if module == "main":  # composition only: it starts what app offers
                own = header.startswith("app/") and (self.root / "src" / header).is_file()
            else:
                own = (self.root / "src" / module / header).is_file() and ".." not in header
            if not own:
                self.add("R1", name, line, f'"{header}" is not in src/{module}: across modules use <supd/...>')
            return
        if header.startswith("supd/"):
            self.check_layer(name, module, header, line)
            return
        owned = False
        for prefix, owners in OWNERS:
            if header.startswith(prefix):
                owned = True
                if module not in owners:
                    self.add("R3", name, line, f"<{header}> belongs to {', '.join(sorted(owners))}")
        foreign = not owned and "/" in header and not header.startswith(("sys/", "netinet/", "arpa/", "linux/"))
        if name.startswith("include/") and (owned or foreign) and not header.startswith(PUBLIC_THIRD_PARTY):
            self.add("R5", name, line, f"<{header}> in a public header")

    def check_layer(self, name, module, header, line):
        if not (self.root / "include" / header).is_file():
            self.add("R1", name, line, f"<{header}> does not exist")
            return
        other = header.split("/")[1]
        if other == module or module == "main":
            return
        for listed in (module, other):
            if listed not in self.order:
                self.add("R2", name, line, f"module '{listed}' is not in docs/modules.txt")
                return
        if self.order.index(other) > self.order.index(module):
            self.add("R2", name, line, f"{module} must not know {other}, which stands later in docs/modules.txt")

    def check_hub(self, name, module, file, bare):
        if module in {"chatlog", "ws"}:
            return
        feature = self.order.index(module) > self.order.index("chatlog") if {module, "chatlog"} <= set(self.order) else False
        operation = feature and module != "app" and not any(fnmatch.fnmatch(file, p) for p in HUB_FILES_NOT)
        if operation:
            return
        for match in HUB_CALL.finditer(bare):
            self.add("R6", name, line_of(bare, match.start()), "publishing belongs to operations, frames.cpp, chatlog and ws")

    def check_docs(self):
        for module in sorted({self.module_of(f) for f in self.files if f.startswith(PRODUCT)} - {None, "main"}):
            if module not in self.order:
                self.add("R8", "docs/modules.txt", 0, f"module '{module}' is missing")
        have = {self.module_of(f) for f in self.files}
        complete = "src/main.cpp" in self.files
        for module in self.order:
            if complete and module not in have:
                self.add("R8", "docs/modules.txt", 0, f"module '{module}' has no files")
        for document in DOCUMENTS:
            if document in self.files:
                self.check_document(document)

    def check_document(self, document):
        text = self.text(document)
        named = [(match.start(), path) for match in re.finditer(r"`([^`\n]+)`", text) for path in self.paths_in(match.group(1))]
        base = Path(document).parent
        for match in re.finditer(r"\]\((?!https?://|#)([^)#\s]+)", text):
            path = (base / match.group(1)).as_posix()
            named.append((match.start(), path[3:] if path.startswith("../") else re.sub(r"\w+/\.\./", "", path)))
        for start, path in named:
            if not self.exists(path):
                self.add("R8", document, line_of(text, start), f"`{path}` does not exist")

    @staticmethod
    def paths_in(token):
        """Paths a code span names; placeholders such as <feature> and URLs are none."""
        if not re.fullmatch(r"[\w./{},*-]+", token) or token.startswith("/") or re.fullmatch(r"[.\w*]*\.\w+\.sql|\.\w+", token):
            return []
        tops = ("src", "include", "tests", "docs", "scripts", "config", "migrations", "docker", "web", "cmake", ".ci")
        named = re.search(r"\.(?:cpp|hpp|md|txt|py|toml|yaml|sql|sh|\{cpp,hpp\}|\{hpp,cpp\})$", token)
        if not named and token.split("/")[0] not in tops:
            return []
        if "/" not in token and not named:
            return []
        brace = re.search(r"\{([^}]*)\}", token)
        if not brace:
            return [token]
        return [token[: brace.start()] + part + token[brace.end() :] for part in brace.group(1).split(",")]

    def exists(self, path):
        path = path.rstrip("/")
        if (self.root / path).exists():
            return True
        if "*" in path:
            return any(fnmatch.fnmatch(f, path) or fnmatch.fnmatch(f, "*/" + path) for f in self.files)
        return any(f == path or f.endswith("/" + path) for f in self.files)


def read_allowlist(path):
    """Lines 'RULE path: text starts with  # reason'. Returns [(rule, path, text)]."""
    entries = []
    if not path.is_file():
        return entries
    for number, line in enumerate(path.read_text().splitlines(), 1):
        body = line.split("  #")[0].strip()
        if not body or body.startswith("#"):
            continue
        if "  #" not in line:
            raise SystemExit(f"{path}:{number}: give the reason after two spaces and #")
        rule, rest = body.split(" ", 1)
        name, _, text = rest.partition(": ")
        entries.append((rule, name, text))
    return entries


def judge(findings, allowlist):
    """What remains after the allowlist, with R10 for each entry that nothing needs."""
    used, remaining = set(), []
    for rule, path, line, text in findings:
        hit = next((e for e in allowlist if e[0] == rule and e[1] == path and text.startswith(e[2])), None)
        if hit:
            used.add(hit)
        else:
            remaining.append((rule, path, line, text))
    for entry in allowlist:
        if entry not in used:
            remaining.append(("R10", entry[1], 0, f"allowlist entry no longer needed: {entry[0]} {entry[1]}: {entry[2]}"))
    return remaining


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=Path(__file__).resolve().parent.parent, type=Path)
    root = parser.parse_args().root
    allowlist = read_allowlist(root / "scripts/check_modules_allow.txt")
    checker = Checker(root)
    remaining = judge(checker.run(), allowlist)
    for rule, path, line, text in remaining:
        print(f"{path}:{line}: {rule}: {text}" if line else f"{path}: {rule}: {text}")
    sources = sum(1 for f in checker.files if f.endswith(CPP) and f.startswith(PRODUCT))
    print(f"modules: {sources} sources, {len(allowlist)} allowed exceptions, {len(remaining)} findings")
    return 1 if remaining else 0


if __name__ == "__main__":
    sys.exit(main())
