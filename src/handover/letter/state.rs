//! Which letters there are: a projection of the ledger's entries. Pure.
//!
//! Promise: a letter that may be on paper is never taken for one that is not. Claimed and not printed means that nobody
//! knows: a person has to look.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::handover::code::Code;
use crate::ledger::{Entry, HandoverEntry, Recorded};
use crate::model::{JobId, RunId};

/// How far one print of a letter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PaperState {
    /// About to be printed when something stopped us: there may be paper.
    Claimed,
    /// It left for the printer or a file; nobody has said that it came out well.
    Printed,
    /// Somebody has the good sheet.
    Good,
    /// It was spoiled and destroyed.
    Spoiled,
}

/// One print of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetterState {
    /// The job.
    pub job: JobId,
    /// Whose try's PIN.
    pub attempt: u32,
    /// Which print of this try's letter, from 1.
    pub issue: u32,
    /// The PIN sheet's code, as the ledger has it.
    pub sheet: String,
    /// How far.
    pub state: PaperState,
    /// When it was claimed.
    pub claimed: Timestamp,
    /// Where it was sent; empty until it was.
    pub to: String,
    /// The print run it belongs to.
    pub run: Option<RunId>,
    /// The last day on which it is to be used.
    pub expires: Option<Date>,
}

/// All letters, in the order in which they were claimed.
#[derive(Debug, Clone, Default)]
pub struct Letters {
    all: Vec<LetterState>,
    by_sheet: HashMap<String, usize>,
    /// The last print of each job's letter.
    last: HashMap<JobId, usize>,
}

impl Letters {
    /// Takes the next entry of the ledger in; entries that are not about letters change nothing.
    pub fn add(&mut self, recorded: &Recorded) {
        let Entry::Handover(entry) = &recorded.entry else { return };
        match entry {
            HandoverEntry::LetterClaimed { job, attempt, sheet, run, expires, .. } => {
                let issue = Code::parse(sheet).map_or(1, |code| code.issue());
                let at = self.all.len();
                self.by_sheet.insert(sheet.clone(), at);
                self.last.insert(job.clone(), at);
                self.all.push(LetterState {
                    job: job.clone(),
                    attempt: *attempt,
                    issue,
                    sheet: sheet.clone(),
                    state: PaperState::Claimed,
                    claimed: recorded.at,
                    to: String::new(),
                    run: run.clone(),
                    expires: *expires,
                });
            }
            HandoverEntry::LetterPrinted { sheet, to, .. } => {
                if let Some(letter) = self.of_sheet(sheet) {
                    letter.state = PaperState::Printed;
                    letter.to.clone_from(to);
                }
            }
            HandoverEntry::LetterConfirmed { sheet, good, .. } => {
                if let Some(letter) = self.of_sheet(sheet) {
                    letter.state = if *good { PaperState::Good } else { PaperState::Spoiled };
                }
            }
            _ => {}
        }
    }

    fn of_sheet(&mut self, sheet: &str) -> Option<&mut LetterState> {
        let at = *self.by_sheet.get(sheet)?;
        self.all.get_mut(at)
    }

    /// The last print of a job's letter; of this try only, because an older try's letter is of another key.
    pub fn last(&self, job: &JobId, attempt: u32) -> Option<&LetterState> {
        self.last.get(job).and_then(|at| self.all.get(*at)).filter(|letter| letter.attempt == attempt)
    }

    /// All of them, in the order in which they were claimed.
    pub fn all(&self) -> &[LetterState] {
        &self.all
    }

    /// The letter with this sheet.
    pub fn sheet(&self, sheet: &str) -> Option<&LetterState> {
        self.by_sheet.get(sheet).and_then(|at| self.all.get(*at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handover::code::CodeKind;
    use crate::model::BenchId;

    fn told(entries: Vec<HandoverEntry>) -> Letters {
        let mut letters = Letters::default();
        for entry in entries {
            letters.add(&Recorded {
                seq: 1,
                at: Timestamp::UNIX_EPOCH,
                bench: BenchId::new("b"),
                entry: Entry::Handover(entry),
                hash: [0; 32],
            });
        }
        letters
    }

    #[test]
    fn a_letter_is_where_its_last_entries_put_it() {
        let job = JobId::new("7H2KQ0M4XA");
        let sheet = |issue| Code::new(CodeKind::PinSheet, &job, 1, issue).expect("a code").digits().to_owned();
        let claimed = |issue| HandoverEntry::LetterClaimed {
            job: job.clone(),
            attempt: 1,
            sheet: sheet(issue),
            reason: String::new(),
            by: "kim".into(),
            run: None,
            expires: None,
        };
        let printed = |issue| HandoverEntry::LetterPrinted { job: job.clone(), sheet: sheet(issue), to: "ipp".into() };
        let seen = |issue, good| HandoverEntry::LetterConfirmed { job: job.clone(), sheet: sheet(issue), good };
        let state = |entries| told(entries).last(&job, 1).map(|letter| (letter.issue, letter.state));
        assert_eq!(state(vec![]), None);
        assert_eq!(state(vec![claimed(1)]), Some((1, PaperState::Claimed)));
        assert_eq!(state(vec![claimed(1), printed(1)]), Some((1, PaperState::Printed)));
        assert_eq!(state(vec![claimed(1), printed(1), seen(1, true)]), Some((1, PaperState::Good)));
        let again = vec![claimed(1), printed(1), seen(1, false), claimed(2), printed(2)];
        assert_eq!(state(again.clone()), Some((2, PaperState::Printed)));
        assert_eq!(told(again).sheet(&sheet(1)).map(|letter| letter.state), Some(PaperState::Spoiled));
        assert_eq!(told(vec![claimed(1)]).last(&job, 2), None, "another try is another key");
    }
}
