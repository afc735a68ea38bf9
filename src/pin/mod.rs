//! Choosing and keeping PINs.
//!
//! Promise: a PIN is drawn uniformly from everything the policy and the key allow; it leaves this module sealed to the
//! custodians and, until its job is finished, to a key of the job's own that lives outside the ledger. Nothing here prints,
//! logs or names a PIN in an error. Exception: the `age` library and the plugins it starts keep copies of their own while
//! they work; the program's allocator clears what is freed.

mod answers;
pub mod envelope;
pub mod escrow;
pub mod generate;
pub mod identity;
#[cfg(all(test, unix))]
mod plugin_tests;
pub mod policy;
pub mod recipients;
pub mod resume;
pub mod seeds;
pub mod weak;

pub use escrow::{OpenError, OpenedPin, ResealError, SealError, open, open_resume, probe, prove, reseal, seal};
pub use generate::{GenerateError, generate};
pub use identity::{Identities, IdentityError, NewIdentity, NoPrompts, Prompts, keygen};
pub use policy::{
    Alphabet, ForceChange, KeyPinFacts, KeyPinPlan, PinPolicy, PinPolicyError, PinSettings, PlannedChange,
};
pub use recipients::{NotThePinned, PinnedSet, Recipient, Recipients, RecipientsError};
pub use resume::{DirResumeStore, ResumeError, ResumeKey, ResumeStore};
pub use seeds::{SeedError, SeedStore, TokenSeed, reseal_seeds, settle_seeds};
