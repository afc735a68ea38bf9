//! What a custodian typed for a plugin, kept while one command works, so that one unlock serves a batch.
//!
//! A plugin (a hardware token's, say) is started anew for each envelope and asks for its PIN each time. Promise: an answer is given
//! again only after an envelope opened with it, and at most once for each envelope: a wrong PIN is never tried twice by itself,
//! because tokens lock after a few. Kept in memory only, wiped with it, and gone with the identities.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::Secret;

#[derive(Default)]
struct Kept {
    answers: Vec<Answer>,
}

struct Answer {
    file: String,
    question: String,
    answer: Secret<String>,
    /// An envelope opened with it.
    good: bool,
    /// It was given for the envelope that is being opened.
    given: bool,
}

/// The answers of one command.
#[derive(Default)]
pub(super) struct Answers(Mutex<Kept>);

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answers({})", self.kept().answers.len())
    }
}

impl Answers {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer to give without asking, if there is one.
    pub(super) fn again(&self, file: &str, question: &str) -> Option<Secret<String>> {
        let mut kept = self.kept();
        let found = kept.answers.iter_mut().find(|one| one.file == file && one.question == question)?;
        if !found.good || found.given {
            return None;
        }
        found.given = true;
        Some(Secret::new(found.answer.expose().clone()))
    }

    /// What was typed just now.
    pub(super) fn typed(&self, file: &str, question: &str, answer: &Secret<String>) {
        let mut kept = self.kept();
        kept.answers.retain(|one| !(one.file == file && one.question == question));
        kept.answers.push(Answer {
            file: file.to_owned(),
            question: question.to_owned(),
            answer: Secret::new(answer.expose().clone()),
            good: false,
            given: true,
        });
    }

    /// One envelope is opened: what was given for it counts from now on, or is forgotten.
    pub(super) fn envelope<T, E>(&self, open: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.kept().answers.iter_mut().for_each(|one| one.given = false);
        let opened = open();
        let mut kept = self.kept();
        match opened {
            Ok(_) => kept.answers.iter_mut().filter(|one| one.given).for_each(|one| one.good = true),
            Err(_) => kept.answers.retain(|one| !one.given),
        }
        opened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(answers: &Answers, typed: &str) -> String {
        match answers.again("kim.txt", "PIN?") {
            Some(answer) => format!("again {}", answer.expose()),
            None => {
                answers.typed("kim.txt", "PIN?", &Secret::new(typed.to_owned()));
                typed.to_owned()
            }
        }
    }

    #[test]
    fn a_good_answer_serves_a_batch_and_a_wrong_one_is_never_repeated() {
        let answers = Answers::default();
        let envelope = |good: bool, typed: &str| {
            let mut said = String::new();
            let opened = answers.envelope(|| {
                said = ask(&answers, typed);
                if good { Ok(()) } else { Err(()) }
            });
            assert_eq!(opened.is_ok(), good);
            said
        };
        assert_eq!(envelope(false, "wrong"), "wrong");
        assert_eq!(envelope(true, "right"), "right", "the wrong one is forgotten");
        assert_eq!(envelope(true, "x"), "again right");
        assert_eq!(envelope(false, "x"), "again right");
        assert_eq!(envelope(true, "other"), "other", "forgotten with the envelope that did not open");
        // Asked twice for one envelope: the plugin did not like the first.
        let opened: Result<(String, String), ()> = answers.envelope(|| Ok((ask(&answers, "x"), ask(&answers, "new"))));
        assert_eq!(opened, Ok(("again other".into(), "new".into())));
        assert!(!format!("{answers:?}").contains("other"));
    }
}
