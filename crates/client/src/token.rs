//! The token of servers that others than this user can reach: one for all of them, in a file that only this user
//! can read.

use std::io;
use std::path::{Path, PathBuf};

use protocol::paths::Home;
use ring::rand::{SecureRandom, SystemRandom};

use crate::runfiles;

/// Bits of chance in a token, as bytes.
const TOKEN_BYTES: usize = 32;

/// The shortest token accepted, for who writes the file by hand.
const CHARS_MIN: usize = 32;

/// The most that a token file holds; one that was written by hand may have blanks around it.
const FILE_BYTES_MAX: u64 = 4096;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read or written.
    #[error("could not use the token file {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// Its content is no secret that holds.
    #[error("the token in {} must be at least {CHARS_MIN} letters, digits or signs in one line", path.display())]
    Weak {
        /// The file.
        path: PathBuf,
    },
    /// Other users may have read it.
    #[error("other users can read the token file {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
    },
}

/// The user's token; `None` when none was made yet.
///
/// # Errors
/// When the file cannot be read, holds no good token, or others can read it.
pub fn read(home: &Home) -> Result<Option<String>, TokenError> {
    let path = home.token();
    let read = private::look(&path).and_then(|file| {
        let is_open = private::is_open_to_others(&file)?;
        Ok((is_open, private::text(file, FILE_BYTES_MAX)?))
    });
    let text = match read {
        Ok((false, text)) => text,
        Ok((true, _)) => return Err(TokenError::Open { path }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(TokenError::File { path, source }),
    };
    let token = text.trim();
    if token.len() < CHARS_MIN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(TokenError::Weak { path });
    }
    Ok(Some(token.to_owned()))
}

/// The user's token, made now when there is none.
///
/// # Errors
/// As [`read`], and when the file cannot be written.
pub fn ensure(home: &Home) -> Result<String, TokenError> {
    if let Some(token) = read(home)? {
        return Ok(token);
    }
    let token = random();
    // Of two starts at once, the second takes the token of the first.
    match put(home, &token, private::create) {
        Ok(()) => Ok(token),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(read(home)?.unwrap_or(token)),
        Err(source) => Err(TokenError::File { path: home.token(), source }),
    }
}

/// Replaces the user's token; running servers refuse the old one from then on.
///
/// # Errors
/// When the file cannot be written.
pub fn rotate(home: &Home) -> Result<String, TokenError> {
    let token = random();
    put(home, &token, private::replace).map_err(|source| TokenError::File { path: home.token(), source })?;
    Ok(token)
}

/// Puts a token in its place, whole.
fn put(home: &Home, token: &str, place: fn(&Path, &[u8]) -> io::Result<()>) -> io::Result<()> {
    runfiles::make_folders(home)?;
    place(&home.token(), format!("{token}\n").as_bytes())
}

/// 256 bits from the system, in hexadecimal.
fn random() -> String {
    let mut bytes = [0; TOKEN_BYTES];
    SystemRandom::new().fill(&mut bytes).expect("the system gives random bytes");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        (folder, home)
    }

    #[test]
    fn a_token_is_made_once_and_stays_until_it_is_rotated() {
        let (_folder, home) = home();
        assert_eq!(read(&home).unwrap(), None);
        let first = ensure(&home).unwrap();
        assert_eq!(first.len(), 2 * TOKEN_BYTES);
        assert_eq!((ensure(&home).unwrap(), read(&home).unwrap()), (first.clone(), Some(first.clone())));
        let second = rotate(&home).unwrap();
        assert_ne!(second, first);
        assert_eq!(read(&home).unwrap(), Some(second));
        let files = fs::read_dir(home.monitor()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(files.into_iter().all(|name| !name.to_string_lossy().ends_with(".tmp")), "no drafts stay");
    }

    #[test]
    fn ten_starts_at_once_agree_on_one_token() {
        let (_folder, home) = home();
        let tokens: Vec<String> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..10).map(|_| scope.spawn(|| ensure(&home).unwrap())).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
    }

    #[cfg(unix)]
    #[test]
    fn a_token_that_others_can_read_or_that_is_short_is_none() {
        use std::os::unix::fs::PermissionsExt;
        let (_folder, home) = home();
        ensure(&home).unwrap();
        let mode = |mode| fs::set_permissions(home.token(), fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(fs::metadata(home.token()).unwrap().permissions().mode() & 0o777, 0o600);
        mode(0o640);
        assert!(matches!(ensure(&home), Err(TokenError::Open { .. })));
        mode(0o600);
        for weak in ["", "short", &"a b".repeat(20)] {
            fs::write(home.token(), weak).unwrap();
            assert!(matches!(ensure(&home), Err(TokenError::Weak { .. })), "{weak:?}");
        }
    }
}
