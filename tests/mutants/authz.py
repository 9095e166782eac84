#!/usr/bin/env python3
"""Breaks the authorization engine in twenty-two ways and demands that its law test notices each.

Copies mesh-core into a temporary workspace, so the sources here stay as they are. Each mutant is
one textual change; a change whose text is not found exactly once is an error, so that the list
follows the code. Takes some minutes: it builds the crate as many times.

    tests/mutants/authz.py            # all of them
    tests/mutants/authz.py 3 7        # these, counted from 1
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

# (file below mesh-core/src, what stands there, what the mutant says instead)
MUTANTS = [
    ("authz/truth.rs", "Self::Unknown => Self::Unknown,", "Self::Unknown => Self::No,"),
    ("authz/truth.rs", "all = all.min(truth);", "all = truth;"),
    ("authz/truth.rs", "if self == other { self } else { Self::Unknown }", "self.max(other)"),
    ("authz/rules.rs", "Action::Allow => Truth::Yes,", "Action::Allow => Truth::Unknown,"),
    ("authz/rules.rs", "Action::Deny | Action::Log => Truth::Unknown,",
     "Action::Deny | Action::Log => Truth::Yes,"),
    ("authz/policy.rs", "(permitted.min(known), Rule", "(permitted.max(known), Rule"),
    ("authz/condition.rs", "if peer.session.is_none() {\n        return Truth::No;",
     "if peer.session.is_none() {\n        return Truth::Yes;"),
    ("authz/condition.rs", "Some(it) if !it.dns_names.is_empty()",
     "Some(it) if it.dns_names.len() > 1"),
    ("authz/condition.rs", "None => (&[], Some(\"\")),", "None => (&[], None),"),
    ("authz/condition.rs",
     "Some(address) => range.contains(&u32::from(address.port())).into(),\n"
     "                None => Truth::Unknown,",
     "Some(address) => range.contains(&u32::from(address.port())).into(),\n"
     "                None => Truth::No,"),
    ("authz/condition.rs", "matcher.accepts(None).into(),", "Truth::No,"),
    ("authz/input.rs", "Field::Path if !facts.path_is_plain => Seen::Unavailable,\n", ""),
    ("authz/input.rs", "if *name == TE && head.protocol == Protocol::Grpc {",
     "if *name == TE && head.protocol == Protocol::Http {"),
    ("authz/input.rs", "    values().for_each(&mut *see);\n", ""),
    ("authz/input.rs", "None => Seen::Unavailable,\n        Some(session)",
     "None => Seen::Absent,\n        Some(session)"),
    ("matcher/metadata.rs", "(Self::Present, Value::List(_) | Value::Struct(_)) => None,",
     "(Self::Present, Value::List(_) | Value::Struct(_)) => Some(false),"),
    ("authz/index/mod.rs", "(Some(_), Some(_)) => Reading::Unclear,",
     "(Some(_), Some(_)) => Reading::Clear,"),
    ("authz/index/texts.rs", "take_while(|at| **at < self.best)",
     "take_while(|at| **at < self.best && **at > 0)"),
    ("authz/index/demand.rs", "if matcher.invert || matcher.treat_missing_as_empty {",
     "if matcher.treat_missing_as_empty {"),
    ("authz/tree.rs", "outcome.action == Action::Deny || !may_miss",
     "outcome.action == Action::Deny || may_miss || !may_miss"),
    ("authz/tree.rs", "if truth == Truth::Yes && !found.may_miss {", "if !found.may_miss {"),
    ("authz/tree.rs", "lengths.sort_unstable_by(|a, b| b.cmp(a));", "lengths.sort_unstable();"),
]


def workspace(folder: pathlib.Path) -> None:
    """Puts mesh-core alone into `folder`, with the versions of this workspace."""
    # New times, or cargo would take what an earlier run has built for this.
    shutil.copytree(ROOT / "mesh-core", folder / "mesh-core", copy_function=shutil.copy)
    manifest = (ROOT / "Cargo.toml").read_text()
    start = manifest.index("members = [")
    end = manifest.index("]", manifest.index("exclude = [")) + 1
    (folder / "Cargo.toml").write_text(
        manifest[:start] + 'members = ["mesh-core"]' + manifest[end:]
    )
    shutil.copy(ROOT / "Cargo.lock", folder)


def outcome(folder: pathlib.Path, target: str) -> str:
    """`passed`, `failed`, or `does not build`."""
    env = {**os.environ, "CARGO_TARGET_DIR": target, "RUST_BACKTRACE": "0"}
    test = ["cargo", "test", "--quiet", "--package", "mesh-core", "--test", "authz_laws"]

    def run(command: list[str]) -> bool:
        silent = subprocess.DEVNULL
        done = subprocess.run(command, cwd=folder, env=env, stdout=silent, stderr=silent, check=False)
        return done.returncode == 0

    if not run([*test, "--no-run"]):
        return "does not build"
    return "passed" if run(test) else "failed"


def main() -> None:
    wanted = {int(number) for number in sys.argv[1:]}
    target = str(ROOT / "target" / "mutants")
    survivors = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        workspace(folder)
        if outcome(folder, target) != "passed":
            sys.exit("the law does not hold before anything is changed")
        for number, (file, text, mutant) in enumerate(MUTANTS, 1):
            if wanted and number not in wanted:
                continue
            path = folder / "mesh-core" / "src" / file
            source = path.read_text()
            if source.count(text) != 1:
                sys.exit(f"{number}: {file} has {source.count(text)} times: {text}")
            path.write_text(source.replace(text, mutant))
            result = outcome(folder, target)
            path.write_text(source)
            print(f"{number:2} {result:14} {file}: {text.strip().splitlines()[0]}", flush=True)
            if result != "failed":
                survivors.append(number)
    if survivors:
        sys.exit(f"not killed: {survivors}")
    print("all killed")


if __name__ == "__main__":
    main()
