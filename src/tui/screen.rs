//! The live screen: sentences scroll by as in any terminal, and below them the board stays in place.
//!
//! It writes to standard error, so that standard output stays the answer. The terminal is given back as it was, also when
//! a thread panics: nothing is changed but an inline area, no alternate screen and no raw mode.

use std::io::{Stderr, stderr};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use ratatui::backend::CrosstermBackend;
use ratatui::text::{Line, Text};
use ratatui::widgets::{Paragraph, Widget as _};
use ratatui::{Terminal, TerminalOptions, Viewport};

use super::board::Board;
use super::draw::{Palette, draw, fold};
use super::say::say;
use crate::pipeline::progress::{Progress, Watcher};
use crate::world::Clock;

/// While nothing happens only the times change, all of them at once ([`super::draw`]): until then there is nothing to draw.
fn until_they_change(now: Duration) -> Duration {
    Duration::from_secs(1) - Duration::from_nanos(u64::from(now.subsec_nanos()))
}

enum Message {
    Happened(Box<Progress>, Duration),
    Close,
}

/// A live screen. Closing it leaves its last picture standing.
pub struct Screen {
    sender: Mutex<Sender<Message>>,
    clock: Arc<dyn Clock>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Screen {
    /// Takes the lower part of the terminal: as many rows as `ports`, and a few.
    ///
    /// # Errors
    /// When the terminal does not tell its size or can't be written to; print lines instead.
    pub fn open(ports: usize, palette: Palette, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let rows = u16::try_from(ports.clamp(4, 24) + 2).unwrap_or(8);
        let terminal = Terminal::with_options(
            CrosstermBackend::new(stderr()),
            TerminalOptions { viewport: Viewport::Inline(rows) },
        )?;
        let (sender, receiver) = channel();
        let board = Board::new(clock.monotonic());
        let ticking = Arc::clone(&clock);
        let thread = std::thread::Builder::new()
            .name("screen".into())
            .spawn(move || paint(terminal, board, palette, ticking.as_ref(), &receiver))?;
        Ok(Self { sender: Mutex::new(sender), clock, thread: Mutex::new(Some(thread)) })
    }

    fn send(&self, message: Message) {
        // A screen that is gone misses what happens; the bench does not care.
        let _ = self.sender.lock().unwrap_or_else(PoisonError::into_inner).send(message);
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

fn paint(
    mut terminal: Terminal<CrosstermBackend<Stderr>>,
    mut board: Board,
    palette: Palette,
    clock: &dyn Clock,
    messages: &Receiver<Message>,
) {
    let mut open = true;
    while open {
        let mut next = messages.recv_timeout(until_they_change(clock.monotonic()));
        // Take everything that is there before drawing once.
        loop {
            match next {
                Ok(Message::Happened(progress, at)) => {
                    board.apply(&progress, at);
                    if let Some(said) = say(&progress) {
                        let style = palette.tone(said.tone);
                        let width = terminal.size().map_or(80, |size| usize::from(size.width));
                        let text: Text<'_> =
                            fold(&said.text, width).into_iter().map(|line| Line::styled(line, style)).collect();
                        let height = u16::try_from(text.lines.len()).unwrap_or(1);
                        let _ =
                            terminal.insert_before(height, |buffer| Paragraph::new(text).render(buffer.area, buffer));
                    }
                }
                Ok(Message::Close) | Err(RecvTimeoutError::Disconnected) => {
                    open = false;
                    break;
                }
                Err(RecvTimeoutError::Timeout) => break,
            }
            next = messages.recv_timeout(Duration::ZERO);
        }
        let lines = draw(&board, clock.monotonic(), palette);
        if terminal.draw(|frame| frame.render_widget(Paragraph::new(lines), frame.area())).is_err() {
            return;
        }
    }
    let _ = terminal.clear();
    let _ = terminal.show_cursor();
}
