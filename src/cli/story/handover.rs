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
    }
}
