//! Attacks on a trusted file, its directory and its lock.

use super::*;
use std::os::unix::fs::{chown, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;
use tempfile::TempDir;

/// Time limit that detects blocking on a FIFO, even on a busy machine.
const LONG: Duration = Duration::from_secs(20);

struct Scene {
    dir: TempDir,
    path: PathBuf,
    uid: Uid,
    gid: Gid,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let meta = fs::metadata(dir.path()).unwrap();
        Self { path: dir.path().join("file"), uid: Uid(meta.uid()), gid: Gid(meta.gid()), dir }
    }

    fn with(content: &str) -> Self {
        let scene = Self::new();
        put(&scene.path, content);
        scene
    }

    fn alone(&self) -> Writers {
        Writers::User(self.uid)
    }

    fn shared(&self) -> Writers {
        Writers::UserAndRoot(self.uid, self.gid)
    }

    fn write(&self) -> Result<File, NotOpened> {
        open_to_write(&self.path, &mut OpenOptions::new(), self.alone())
    }

    /// The results of the three ways to open it; each must return soon.
    fn answers(&self) -> [Option<Distrust>; 3] {
        let begun = Instant::now();
        let answers = [
            why(read(&self.path, self.alone(), 9)),
            why(read_settings(&self.path, self.shared(), 9)),
            why(self.write()),
        ];
        assert!(begun.elapsed() < LONG);
        answers
    }

    fn names(&self) -> Vec<String> {
        let name = |entry: io::Result<DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<_> = fs::read_dir(self.dir.path()).unwrap().map(name).collect();
        names.sort();
        names
    }
}

fn put(path: &Path, content: &str) {
    fs::write(path, content).unwrap();
    mode(path, 0o600);
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn why<T: fmt::Debug>(result: Result<T, NotOpened>) -> Option<Distrust> {
    match result {
        Err(NotOpened::Distrusted(why)) => Some(why),
        Err(NotOpened::Failed(e)) => panic!("{e}"),
        Ok(_) => None,
    }
}

#[test]
fn a_file_of_ours_is_read_and_one_that_is_missing_is_none() {
    let scene = Scene::new();
    assert_eq!(read(&scene.path, scene.alone(), 9).unwrap(), None);
    assert_eq!(read_settings(&scene.path, scene.shared(), 9).unwrap(), None);
    scene.write().unwrap();
    assert_eq!(fs::metadata(&scene.path).unwrap().mode() & 0o7777, 0o600);
    put(&scene.path, "ours");
    assert_eq!(read(&scene.path, scene.alone(), 4).unwrap().unwrap(), b"ours");
    assert_eq!(read_settings(&scene.path, scene.shared(), 4).unwrap().unwrap(), b"ours");
    let too_large = Some(Distrust::LargerThan(3));
    assert_eq!(why(read(&scene.path, scene.alone(), 3)), too_large);
    assert_eq!(why(read_settings(&scene.path, scene.shared(), 3)), too_large);
}

#[test]
fn a_fifo_a_socket_and_a_directory_are_refused_at_once() {
    let scene = Scene::new();
    assert!(Command::new("mkfifo").arg(&scene.path).status().unwrap().success());
    assert_eq!(scene.answers(), [const { Some(Distrust::NotAFile) }; 3]);
    fs::remove_file(&scene.path).unwrap();
    let _socket = UnixListener::bind(&scene.path).unwrap();
    assert_eq!(scene.answers(), [const { Some(Distrust::NotAFile) }; 3]);
    fs::remove_file(&scene.path).unwrap();
    fs::create_dir(&scene.path).unwrap();
    assert_eq!(why(read(&scene.path, scene.alone(), 9)), Some(Distrust::NotAFile));
    assert_eq!(why(read_settings(&scene.path, scene.shared(), 9)), Some(Distrust::NotAFile));
    assert!(matches!(scene.write(), Err(NotOpened::Failed(e)) if e.kind() == io::ErrorKind::IsADirectory));
}

#[test]
fn a_symbolic_link_is_followed_to_settings_only() {
    let scene = Scene::new();
    let victim = scene.dir.path().join("victim");
    put(&victim, "mine");
    symlink(&victim, &scene.path).unwrap();
    assert_eq!(scene.answers(), [Some(Distrust::Link), None, Some(Distrust::Link)]);
    // A dangling link must not make a file at its target.
    fs::remove_file(&victim).unwrap();
    assert_eq!(why(scene.write()), Some(Distrust::Link));
    assert!(!victim.exists());
}

#[test]
fn a_file_with_a_second_name_is_read_and_never_written() {
    let scene = Scene::new();
    let victim = scene.dir.path().join("victim");
    put(&victim, "mine");
    fs::hard_link(&victim, &scene.path).unwrap();
    assert_eq!(scene.answers(), [None, None, Some(Distrust::Names)]);
    assert_eq!(fs::read(&victim).unwrap(), b"mine");
    // Replacing it separates it from the other hard links.
    replace(&scene.path, b"ours", 0o600, Lasting::Synced).unwrap();
    assert_eq!((fs::read(&victim).unwrap(), scene.answers()), (b"mine".to_vec(), [None, None, None]));
}

#[test]
fn a_file_that_others_can_write_is_refused() {
    let scene = Scene::with("x");
    mode(&scene.path, 0o666);
    assert_eq!(scene.answers(), [const { Some(Distrust::Anyone(0o666)) }; 3]);
    mode(&scene.path, 0o660);
    let by_group = || Some(Distrust::Group(scene.gid, 0o660));
    assert_eq!(scene.answers(), [by_group(), None, by_group()], "its primary group may share settings");
    let stranger = Writers::UserAndRoot(scene.uid, Gid(scene.gid.0 + 1));
    assert_eq!(why(read_settings(&scene.path, stranger, 9)), by_group());
    mode(&scene.path, 0o644);
    assert_eq!(scene.answers(), [None, None, None]);
}

#[test]
fn the_file_of_another_user_is_refused() {
    let scene = Scene::with("x");
    if scene.uid.0 == 0 {
        let owner = Uid(4243);
        chown(&scene.path, Some(owner.0), None).unwrap();
        assert_eq!(
            scene.answers(),
            [const { Some(Distrust::Owner { owner: Uid(4243), wanted: Uid(0) }) }; 3]
        );
        chown(&scene.path, Some(0), None).unwrap();
        let user = Uid(4242);
        assert_eq!(why(read_settings(&scene.path, Writers::UserAndRoot(user, scene.gid), 9)), None);
        let of_root = Some(Distrust::Owner { owner: Uid(0), wanted: user });
        assert_eq!(
            why(read(&scene.path, Writers::User(user), 9)),
            of_root,
            "state is written by its user alone"
        );
    } else {
        let wanted = Uid(scene.uid.0 + 1);
        let refused = Some(Distrust::Owner { owner: scene.uid, wanted });
        assert_eq!(why(read(&scene.path, Writers::User(wanted), 9)), refused);
        assert_eq!(why(read_settings(&scene.path, Writers::UserAndRoot(wanted, scene.gid), 9)), refused);
    }
}

#[test]
fn settings_in_a_directory_that_others_can_write_are_refused() {
    let scene = Scene::with("x");
    mode(scene.dir.path(), 0o777);
    let open = || Some(Distrust::Directory(scene.dir.path().to_owned(), Box::new(Distrust::Anyone(0o777))));
    assert_eq!(why(read_settings(&scene.path, scene.shared(), 9)), open());
    mode(scene.dir.path(), 0o1777);
    assert_eq!(
        why(read_settings(&scene.path, scene.shared(), 9)),
        None,
        "no other user can replace it there"
    );
    // A link in a directory of ours does not protect a file that can be replaced at its own place.
    mode(scene.dir.path(), 0o777);
    let own = Scene::new();
    symlink(&scene.path, &own.path).unwrap();
    assert_eq!(why(read_settings(&own.path, own.shared(), 9)), open());
    mode(scene.dir.path(), 0o755);
    assert_eq!(why(read_settings(&own.path, own.shared(), 9)), None);
}

#[test]
fn a_file_is_replaced_whole_whatever_bears_the_name_of_the_draft() {
    let scene = Scene::with("one");
    let victim = Scene::with("mine");
    let draft = scene.dir.path().join(format!(".file.{}.draft", std::process::id()));
    symlink(&victim.path, &draft).unwrap();
    for lasting in [Lasting::Synced, Lasting::NotSynced] {
        replace(&scene.path, b"two", 0o644, lasting).unwrap();
        assert_eq!(fs::read(&scene.path).unwrap(), b"two");
        assert_eq!(fs::metadata(&scene.path).unwrap().mode() & 0o7777, 0o644);
        assert!(Command::new("mkfifo").arg(&draft).status().unwrap().success());
    }
    assert_eq!(fs::read(&victim.path).unwrap(), b"mine");
    fs::remove_file(&draft).unwrap();
    assert_eq!(scene.names(), ["file"]);
    fs::remove_file(&scene.path).unwrap();
    fs::create_dir(&scene.path).unwrap();
    assert!(replace(&scene.path, b"three", 0o600, Lasting::Synced).is_err());
    assert_eq!(scene.names(), ["file"], "no draft is left behind");
}

#[test]
fn drafts_that_were_left_behind_are_swept_and_nothing_else() {
    let scene = Scene::with("x");
    let long_ago = std::time::SystemTime::now() - 2 * DRAFT_LASTS;
    let old = |name: &str| {
        let path = scene.dir.path().join(name);
        put(&path, "half of i");
        File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
    };
    let drafts = [".file.1.draft", ".other.json.4194304.draft"];
    let others = ["file.1.draft", ".file.draft", ".file.x.draft", ".file.1.draft.bak", "old"];
    drafts.into_iter().chain(others).for_each(old);
    put(&scene.dir.path().join(".file.2.draft"), "of a process that writes it now");
    sweep_drafts(scene.dir.path(), Some(OsStr::new("file")));
    assert!(!scene.names().contains(&drafts[0].to_owned()) && scene.names().contains(&drafts[1].to_owned()));
    sweep_drafts(scene.dir.path(), None);
    let mut left: Vec<&str> = others.into_iter().chain(["file", ".file.2.draft"]).collect();
    left.sort_unstable();
    assert_eq!(scene.names(), left);
    sweep_drafts(&scene.dir.path().join("nowhere"), None);
}

#[test]
fn a_lock_that_another_holds_is_waited_for_within_a_bound() {
    let scene = Scene::new();
    let (held, ours) = (scene.write().unwrap(), scene.write().unwrap());
    assert!(lock(&held, Duration::ZERO).unwrap());
    let begun = Instant::now();
    assert!(!lock(&ours, Duration::ZERO).unwrap());
    assert!(!lock(&ours, Duration::from_millis(50)).unwrap());
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(50) && took < LONG, "{took:?}");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| lock(&ours, LONG).unwrap());
        thread::sleep(Duration::from_millis(50));
        drop(held);
        assert!(waiting.join().unwrap(), "it is taken when it comes free");
    });
}
