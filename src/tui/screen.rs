//! The live screen: sentences scroll by as in any terminal, and below them the board stays in place.
//!
//! It writes to standard error, so that standard output stays the answer. The terminal is given back as it was, also when
//! a thread panics: nothing is changed but an inline area, no alternate screen and no raw mode. Whoever else has something to say or
//! to ask goes through [`Screen::say`] or puts the screen away meanwhile; nothing is written across it. A picture goes out in one piece, with
//! all the sentences that came since the last one, so that the board does not flicker (terminals that know synchronized output show it
//! in one step as well).

use std::io::{BufWriter, Stderr, Write as _, stderr};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossterm::execute;
use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use ratatui::backend::CrosstermBackend;
use ratatui::style::Style;
use ratatui::text::{Line, Text};
use ratatui::widgets::{Paragraph, Widget as _};
use ratatui::{Terminal, TerminalOptions, Viewport};

use super::board::Board;
use super::draw::{Palette, draw, fold, height};
use super::say::{Line as Said, Tone, calls_for_attention, say};
use crate::pipeline::progress::{Progress, Watcher};
use crate::world::Clock;

/// While nothing happens only the times change, all of them at once ([`super::draw`]): until then there is nothing to draw.
fn until_they_change(now: Duration) -> Duration {
    Duration::from_secs(1) - Duration::from_nanos(u64::from(now.subsec_nanos()))
}

/// Lines that are left to the sentences above the board, if the terminal has so many.
const FOR_SENTENCES: usize = 6;

/// How a screen looks and sounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// Colours.
    pub palette: Palette,
    /// The terminal's bell rings where somebody who looks elsewhere has to be called.
    pub bell: bool,
}

enum Message {
    Happened(Box<Progress>, Duration),
    Said(Said),
    /// Answered when the terminal is free.
    PutAway(Sender<()>),
    BringBack,
    Ending,
    Close,
}

/// A live screen. Closing it takes the board away and leaves the sentences.
pub struct Screen {
    sender: Mutex<Sender<Message>>,
    clock: Arc<dyn Clock>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Screen {
    /// Takes the lower part of the terminal: as many rows as `ports`, and a few; more when more ports turn up.
    ///
    /// # Errors
    /// When the terminal does not tell its size or can't be written to; print lines instead.
    pub fn open(ports: usize, manner: Manner, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let mut painter = Painter { terminal: None, rows: 0, manner, away: false, untold: Vec::new() };
        painter.take_terminal(height(ports.max(4)))?;
        let (sender, receiver) = channel();
        let board = Board::new(clock.monotonic());
        let ticking = Arc::clone(&clock);
        let thread = std::thread::Builder::new()
            .name("screen".into())
            .spawn(move || painter.paint(board, ticking.as_ref(), &receiver))?;
        Ok(Self { sender: Mutex::new(sender), clock, thread: Mutex::new(Some(thread)) })
    }

    fn send(&self, message: Message) -> bool {
        // A screen that is gone misses what happens; the bench does not care.
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).send(message).is_ok()
    }

    /// Shows a sentence above the board; `false` when the screen is gone.
    pub fn say(&self, tone: Tone, text: &str) -> bool {
        self.send(Message::Said(Said { tone, text: text.to_owned() }))
    }

    /// Frees the terminal for a question, until [`Self::bring_back`].
    pub fn put_away(&self) {
        let (done, is_done) = channel();
        if self.send(Message::PutAway(done)) {
            // It errs when the screen has gone meanwhile: the terminal is free then.
            let _ = is_done.recv();
        }
    }

    /// The question is answered.
    pub fn bring_back(&self) {
        self.send(Message::BringBack);
    }

    /// Shows that the person has ended the run.
    pub fn ending(&self) {
        self.send(Message::Ending);
    }

    /// Draws the last picture and lets the terminal go.
    pub fn close(&self) {
        self.send(Message::Close);
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
    }
}

impl Watcher for Screen {
    fn on(&self, progress: &Progress) {
        self.send(Message::Happened(Box::new(progress.clone()), self.clock.monotonic()));
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.close();
    }
}

/// The thread that owns the terminal.
struct Painter {
    terminal: Option<Terminal<CrosstermBackend<BufWriter<Stderr>>>>,
    rows: usize,
    manner: Manner,
    /// Put away: a question has the terminal.
    away: bool,
    /// Sentences for the next picture.
    untold: Vec<Said>,
}

impl Painter {
    /// An inline area of so many rows where the cursor is, or of as many as the terminal spares.
    fn take_terminal(&mut self, wanted: usize) -> std::io::Result<()> {
        // Standard error itself would write every cell by itself.
        let backend = CrosstermBackend::new(BufWriter::with_capacity(1 << 16, stderr()));
        let rows = ratatui::backend::Backend::size(&backend).map_or(24, |size| usize::from(size.height));
        let most = rows.saturating_sub(FOR_SENTENCES).max(rows / 2).max(1);
        let wanted = wanted.min(most);
        let viewport = Viewport::Inline(u16::try_from(wanted).unwrap_or(8));
        self.terminal = Some(Terminal::with_options(backend, TerminalOptions { viewport })?);
        self.rows = wanted;
        Ok(())
    }

    fn give_terminal_back(&mut self) {
        if let Some(mut terminal) = self.terminal.take() {
            let top = terminal.get_frame().area().as_position();
            let _ = terminal.clear();
            // Clearing leaves the cursor where it was: below an area that is empty now.
            let _ = terminal.set_cursor_position(top);
            let _ = terminal.show_cursor();
        }
    }

    fn paint(mut self, mut board: Board, clock: &dyn Clock, messages: &Receiver<Message>) {
        let mut open = true;
        while open {
            let mut ring = false;
            let mut next = messages.recv_timeout(until_they_change(clock.monotonic()));
            // Take everything that is there before drawing once.
            loop {
                match next {
                    Ok(Message::Happened(progress, at)) => {
                        board.apply(&progress, at);
                        ring |= calls_for_attention(&progress);
                        if let Some(said) = say(&progress) {
                            self.untold.push(said);
                        }
                    }
                    Ok(Message::Said(said)) => self.untold.push(said),
                    Ok(Message::PutAway(done)) => {
                        // What was said before the question stands above it.
                        self.tell();
                        self.give_terminal_back();
                        self.away = true;
                        let _ = done.send(());
                    }
                    Ok(Message::BringBack) => self.come_back(board.ports.len()),
                    Ok(Message::Ending) => board.ending = true,
                    Ok(Message::Close) | Err(RecvTimeoutError::Disconnected) => {
                        open = false;
                        break;
                    }
                    Err(RecvTimeoutError::Timeout) => break,
                }
                next = messages.recv_timeout(Duration::ZERO);
            }
            if ring && self.manner.bell {
                let _ = stderr().write_all(b"\x07");
            }
            self.show(&board, clock.monotonic());
        }
        if self.away {
            self.come_back(0);
            self.tell();
        }
        self.give_terminal_back();
    }

    fn come_back(&mut self, ports: usize) {
        self.away = false;
        // Where that fails, sentences go on as plain lines.
        let _ = self.take_terminal(height(ports).max(self.rows));
    }

    /// All sentences that wait, above the board.
    fn tell(&mut self) {
        let untold = std::mem::take(&mut self.untold);
        let Some(terminal) = self.terminal.as_mut().filter(|_| !untold.is_empty()) else {
            for said in untold {
                let _ = writeln!(stderr(), "{}", said.text);
            }
            return;
        };
        let width = terminal.size().map_or(80, |size| usize::from(size.width));
        let mut lines = Vec::new();
        for said in untold {
            let style: Style = self.manner.palette.tone(said.tone);
            lines.extend(fold(&said.text, width).into_iter().map(|line| Line::styled(line, style)));
        }
        let height = u16::try_from(lines.len()).unwrap_or(u16::MAX);
        let text = Text::from(lines);
        let _ = terminal.insert_before(height, |buffer| Paragraph::new(text).render(buffer.area, buffer));
    }

    fn show(&mut self, board: &Board, now: Duration) {
        if self.away {
            return;
        }
        let _ = execute!(stderr(), BeginSynchronizedUpdate);
        self.tell();
        self.draw_board(board, now);
        let _ = execute!(stderr(), EndSynchronizedUpdate);
    }

    fn draw_board(&mut self, board: &Board, now: Duration) {
        let Some(size) = self.terminal.as_ref().and_then(|terminal| terminal.size().ok()) else { return };
        let (wanted, most) = (height(board.ports.len()), usize::from(size.height).saturating_sub(FOR_SENTENCES));
        if wanted > self.rows && most > self.rows {
            self.give_terminal_back();
            if self.take_terminal(wanted).is_err() {
                return;
            }
        }
        let (palette, rows) = (self.manner.palette, self.rows.min(usize::from(size.height)));
        let lines = draw(board, now, palette, usize::from(size.width), rows);
        if let Some(terminal) = &mut self.terminal
            && terminal.draw(|frame| frame.render_widget(Paragraph::new(lines), frame.area())).is_err()
        {
            self.terminal = None;
        }
    }
}
