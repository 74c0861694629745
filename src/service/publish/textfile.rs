//! The metrics as a file for node_exporter, replaced atomically.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reaper_engine::trusted_file::{self, Lasting};

/// The mode of the file: node_exporter runs as another user.
const MODE: u32 = 0o644;
/// The shortest time between two writes.
const PAUSE: Duration = Duration::from_secs(1);

/// The textfile, if one is configured.
#[derive(Debug, Default)]
pub struct Textfile {
    path: Option<PathBuf>,
    /// Why the last write failed.
    error: Option<String>,
    is_stale: bool,
    /// It is not written again before this time (monotonic clock).
    next: Duration,
    /// Whether the file at the path was written by us.
    is_there: bool,
}

impl Textfile {
    /// Applies the configured path; a file that we wrote at another path is removed.
    pub fn follow(&mut self, path: Option<&Path>) {
        if self.path.as_deref() != path {
            self.remove();
            if let Some((directory, name)) = path.and_then(|path| path.parent().zip(path.file_name())) {
                trusted_file::sweep_drafts(directory, Some(name));
            }
            *self = Self { path: path.map(Path::to_owned), is_stale: true, ..Self::default() };
        }
    }

    /// Marks the file as out of date.
    pub fn changed(&mut self) {
        self.is_stale = true;
    }

    /// When it is to be written, on the monotonic clock; `None` when it is up to date.
    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        (self.path.is_some() && self.is_stale).then_some(self.next)
    }

    /// Replaces the file. Returns an error, unless the same one was returned before.
    pub fn write(&mut self, text: &str, now: Duration) -> Option<String> {
        let path = self.path.as_deref()?;
        (self.is_stale, self.next) = (false, now + PAUSE);
        // The temporary file has a name that node_exporter does not read.
        let error = match trusted_file::replace(path, text.as_bytes(), MODE, Lasting::NotSynced) {
            Ok(()) => {
                self.is_there = true;
                self.error = None;
                return None;
            }
            Err(e) => format!(
                "cannot write the metrics to `{}`: {e}\nhint: its directory must exist, and be writable by this user",
                path.display()
            ),
        };
        let is_news = self.error.as_ref() != Some(&error);
        self.error = Some(error.clone());
        is_news.then_some(error)
    }

    /// Removes the file: the metrics of a stopped service would be misleading.
    pub fn remove(&mut self) {
        if let Some(path) = self.path.as_deref().filter(|_| self.is_there) {
            // Already removed, or cannot be removed: there is nothing to do.
            let _ = fs::remove_file(path);
        }
        self.is_there = false;
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Why it could not be written.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    const NOW: Duration = Duration::from_secs(100);

    fn names(dir: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        fs::read_dir(dir).unwrap().map(name).collect()
    }

    #[test]
    fn it_is_replaced_and_readable_for_all_users() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reaper.prom");
        let mut file = Textfile::default();
        assert_eq!(file.due(), None, "off");
        file.follow(Some(&path));
        assert_eq!(file.due(), Some(Duration::ZERO), "at once");
        assert_eq!(file.write("one\n", NOW), None);
        assert_eq!(file.due(), None, "nothing has changed");
        file.changed();
        assert_eq!(file.due(), Some(NOW + PAUSE), "but not at once again");
        file.write("two\n", NOW + PAUSE);
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
        assert_eq!(names(dir.path()), ["reaper.prom"], "no draft is left behind");
        let other = dir.path().join("other.prom");
        file.follow(Some(&other));
        file.write("three\n", NOW);
        assert_eq!(names(dir.path()), ["other.prom"], "the file of the old config is gone");
        file.remove();
        assert!(names(dir.path()).is_empty());
        let long_ago = std::time::SystemTime::now() - Duration::from_secs(24 * 3600);
        for name in [".reaper.prom.1.draft", ".foreign.prom.1.draft"] {
            fs::File::create(dir.path().join(name)).unwrap().set_modified(long_ago).unwrap();
        }
        file.follow(Some(&path));
        assert_eq!(names(dir.path()), [".foreign.prom.1.draft"], "a killed service left a draft of it");
    }

    #[test]
    fn it_is_replaced_atomically() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reaper.prom");
        let (even, odd) = ("0\n".repeat(5000), "1\n".repeat(5000));
        let mut file = Textfile::default();
        file.follow(Some(&path));
        file.write(&even, NOW);
        let is_done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut reads = 0;
                while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                    let text = fs::read_to_string(&path).unwrap();
                    assert!(text == even || text == odd, "{} bytes", text.len());
                    reads += 1;
                }
                reads
            });
            for n in 0..2000 {
                file.write(if n % 2 == 0 { &odd } else { &even }, NOW);
            }
            is_done.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(reader.join().unwrap() > 10);
        });
    }

    #[test]
    fn an_error_is_reported_once_and_cleared_by_success() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("not/there/reaper.prom");
        let mut file = Textfile::default();
        file.follow(Some(&path));
        let error = file.write("x\n", NOW).unwrap();
        assert!(error.contains("not/there/reaper.prom") && error.contains("hint: "), "{error}");
        assert_eq!(file.write("x\n", NOW), None);
        assert_eq!(file.error(), Some(error.as_str()));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert_eq!(file.write("x\n", NOW), None);
        assert_eq!(file.error(), None);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(file.write("x\n", NOW).is_some(), "a directory in its place");
        assert_eq!(names(path.parent().unwrap()), ["reaper.prom"], "no draft is left behind");
    }

    #[test]
    fn a_link_at_the_temporary_path_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, victim) = (dir.path().join("reaper.prom"), dir.path().join("victim"));
        fs::write(&victim, "mine\n").unwrap();
        symlink(&victim, dir.path().join(format!(".reaper.prom.{}.draft", std::process::id()))).unwrap();
        symlink(&victim, &path).unwrap();
        let mut file = Textfile::default();
        file.follow(Some(&path));
        assert_eq!(file.write("x\n", NOW), None);
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine\n");
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
    }
}
