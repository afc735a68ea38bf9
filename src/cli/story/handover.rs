//! What happened between bench and hand, in words.

use crate::handover::shipment::for_people;
use crate::ledger::HandoverEntry;
use crate::model::ReleaseRule;

pub(super) fn in_words(entry: &HandoverEntry) -> String {
    match entry {
        HandoverEntry::BatchRuled { batch, release, by } => {
            let when = match release {
                ReleaseRule::OnReceipt => "on receipt",
                ReleaseRule::AnyTime => "at any time",
            };
            format!("PINs of batch {batch} are released {when}, from here on ({by}).")
        }
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
        HandoverEntry::AddressesImported { people, by, .. } => {
            format!("Addresses of {people} people were imported by {by}.")
        }
        HandoverEntry::Packed { seen_by, tracking, by, .. } => {
            let number = tracking.as_ref().map_or(String::new(), |number| format!(", number {number}"));
            format!("The key was packed by {by}: it is the parcel's by its {seen_by}{number}.")
        }
        HandoverEntry::PackingStopped { code, by, .. } => {
            format!("Packing was stopped, by {by}. {}", super::meaning(code))
        }
        HandoverEntry::Delivered { evidence, when, .. } => {
            let word = if evidence == "card" { "the code on its card" } else { "the carrier's word" };
            format!("The parcel arrived on {when}, by {word}.")
        }
        HandoverEntry::ReceiptVerified { how, by, .. } => {
            format!("{by} made sure that the person holds the key: {how}.")
        }
        HandoverEntry::PinReleased { channel, by, .. } => format!("The PIN was handed over by {by}, by {channel}."),
        HandoverEntry::KeyLost { reason, by, .. } => format!("The key is lost, {by} said. Reason: {reason}."),
        HandoverEntry::KeyReturned { blank: true, by, .. } => {
            format!("{by} took the key back; it was wiped and is blank.")
        }
        HandoverEntry::KeyReturned { blank: false, by, .. } => format!("{by} took the key back; it is not wiped yet."),
        HandoverEntry::ReplacementWanted { code, .. } => {
            format!("The person waits for another key in its place. {}", super::meaning(code))
        }
        HandoverEntry::HoldChosen { .. } => "The passkey is to be registered on receipt.".into(),
        HandoverEntry::Held { expires, to, .. } => format!(
            "The key is held: its registration is sealed to {}, and can be sent until {expires}.",
            to.join(", ")
        ),
        HandoverEntry::HoldResealed { to, .. } => {
            format!("The held registration was sealed again, to {}.", to.join(", "))
        }
        HandoverEntry::ActivationBegun { by, .. } => format!("{by} opened the held registration, to send it."),
        HandoverEntry::HoldEnded { code, .. } if code == "activated" => {
            "The key is activated; the sealed registration is destroyed.".into()
        }
        HandoverEntry::HoldEnded { code, .. } => {
            format!("The sealed registration is destroyed: the key opens nothing any more. {}", super::meaning(code))
        }
        HandoverEntry::ActivationKeysSet { keys, by } => {
            format!("Registrations of held keys are sealed to {} from here on ({by}).", keys.join(", "))
        }
        HandoverEntry::StockExpected { count, by, .. } => {
            format!("{by} took in a supplier's list of {count} serial numbers.")
        }
        HandoverEntry::StockReceived { count, by, .. } => format!("{by} scanned {count} keys into the stock."),
        HandoverEntry::NoticeIntended { channel, reason, by, .. } if reason.is_empty() => {
            format!("The person is about to be told of the key, by {channel}; {by} asked for it.")
        }
        HandoverEntry::NoticeIntended { channel, reason, by, .. } => {
            format!(
                "The person is about to be told of the key again, by {channel}; {by} asked for it. Reason: {reason}."
            )
        }
        HandoverEntry::NoticeSent { channel, request, .. } => {
            let request = request.as_ref().map_or(String::new(), |request| format!(" (request {request})"));
            format!("The person was told of the key, by {channel}{request}.")
        }
        HandoverEntry::NoticeFailed { code, .. } => format!("The notice did not leave. {}", super::meaning(code)),
        HandoverEntry::ReleaseIntended { to, by, .. } => {
            format!("A mail with the PIN is about to leave to the manager {to}, by {by}.")
        }
        HandoverEntry::ReleaseFailed { code, .. } => {
            format!("The mail with the PIN did not leave. {}", super::meaning(code))
        }
        HandoverEntry::SelfPacked { parcel, what, seen_by, tracking, by, .. } => {
            let number = tracking.as_ref().map_or(String::new(), |number| format!(", number {number}"));
            let what = for_people(what);
            format!(
                "{by} packed {what}, to be registered by the person: parcel {parcel}, known by its {seen_by}{number}."
            )
        }
        HandoverEntry::SelfRegistered { parcel, method, created, named, by, .. } => {
            let how = if *named { "named by a person" } else { "by model and time" };
            format!("The key of parcel {parcel} was registered on {created} as {method}: {how}, watched by {by}.")
        }
        HandoverEntry::SelfActivated { parcel, method, by, .. } => {
            format!("The token of parcel {parcel} works, as {method}; watched by {by}.")
        }
        HandoverEntry::SelfNoticeIntended { parcel, channel, reason, by, .. } => {
            let again = if reason.is_empty() { String::new() } else { format!(" again. Reason: {reason}") };
            format!("{by} asked, by {channel}, that the person be told of the key of parcel {parcel}{again}.")
        }
        HandoverEntry::SelfNoticeSent { parcel, channel, request, .. } => {
            let request = request.as_ref().map_or(String::new(), |request| format!(" (request {request})"));
            format!("The person was told of the key of parcel {parcel}, by {channel}{request}.")
        }
        HandoverEntry::SelfNoticeFailed { parcel, code, .. } => {
            format!("The notice about the key of parcel {parcel} did not leave. {}", super::meaning(code))
        }
        HandoverEntry::SelfEnded { parcel, method, code, reason, by, .. } => {
            let gone =
                method.as_ref().map_or(String::new(), |method| format!(" Its method {method} is out of the tenant."));
            format!("Nobody waits for parcel {parcel} any more ({code}), {by} said.{gone} Reason: {reason}.")
        }
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
