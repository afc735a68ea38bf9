//! `--tokens`: a vendor's file, weighed line by line before anything is imported. Seeds are wiped as soon as it is read.

use std::path::Path;

use zeroize::Zeroizing;

use crate::cli::at_tenant::read_file;
use crate::cli::{CliError, Exit};
use crate::model::Upn;
use crate::tenant::oath_file::{Defaults, Lines, lines};
use crate::tenant::preflight::facts::TokenLine;

/// The lines, without their seeds.
pub(super) struct Tokens {
    pub(super) lines: Vec<TokenLine>,
    /// Whom the file gives tokens to, each once.
    pub(super) people: Vec<Upn>,
}

/// Reads it. A line that is wrong is weighed; a file that is none is an error.
pub(super) fn read(path: &Path) -> Result<Tokens, CliError> {
    let bytes = Zeroizing::new(read_file(path)?);
    // Who makes the tokens may be said at the import.
    let said_later = Some("said at the import".to_owned());
    let Lines { tokens, problems } = lines(&bytes, &Defaults { manufacturer: said_later.clone(), model: said_later });
    if let Some(problem) = problems.iter().find(|problem| problem.line.is_none()) {
        let fact = format!("{} is no file of tokens.", path.display());
        let next = "see `keybench oath import --help` for its form.";
        return Err(CliError::new(Exit::Usage, "file-unreadable", fact, next).because(problem.what.clone()));
    }
    let mut people: Vec<Upn> = tokens.iter().filter_map(|token| token.upn.clone()).collect();
    people.sort_by_key(|upn| upn.as_str().to_ascii_lowercase());
    people.dedup();
    let wrong = problems.into_iter().map(|problem| {
        let field = problem.field.unwrap_or_else(|| "the line".to_owned());
        TokenLine {
            line: problem.line.unwrap_or_default(),
            problem: Some(format!("{field}: {}.", problem.what)),
            serial: field,
        }
    });
    let right = tokens.iter().map(|token| TokenLine { line: token.line, serial: token.serial.clone(), problem: None });
    let mut lines: Vec<TokenLine> = right.chain(wrong).collect();
    lines.sort_by_key(|line| line.line);
    Ok(Tokens { lines, people })
}
