//! The findings as a person reads them: worst first, each with what was seen and what to do.

use crate::cli::Style;
use crate::model::Upn;
use crate::tenant::preflight::facts::{Facts, Mode};
use crate::tenant::preflight::verdict::{Together, together};
use crate::tenant::preflight::{Finding, Report, Verdict};

/// Where findings begin: after the longest verdict.
const INDENT: usize = 9;
/// Where their text begins.
const TEXT: usize = 15;
/// Names shown of those a finding is about.
const NAMES: usize = 6;

/// How wide to write: the terminal, within reason; a file gets what most screens show.
pub fn width(style: Style) -> usize {
    let terminal = style.stdout_is_terminal.then(crossterm::terminal::size).and_then(Result::ok);
    terminal.map_or(100, |(columns, _)| usize::from(columns)).clamp(60, 120)
}

/// The whole answer.
pub fn table(report: &Report, facts: &Facts, width: usize) -> String {
    let mut lines = vec![heading(report, facts), String::new()];
    let told: Vec<Finding> = report.findings.iter().filter(|one| one.verdict != Verdict::Pass).cloned().collect();
    for group in together(&told) {
        lines.extend(entry(&group, width));
        lines.push(String::new());
    }
    let mut passed: Vec<String> =
        report.with(Verdict::Pass).map(|finding| format!("{} {}", finding.id, finding.name)).collect();
    passed.dedup();
    if !passed.is_empty() {
        lines.extend(filled("passed", &passed.join(", "), width, INDENT));
    }
    if !facts.plan.writes {
        lines.push(String::new());
        let text = "What `keybench tenant apply` needs besides was left out; --apply weighs it too.";
        lines.extend(wrap(text, width));
    }
    lines.join("\n")
}

fn heading(report: &Report, facts: &Facts) -> String {
    let mode = match facts.plan.mode {
        Mode::Provision => "keys registered by the bench",
        Mode::SelfService => "keys registered by the people themselves",
        Mode::Oath => "hardware OATH tokens",
    };
    let people = match facts.people.len() {
        0 => "no roster".to_owned(),
        1 => "1 person".to_owned(),
        count => format!("{count} people"),
    };
    let count = |verdict: Verdict| match report.count(verdict) {
        0 => None,
        count if verdict == Verdict::Pass => Some(format!("{count} passed")),
        count => Some(format!("{count} {}", verdict.word())),
    };
    let counts: Vec<String> = Verdict::ALL.into_iter().filter_map(count).collect();
    format!("{mode}, {people}: {}", counts.join(", "))
}

fn entry(group: &Together<'_>, width: usize) -> Vec<String> {
    let finding = group.finding;
    let mut lines = filled(finding.verdict.word(), &group.title(), width, INDENT);
    let indent = " ".repeat(INDENT);
    lines.extend(wrap(&finding.what, width.saturating_sub(INDENT)).into_iter().map(|line| format!("{indent}{line}")));
    if finding.people.len() > 3 {
        lines.extend(labelled("who", &who(&finding.people), width));
    }
    for evidence in &finding.evidence {
        lines.extend(labelled("saw", &evidence.to_string(), width));
    }
    if let Some(remedy) = &finding.remedy {
        let text = match remedy.api {
            Some(api) => format!("{} [{api}]", remedy.text),
            None => remedy.text.clone(),
        };
        lines.extend(labelled("next", &text, width));
    }
    lines
}

fn who(people: &[Upn]) -> String {
    let shown: Vec<&str> = people.iter().take(NAMES).map(Upn::as_str).collect();
    match people.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more (all with --json)", shown.join(", ")),
    }
}

fn labelled(label: &str, text: &str, width: usize) -> Vec<String> {
    filled(&format!("{}{label}", " ".repeat(INDENT)), text, width, TEXT)
}

/// A label, and beside it a text that keeps to its column.
fn filled(label: &str, text: &str, width: usize, column: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for (number, line) in wrap(text, width.saturating_sub(column)).into_iter().enumerate() {
        let start = if number == 0 { label } else { "" };
        lines.push(format!("{start:<column$}{line}"));
    }
    lines
}

/// Broken at blanks; a word longer than the line is cut, a path behind a slash, so that a narrow terminal does not break it anywhere.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(20);
    let mut lines: Vec<String> = vec![String::new()];
    let mut room = width;
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        let blank = usize::from(room < width);
        if word.len() + blank > room && room < width {
            lines.push(String::new());
            room = width;
        }
        while word.len() > width {
            // A path is cut behind a slash, if it has one in reach.
            let slash = word.iter().take(width).rposition(|c| *c == '/').map_or(width, |at| at + 1);
            let rest = word.split_off(slash);
            if let Some(line) = lines.last_mut() {
                line.extend(word);
            }
            lines.push(String::new());
            word = rest;
            room = width;
        }
        if let Some(line) = lines.last_mut() {
            if room < width {
                line.push(' ');
                room = room.saturating_sub(1);
            }
            room = room.saturating_sub(word.len());
            line.extend(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_the_screen_and_no_word_is_lost() {
        let text =
            "GET /v1.0/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/fido2: a = b c, d";
        for width in [20, 40, 80, 120] {
            let lines = wrap(text, width);
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{lines:?}");
            let joined: String = lines.concat().split_whitespace().collect();
            assert_eq!(joined, text.split_whitespace().collect::<String>());
        }
        assert_eq!(wrap("", 40), [""]);
        assert_eq!(
            filled("next", "one two three four five six", 30, 6),
            ["next  one two three four five", "      six"]
        );
    }
}
