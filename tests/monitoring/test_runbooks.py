"""What the runbooks tell an operator to type exists: commands and options of supd, scripts, pages, headings."""

from __future__ import annotations

import functools
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from monitored import REPOSITORY, anchors_of, exists
from rig.daemon import find_binary

PAGES = sorted((REPOSITORY / "docs/runbooks").glob("*.md")) + [REPOSITORY / "docs" / f"{name}.md" for name in (
    "monitoring", "kubernetes", "deploy", "install", "backup", "doctor", "systemd", "scaling")]
NEEDED = ("README", "install", "upgrade", "rollback", "restore", "scaling", "incidents", "routine", "troubleshooting", "security-checklist")
COMMAND = re.compile(r"(?:^|[\s|;&(])(?<!role )(?:supd|supd-cli) ((?:[a-z][\w-]*)(?: [^|;&)<>`\n]*)?)")


def blocks_of(page: Path) -> list[str]:
    """The shell blocks of a page."""
    return [text for language, text in re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.S | re.M) if language in ("", "sh")]


def typed_in(page: Path) -> list[str]:
    """Lines of shell blocks, indented lines, and code spans."""
    bare = re.sub(r"^```\w*\n.*?^```$", "", page.read_text(), flags=re.S | re.M)
    return [*(line for block in blocks_of(page) for line in block.splitlines()), *re.findall(r"^ {4}(?=\S)(.*)", bare, re.M),
            *re.findall(r"`([^`\n]+)`", bare)]


def commands_in(page: Path) -> list[str]:
    found = []
    for line in typed_in(page):
        line = re.sub(r"^sudo (?:-u \w+ )?|'[^']*'", "", line)  # in quotes is SQL
        if not line.startswith(("journalctl", "useradd", "systemctl", "helm", "git", "kubectl -n chat create", "alter role")):
            # Two spaces set apart what the line is for; "..." and brackets stand for what may be left out.
            found += [re.sub(r" \.\.\.(?= |$)|[\[\]]", "", re.split(r"\s{2,}", command)[0]) for command in COMMAND.findall(line)]
    return found


@functools.cache
def help_of(words: tuple[str, ...]) -> str:
    return subprocess.run([str(find_binary()), *words, "--help"], check=True, capture_output=True, text=True, timeout=60).stdout


def subcommands_of(words: tuple[str, ...]) -> list[str]:
    _, _, listed = help_of(words).partition("Subcommands:\n")
    return re.findall(r"^  (\S+)", listed, re.M)


def fault_of(command: str) -> str | None:
    """What is wrong with `jobs list --state dead`; None when nothing is."""
    words = shlex.split(command)
    path: tuple[str, ...] = ()
    while words and (known := subcommands_of(path)):
        if words[0] not in known:
            # `supd doctor` by itself is a command, too: what follows it may be an option.
            return None if words[0].startswith("-") else f"there is no supd {' '.join((*path, words[0]))}"
        path += (words.pop(0),)
    for word in words:
        if word.startswith("--") and not re.search(rf"{re.escape(word.partition('=')[0])}\b", help_of(path)):
            return f"supd {' '.join(path)} has no {word}"
    return None


def test_there_is_a_page_for_each() -> None:
    assert {page.stem for page in PAGES} >= set(NEEDED)
    index = (REPOSITORY / "docs/runbooks/README.md").read_text()
    for name in NEEDED[1:]:
        assert f"({name}.md)" in index, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_exist(page: Path, binary: str) -> None:
    faults = {command: fault for command in commands_in(page) if (fault := fault_of(command))}
    assert not faults


def test_wrong_commands_are_noticed(binary: str) -> None:
    assert fault_of("jobs list --state dead") is None and fault_of("jobs retry 42") is None and fault_of("user create NAME --admin") is None
    assert fault_of("jobs lst") and fault_of("jobs list --stat dead") and fault_of("frobnicate") and fault_of("user create NAME --root")
    assert sum(len(commands_in(page)) for page in PAGES) > 30


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_scripts_and_files_exist(page: Path) -> None:
    named = {path.rstrip("./") for line in typed_in(page) for path in re.findall(r"(?<![\w/.-])((?:scripts|docker|docs|tests|config)/[\w./-]*\w)", line)}
    assert not [path for path in sorted(named) if not exists(path)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        if "://" in target:
            assert page.parent.name != "runbooks", "a runbook works without the web"
            continue
        other = (page.parent / path).resolve() if path else page
        assert exists(str(other.relative_to(REPOSITORY))), target
        if anchor and other.exists():
            assert anchor in anchors_of(other), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_shell_blocks_parse(page: Path) -> None:
    for block in blocks_of(page):
        done = subprocess.run(["bash", "-n", "-c", block], capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, done.stderr + block


def test_keys_that_are_named_exist(binary: str) -> None:
    """`websocket.heartbeat_s` and the like, as in the example file."""
    example = (REPOSITORY / "config/supd.example.toml").read_text()
    keys, section = {"name", "mode"}, ""
    for line in example.splitlines():
        if head := re.match(r"\[(\w+)\]", line):
            section = head[1] + "."
        elif key := re.match(r"#(\w+) = ", line):
            keys.add(section + key[1])
    of_other = {"backup.age_s", "backup.verified_age_s", "database.pgdump"}  # /health; a part of an archive
    sections = {key.split(".")[0] for key in keys if "." in key}
    for page in PAGES:
        for span in re.findall(r"`([a-z_]+\.[a-z_]+)(?: = [^`]*)?`", page.read_text()):
            if span.split(".")[0] in sections and page.stem not in ("kubernetes", "doctor") and span not in of_other:  # values, checks
                assert span in keys, f"{page.name}: {span}"


def test_the_readme_leads_to_every_page_and_folder() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    pages = [f"docs/{path.name}" for path in (REPOSITORY / "docs").glob("*.md")]
    assert not [page for page in pages if f"]({page})" not in readme]
    tracked = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=20).stdout.splitlines()
    modules = re.findall(r"[a-z_]+", re.sub(r"#.*|^\w+:", "", (REPOSITORY / "docs/modules.txt").read_text(), flags=re.M))
    folders = {path.split("/")[0] for path in tracked if "/" in path} | {"/".join(path.split("/")[:2]) for path in tracked if re.match("tests/.+/", path)}
    unnamed = {folder for folder in folders if f"`{folder}" not in readme and folder.removeprefix("tests/") not in modules}
    assert unnamed <= {".ci"}, "what a system of CI looks for"
