//! What happened between bench and hand, in words.

use crate::ledger::HandoverEntry;

pub(super) fn in_words(entry: &HandoverEntry) -> String {
    match entry {
        HandoverEntry::LetterClaimed { sheet, reason, by, .. } if reason.is_empty() => {
            format!("The PIN letter {sheet} is about to be printed, by {by}.")
        }
        HandoverEntry::LetterClaimed { sheet, reason, by, .. } => {
            format!("The PIN letter is about to be printed again as {sheet}, by {by}. Reason: {reason}.")
        }
        HandoverEntry::LetterPrinted { sheet, to, .. } => format!("The PIN letter {sheet} left for {to}."),
        HandoverEntry::LetterConfirmed { sheet, good: true, .. } => format!("The PIN letter {sheet} came out well."),
        HandoverEntry::LetterConfirmed { sheet, good: false, .. } => {
            format!("The PIN letter {sheet} was spoiled and destroyed.")
        }
        HandoverEntry::LabelPrinted { code, .. } => format!("The label {code} was printed."),
        HandoverEntry::CustodyGiven { jobs, by, .. } => format!("{by} wrote a file with {jobs} jobs for another desk."),
        HandoverEntry::CustodyPartner { desk, signer, by } => {
            format!("Files of the desk {desk} are taken from here on; {by} compared its fingerprint {signer}.")
        }
        HandoverEntry::CustodyTaken { desk, entries, .. } => {
            format!("The {entries} entries before this one were copied from the desk {desk}.")
        }
        HandoverEntry::Elsewhere { desk, at, done, .. } => {
            format!("At the desk {desk}, {at}: {}", super::in_words(done))
        }
    }
}
