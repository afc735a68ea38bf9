//! Seeds of hardware OATH tokens, sealed to the custodians until the token is activated.
//!
//! Promise: a seed lies on the disk only as an age file that no bench can open; the file is deleted when its token is activated or
//! given up. Serial number and tenant stand inside, so that a file put in another's place is found out.
//!
//! ```text
//! keybench-oath 1
//! tenant 72f988bf-86f1-41af-91ab-2d7cd011db47
//! serial 1234567
//! interval 30
//! hash hmacsha1
//! seed JBSWY3DPEHPK3PXP
//! ```

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::escrow::{OpenError, SealError, open_text, seal_text};
use super::identity::Identities;
use super::recipients::Recipients;
use crate::model::{Secret, TenantId};
use crate::platform::private::{self, PrivateError, Readers};

const FIRST_LINE: &str = "keybench-oath 1";

/// Why a seed is not sealed, or does not open. It says nothing of the seed.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// Sealing.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Opening.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The folder or a file in it.
    #[error(transparent)]
    Private(#[from] PrivateError),
    /// It opened, and is another token's or none of ours.
    #[error("the sealed seed of token {0} holds something else. Next: import the vendor's file again")]
    Content(String),
}

/// What is sealed.
#[derive(Debug)]
pub struct TokenSeed {
    /// Base32.
    pub seed: Secret<String>,
    /// 30 or 60 seconds.
    pub interval: u32,
    /// Graph's word for the hash.
    pub hash: String,
}

/// A folder of sealed seeds.
#[derive(Debug, Clone)]
pub struct SeedStore {
    dir: PathBuf,
    tenant: TenantId,
}

impl SeedStore {
    /// The seeds of one tenant in this folder, which is made when the first is sealed.
    pub fn new(dir: impl Into<PathBuf>, tenant: TenantId) -> Self {
        Self { dir: dir.into(), tenant }
    }

    /// A name that tells nothing and fits every file system.
    fn file(&self, serial: &str) -> PathBuf {
        let mut hash = Sha256::new();
        for part in [self.tenant.as_str(), serial] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.to_ascii_lowercase().as_bytes());
        }
        let name: String = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        self.dir.join(format!("{name}.age"))
    }

    /// Whether a seed is kept.
    pub fn has(&self, serial: &str) -> bool {
        self.file(serial).is_file()
    }

    /// Seals a seed, in place of one that was there, and returns once it is on the disk.
    ///
    /// # Errors
    /// [`SeedError`]; the token must not go into the tenant then.
    pub fn seal(&self, recipients: &Recipients, serial: &str, token: &TokenSeed) -> Result<(), SeedError> {
        let interval = token.interval.to_string();
        let lines = [
            FIRST_LINE,
            "\ntenant ",
            self.tenant.as_str(),
            "\nserial ",
            serial,
            "\ninterval ",
            &interval,
            "\nhash ",
            &token.hash,
            "\nseed ",
            token.seed.expose(),
            "\n",
        ];
        // One allocation of the full size: growing would leave copies of the seed behind.
        let mut text = Zeroizing::new(String::with_capacity(lines.iter().map(|line| line.len()).sum()));
        lines.iter().for_each(|line| text.push_str(line));
        let sealed = seal_text(recipients, text.as_bytes())?;
        private::create_private_dir(&self.dir)?;
        Ok(private::write_atomic(&self.file(serial), &sealed, Readers::OnlyMe)?)
    }

    /// Opens a seed; `None` when none is kept.
    ///
    /// # Errors
    /// [`SeedError`].
    pub fn open(&self, serial: &str, dual: bool, identities: &Identities) -> Result<Option<TokenSeed>, SeedError> {
        let path = self.file(serial);
        let sealed = match std::fs::read(&path) {
            Ok(sealed) => sealed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(PrivateError::Io { what: "reading", path, source: error }.into()),
        };
        let content = open_text(&sealed, dual, identities)?;
        let other = || SeedError::Content(serial.to_owned());
        let text = std::str::from_utf8(&content).map_err(|_| other())?;
        let mut lines = text.lines();
        let mut next = |name: &str| lines.next().and_then(|line| line.strip_prefix(name));
        let first = next("");
        let (tenant, found) = (next("tenant "), next("serial "));
        let (interval, hash, seed) = (next("interval "), next("hash "), next("seed "));
        let ours = first == Some(FIRST_LINE) && tenant == Some(self.tenant.as_str()) && found == Some(serial);
        match (interval.and_then(|text| text.parse().ok()), hash, seed) {
            (Some(interval), Some(hash), Some(seed)) if ours => {
                Ok(Some(TokenSeed { seed: Secret::new(seed.to_owned()), interval, hash: hash.to_owned() }))
            }
            _ => Err(other()),
        }
    }

    /// Deletes a seed; one that is gone is as good.
    ///
    /// # Errors
    /// [`SeedError::Private`] when the file stays.
    pub fn delete(&self, serial: &str) -> Result<(), SeedError> {
        let path = self.file(serial);
        if path.exists() { Ok(private::wipe(&path)?) } else { Ok(()) }
    }

    /// Where they are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// The set of custodians that a file waits for, in its name: `NAME.age.for-TAG`.
fn tag((first, second): (&[String], &[String])) -> String {
    let mut hash = Sha256::new();
    for group in [first, second] {
        hash.update((group.len() as u64).to_be_bytes());
        group.iter().for_each(|print| hash.update(print.as_bytes()));
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Every file of the folder whose name has this in it. A folder that is not there has none.
fn files(dir: &Path, is_ours: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>, SeedError> {
    let told = |source| PrivateError::Io { what: "reading", path: dir.to_owned(), source };
    let mut found = Vec::new();
    match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(told(error).into()),
        Ok(entries) => {
            for entry in entries {
                let path = entry.map_err(told)?.path();
                if path.file_name().and_then(|name| name.to_str()).is_some_and(&is_ours) {
                    found.push(path);
                }
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Seals every seed of the folder to other custodians, of all tenants, beside the files that are there; `write` says whether files
/// are made. Gives how many. They count once the ledger says that the custodians are these ([`settle_seeds`]).
///
/// # Errors
/// [`SeedError`]: one of them did not open. Files that were made are not in force and go at the next [`settle_seeds`].
pub fn reseal_seeds(
    dir: &Path,
    (dual, identities): (bool, &Identities),
    to: &Recipients,
    write: bool,
) -> Result<usize, SeedError> {
    let (first, second) = to.fingerprints();
    let all = files(dir, |name| name.ends_with(".age"))?;
    for path in &all {
        let told = |source| PrivateError::Io { what: "reading", path: path.clone(), source };
        let content = open_text(&std::fs::read(path).map_err(told)?, dual, identities)?;
        if !content.starts_with(FIRST_LINE.as_bytes()) {
            return Err(SeedError::Content(path.display().to_string()));
        }
        if write {
            let sealed = seal_text(to, &content)?;
            let mut name = path.clone().into_os_string();
            name.push(format!(".for-{}", tag((&first, &second))));
            private::write_atomic(Path::new(&name), &sealed, Readers::OnlyMe)?;
        }
    }
    Ok(all.len())
}

/// Puts in place what was sealed for the custodians in force, as fingerprints of the two groups, and removes what was sealed for
/// others: a change that did not come to pass, or that was cut off before it was here.
///
/// # Errors
/// [`SeedError::Private`].
pub fn settle_seeds(dir: &Path, in_force: (&[String], &[String])) -> Result<(), SeedError> {
    let wanted = format!(".for-{}", tag(in_force));
    for path in files(dir, |name| name.contains(".age.for-"))? {
        let text = path.to_string_lossy();
        match text.strip_suffix(&wanted) {
            Some(place) => {
                // Of a token that was activated meanwhile nothing is kept.
                let place = Path::new(place);
                if place.exists() {
                    let told = |source| PrivateError::Io { what: "replacing", path: place.to_owned(), source };
                    std::fs::rename(&path, place).map_err(told)?;
                    private::sync_dir_of(place)?;
                } else {
                    private::wipe(&path)?;
                }
            }
            None => private::wipe(&path)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pin::{NoPrompts, keygen};

    #[test]
    fn a_seed_opens_for_its_custodian_token_and_tenant_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let custodian = keygen(jiff::Timestamp::UNIX_EPOCH);
        let recipients = Recipients::single(&[custodian.recipient().to_owned()]).expect("a recipient");
        let file = folder.path().join("id.txt");
        private::write_atomic(&file, custodian.expose_file().as_bytes(), Readers::OnlyMe).expect("written");
        let mut identities = Identities::new();
        identities.add_file(&file, std::sync::Arc::new(NoPrompts)).expect("an identity");

        let store = SeedStore::new(folder.path().join("seeds"), TenantId::new("t1"));
        let token = TokenSeed { seed: Secret::new("JBSWY3DPEHPK3PXP".into()), interval: 60, hash: "hmacsha256".into() };
        assert!(!store.has("A1") && store.open("A1", false, &identities).expect("read").is_none());
        store.seal(&recipients, "A1", &token).expect("sealed");
        let back = store.open("a1".to_uppercase().as_str(), false, &identities).expect("opens").expect("there");
        assert_eq!(
            (back.seed.expose().as_str(), back.interval, back.hash.as_str()),
            ("JBSWY3DPEHPK3PXP", 60, "hmacsha256")
        );
        let bytes = std::fs::read(store.file("A1")).expect("read");
        assert!(!bytes.windows(8).any(|window| window == b"JBSWY3DP"));
        // Put in another token's place, it is found out.
        std::fs::copy(store.file("A1"), store.file("A2")).expect("copied");
        assert!(matches!(store.open("A2", false, &identities), Err(SeedError::Content(_))));
        assert!(store.open("A1", false, &Identities::new()).is_err());
        store.delete("A1").expect("deleted");
        store.delete("A1").expect("can be repeated");
        assert!(!store.has("A1"));
    }

    #[test]
    fn seeds_follow_the_custodians_and_a_change_that_was_cut_off_leaves_none_between() {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().join("seeds");
        let people = [0, 1].map(|_| keygen(jiff::Timestamp::UNIX_EPOCH));
        let sets = people.each_ref().map(|one| Recipients::single(&[one.recipient().to_owned()]).expect("a set"));
        let hands = people.each_ref().map(|one| {
            let mut hands = Identities::new();
            hands.add("id", one.expose_file().as_bytes(), std::sync::Arc::new(NoPrompts)).expect("an identity");
            hands
        });
        let stores = ["t1", "t2"].map(|tenant| SeedStore::new(&dir, TenantId::new(tenant)));
        for store in &stores {
            let seed = Secret::new("JBSWY3DPEHPK3PXP".into());
            store.seal(&sets[0], "A1", &TokenSeed { seed, interval: 30, hash: "hmacsha1".into() }).expect("sealed");
        }
        let opens = |whose: usize| stores.iter().filter(|store| store.open("A1", false, &hands[whose]).is_ok()).count();
        let settle = |set: &Recipients| {
            let (first, second) = set.fingerprints();
            settle_seeds(&dir, (&first, &second)).expect("settled");
        };
        let left = || std::fs::read_dir(&dir).expect("a folder").count();
        assert_eq!(reseal_seeds(&dir, (false, &hands[0]), &sets[1], false).expect("open"), 2);
        assert_eq!(left(), 2, "nothing was written");
        assert!(reseal_seeds(&dir, (false, &hands[1]), &sets[1], true).is_err(), "not theirs");
        // Cut off before the ledger has the change: the old custodians stay.
        assert_eq!(reseal_seeds(&dir, (false, &hands[0]), &sets[1], true).expect("sealed"), 2);
        settle(&sets[0]);
        assert_eq!((opens(0), opens(1), left()), (2, 0, 2));
        // Cut off after it: the new ones are put in place by whoever looks next.
        reseal_seeds(&dir, (false, &hands[0]), &sets[1], true).expect("sealed");
        settle(&sets[1]);
        assert_eq!((opens(0), opens(1), left()), (0, 2, 2));
        settle_seeds(&folder.path().join("none"), (&[], &[])).expect("nothing to settle");
    }
}
