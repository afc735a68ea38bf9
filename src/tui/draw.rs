//! The board as lines of a terminal. Pure: a board and a size in, styled lines out.
//!
//! Promise: what to do next stands in the first line, in words. What wants a hand is a bar across the whole width, with a mark of
//! its own, so that it is seen from a step away and without telling colours apart. Nothing that wants a hand is left out, however
//! small the terminal. Marks are of the set that every Windows console font has (WGL4).

use std::time::Duration;

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::board::{Board, Doing, PortView};
use super::say::Tone;
use crate::model::PortName;
use crate::pipeline::code::meaning;
use crate::pipeline::progress::Stage;

/// Whether colours may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Palette {
    /// `NO_COLOR` is not set and the terminal has colours.
    pub colour: bool,
}

impl Palette {
    /// The style of a tone. Cyan, yellow and red differ in brightness too; without colour, what matters is bold.
    pub fn tone(self, tone: Tone) -> Style {
        let style = Style::default();
        match (tone, self.colour) {
            (Tone::Plain, _) => style,
            (Tone::Good, true) => style.fg(Color::Cyan),
            (Tone::Good, false) => style,
            (Tone::Act, true) => style.fg(Color::Yellow).add_modifier(Modifier::BOLD),
            (Tone::Bad, true) => style.fg(Color::Red).add_modifier(Modifier::BOLD),
            (Tone::Act | Tone::Bad, false) => style.add_modifier(Modifier::BOLD),
        }
    }

    fn bar(self, tone: Tone) -> Style {
        self.tone(tone).add_modifier(Modifier::BOLD | Modifier::REVERSED)
    }
}

/// Lines around the ports: what to do next, how far it is, how to end.
const AROUND: usize = 3;

/// Rows the board needs to show every port.
pub fn height(ports: usize) -> usize {
    ports.max(1) + AROUND
}

/// The board for a terminal of this width and so many rows: what to do next, a row a port, how far it is.
pub fn draw(board: &Board, now: Duration, palette: Palette, width: usize, rows: usize) -> Vec<Line<'static>> {
    let mut ports: Vec<(&PortName, &PortView)> = board.ports.iter().collect();
    ports.sort_by_cached_key(|(port, _)| natural(port.as_str()));
    let room = rows.saturating_sub(AROUND).max(1);
    let mut left_out = 0;
    if ports.len() > room {
        // What wants a hand stays; empty ports go first.
        let mut by_weight: Vec<usize> = (0..ports.len()).collect();
        by_weight.sort_by_key(|&at| ports.get(at).map(|(_, view)| Wish::of(view).weight()));
        let shown: Vec<usize> = by_weight.into_iter().take(room.saturating_sub(1).max(1)).collect();
        left_out = ports.len() - shown.len();
        let mut at = 0;
        ports.retain(|_| {
            at += 1;
            shown.contains(&(at - 1))
        });
    }
    let widest = ports.iter().map(|(port, _)| port.as_str().chars().count()).max().unwrap_or(4).max(4);
    let mut lines = Vec::with_capacity(ports.len() + AROUND + 1);
    lines.push(headline(board, palette, width));
    lines.extend(ports.iter().map(|(port, view)| row(port, view, now, palette, width, widest)));
    if left_out > 0 {
        lines.push(Line::styled(format!("   and {left_out} more ports; a higher terminal shows them"), dim()));
    }
    lines.push(foot(board, now));
    lines.push(Line::styled(" Ctrl-C finishes or parks what is in flight; the same command goes on.", dim()));
    lines
}

fn dim() -> Style {
    Style::default().add_modifier(Modifier::DIM)
}

/// What a port wants of the person in front of it, most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wish {
    PutBack,
    Touch,
    Label,
    Replug,
    Reject,
    /// A key is at work, or waits for its turn.
    Nothing,
    /// There is room for a key.
    Key,
}

impl Wish {
    fn of(view: &PortView) -> Self {
        match &view.doing {
            Doing::Missing | Doing::Unknown => Self::PutBack,
            Doing::At(Stage::Touch) => Self::Touch,
            Doing::TakeOut | Doing::Flashing => Self::Label,
            Doing::Replug => Self::Replug,
            Doing::Reject { .. } => Self::Reject,
            Doing::At(_) => Self::Nothing,
            Doing::Empty => Self::Key,
        }
    }

    fn weight(self) -> u8 {
        self as u8
    }

    fn words(self) -> Option<(&'static str, Tone)> {
        Some(match self {
            Self::PutBack => ("! PUT BACK", Tone::Bad),
            Self::Touch => ("► TOUCH", Tone::Act),
            Self::Label => ("√ LABEL, TAKE OUT", Tone::Good),
            Self::Replug => ("? TAKE OUT, PUT BACK", Tone::Act),
            Self::Reject => ("× REJECT, TAKE OUT", Tone::Bad),
            Self::Nothing | Self::Key => return None,
        })
    }
}

/// What to do next, most urgent first; or why there is nothing to do.
fn headline(board: &Board, palette: Palette, width: usize) -> Line<'static> {
    if let Some(code) = &board.paused {
        let what = meaning(code).map_or(code.as_str(), |meaning| meaning.what);
        return across(format!(" ! PAUSED: no key blinks. {what}"), palette.bar(Tone::Bad), width);
    }
    if board.ending {
        let text = " ! ENDING: what is in flight is finished or set aside. Ctrl-C again leaves at once.";
        return across(text.to_owned(), palette.bar(Tone::Act), width);
    }
    let mut spans = Vec::new();
    for wish in [Wish::PutBack, Wish::Touch, Wish::Label, Wish::Replug, Wish::Reject] {
        let mut ports: Vec<&str> =
            board.ports.iter().filter(|(_, view)| Wish::of(view) == wish).map(|(port, _)| port.as_str()).collect();
        if let (Some((words, tone)), false) = (wish.words(), ports.is_empty()) {
            ports.sort_by_cached_key(|port| natural(port));
            spans.push(Span::raw(" "));
            spans.push(Span::styled(format!(" {words}: {} ", ports.join(", ")), palette.bar(tone)));
        }
    }
    if !spans.is_empty() {
        return Line::from(spans);
    }
    let free = board.ports.is_empty() || board.ports.values().any(|view| view.doing == Doing::Empty);
    let working = board.ports.values().any(|view| Wish::of(view) == Wish::Nothing);
    let text = match (board.to_go(), free, working) {
        (0, _, false) => " Everybody on the list has had their turn.",
        (0, _, true) => " The last keys are being worked on; leave them in.",
        (_, true, _) if board.ports.is_empty() => " Plug the first key into any port.",
        (_, true, _) => " Plug new keys into the free ports.",
        (_, false, _) => " All ports are at work; leave the keys in.",
    };
    Line::styled(text, Style::default().add_modifier(Modifier::BOLD))
}

/// A bar from edge to edge.
fn across(text: String, style: Style, width: usize) -> Line<'static> {
    let wide = Span::raw(text.as_str()).width();
    Line::styled(text + &" ".repeat(width.saturating_sub(wide)), style)
}

fn row(
    port: &PortName,
    view: &PortView,
    now: Duration,
    palette: Palette,
    width: usize,
    widest: usize,
) -> Line<'static> {
    let (mark, word, style) = look(view, palette);
    let mut text = format!(" {mark} {:<widest$}  {word:<25}", port.as_str());
    if !matches!(view.doing, Doing::Empty) {
        if width >= 72 {
            text.push_str(&format!("{:>5}  ", clock(view.since, now)));
        }
        // The label's words first: they must not be what the edge cuts off.
        if let Some((upn, job)) = &view.person {
            text.push_str(&format!("{job}  {upn}  "));
        }
        if let Some(key) = &view.key {
            text.push_str(&key.for_people());
        }
    }
    if style.add_modifier.contains(Modifier::REVERSED) {
        return across(text, style, width);
    }
    Line::styled(text, style)
}

fn look(view: &PortView, palette: Palette) -> (&'static str, String, Style) {
    match &view.doing {
        Doing::Empty => ("·", "empty".into(), dim()),
        Doing::At(Stage::Touch) => ("►", "TOUCH".into(), palette.bar(Tone::Act)),
        Doing::At(stage) => ("…", stage.for_people().into(), palette.tone(Tone::Plain)),
        Doing::TakeOut => ("√", "LABEL, TAKE OUT".into(), palette.bar(Tone::Good)),
        Doing::Flashing => ("√", "FLASHES: LABEL, TAKE OUT".into(), palette.bar(Tone::Good)),
        Doing::Replug => ("?", "TAKE OUT, PUT BACK".into(), palette.bar(Tone::Act)),
        Doing::Unknown => ("?", "WHICH? PUT IT BACK".into(), palette.bar(Tone::Bad)),
        Doing::Reject { code } => {
            let word = if meaning(code).is_some() { format!("REJECT {code}") } else { "REJECT".into() };
            ("×", word, palette.bar(Tone::Bad))
        }
        Doing::Missing => ("!", "PULLED: PUT IT BACK".into(), palette.bar(Tone::Bad)),
    }
}

fn foot(board: &Board, now: Duration) -> Line<'static> {
    let mut text = format!(" {} of {} finished, {} to go", board.finished, board.to_serve, board.to_go());
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
        let left = board.to_go() as f64 / rate * 60.0;
        if board.to_go() > 0 && left.is_finite() {
            text.push_str(&format!(", ~{:.0} min left", left.max(1.0)));
        }
    }
    Line::styled(text, Style::default().add_modifier(Modifier::BOLD))
}

/// Port names as people count: `sim-2` before `sim-10`.
fn natural(name: &str) -> Vec<(u64, String)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let words = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(words);
        let digits = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
        let (number, tail) = tail.split_at(digits);
        parts.push((0, word.to_owned()));
        parts.push((number.parse().unwrap_or(u64::MAX), String::new()));
        rest = tail;
    }
    parts
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
        sized(board, now, 80, 24)
    }

    fn sized(board: &Board, now: Duration, width: usize, rows: usize) -> String {
        draw(board, now, Palette { colour: false }, width, rows).iter().map(|line| format!("{line}\n")).collect()
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
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[0].contains("► TOUCH: 1-4.2"), "{shown}");
        let row = lines[1];
        assert!(row.contains("TOUCH") && row.contains("1:07") && row.contains("4TQ7M2KD9X  kim@contoso.com"), "{row}");
        assert_eq!(row.chars().count(), 80, "a bar from edge to edge");
        assert!(shown.contains("0 of 12 finished, 12 to go"), "{shown}");
        board.apply(&Progress::Paused { code: "tenant-down".into(), detail: String::new() }, Duration::ZERO);
        assert!(text(&board, Duration::ZERO).starts_with(" ! PAUSED: no key blinks."));
        board.apply(&Progress::Unpaused, Duration::ZERO);
        board.ending = true;
        assert!(text(&board, Duration::ZERO).contains("ENDING"));
    }

    #[test]
    fn the_first_line_says_what_to_do_next() {
        let mut board = Board::new(Duration::ZERO);
        let (job, upn) = (JobId::new("J"), "kim@contoso.com".to_owned());
        let at = |port: &str| PortName::new(port);
        let key = |port: &str| crate::model::KeyRef {
            aaguid: crate::model::Aaguid::ZERO,
            serial: None,
            firmware: None,
            model: None,
            port: at(port),
        };
        board.apply(&Progress::Ready { ports: vec![at("1"), at("2")], waiting: 3, begun: 0 }, Duration::ZERO);
        let first = |board: &Board| text(board, Duration::ZERO).lines().next().unwrap_or_default().to_owned();
        assert_eq!(first(&board), " Plug new keys into the free ports.");
        for port in ["1", "2"] {
            board.apply(&Progress::Plugged { port: at(port) }, Duration::ZERO);
        }
        assert_eq!(first(&board), " All ports are at work; leave the keys in.");
        board.apply(&Progress::Reject { port: at("1"), code: "has-pin".into() }, Duration::ZERO);
        board.apply(&Progress::TakeOut { port: at("2"), job: job.clone(), upn: upn.clone() }, Duration::ZERO);
        assert_eq!(first(&board).trim_end(), "  √ LABEL, TAKE OUT: 2   × REJECT, TAKE OUT: 1");
        let pulled = Progress::PulledEarly { port: at("1"), job, upn, key: key("1") };
        board.apply(&pulled, Duration::ZERO);
        assert!(first(&board).starts_with("  ! PUT BACK: 1"), "{}", first(&board));
    }

    #[test]
    fn a_small_terminal_loses_no_port_that_wants_a_hand() {
        let mut board = Board::new(Duration::ZERO);
        let ports: Vec<PortName> = (1..=16).map(|n| PortName::new(format!("sim-{n}"))).collect();
        board.apply(&Progress::Ready { ports: ports.clone(), waiting: 20, begun: 0 }, Duration::ZERO);
        let all = sized(&board, Duration::ZERO, 120, height(16));
        assert_eq!(all.lines().count(), height(16));
        let order: Vec<usize> = ["sim-2 ", "sim-9 ", "sim-10"].map(|port| all.find(port).expect("there")).to_vec();
        assert!(order.is_sorted(), "as people count: {all}");
        for (port, code) in [(&ports[4], "has-pin"), (&ports[11], "key-full")] {
            board.apply(&Progress::Reject { port: port.clone(), code: code.into() }, Duration::ZERO);
        }
        let small = sized(&board, Duration::ZERO, 40, 7);
        assert_eq!(small.lines().count(), 7, "{small}");
        assert!(small.contains("REJECT has-pin") && small.contains("REJECT key-full"), "{small}");
        assert!(small.contains("and 13 more ports"), "{small}");
    }
}
