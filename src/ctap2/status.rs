//! Every status a key can answer with, what it means, and whether trying again can help (CTAP 2.1 §8.2; the codes that older
//! keys still send are here too).

use std::fmt;

/// What can be done after a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retry {
    /// The same request will be answered in the same way.
    Never,
    /// The same request may succeed in a moment.
    Soon,
    /// The same request, and this time somebody touches the key in time.
    WithTouch,
    /// Get a new pinUvAuthToken first.
    NewToken,
    /// Another PIN, while the retry counter allows.
    OtherPin,
    /// Take the key out and put it back.
    Replug,
    /// Only a reset helps.
    Reset,
}

macro_rules! statuses {
    ($($(#[$meta:meta])* $name:ident = $code:literal, $spec:literal, $retry:ident, $meaning:literal;)*) => {
        /// A status byte other than 0x00, which is success.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Status {
            $(#[doc = $meaning] $name,)*
            /// A code that is in no table: vendors use 0xF0 to 0xFF, extensions 0xE0 to 0xEF.
            Unknown(u8),
        }

        impl Status {
            /// All codes that have a name.
            pub const NAMED: &'static [Self] = &[$(Self::$name),*];

            /// Success has no status: `None` for 0x00.
            pub fn from_byte(byte: u8) -> Option<Self> {
                Some(match byte {
                    0x00 => return None,
                    $($code => Self::$name,)*
                    other => Self::Unknown(other),
                })
            }

            /// The byte on the wire.
            pub fn byte(self) -> u8 {
                match self {
                    $(Self::$name => $code,)*
                    Self::Unknown(byte) => byte,
                }
            }

            /// The specification's name.
            pub fn spec_name(self) -> &'static str {
                match self {
                    $(Self::$name => $spec,)*
                    Self::Unknown(0xE0..=0xEF) => "CTAP2_ERR_EXTENSION",
                    Self::Unknown(0xF0..=0xFF) => "CTAP2_ERR_VENDOR",
                    Self::Unknown(_) => "unknown status",
                }
            }

            /// What happened, in words for people; a part of a sentence.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => $meaning,)*
                    Self::Unknown(_) => "a status that no specification names",
                }
            }

            /// Whether trying again can help.
            pub fn retry(self) -> Retry {
                match self {
                    $(Self::$name => Retry::$retry,)*
                    Self::Unknown(_) => Retry::Never,
                }
            }
        }
    };
}

statuses! {
    InvalidCommand = 0x01, "CTAP1_ERR_INVALID_COMMAND", Never, "the key does not know this command";
    InvalidParameter = 0x02, "CTAP1_ERR_INVALID_PARAMETER", Never, "the key does not accept a parameter";
    InvalidLength = 0x03, "CTAP1_ERR_INVALID_LENGTH", Never, "the key does not accept the message's length";
    InvalidSeq = 0x04, "CTAP1_ERR_INVALID_SEQ", Soon, "packets reached the key out of order";
    Timeout = 0x05, "CTAP1_ERR_TIMEOUT", Soon, "the message did not reach the key in time";
    ChannelBusy = 0x06, "CTAP1_ERR_CHANNEL_BUSY", Soon, "the key is busy with another program";
    LockRequired = 0x0A, "CTAP1_ERR_LOCK_REQUIRED", Soon, "the key wants its channel locked first";
    InvalidChannel = 0x0B, "CTAP1_ERR_INVALID_CHANNEL", Soon, "the key has forgotten this channel";
    CborUnexpectedType = 0x11, "CTAP2_ERR_CBOR_UNEXPECTED_TYPE", Never, "the key does not accept a parameter's type";
    InvalidCbor = 0x12, "CTAP2_ERR_INVALID_CBOR", Never, "the key can't read the request";
    MissingParameter = 0x14, "CTAP2_ERR_MISSING_PARAMETER", Never, "the key misses a parameter";
    LimitExceeded = 0x15, "CTAP2_ERR_LIMIT_EXCEEDED", Never, "a list or a size is beyond the key's limit";
    UnsupportedExtension = 0x16, "CTAP2_ERR_UNSUPPORTED_EXTENSION", Never, "the key does not have an extension";
    FpDatabaseFull = 0x17, "CTAP2_ERR_FP_DATABASE_FULL", Never, "the key has no room for another fingerprint";
    LargeBlobStorageFull = 0x18, "CTAP2_ERR_LARGE_BLOB_STORAGE_FULL", Never, "the key's large-blob storage is full";
    CredentialExcluded = 0x19, "CTAP2_ERR_CREDENTIAL_EXCLUDED", Never, "the key already holds a credential for this account";
    Processing = 0x21, "CTAP2_ERR_PROCESSING", Soon, "the key is still at work";
    InvalidCredential = 0x22, "CTAP2_ERR_INVALID_CREDENTIAL", Never, "the credential is not of this key";
    UserActionPending = 0x23, "CTAP2_ERR_USER_ACTION_PENDING", Soon, "the key waits for its user";
    OperationPending = 0x24, "CTAP2_ERR_OPERATION_PENDING", Soon, "another operation is under way on the key";
    NoOperations = 0x25, "CTAP2_ERR_NO_OPERATIONS", Never, "the key has no operation under way";
    UnsupportedAlgorithm = 0x26, "CTAP2_ERR_UNSUPPORTED_ALGORITHM", Never, "the key has none of the algorithms asked for";
    OperationDenied = 0x27, "CTAP2_ERR_OPERATION_DENIED", WithTouch, "the key's user declined";
    KeyStoreFull = 0x28, "CTAP2_ERR_KEY_STORE_FULL", Never, "the key has no room for another passkey";
    NotBusy = 0x29, "CTAP2_ERR_NOT_BUSY", Never, "the key is not busy";
    NoOperationPending = 0x2A, "CTAP2_ERR_NO_OPERATION_PENDING", Never, "no operation waits on the key";
    UnsupportedOption = 0x2B, "CTAP2_ERR_UNSUPPORTED_OPTION", Never, "the key does not have an option";
    InvalidOption = 0x2C, "CTAP2_ERR_INVALID_OPTION", Never, "an option does not fit this command on this key";
    KeepaliveCancel = 0x2D, "CTAP2_ERR_KEEPALIVE_CANCEL", WithTouch, "the operation was cancelled";
    NoCredentials = 0x2E, "CTAP2_ERR_NO_CREDENTIALS", Never, "the key holds no such credential";
    UserActionTimeout = 0x2F, "CTAP2_ERR_USER_ACTION_TIMEOUT", WithTouch, "nobody touched the key in time";
    NotAllowed = 0x30, "CTAP2_ERR_NOT_ALLOWED", Never, "the key does not allow this now";
    PinInvalid = 0x31, "CTAP2_ERR_PIN_INVALID", OtherPin, "the PIN is wrong";
    PinBlocked = 0x32, "CTAP2_ERR_PIN_BLOCKED", Reset, "the PIN is blocked for good after too many wrong tries";
    PinAuthInvalid = 0x33, "CTAP2_ERR_PIN_AUTH_INVALID", NewToken, "the PIN token is not, or no longer, valid for this";
    PinAuthBlocked = 0x34, "CTAP2_ERR_PIN_AUTH_BLOCKED", Replug, "three wrong PINs in a row: the key wants to be taken out and put back";
    PinNotSet = 0x35, "CTAP2_ERR_PIN_NOT_SET", Never, "the key has no PIN";
    PuatRequired = 0x36, "CTAP2_ERR_PUAT_REQUIRED", NewToken, "the key wants its PIN for this";
    PinPolicyViolation = 0x37, "CTAP2_ERR_PIN_POLICY_VIOLATION", Never, "the key's rules for PINs forbid this";
    PinTokenExpired = 0x38, "CTAP2_ERR_PIN_TOKEN_EXPIRED", NewToken, "the PIN token has expired";
    RequestTooLarge = 0x39, "CTAP2_ERR_REQUEST_TOO_LARGE", Never, "the request is too large for the key";
    ActionTimeout = 0x3A, "CTAP2_ERR_ACTION_TIMEOUT", WithTouch, "the key waited too long for its user";
    UpRequired = 0x3B, "CTAP2_ERR_UP_REQUIRED", WithTouch, "the key wants a touch for this";
    UvBlocked = 0x3C, "CTAP2_ERR_UV_BLOCKED", Never, "built-in user verification is blocked; the PIN still works";
    IntegrityFailure = 0x3D, "CTAP2_ERR_INTEGRITY_FAILURE", Never, "the key found its data damaged";
    InvalidSubcommand = 0x3E, "CTAP2_ERR_INVALID_SUBCOMMAND", Never, "the key does not know this sub-command";
    UvInvalid = 0x3F, "CTAP2_ERR_UV_INVALID", Soon, "built-in user verification failed";
    UnauthorizedPermission = 0x40, "CTAP2_ERR_UNAUTHORIZED_PERMISSION", Never, "the key does not give this permission";
    Other = 0x7F, "CTAP1_ERR_OTHER", Soon, "the key failed and does not say why";
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (0x{:02X} {})", self.meaning(), self.byte(), self.spec_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_goes_there_and_back() {
        assert_eq!(Status::from_byte(0), None);
        for byte in 1..=255u8 {
            assert_eq!(Status::from_byte(byte).map(Status::byte), Some(byte));
        }
        // Each named code is in the table once.
        let mut bytes: Vec<u8> = Status::NAMED.iter().map(|status| status.byte()).collect();
        bytes.sort_unstable();
        bytes.dedup();
        assert_eq!(bytes.len(), Status::NAMED.len());
    }

    #[test]
    fn what_helps() {
        assert_eq!(Status::from_byte(0x34).map(Status::retry), Some(Retry::Replug));
        assert_eq!(Status::from_byte(0x32).map(Status::retry), Some(Retry::Reset));
        assert_eq!(Status::from_byte(0x2F).map(Status::retry), Some(Retry::WithTouch));
        assert_eq!(Status::Unknown(0xF1).to_string(), "a status that no specification names (0xF1 CTAP2_ERR_VENDOR)");
    }
}
