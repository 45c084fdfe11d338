//! Opens files that the ini file names, without following a link that another user may have put there and without waiting
//! for the other end of a fifo.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// Which kinds of file are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A plain file.
    Plain,
    /// A plain file or a device, such as `/dev/null`.
    PlainOrDevice,
}

impl Kind {
    fn allows(self, file_type: fs::FileType) -> bool {
        let is_device = file_type.is_char_device() || file_type.is_block_device();
        file_type.is_file() || self == Kind::PlainOrDevice && is_device
    }

    fn objection(self) -> io::Error {
        io::Error::other(match self {
            Kind::Plain => "it is not a plain file",
            Kind::PlainOrDevice => "it is neither a plain file nor a device",
        })
    }
}

/// Opens a file. In a directory that everybody may write to, a name that is a symbolic link is an error; in any other
/// directory the link is followed. A file of a kind that is not accepted, such as a fifo, is an error.
pub(super) fn open(options: &OpenOptions, path: &Path, kind: Kind) -> io::Result<File> {
    let is_shared = is_shared(path);
    let mut flags = OFlag::O_NONBLOCK;
    flags.set(OFlag::O_NOFOLLOW, is_shared);
    let file = options.clone().custom_flags(flags.bits()).open(path).map_err(|error| {
        match error.raw_os_error().map(Errno::from_raw) {
            // In any other directory ELOOP is a loop of links, and the error itself says so.
            Some(Errno::ELOOP) if is_shared => {
                io::Error::other("it is a symbolic link in a directory that everybody may write to")
            }
            // A fifo that nobody reads, or a socket.
            Some(Errno::ENXIO) => kind.objection(),
            _ => error,
        }
    })?;
    let file_type = file.metadata()?.file_type();
    if !kind.allows(file_type) {
        return Err(kind.objection());
    }
    if !file_type.is_file() {
        // Without O_NONBLOCK, writing to a device waits until it takes the bytes.
        let flags = OFlag::from_bits_retain(fcntl(&file, FcntlArg::F_GETFL)?);
        fcntl(&file, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK))?;
    }
    Ok(file)
}

/// Whether everybody may write to the directory of a file.
fn is_shared(path: &Path) -> bool {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::metadata(directory).is_ok_and(|metadata| metadata.permissions().mode() & 0o002 != 0)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::symlink;
    use std::time::Instant;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;
    use pretty_assertions::assert_eq;

    use super::*;

    fn open_for_writing(path: &Path, kind: Kind) -> Result<File, String> {
        let mut options = OpenOptions::new();
        open(options.append(true).create(true).mode(0o640), path, kind).map_err(|error| error.to_string())
    }

    fn refused(text: &str) -> Result<(), String> {
        Err(text.to_owned())
    }

    #[test]
    fn links_are_followed_only_where_no_stranger_can_make_them() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        fs::write(dir.path().join("target"), "")?;
        symlink(dir.path().join("target"), dir.path().join("link"))?;
        let refused = refused("it is a symbolic link in a directory that everybody may write to");
        for (mode, expected) in [(0o755, Ok(())), (0o775, Ok(())), (0o777, refused.clone()), (0o1777, refused)] {
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode))?;
            let opened = open_for_writing(&dir.path().join("link"), Kind::Plain).map(drop);
            assert_eq!(opened, expected, "{mode:o}");
            assert!(open_for_writing(&dir.path().join("target"), Kind::Plain).is_ok());
        }
        Ok(())
    }

    #[test]
    fn fifo_is_refused_at_once_and_devices_where_they_make_no_sense() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let fifo = dir.path().join("fifo");
        mkfifo(&fifo, Mode::S_IRWXU)?;
        let start = Instant::now();
        assert_eq!(open_for_writing(&fifo, Kind::Plain).map(drop), refused("it is not a plain file"));
        let neither = refused("it is neither a plain file nor a device");
        assert_eq!(open_for_writing(&fifo, Kind::PlainOrDevice).map(drop), neither);
        let _other_end = OpenOptions::new().read(true).write(true).open(&fifo)?;
        assert_eq!(open_for_writing(&fifo, Kind::PlainOrDevice).map(drop), neither);
        assert!(start.elapsed().as_secs() < 5);
        let null = Path::new("/dev/null");
        assert_eq!(open_for_writing(null, Kind::Plain).map(drop), refused("it is not a plain file"));
        let mut null = open_for_writing(null, Kind::PlainOrDevice).map_err(anyhow::Error::msg)?;
        let flags = OFlag::from_bits_retain(fcntl(&null, FcntlArg::F_GETFL)?);
        assert!(!flags.contains(OFlag::O_NONBLOCK));
        null.write_all(b"x")?;
        Ok(())
    }
}
