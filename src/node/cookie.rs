//! The cookie file, as Erlang's `auth` server reads it, and makes it when there is none.
//!
//! `~/.erlang.cookie` comes first, then `erlang/.erlang.cookie` in the user's configuration folder (`$XDG_CONFIG_HOME`, or
//! `~/.config`). It must be a plain file that nobody but its owner may open. See "Security" in the chapter *Distributed Erlang* of Erlang's
//! reference manual.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::dist::{Cookie, CookieError};

const FILE: &str = ".erlang.cookie";

/// Why there is no cookie in the file.
#[derive(Debug, thiserror::Error)]
pub enum CookieFileError {
    /// Neither `HOME` nor a cookie is set.
    #[error("no cookie: none was given, and HOME is not set to look for .erlang.cookie in")]
    NoHome,
    /// The file cannot be read or made.
    #[error("cookie file {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is a folder, a socket or the like.
    #[error("cookie file {}: it must be a plain file", .path.display())]
    NotAFile {
        /// Its path.
        path: PathBuf,
    },
    /// Others than its owner may open it.
    #[error("cookie file {}: it must be accessible by its owner only, and its mode is {mode:04o}", .path.display())]
    Accessible {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// What it holds is no cookie.
    #[error("cookie file {}: {error}", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: CookieError,
    },
}

/// The user's cookie; made, of 20 random letters, when there is none.
pub(super) fn of_user() -> Result<Cookie, CookieFileError> {
    let home = env::var_os("HOME")
        .filter(|home| !home.is_empty())
        .ok_or(CookieFileError::NoHome)?;
    let home = PathBuf::from(home);
    let configuration = match env::var_os("XDG_CONFIG_HOME").filter(|folder| !folder.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => home.join(".config"),
    };
    find_or_make(&home.join(FILE), &configuration.join("erlang").join(FILE))
}

fn find_or_make(path: &Path, other: &Path) -> Result<Cookie, CookieFileError> {
    for path in [path, other] {
        if let Some(cookie) = read(path)? {
            return Ok(cookie);
        }
    }
    let cookie = Cookie::generate(|below| rand::random_range(0..below));
    match write_new(path, cookie.as_bytes()) {
        Ok(()) => Ok(cookie),
        // Another node that starts at the same time has made it, or is about to.
        Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {
            read(path)?.ok_or(CookieFileError::Io {
                path: path.to_owned(),
                source: io::ErrorKind::NotFound.into(),
            })
        }
        Err(source) => Err(CookieFileError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

/// The cookie in the file; `None` when there is no file.
fn read(path: &Path) -> Result<Option<Cookie>, CookieFileError> {
    let failed = |source| CookieFileError::Io {
        path: path.to_owned(),
        source,
    };
    let about = match fs::metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    if !about.is_file() {
        return Err(CookieFileError::NotAFile {
            path: path.to_owned(),
        });
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let mode = about.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(CookieFileError::Accessible {
                path: path.to_owned(),
                mode,
            });
        }
    }
    let content = fs::read(path).map_err(failed)?;
    match Cookie::from_file_content(&content) {
        Ok(cookie) => Ok(Some(cookie)),
        Err(error) => Err(CookieFileError::Content {
            path: path.to_owned(),
            error,
        }),
    }
}

/// Writes under another name first, so that whoever finds the file finds all of it.
fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let draft = path.with_extension(format!("cookie.{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o400);
    }
    let written = options.open(&draft).and_then(|mut file| file.write_all(content));
    // A link fails when the name is taken, where renaming would replace what is there.
    let made = written.and_then(|()| fs::hard_link(&draft, path));
    let removed = fs::remove_file(&draft);
    made.and(removed)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A folder of its own for each test, gone at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(test: &str) -> Self {
            let path = env::temp_dir().join(format!("beamnode-cookie-{test}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self, name: &str, content: &[u8], mode: u32) -> PathBuf {
            let path = self.0.join(name);
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn a_cookie_is_made_once_and_found_again() {
        let folder = Folder::new("made");
        let path = folder.0.join(FILE);
        let made = find_or_make(&path, &folder.0.join("other")).unwrap();
        assert_eq!(made.as_bytes().len(), 20);
        assert!(made.as_bytes().iter().all(u8::is_ascii_uppercase));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o400);
        assert_eq!(find_or_make(&path, &folder.0.join("other")).unwrap(), made);
        assert_eq!(
            fs::read_dir(&folder.0).unwrap().count(),
            1,
            "nothing else is left"
        );
    }

    #[test]
    fn the_other_place_counts_when_the_first_is_empty() {
        let folder = Folder::new("other");
        let other = folder.file("other", b"SECRET\n", 0o600);
        let found = find_or_make(&folder.0.join(FILE), &other).unwrap();
        assert_eq!(found, Cookie::new("SECRET").unwrap());
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let folder = Folder::new("mode");
        let path = folder.file(FILE, b"SECRET", 0o640);
        let refused = find_or_make(&path, &path);
        assert!(
            matches!(refused, Err(CookieFileError::Accessible { mode: 0o640, .. })),
            "{refused:?}"
        );
    }

    #[test]
    fn a_folder_is_no_cookie() {
        let folder = Folder::new("folder");
        assert!(matches!(
            find_or_make(&folder.0, &folder.0),
            Err(CookieFileError::NotAFile { .. })
        ));
    }

    #[test]
    fn what_is_no_cookie_is_said() {
        let folder = Folder::new("content");
        let path = folder.file(FILE, b"a\tb", 0o400);
        let refused = find_or_make(&path, &path);
        assert!(
            matches!(refused, Err(CookieFileError::Content { .. })),
            "{refused:?}"
        );
    }
}
