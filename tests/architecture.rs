//! The plan of the house, checked: a room imports only from lower floors, and nothing in `src/` panics on purpose or
//! looks outside.
//!
//! A room is a file or folder directly under `src/`. This test reads the source as tokens, without comments and
//! strings, and resolves `use` trees, `crate::` paths and `super::` paths to the rooms that they name.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Floor, step and name. A room imports rooms of a lower floor, and on its own floor rooms of a lower step.
const ROOMS: &[(u32, u32, &str)] = &[
    (0, 0, "error"),
    (0, 1, "arm"),
    (0, 1, "time"),
    (0, 1, "special"),
    (0, 2, "evidence"),
    (1, 0, "telemetry"),
    (2, 0, "compare"),
    (3, 0, "sequential"),
    (4, 0, "slo"),
    (4, 0, "cohort"),
    (5, 0, "plan"),
    (6, 0, "verdict"),
    (7, 0, "rollout"),
    (7, 0, "compat"),
    (8, 0, "synth"),
    (9, 0, "rehearsal"),
];

fn floor(room: &str) -> Option<(u32, u32)> {
    ROOMS.iter().find(|r| r.2 == room).map(|r| (r.0, r.1))
}

// ---- tokens ----

#[derive(Debug, Clone, PartialEq)]
struct Token {
    text: String,
    line: usize,
}

/// Identifiers, `::` and single characters; comments are dropped, literals become `0`.
fn tokens(source: &str) -> Vec<Token> {
    let c: Vec<char> = source.chars().collect();
    let at = |i: usize| c.get(i).copied().unwrap_or('\0');
    let word = |ch: char| ch.is_alphanumeric() || ch == '_';
    let mut out: Vec<Token> = Vec::new();
    let (mut i, mut line) = (0, 1);
    while i < c.len() {
        let from = i;
        let mut text = None;
        if at(i) == '/' && at(i + 1) == '/' {
            while i < c.len() && at(i) != '\n' {
                i += 1;
            }
        } else if at(i) == '/' && at(i + 1) == '*' {
            let mut depth = 0;
            while i < c.len() {
                match (at(i), at(i + 1)) {
                    ('/', '*') => (depth, i) = (depth + 1, i + 2),
                    ('*', '/') => (depth, i) = (depth - 1, i + 2),
                    _ => i += 1,
                }
                if depth == 0 {
                    break;
                }
            }
        } else if at(i) == '"' {
            i = end_of_string(&c, i);
            text = Some("0".to_string());
        } else if at(i) == '\'' && (at(i + 1) == '\\' || at(i + 2) == '\'') {
            // A character; anything else after a quote is a lifetime. The first one may itself be a quote.
            i += if at(i + 1) == '\\' { 3 } else { 2 };
            while i < c.len() && at(i) != '\'' {
                i += 1;
            }
            i += 1;
            text = Some("0".to_string());
        } else if word(at(i)) {
            while word(at(i)) {
                i += 1;
            }
            let name: String = c[from..i].iter().collect();
            let hashes = c[i..].iter().take_while(|&&ch| ch == '#').count();
            if ["r", "br", "cr"].contains(&name.as_str()) && at(i + hashes) == '"' {
                i = end_of_raw_string(&c, i + hashes + 1, hashes);
                text = Some("0".to_string());
            } else if ["b", "c"].contains(&name.as_str()) && (at(i) == '"' || at(i) == '\'') {
                // The literal itself is the next token.
            } else {
                text = Some(name);
            }
        } else if at(i) == ':' && at(i + 1) == ':' {
            i += 2;
            text = Some("::".to_string());
        } else {
            i += 1;
            if !c[from].is_whitespace() {
                text = Some(c[from].to_string());
            }
        }
        out.extend(text.map(|text| Token { text, line }));
        line += c[from..i.min(c.len())].iter().filter(|&&ch| ch == '\n').count();
    }
    out
}

fn end_of_string(c: &[char], start: usize) -> usize {
    let mut i = start + 1;
    while i < c.len() && c[i] != '"' {
        i += if c[i] == '\\' { 2 } else { 1 };
    }
    (i + 1).min(c.len())
}

fn end_of_raw_string(c: &[char], start: usize, hashes: usize) -> usize {
    let mut i = start;
    while i < c.len()
        && !(c[i] == '"' && c[i + 1..].iter().take(hashes).filter(|&&ch| ch == '#').count() == hashes)
    {
        i += 1;
    }
    (i + 1 + hashes).min(c.len())
}

fn text(tokens: &[Token], i: usize) -> &str {
    tokens.get(i).map_or("", |t| t.text.as_str())
}

fn is_name(s: &str) -> bool {
    s.chars().next().is_some_and(|ch| ch.is_alphabetic() || ch == '_')
}

/// The index after the bracket that closes the one at `open`.
fn after_bracket(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_i32;
    for (i, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i + 1;
        }
    }
    tokens.len()
}

/// Without the items under `#[cfg(test)]`.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let mut out = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        if text(tokens, i) == "#" && text(tokens, i + 1) == "[" && text(tokens, i + 2) == "cfg" {
            let end = after_bracket(tokens, i + 1);
            let names: Vec<&str> = tokens[i..end].iter().map(|t| t.text.as_str()).collect();
            if names.contains(&"test") && !names.contains(&"not") && !names.contains(&"any") {
                i = end;
                while i < tokens.len() {
                    let this = text(tokens, i);
                    if this == ";" {
                        i += 1;
                        break;
                    }
                    i = if ["(", "[", "{"].contains(&this) { after_bracket(tokens, i) } else { i + 1 };
                    if this == "{" {
                        break;
                    }
                }
                continue;
            }
        }
        out.push(tokens[i].clone());
        i += 1;
    }
    out
}

// ---- paths ----

#[derive(Debug, Clone, PartialEq)]
struct Mention {
    path: Vec<String>,
    line: usize,
}

/// Reads a `use` tree or a path at `i`; gives every path in it, and the index after it.
fn tree(tokens: &[Token], mut i: usize, before: &[String], out: &mut Vec<Mention>) -> usize {
    let mut path = before.to_vec();
    let line = tokens.get(i).map_or(0, |t| t.line);
    loop {
        match text(tokens, i) {
            "{" => {
                i += 1;
                while i < tokens.len() && text(tokens, i) != "}" {
                    let start = i;
                    i = if text(tokens, i) == "," { i + 1 } else { tree(tokens, i, &path, out) };
                    // Never stand still, whatever the tokens.
                    i = i.max(start + 1);
                }
                return i + 1;
            }
            "*" => {
                path.push("*".to_string());
                i += 1;
                break;
            }
            name if is_name(name) => {
                path.push(name.to_string());
                i += 1;
                if text(tokens, i) != "::" {
                    break;
                }
                i += 1;
            }
            // `path::<T>`: the path ends here.
            _ => break,
        }
    }
    if text(tokens, i) == "as" {
        i += 2;
    }
    // Empty after the `use` of `impl Trait + use<'a>`.
    if !path.is_empty() {
        out.push(Mention { path, line });
    }
    i
}

/// All paths of two segments or more, with `self::` and `super::` resolved against the module `home`.
fn mentions(tokens: &[Token], home: &[String]) -> Vec<Mention> {
    let mut out = Vec::new();
    // Inline modules, each with the depth of braces at which it ends.
    let mut inline: Vec<(String, usize)> = Vec::new();
    let mut depth = 0;
    let mut i = 0;
    while i < tokens.len() {
        let this = text(tokens, i);
        let previous = if i == 0 { "" } else { text(tokens, i - 1) };
        let mut found = Vec::new();
        let mut next = i + 1;
        match this {
            "{" => depth += 1,
            "}" => {
                depth -= 1_usize.min(depth);
                if inline.last().is_some_and(|m| m.1 == depth) {
                    inline.pop();
                }
            }
            "mod" if text(tokens, i + 2) == "{" => inline.push((text(tokens, i + 1).to_string(), depth)),
            "use" => {
                let start = if text(tokens, i + 1) == "::" { i + 2 } else { i + 1 };
                next = tree(tokens, start, &[], &mut found).max(i + 1);
            }
            name if is_name(name) && text(tokens, i + 1) == "::" && previous != "::" => {
                let mut j = i;
                let mut path = vec![name.to_string()];
                while text(tokens, j + 1) == "::" && is_name(text(tokens, j + 2)) {
                    path.push(text(tokens, j + 2).to_string());
                    j += 2;
                }
                found.push(Mention { path, line: tokens[i].line });
                next = j + 1;
            }
            _ => {}
        }
        for mention in found {
            let here: Vec<String> = home.iter().cloned().chain(inline.iter().map(|m| m.0.clone())).collect();
            out.push(Mention { path: resolve(&mention.path, here), line: mention.line });
        }
        i = next;
    }
    out
}

fn resolve(path: &[String], mut here: Vec<String>) -> Vec<String> {
    let relative = matches!(path.first().map(String::as_str), Some("self" | "super"));
    if !relative {
        return path.to_vec();
    }
    let mut rest = path;
    while let Some(first) = rest.first() {
        match first.as_str() {
            "self" => {}
            "super" => drop(here.pop()),
            _ => break,
        }
        rest = &rest[1..];
    }
    std::iter::once("crate".to_string()).chain(here).chain(rest.iter().cloned()).collect()
}

/// Where the front door's `pub use room::Item` takes its items from: item to room.
fn front_door(source: &str) -> BTreeMap<String, String> {
    let mut door = BTreeMap::new();
    for mention in mentions(&without_tests(&tokens(source)), &[]) {
        let path: &[String] = match mention.path.first().map(String::as_str) {
            Some("crate") => &mention.path[1..],
            _ => &mention.path,
        };
        if let [room, .., item] = path
            && floor(room).is_some()
        {
            door.insert(item.clone(), room.clone());
        }
    }
    door
}

// ---- the two rules ----

/// What a file imports against the plan. `module` is its path, such as `["compare", "rank"]`.
fn wrong_imports(module: &[String], source: &str, door: &BTreeMap<String, String>) -> Vec<String> {
    let Some(room) = module.first() else { return Vec::new() };
    let Some(own) = floor(room) else { return vec![format!("room `{room}` has no floor")] };
    let mut wrong = Vec::new();
    for mention in mentions(&tokens(source), module) {
        if mention.path.first().map(String::as_str) != Some("crate") {
            continue;
        }
        let Some(name) = mention.path.get(1) else { continue };
        let other = if floor(name).is_some() { name } else { door.get(name).unwrap_or(name) };
        if other == room {
            continue;
        }
        let path = mention.path.join("::");
        match floor(other) {
            None => wrong.push(format!("line {}: `{path}` names no room", mention.line)),
            Some(theirs) if theirs >= own => wrong.push(format!(
                "line {}: `{path}` goes from `{room}` (floor {}) to `{other}` (floor {})",
                mention.line, own.0, theirs.0
            )),
            Some(_) => {}
        }
    }
    wrong
}

/// What a file does that the library must not, tests and comments aside.
fn wrong_deeds(source: &str) -> Vec<String> {
    let tokens = without_tests(&tokens(source));
    let mut wrong = Vec::new();
    for i in 0..tokens.len() {
        let next = text(&tokens, i + 1);
        let method = i > 0 && text(&tokens, i - 1) == "." && next == "(";
        let bad = match text(&tokens, i) {
            "unwrap" => method && text(&tokens, i + 2) == ")",
            "expect" => method,
            "panic" | "todo" | "unimplemented" => next == "!",
            "catch_unwind" | "HashMap" => true,
            _ => false,
        };
        if bad {
            wrong.push(format!("line {}: `{}`", tokens[i].line, text(&tokens, i)));
        }
    }
    for mention in mentions(&tokens, &[]) {
        let path: Vec<&str> = mention.path.iter().map(String::as_str).collect();
        let outside = path.starts_with(&["std", "thread"])
            || path.starts_with(&["std", "fs"])
            || path.windows(2).any(|w| w[0] == "time" && ["Instant", "SystemTime", "*"].contains(&w[1]));
        if outside {
            wrong.push(format!("line {}: `{}`", mention.line, path.join("::")));
        }
    }
    wrong
}

// ---- the source tree ----

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// Every file of `src/`: its path as a module (none for `lib.rs`), its name, its text.
fn source_files() -> Vec<(Vec<String>, String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    files.sort();
    files
        .into_iter()
        .map(|file| {
            let name = file.strip_prefix(&src).unwrap().with_extension("");
            let mut module: Vec<String> =
                name.iter().map(|part| part.to_string_lossy().into_owned()).collect();
            if module.last().is_some_and(|last| last == "mod" || last == "lib") {
                module.pop();
            }
            let text = fs::read_to_string(&file).unwrap();
            (module, format!("src/{}.rs", name.display()), text)
        })
        .collect()
}

fn report(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn every_room_imports_from_lower_floors_only() {
    let files = source_files();
    let door = files.iter().find(|f| f.0.is_empty()).map(|f| front_door(&f.2)).unwrap();
    assert!(!door.is_empty(), "src/lib.rs re-exports nothing?");
    let mut faults = Vec::new();
    let mut imports = 0;
    for (module, name, source) in &files {
        imports += mentions(&tokens(source), module).iter().filter(|m| m.path[0] == "crate").count();
        faults
            .extend(wrong_imports(module, source, &door).into_iter().map(|fault| format!("{name} {fault}")));
    }
    assert!(
        imports >= files.len(),
        "{imports} imports found in {} files: does the parser still read them?",
        files.len()
    );
    report(&faults);
}

#[test]
fn no_panic_clock_thread_file_or_unordered_map() {
    let mut faults = Vec::new();
    for (_, name, source) in source_files() {
        faults.extend(wrong_deeds(&source).into_iter().map(|fault| format!("{name} {fault}")));
    }
    report(&faults);
}

// ---- the checks, checked ----

fn module(path: &str) -> Vec<String> {
    path.split("::").map(str::to_string).collect()
}

fn door() -> BTreeMap<String, String> {
    front_door("pub mod arm; pub use arm::{Arm, Arms}; pub use crate::verdict::policy::Policy;")
}

#[test]
fn the_front_door_says_where_an_item_lives() {
    let door = door();
    assert_eq!(door.get("Arms").map(String::as_str), Some("arm"));
    assert_eq!(door.get("Policy").map(String::as_str), Some("verdict"));
    assert_eq!(door.len(), 3);
}

#[test]
fn imports_of_lower_floors_are_right() {
    let right = [
        ("compare::rank", "use crate::telemetry::{Samples, counts::Counts}; use crate::Arm;"),
        (
            "compare::rank",
            "use crate::compare::question::ask; use super::counts; use super::super::evidence::PValue;",
        ),
        ("evidence", "use crate::{arm::Arm, error::Error}; fn f() -> crate::time::Timestamp { x }"),
        (
            "evidence",
            "mod inner { fn f() { super::g(); mod more { use super::super::h; } } } use self::inner::f;",
        ),
        ("arm", "use crate::error::Error; pub(crate) fn f() {}"),
        (
            "arm",
            "// use crate::verdict::Policy;\n/// [`crate::verdict`]\n/* crate::plan::x /* */ */ const S: &str = \"crate::plan::x\";",
        ),
        (
            "arm",
            "const R: &str = r#\"crate::plan::x \" \"#; const C: char = '\"'; fn f<'a>(x: &'a str) -> char { '\\'' }",
        ),
        ("arm", "use std::verdict::x; use other::plan; fn f<'a>() -> impl Sized + use<'a> {}"),
    ];
    for (room, source) in right {
        assert_eq!(wrong_imports(&module(room), source, &door()), Vec::<String>::new(), "{room}: {source}");
    }
}

#[test]
fn imports_of_the_same_or_a_higher_floor_are_found() {
    let wrong = [
        ("telemetry::set", "use crate::compare::rank;", 1),
        ("telemetry::set", "use crate::{arm::Arm, compare::{rank, counts::{self}}};", 2),
        ("telemetry::set", "fn f(x: crate::verdict::Report) {}", 1),
        ("telemetry::set", "use crate::Policy;", 1),
        ("telemetry", "use super::compare::rank;", 1),
        ("telemetry::set", "use super::super::compare::rank;", 1),
        ("telemetry", "mod tests { use super::super::plan; }", 1),
        ("telemetry", "fn f() { if a { g() } } fn h() { super::plan::x() }", 1),
        ("arm", "use crate::time::Timestamp;", 1),
        ("error", "use crate::arm::Arm;", 1),
        ("slo", "use crate::cohort::Design;", 1),
        ("rollout", "use crate::compat::argo as rules;", 1),
        ("arm", "use crate::*;", 1),
        ("arm", "use crate::nowhere::x;", 1),
        ("arm", "const C: char = '\"'; use crate::plan; const D: char = '\"';", 1),
        ("arm", "const C: &[u8] = b\"\\\\\"; use crate::plan;", 1),
        ("attic", "fn f() {}", 1),
    ];
    for (room, source, faults) in wrong {
        let found = wrong_imports(&module(room), source, &door());
        assert_eq!(found.len(), faults, "{room}: {source}: {found:?}");
    }
}

#[test]
fn deeds_are_found_outside_tests_and_comments_only() {
    let right = [
        "/// x.unwrap()\nfn f() { y.unwrap_or(0); z.expect_err(\"panic!\"); } // panic!()",
        "#[cfg(test)] #[allow(unused)] mod tests { fn f() { x.unwrap(); } use std::fs; }",
        "#[cfg(test)] use std::thread; fn g() {}",
        "#[cfg(all(test, feature = \"json\"))] fn f(a: [u8; 2]) { panic!() }",
        "use core::time::Duration; use crate::time::Timestamp; enum Kind { Instant }",
    ];
    for source in right {
        assert_eq!(wrong_deeds(source), Vec::<String>::new(), "{source}");
    }
    let wrong = [
        "fn f() { x.unwrap(); }",
        "fn f() { x\n  .expect(\"why\"); }",
        "fn f() { panic!(\"x\") }",
        "fn f() { std::panic::catch_unwind(g) }",
        "use std::time::{Duration, Instant};",
        "fn f() { std::time::SystemTime::now() }",
        "use std::{fs, io};",
        "fn f() { std::thread::spawn(g) }",
        "use std::collections::HashMap;",
        "#[cfg(test)] mod tests { fn f() {} } fn g() { x.unwrap() }",
        "#[cfg(not(test))] fn g() { x.unwrap() }",
        "#[cfg(test)] use std::fs; fn g() { todo!() }",
    ];
    for source in wrong {
        assert_eq!(wrong_deeds(source).len(), 1, "{source}: {:?}", wrong_deeds(source));
    }
}
