//! Where a ledger may lie: on a disk of this computer.
//!
//! SQLite's own advice is never to use a network share in WAL mode (<https://www.sqlite.org/wal.html>, "all processes using
//! a database must be on the same host"), and file locks and fsync on shares differ by server. A share that looks like a
//! local disk to the operating system (iSCSI, a FUSE mount, a synchronised folder) is not found here; `docs/LEDGER.md` says so.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::error::LedgerError;

/// The path in a `sqlite:PATH` URL.
///
/// # Errors
/// [`LedgerError::BadUrl`] when it is something else.
pub fn path_of_url(url: &str) -> Result<PathBuf, LedgerError> {
    let bad = |why| LedgerError::BadUrl { url: url.to_owned(), why };
    match url.strip_prefix("sqlite:") {
        Some("") => Err(bad("the path is missing")),
        Some(":memory:") => Err(bad("a ledger in memory keeps nothing")),
        Some(path) => Ok(PathBuf::from(path.strip_prefix("//").unwrap_or(path))),
        None if url.starts_with("postgres") => Err(bad("PostgreSQL is not supported yet")),
        None => Err(bad("it does not begin with `sqlite:`")),
    }
}

/// Makes the directory, for this account only, and says so when it lies on a share.
pub(super) fn prepare_directory(path: &Path) -> Result<(), LedgerError> {
    let directory = directory_of(path);
    make_directory(&directory).map_err(|error| from_io(path, &error))?;
    refuse_share(path)
}

/// Refuses a ledger on a network share.
pub(super) fn refuse_share(path: &Path) -> Result<(), LedgerError> {
    let directory = directory_of(path);
    let directory = fs::canonicalize(&directory).map_err(|error| from_io(path, &error))?;
    match share_kind(&directory) {
        Some(kind) => Err(LedgerError::NetworkShare { path: path.to_owned(), kind }),
        None => Ok(()),
    }
}

/// The directory a file is in; the current one for a bare name.
pub(super) fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Whether two paths name one file, also before it is there.
pub(super) fn same(one: &Path, other: &Path) -> bool {
    let full = |path: &Path| {
        fs::canonicalize(path).ok().or_else(|| Some(fs::canonicalize(directory_of(path)).ok()?.join(path.file_name()?)))
    };
    one == other || matches!((full(one), full(other)), (Some(one), Some(other)) if one == other)
}

/// `ledger.db` + `.lock` → `ledger.db.lock`, beside it.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes a file that must not be there yet, for this account only.
pub(super) fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    private(&mut options);
    options.open(path)
}

/// Opens a file, or makes it for this account only.
pub(super) fn open_or_create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    private(&mut options);
    options.open(path)
}

/// Makes a new or renamed file's name durable.
#[cfg(unix)]
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(directory_of(path))?.sync_all()
}

/// Windows has no such call; NTFS journals names by itself.
#[cfg(not(unix))]
pub(super) fn sync_directory(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(0o600);
}

/// On Windows files inherit the directory's ACL; directories that keybench makes are closed to others.
#[cfg(not(unix))]
fn private(_options: &mut OpenOptions) {}

#[cfg(unix)]
fn make_directory(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

#[cfg(not(unix))]
fn make_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    crate::platform::private::create_private_dir(directory).map_err(io::Error::other)
}

/// An I/O error as the ledger tells it.
pub(super) fn from_io(path: &Path, error: &io::Error) -> LedgerError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => LedgerError::DiskFull { path },
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => LedgerError::ReadOnlyFile { path },
        io::ErrorKind::NotFound => LedgerError::Missing { path },
        io::ErrorKind::AlreadyExists => LedgerError::Exists { path },
        _ => LedgerError::Io { path, what: error.to_string() },
    }
}

#[cfg(target_os = "linux")]
fn share_kind(directory: &Path) -> Option<String> {
    let found = rustix::fs::statfs(directory).ok()?;
    // f_type is 32 or 64 bits wide, signed or not, by architecture; the magic numbers have 32 bits.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::unnecessary_cast)]
    let magic = found.f_type as u32;
    linux_share(magic).map(str::to_owned)
}

/// Magic numbers from `linux/magic.h` and statfs(2).
#[cfg(any(target_os = "linux", test))]
fn linux_share(magic: u32) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "NFS",
        0x517B | 0xFE53_4D42 => "SMB",
        0xFF53_4D42 => "CIFS",
        0x0102_1997 => "9P",
        0x5346_414F | 0x6B41_4653 => "AFS",
        0x7375_7245 => "Coda",
        0x564C => "NCP",
        0x00C3_6400 => "Ceph",
        0x0BD0_0BD0 => "Lustre",
        0x4750_4653 => "GPFS",
        0x786F_4256 => "VirtualBox shared folder",
        0xBACB_ACBC => "VMware shared folder",
        _ => return None,
    })
}

/// A mapped drive becomes `\\?\UNC\server\share` when it is made canonical, so the prefix tells all.
#[cfg(windows)]
fn share_kind(directory: &Path) -> Option<String> {
    use std::path::{Component, Prefix};
    match directory.components().next() {
        Some(Component::Prefix(prefix)) => match prefix.kind() {
            Prefix::UNC(server, _) | Prefix::VerbatimUNC(server, _) => {
                Some(format!("UNC path on {}", server.to_string_lossy()))
            }
            _ => None,
        },
        _ => None,
    }
}

/// `/sbin/mount` lists `what on /path (type, options)`; statfs(2) itself would need unsafe code here.
#[cfg(target_os = "macos")]
fn share_kind(directory: &Path) -> Option<String> {
    let listed = std::process::Command::new("/sbin/mount").output().ok()?;
    macos_share(&String::from_utf8_lossy(&listed.stdout), directory)
}

#[cfg(any(target_os = "macos", test))]
fn macos_share(mounts: &str, directory: &Path) -> Option<String> {
    let (_, kind) = mounts
        .lines()
        .filter_map(|line| {
            let (_, rest) = line.split_once(" on ")?;
            let (place, options) = rest.rsplit_once(" (")?;
            let kind = options.split([',', ')']).next()?.trim();
            directory.starts_with(place).then(|| (Path::new(place).components().count(), kind))
        })
        .max_by_key(|(depth, _)| *depth)?;
    ["nfs", "smbfs", "afpfs", "webdav", "cifs", "ftp"].contains(&kind).then(|| kind.to_owned())
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
fn share_kind(_directory: &Path) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        assert_eq!(path_of_url("sqlite:/a/b.db").ok(), Some(PathBuf::from("/a/b.db")));
        assert_eq!(path_of_url("sqlite:///a/b.db").ok(), Some(PathBuf::from("/a/b.db")));
        assert_eq!(path_of_url("sqlite:b.db").ok(), Some(PathBuf::from("b.db")));
        for bad in ["sqlite:", "sqlite::memory:", "postgres://h/db", "/a/b.db", ""] {
            assert!(matches!(path_of_url(bad), Err(LedgerError::BadUrl { .. })), "{bad}");
        }
    }

    #[test]
    fn shares_are_known_by_their_kind() {
        for (magic, kind) in [(0x6969, "NFS"), (0xFF53_4D42, "CIFS"), (0xFE53_4D42, "SMB"), (0x0102_1997, "9P")] {
            assert_eq!(linux_share(magic), Some(kind));
        }
        for local in [0xEF53, 0x9123_683E, 0x5846_5342, 0x0102_1994, 0x794C_7630] {
            assert_eq!(linux_share(local), None, "{local:x}");
        }
        let mounts = "/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)\n\
                      //kim@server/share on /Volumes/share (smbfs, nodev, nosuid, mounted by kim)\n\
                      map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)\n";
        assert_eq!(macos_share(mounts, Path::new("/Volumes/share/bench")).as_deref(), Some("smbfs"));
        assert_eq!(macos_share(mounts, Path::new("/Volumes/sharedisk")), None);
        assert_eq!(macos_share(mounts, Path::new("/Users/kim")), None);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_made_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("a/b/ledger.db");
        prepare_directory(&path).expect("made");
        drop(create_new(&path).expect("made"));
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&place.path().join("a/b")), 0o700);
        assert_eq!(mode(&place.path().join("a")), 0o700);
    }
}
