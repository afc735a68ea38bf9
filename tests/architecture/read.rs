//! As much of Rust as `architecture.rs` needs: tokens without comments and strings, paths with `use` trees and `super`
//! followed, and which of it is test code.

use std::fs;
use std::path::Path;

/// One file.
pub struct Source {
    /// From the package's root, with `/`.
    pub path: String,
    /// `a::b`; empty for `lib.rs`, `main` for `main.rs`.
    pub module: String,
    /// As it is.
    pub text: String,
}

/// Something found.
pub struct Found {
    pub line: usize,
    pub text: String,
    pub in_test: bool,
}

impl Found {
    /// Where in our own crate it leads, without `crate::`.
    pub fn ours(&self) -> Option<&str> {
        self.text.strip_prefix("crate::")
    }
}

/// What stands in a file.
#[derive(Default)]
pub struct Code {
    /// Paths of at least two parts, and `use`d names; ours begin with `crate::`.
    pub paths: Vec<Found>,
    /// `name!`.
    pub macros: Vec<Found>,
    /// `.unwrap(`, `.expect(`, `panic!` and its kind.
    pub panics: Vec<Found>,
    /// Lines with `infallible: why`.
    reasons: Vec<usize>,
}

impl Code {
    /// Whether the line, or one of the three before it, gives a reason.
    pub fn explained(&self, line: usize) -> bool {
        self.reasons.iter().any(|reason| (line.saturating_sub(3)..=line).contains(reason))
    }
}

/// Every Rust file below a folder, in the order of their names.
pub fn all_below(root: &Path, folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(root.join(folder)) else { return found };
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    for name in names {
        let path = format!("{folder}/{name}");
        if root.join(&path).is_dir() {
            if name != "target" {
                found.extend(all_below(root, &path));
            }
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(root.join(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));
            found.push(Source::new(&path, &text));
        }
    }
    found
}

/// Modules that are declared for tests alone.
pub fn test_modules(sources: &[Source]) -> Vec<String> {
    let mut modules = Vec::new();
    for source in sources {
        let tokens = tokens(&source.text).0;
        for (start, end) in test_ranges(&tokens) {
            let item = &tokens[start..end];
            if let Some(at) = item.iter().position(|token| token.text == "mod")
                && let [_, name, semicolon, ..] = &item[at..]
                && semicolon.text == ";"
            {
                // `#[path = "file.rs"]` counts from the folder of the file that says it.
                let path = item[..at].windows(3).find(|part| part[0].text == "path" && part[1].text == "=");
                let folder = source.path.rsplit_once('/').map_or("", |(folder, _)| folder);
                modules.push(match path {
                    Some(path) => Source::new(&format!("{folder}/{}", path[2].text.trim_matches('"')), "").module,
                    None => join(&source.module, &name.text),
                });
            }
        }
    }
    modules
}

fn join(module: &str, name: &str) -> String {
    if module.is_empty() { name.to_owned() } else { format!("{module}::{name}") }
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let module = path.strip_prefix("src/").unwrap_or(path).trim_end_matches(".rs").trim_end_matches("/mod");
        let module = if module == "lib" { String::new() } else { module.replace('/', "::") };
        Self { path: path.to_owned(), module, text: text.to_owned() }
    }

    /// Reads it; `all_test` when it was declared for tests.
    pub fn read(&self, all_test: bool) -> Code {
        let (tokens, reasons) = tokens(&self.text);
        let tests = test_ranges(&tokens);
        let in_test = |at: usize| all_test || tests.iter().any(|(start, end)| (*start..*end).contains(&at));
        let mut code = Code { reasons, ..Code::default() };
        // Names of the modules written inside this file, with the depth of braces at which each ends.
        let mut inner: Vec<(String, usize)> = Vec::new();
        let mut depth = 0;
        let mut at = 0;
        while at < tokens.len() {
            let text = |offset: usize| tokens.get(at + offset).map_or("", |token| token.text.as_str());
            let line = tokens[at].line;
            match text(0) {
                "{" => depth += 1,
                "}" => {
                    depth -= usize::from(depth > 0);
                    inner.retain(|(_, ends)| *ends <= depth);
                }
                "mod" if text(2) == "{" => inner.push((text(1).to_owned(), depth + 1)),
                "." if matches!(text(1), "unwrap" | "expect") && text(2) == "(" => {
                    code.panics.push(Found {
                        line: tokens[at + 1].line,
                        text: format!(".{}(", text(1)),
                        in_test: in_test(at),
                    });
                }
                word if is_name(word) => {
                    let module = inner.iter().fold(self.module.clone(), |module, (name, _)| join(&module, name));
                    if text(1) == "!" && text(2) != "=" {
                        let found = |text: &str| Found { line, text: format!("{text}!"), in_test: in_test(at) };
                        if matches!(word, "panic" | "unreachable" | "todo" | "unimplemented") {
                            code.panics.push(found(word));
                        }
                        code.macros.push(found(word));
                    } else if word == "use" && text(1) != "<" {
                        let mut paths = Vec::new();
                        let end = tree(&tokens, at + 1, "", &mut paths);
                        for (path, line) in paths {
                            code.paths.push(Found { line, text: resolve(&path, &module), in_test: in_test(at) });
                        }
                        at = end;
                        continue;
                    } else if text(1) == "::" {
                        let mut path = word.to_owned();
                        let mut end = at;
                        while tokens.get(end + 1).is_some_and(|token| token.text == "::")
                            && let Some(next) = tokens.get(end + 2).filter(|token| is_name(&token.text))
                        {
                            path = format!("{path}::{}", next.text);
                            end += 2;
                        }
                        code.paths.push(Found { line, text: resolve(&path, &module), in_test: in_test(at) });
                        at = end + 1;
                        continue;
                    }
                }
                _ => {}
            }
            at += 1;
        }
        code
    }
}

/// Reads a `use` tree from `at`; gives the position after it.
fn tree(tokens: &[Token], mut at: usize, before: &str, paths: &mut Vec<(String, usize)>) -> usize {
    let mut path = before.to_owned();
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token.text != "}") {
                    // Past the comma; past anything that no `use` has, too, so that every round moves on.
                    at = tree(tokens, at, &path, paths);
                    at += usize::from(tokens.get(at).is_some_and(|token| token.text != "}"));
                }
                return at + 1;
            }
            "as" => at += 2,
            "self" if !path.is_empty() => at += 1,
            "::" => at += 1,
            "," | "}" | ";" => break,
            text => {
                path = if path.is_empty() { text.to_owned() } else { format!("{path}::{text}") };
                at += 1;
            }
        }
    }
    let line = tokens.get(at.saturating_sub(1)).map_or(0, |token| token.line);
    paths.push((path, line));
    at
}

/// Makes `super` and `self` absolute; `keybench` is what `main.rs` calls the crate.
fn resolve(path: &str, module: &str) -> String {
    let mut parts = path.split("::").peekable();
    let mut here: Vec<&str> = module.split("::").filter(|part| !part.is_empty()).collect();
    match parts.peek() {
        Some(&"crate" | &"keybench") => {
            let _ = parts.next();
            here.clear();
        }
        Some(&"self") => {
            let _ = parts.next();
        }
        Some(&"super") => {
            while parts.next_if_eq(&"super").is_some() {
                let _ = here.pop();
            }
        }
        _ => return path.to_owned(),
    }
    std::iter::once("crate").chain(here).chain(parts).collect::<Vec<_>>().join("::")
}

struct Token {
    text: String,
    line: usize,
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Tokens without comments; a string is one token. Beside them the lines that give a reason, in a comment or as what
/// `expect` would say.
fn tokens(text: &str) -> (Vec<Token>, Vec<usize>) {
    let chars: Vec<char> = text.chars().collect();
    let (mut tokens, mut reasons) = (Vec::new(), Vec::new());
    let (mut at, mut line) = (0, 1);
    let is = |at: usize, wanted: char| chars.get(at) == Some(&wanted);
    while let Some(&c) = chars.get(at) {
        let start = at;
        let mut token = None;
        if c == '/' && is(at + 1, '/') {
            while at < chars.len() && !is(at, '\n') {
                at += 1;
            }
            let comment: String = chars[start..at].iter().collect();
            if comment.contains("infallible: ") {
                reasons.push(line);
            }
        } else if c == '/' && is(at + 1, '*') {
            let mut depth = 0;
            loop {
                if is(at, '/') && is(at + 1, '*') {
                    depth += 1;
                    at += 2;
                } else if is(at, '*') && is(at + 1, '/') {
                    depth -= 1;
                    at += 2;
                } else {
                    at += 1;
                }
                if depth == 0 || at >= chars.len() {
                    break;
                }
            }
        } else if let Some(end) = string_end(&chars, at) {
            at = end;
            let string: String = chars[start..end].iter().collect();
            if string.starts_with("\"infallible: ") {
                reasons.push(line);
            }
            token = Some(string);
        } else if c.is_alphanumeric() || c == '_' {
            while chars.get(at).is_some_and(|c| c.is_alphanumeric() || *c == '_') {
                at += 1;
            }
            token = Some(chars[start..at].iter().collect());
        } else if c == ':' && is(at + 1, ':') {
            at += 2;
            token = Some("::".to_owned());
        } else {
            at += 1;
            token = (!c.is_whitespace()).then(|| c.to_string());
        }
        if let Some(text) = token {
            tokens.push(Token { text, line });
        }
        line += chars[start..at.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    (tokens, reasons)
}

/// Where the string or character that begins here ends; `None` when none begins. A lifetime is neither.
fn string_end(chars: &[char], start: usize) -> Option<usize> {
    let mut at = start;
    let prefix: String = chars[start..].iter().take_while(|c| matches!(c, 'b' | 'r' | 'c')).take(2).collect();
    at += prefix.len();
    let hashes = chars[at..].iter().take_while(|c| **c == '#').count();
    let raw = prefix.contains('r');
    if hashes > 0 && !raw {
        return None;
    }
    at += hashes;
    match chars.get(at)? {
        '"' => {
            at += 1;
            while let Some(c) = chars.get(at) {
                at += 1;
                if *c == '\\' && !raw {
                    at += 1;
                } else if *c == '"' && chars[at..].iter().take(hashes).filter(|c| **c == '#').count() == hashes {
                    return Some(at + hashes);
                }
            }
            Some(chars.len())
        }
        '\'' if hashes == 0 && !raw => {
            if chars.get(at + 1) == Some(&'\\') {
                let end = chars[at + 3..].iter().position(|c| *c == '\'')?;
                return Some(at + 3 + end + 1);
            }
            (chars.get(at + 2) == Some(&'\'')).then_some(at + 3)
        }
        _ => None,
    }
}

/// The items marked `#[cfg(test)]` or `#[test]`, from the mark to the end; the whole file under `#![cfg(test)]`.
fn test_ranges(tokens: &[Token]) -> Vec<(usize, usize)> {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let inner = text(at + 1) == "!";
        let open = at + 1 + usize::from(inner);
        if text(at) != "#" || text(open) != "[" {
            at += 1;
            continue;
        }
        let close = matching(tokens, open, "[", "]");
        let words: Vec<&str> = tokens[open..close.min(tokens.len())].iter().map(|token| token.text.as_str()).collect();
        let negated = words.windows(3).any(|part| part == ["not", "(", "test"]);
        let marked =
            words.get(1) == Some(&"test") || (words.get(1) == Some(&"cfg") && words.contains(&"test") && !negated);
        if !marked {
            at = close + 1;
            continue;
        }
        if inner {
            return vec![(0, tokens.len())];
        }
        let end = item_end(tokens, close + 1);
        ranges.push((at, end));
        at = end;
    }
    ranges
}

/// The end of the item that begins here: its `;`, or the brace that closes it.
fn item_end(tokens: &[Token], mut at: usize) -> usize {
    let mut is_use = false;
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "use" => is_use = true,
            ";" => return at + 1,
            "(" => at = matching(tokens, at, "(", ")"),
            "[" => at = matching(tokens, at, "[", "]"),
            "{" => {
                at = matching(tokens, at, "{", "}");
                if !is_use {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    tokens.len()
}

fn matching(tokens: &[Token], start: usize, open: &str, close: &str) -> usize {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        if token.text == open {
            depth += 1;
        } else if token.text == close {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return at;
            }
        }
    }
    tokens.len()
}
