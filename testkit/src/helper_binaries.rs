//! Where the binaries `stand-in` and `pid-namespace` are: beside the tests that use them, built on first use.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// The variable that names their directory to tests inside a namespace.
pub const DIRECTORY: &str = "TESTKIT_BINARIES";

/// The testkit's own binaries.
#[derive(Clone, Debug)]
pub struct HelperBinaries {
    /// Their directory.
    pub directory: PathBuf,
    /// The path of `stand-in`, which stands for any process.
    pub stand_in: PathBuf,
    /// The path of `pid-namespace`, which creates namespaces.
    pub pid_namespace: PathBuf,
}

/// Finds the binaries; builds them when they are missing or older than their source.
pub fn locate() -> io::Result<&'static HelperBinaries> {
    static FOUND: OnceLock<Result<HelperBinaries, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| find().map_err(|error| error.to_string()));
    found.as_ref().map_err(|reason| io::Error::other(reason.clone()))
}

fn find() -> io::Result<HelperBinaries> {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        return Ok(HelperBinaries::in_directory(directory.into()));
    }
    let exe = std::env::current_exe()?;
    let beside = exe.parent().ok_or(io::ErrorKind::NotFound)?;
    // Tests and benchmarks are in `deps`, below the directory of the binaries.
    let directory = if beside.ends_with("deps") { beside.parent().unwrap_or(beside) } else { beside };
    let binaries = HelperBinaries::in_directory(directory.to_owned());
    if !binaries.are_fresh() {
        build(directory)?;
    }
    Ok(binaries)
}

impl HelperBinaries {
    fn in_directory(directory: PathBuf) -> Self {
        Self {
            stand_in: directory.join("stand-in"),
            pid_namespace: directory.join("pid-namespace"),
            directory,
        }
    }

    fn are_fresh(&self) -> bool {
        let newest_source = newest(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
        let built = |path: &Path| path.metadata().and_then(|meta| meta.modified()).ok();
        match (built(&self.stand_in), built(&self.pid_namespace)) {
            (Some(stand_in), Some(pid_namespace)) => {
                newest_source.is_none_or(|source| stand_in.min(pid_namespace) >= source)
            }
            _ => false,
        }
    }
}

fn newest(directory: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(directory).ok()?.flatten();
    entries
        .filter_map(|entry| {
            let meta = entry.metadata().ok()?;
            if meta.is_dir() { newest(&entry.path()) } else { meta.modified().ok() }
        })
        .max()
}

/// Builds both binaries into `directory`, a profile's directory below the target directory.
fn build(directory: &Path) -> io::Result<()> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let profile = name(directory);
    let mut target = directory.parent().ok_or(io::ErrorKind::NotFound)?;
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--quiet", "--bins", "--manifest-path"]);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
    command.args(["--profile", if profile == "debug" { "dev" } else { &profile }]);
    // With `--target`, the triple lies between the two.
    if !target.join(".rustc_info.json").exists() && name(target).contains('-') {
        command.args(["--target", &name(target)]);
        target = target.parent().unwrap_or(target);
    }
    let status = command.arg("--target-dir").arg(target).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("the testkit's binaries do not build")) }
}
