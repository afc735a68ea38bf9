//! What can be wrong with a simulated key.

use serde::Deserialize;

/// One fault. Packet numbers count from 1 at each power-up. `command` is a CTAP2 command byte (makeCredential is 1, getInfo 4).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// The key is pulled when the host sends its n-th report, which does not arrive. Happens once.
    UnplugAtPacket {
        /// n.
        packet: u64,
    },
    /// The key is pulled when it sends its n-th report (keepalives count), which does not arrive; what was commanded is done. Once.
    UnplugAtAnswer {
        /// n.
        packet: u64,
    },
    /// The n-th report of the answers is lost. Once.
    DropAnswerPacket {
        /// n.
        packet: u64,
    },
    /// One bit in the payload of the n-th report of the answers is turned over. Once.
    CorruptAnswerPacket {
        /// n.
        packet: u64,
    },
    /// Continuation reports carry a wrong sequence number.
    WrongSequence,
    /// Another program's answers come between ours.
    ForeignTraffic,
    /// The answer's CBOR ends in the middle.
    MalformedCbor {
        /// Which command.
        command: u8,
    },
    /// Bytes follow the answer's CBOR.
    TrailingBytes {
        /// Which command.
        command: u8,
    },
    /// makeCredential and getAssertion answer with 20 bytes of authenticator data.
    ShortAuthData,
    /// KEEPALIVE for ever; CANCEL is not heard.
    EndlessKeepalives {
        /// Which command.
        command: u8,
    },
    /// Every CTAP2 answer takes that much longer, with KEEPALIVE PROCESSING meanwhile.
    SlowAnswer {
        /// Milliseconds.
        ms: u64,
    },
    /// The command is never answered.
    Silent {
        /// Which command.
        command: u8,
    },
    /// The first report announces more than is sent.
    WrongLength {
        /// Which command.
        command: u8,
    },
    /// The command is not done and answers this status.
    Status {
        /// Which command.
        command: u8,
        /// The status byte.
        status: u8,
        /// How often; for ever when left out.
        #[serde(default)]
        times: Option<u32>,
    },
    /// A vendor command is answered with a CTAPHID error; 6 is "busy".
    VendorError {
        /// The error's number.
        error: u8,
        /// How often; for ever when left out.
        #[serde(default)]
        times: Option<u32>,
    },
    /// The command is answered with these bytes: status, then CBOR.
    Answer {
        /// Which command.
        command: u8,
        /// Status and CBOR.
        bytes: Vec<u8>,
    },
}
