//! The board as lines of a terminal. Pure: a board and a width in, styled lines out.

use std::time::Duration;

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::board::{Board, Doing, PortView};
use super::say::Tone;
use crate::pipeline::code::meaning;
use crate::pipeline::progress::Stage;

/// Whether colours may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Palette {
    /// `NO_COLOR` is not set and the terminal has colours.
    pub colour: bool,
}

impl Palette {
    /// The style of a tone. Without colour, what matters is still bold or reversed.
    pub fn tone(self, tone: Tone) -> Style {
        let style = Style::default();
        match (tone, self.colour) {
            (Tone::Plain, _) => style,
            (Tone::Good, true) => style.fg(Color::Green),
            (Tone::Good, false) => style,
            (Tone::Act, true) => style.fg(Color::Yellow).add_modifier(Modifier::BOLD),
            (Tone::Bad, true) => style.fg(Color::Red).add_modifier(Modifier::BOLD),
            (Tone::Act | Tone::Bad, false) => style.add_modifier(Modifier::BOLD),
        }
    }
}

/// Rows the board needs.
pub fn height(board: &Board) -> usize {
    board.ports.len().max(1) + 2
}

/// The board, a heading and a foot.
pub fn draw(board: &Board, now: Duration, palette: Palette) -> Vec<Line<'static>> {
    let mut lines = Vec::with_capacity(height(board));
    let dim = Style::default().add_modifier(Modifier::DIM);
    let widest = board.ports.keys().map(|port| port.as_str().chars().count()).max().unwrap_or(4).max(4);
    for (port, view) in &board.ports {
        let (mark, word, style) = look(view, palette);
        let mut spans = vec![
            Span::styled(format!(" {mark} "), style),
            Span::raw(format!("{:<widest$}  ", port.as_str())),
            Span::styled(format!("{word:<26}"), style),
        ];
        if !matches!(view.doing, Doing::Empty) {
            spans.push(Span::styled(format!("{:>5}  ", clock(view.since, now)), dim));
            if let Some((upn, job)) = &view.person {
                spans.push(Span::raw(format!("{upn}  ")));
                spans.push(Span::styled(format!("{job}  "), dim));
            }
            if let Some(key) = &view.key {
                spans.push(Span::styled(key.for_people(), dim));
            }
        }
        lines.push(Line::from(spans));
    }
    if board.ports.is_empty() {
        lines.push(Line::from(" Plug the first key into any port."));
    }
    lines.push(foot(board, now, palette));
    lines.push(Line::styled(" Ctrl-C finishes or parks what is in flight; the same command goes on.", dim));
    lines
}

fn look(view: &PortView, palette: Palette) -> (&'static str, String, Style) {
    match &view.doing {
        Doing::Empty => ("·", "empty".into(), Style::default().add_modifier(Modifier::DIM)),
        Doing::At(Stage::Touch) => ("▶", "TOUCH".into(), palette.tone(Tone::Act).add_modifier(Modifier::REVERSED)),
        Doing::At(stage) => ("…", stage.for_people().into(), palette.tone(Tone::Plain)),
        Doing::TakeOut => ("✔", "LABEL, TAKE OUT".into(), palette.tone(Tone::Good).add_modifier(Modifier::BOLD)),
        Doing::Flashing => {
            ("✔", "FLASHES: LABEL, TAKE OUT".into(), palette.tone(Tone::Good).add_modifier(Modifier::BOLD))
        }
        Doing::Replug => ("?", "TAKE OUT, PUT BACK".into(), palette.tone(Tone::Act)),
        Doing::Unknown => ("?", "WHICH? PUT IT BACK".into(), palette.tone(Tone::Act)),
        Doing::Reject { code } => {
            let word = if meaning(code).is_some() { format!("REJECT {code}") } else { "REJECT".into() };
            ("✘", word, palette.tone(Tone::Bad))
        }
        Doing::Missing => ("!", "PULLED: PUT IT BACK".into(), palette.tone(Tone::Bad).add_modifier(Modifier::REVERSED)),
    }
}

fn foot(board: &Board, now: Duration, palette: Palette) -> Line<'static> {
    if let Some(code) = &board.paused {
        let what = meaning(code).map_or(code.as_str(), |meaning| meaning.what);
        return Line::styled(format!(" PAUSED: {what} No key is armed."), palette.tone(Tone::Bad));
    }
    let mut text = format!(" {} of {} finished", board.finished, board.to_serve);
    if board.failed > 0 {
        text.push_str(&format!(", {} failed", board.failed));
    }
    if board.keys_refused > 0 {
        let keys = if board.keys_refused == 1 { "key" } else { "keys" };
        text.push_str(&format!(", {} {keys} refused", board.keys_refused));
    }
    text.push_str(&format!("   {}", clock(board.started, now)));
    if let Some(rate) = board.keys_per_hour() {
        text.push_str(&format!("   {rate:.0} keys/h"));
    }
    Line::styled(text, Style::default().add_modifier(Modifier::BOLD))
}

/// A sentence as lines no wider than the terminal; what follows on is indented like the line it follows.
pub fn fold(text: &str, width: usize) -> Vec<String> {
    let width = width.max(20);
    let mut lines = Vec::new();
    for line in text.lines() {
        let indent: String = line.chars().take_while(|c| *c == ' ').collect();
        let mut now = indent.clone();
        let mut wide = indent.len();
        for word in line.split_whitespace() {
            let word_wide = Span::raw(word).width();
            let gap = usize::from(wide > indent.len());
            if gap == 1 && wide + gap + word_wide > width {
                lines.push(std::mem::replace(&mut now, format!("{indent}  ")));
                wide = indent.len() + 2;
            } else if gap == 1 {
                now.push(' ');
                wide += 1;
            }
            now.push_str(word);
            wide += word_wide;
        }
        lines.push(now);
    }
    lines
}

/// Minutes and seconds since then; hours once there are any. All of a board's times change with the second hand of the one clock, so that it
/// need not be drawn more often than once a second.
fn clock(since: Duration, now: Duration) -> String {
    let seconds = now.as_secs().saturating_sub(since.as_secs());
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{JobId, PortName};
    use crate::pipeline::progress::Progress;

    fn text(board: &Board, now: Duration) -> String {
        draw(board, now, Palette { colour: false }).iter().map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn long_sentences_are_folded_between_words_and_stay_indented() {
        let text =
            "Stopped: port 2 was unplugged before the key was finished.\n  Next: put the same key back in any port.";
        let lines = fold(text, 40);
        assert!(lines.iter().all(|line| line.chars().count() <= 40), "{lines:#?}");
        assert_eq!(lines[0], "Stopped: port 2 was unplugged before the");
        assert_eq!(lines[1], "  key was finished.");
        assert!(lines[2].starts_with("  Next: put"), "{lines:#?}");
        assert!(lines[3].starts_with("    "), "{lines:#?}");
        // A word that is wider than the terminal stands alone.
        assert_eq!(fold(&"x".repeat(50), 30).len(), 1);
    }

    #[test]
    fn all_times_change_with_the_whole_second_and_not_between() {
        let ms = Duration::from_millis;
        for (since, now, shown) in
            [(0, 999, "0:00"), (700, 1_000, "0:01"), (700, 1_999, "0:01"), (1_999, 62_000, "1:01")]
        {
            assert_eq!(clock(ms(since), ms(now)), shown, "{since} to {now}");
        }
        assert_eq!(clock(Duration::ZERO, Duration::from_secs(3_661)), "1:01:01");
    }

    #[test]
    fn the_key_to_touch_stands_out_and_the_person_is_named() {
        let mut board = Board::new(Duration::ZERO);
        let port = PortName::new("1-4.2");
        board.apply(&Progress::Ready { ports: vec![], waiting: 12, begun: 0 }, Duration::ZERO);
        assert!(text(&board, Duration::ZERO).contains("Plug the first key"));
        board.apply(&Progress::Plugged { port: port.clone() }, Duration::ZERO);
        board.apply(
            &Progress::Assigned {
                port: port.clone(),
                job: JobId::new("4TQ7M2KD9X"),
                upn: "kim@contoso.com".into(),
                resumed: false,
            },
            Duration::ZERO,
        );
        board.apply(&Progress::Stage { port: port.clone(), stage: Stage::Touch }, Duration::ZERO);
        let shown = text(&board, Duration::from_secs(67));
        let row = shown.lines().next().expect("a row");
        assert!(row.contains("TOUCH") && row.contains("1:07") && row.contains("kim@contoso.com"), "{row}");
        assert!(shown.contains("0 of 12 finished"), "{shown}");
        board.apply(&Progress::Paused { code: "tenant-down".into(), detail: String::new() }, Duration::ZERO);
        assert!(text(&board, Duration::ZERO).contains("PAUSED"));
    }
}
