//! The FIDO metadata of a run, and the highest number ever seen: an older BLOB is refused, because it may lack a report
//! that a newer one had.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{Listener, ProvisionError};
use crate::model::Aaguid;
use crate::platform::private::{Readers, write_atomic};
use crate::roster::kind;
use crate::tenant::preflight::facts::{Attested, KeyModel};
use crate::webauthn::metadata::{Metadata, Model};
use crate::webauthn::trust::Anchors;

/// Where the BLOB is, and where its number is remembered.
#[derive(Debug, Clone)]
pub struct MetadataFiles {
    /// The BLOB.
    pub blob: PathBuf,
    /// A text file with the highest number seen; made when there is none.
    pub seen: PathBuf,
}

/// Reads and checks the BLOB, tells its warnings, and remembers its number.
///
/// # Errors
/// [`ProvisionError::Metadata`].
pub fn read(
    files: &MetadataFiles,
    anchors: &Anchors,
    now: Timestamp,
    listener: &dyn Listener,
) -> Result<Metadata, ProvisionError> {
    let wrong =
        |what: String, next: &str| ProvisionError::Metadata { path: files.blob.clone(), what, next: next.to_owned() };
    let blob = fs::read(&files.blob).map_err(|error| wrong(error.to_string(), "check the path in [bench] mds."))?;
    let seen = number_in(&files.seen)
        .map_err(|what| wrong(what, &format!("remove {} if you know why it is damaged.", files.seen.display())))?;
    let metadata = Metadata::open(&blob, anchors, now, seen).map_err(|error| wrong(error.to_string(), error.next()))?;
    for warning in metadata.warnings(now) {
        listener.note(&format!("FIDO metadata: {warning}"));
    }
    if seen.is_none_or(|seen| metadata.number() > seen) {
        let text = format!("{}\n", metadata.number());
        write_atomic(&files.seen, text.as_bytes(), Readers::OnlyMe)
            .map_err(|error| wrong(error.to_string(), "make the bench's data folder writable."))?;
    }
    Ok(metadata)
}

/// Every model that the metadata names, for the roster's `key_kind`.
pub fn named(metadata: &Metadata) -> Vec<kind::Model> {
    let named = |model: &Model| Some(kind::Model { aaguid: model.aaguid, name: model.description.clone()? });
    metadata.models().filter_map(named).collect()
}

/// What the metadata says of these models' attestation, for weighing the tenant's policy. Without metadata that is not known.
pub fn models(blob: Option<&Path>, now: Timestamp, wanted: Vec<(Aaguid, Option<String>)>) -> Vec<KeyModel> {
    let opened = blob.map(|path| {
        let blob = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Metadata::open(&blob, &Anchors::fido(), now, None).map_err(|error| error.to_string())
    });
    let model = |(aaguid, name): (Aaguid, Option<String>)| {
        let (attestation, known) = match &opened {
            None => (Attested::Unknown("no FIDO metadata is named in the settings (bench.mds)".to_owned()), None),
            Some(Err(why)) => (Attested::Unknown(format!("the FIDO metadata can't be used ({why})")), None),
            Some(Ok(metadata)) => match metadata.model(aaguid) {
                None => (Attested::No("the FIDO metadata does not list it".to_owned()), None),
                Some(model) => (attests(model, now), model.description.clone()),
            },
        };
        KeyModel { aaguid, name: known.or(name), attestation }
    };
    wanted.into_iter().map(model).collect()
}

fn attests(model: &Model, now: Timestamp) -> Attested {
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    if let Some(defect) = model.defect(&[], today) {
        Attested::No(format!("the FIDO metadata reports it as {}", defect.name()))
    } else if model.roots.iter().next().is_none() {
        Attested::No("the FIDO metadata has no root that it attests under".to_owned())
    } else if model.certified(today).is_none() {
        Attested::No("it is not FIDO certified".to_owned())
    } else {
        Attested::Yes
    }
}

fn number_in(path: &Path) -> Result<Option<u64>, String> {
    match fs::read_to_string(path) {
        Ok(text) => match text.trim().parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(format!("{} holds no number", path.display())),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_remembered_and_damage_is_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("seen");
        assert_eq!(number_in(&path), Ok(None));
        fs::write(&path, "285\n").expect("written");
        assert_eq!(number_in(&path), Ok(Some(285)));
        fs::write(&path, "many").expect("written");
        assert!(number_in(&path).is_err());
    }
}
