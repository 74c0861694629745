//! What the benchmarks share: a directory with the programs to measure that an ordinary user can run, populations
//! to run them in, and checks whether this machine can run them.

use std::ffi::OsString;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// The user inside the population whose agents are to be found.
pub const USER: u32 = 1000;

/// Options of a benchmark: `--name value` pairs, and flags.
pub struct Args(Vec<String>);

impl Args {
    pub fn from_env() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    pub fn has(&self, flag: &str) -> bool {
        self.0.iter().any(|a| a == flag)
    }

    pub fn value(&self, flag: &str) -> Option<&str> {
        let at = self.0.iter().position(|a| a == flag)?;
        self.0.get(at + 1).map(String::as_str)
    }

    /// The exit status once everything is measured: a missed target fails the run only where that is asked for, since
    /// figures of a busy machine prove little.
    pub fn exit_code(&self, all_met: bool) -> ExitCode {
        if all_met || !self.has("--check") { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// A number, or a list of numbers with commas.
    pub fn numbers(&self, flag: &str, default: &[usize]) -> Result<Vec<usize>, String> {
        let Some(text) = self.value(flag) else { return Ok(default.to_vec()) };
        let number = |word: &str| word.parse().map_err(|_| format!("{flag}: `{word}` is not a number"));
        text.split(',').map(number).collect()
    }
}

/// Why this machine cannot run the benchmark, if so. Checked before anything is built.
pub fn obstacle(args: &Args) -> Option<&'static str> {
    if !cfg!(target_os = "linux") {
        return Some("populations are made of Linux namespaces");
    }
    if !args.has("--bench") {
        return Some("not started by `cargo bench`");
    }
    if !rustix::process::geteuid().is_root() {
        return Some("root is needed for the namespaces of the population");
    }
    None
}

/// Why a population of this size does not fit, if so.
pub fn too_big(processes: usize) -> Option<String> {
    let limit: usize = std::fs::read_to_string("/proc/sys/kernel/pid_max").ok()?.trim().parse().ok()?;
    if processes + 1000 > limit {
        return Some(format!("kernel.pid_max is {limit}"));
    }
    let memory = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = memory.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    let available: usize = line.trim().trim_end_matches(" kB").parse().ok()?;
    // Measured: 123 KiB a process, and the scanners' own memory.
    let needed = processes * 123 * 5 / 4 + 512 * 1024;
    (needed > available).then(|| format!("{} MiB of memory are needed", needed / 1024))
}

/// Copies of the programs in a directory that every user can read, and a home for the user who runs them. The target
/// directory may not be readable for that user.
pub struct Stage {
    dir: tempfile::TempDir,
}

impl Stage {
    /// Builds `population` and copies it, this benchmark and `reaper` (or the build that `--reaper` names).
    pub fn new(args: &Args) -> Result<Self, String> {
        let dir = doing("make a directory", tempfile::Builder::new().prefix("reaper-bench.").tempdir())?;
        let open = std::fs::Permissions::from_mode(0o755);
        doing("open the directory to all", std::fs::set_permissions(dir.path(), open))?;
        let stage = Self { dir };
        doing("make a home", std::fs::create_dir(stage.home()))?;
        doing("give the home away", chown(stage.home(), Some(USER), Some(USER)))?;
        let closed = std::fs::Permissions::from_mode(0o700);
        doing("close the home", std::fs::set_permissions(stage.home(), closed))?;
        let reaper = args.value("--reaper").unwrap_or(env!("CARGO_BIN_EXE_reaper"));
        let bench = doing("find this executable", std::env::current_exe())?;
        let population = build_population()?;
        for (name, from) in [("reaper", Path::new(reaper)), ("bench", &bench), ("population", &population)] {
            doing(&format!("copy {}", from.display()), std::fs::copy(from, stage.program(name)))?;
        }
        Ok(stage)
    }

    pub fn program(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// Runs this benchmark again with `inside` as its arguments, as [`USER`] in a population made to `options`; what
    /// it printed.
    pub fn inside(&self, options: &str, inside: &[String]) -> Result<String, String> {
        let mut command = Command::new(self.program("population"));
        command.args(options.split(' ')).args(["-U", &USER.to_string(), "--"]);
        command.arg(self.program("bench")).arg("--inside").args(inside).stderr(Stdio::inherit());
        // The measured programs get none of the environment that the benchmark was started with.
        let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
        command.env_clear().env("PATH", path).env("HOME", self.home()).env("LC_ALL", "C.UTF-8");
        command.env("XDG_RUNTIME_DIR", self.home()).current_dir(self.dir.path());
        // For the termination benchmark; a dry run ignores them.
        command.env("REAPER_TERM_TIMEOUT", "2s").env("REAPER_MAX_TARGETS", "2000");
        let output = doing("run the population", command.output())?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(format!("the benchmark inside the population failed: {}", output.status)),
        }
    }
}

/// `population` is linked statically, so that its processes are small; other crates keep their usual linking.
fn build_population() -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut build = Command::new(cargo);
    build.current_dir(env!("CARGO_MANIFEST_DIR"));
    build.args(["rustc", "--release", "--quiet", "--message-format=json", "--package=reaper-testkit"]);
    build.args(["--bin=population", "--", "-Ctarget-feature=+crt-static", "-Crelocation-model=static"]);
    let output = doing("run cargo", build.stderr(Stdio::inherit()).output())?;
    let messages = String::from_utf8_lossy(&output.stdout);
    let executable = |line| -> Option<PathBuf> {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message.get("executable")?.as_str().map(PathBuf::from)
    };
    messages.lines().find_map(executable).ok_or_else(|| "cannot build `population`".into())
}

/// The path of a program in the stage's directory, for the benchmark inside.
pub fn beside(name: &str) -> Result<PathBuf, String> {
    Ok(doing("find this executable", std::env::current_exe())?.with_file_name(name))
}

/// Adds to an error what was attempted.
pub fn doing<T, E: std::fmt::Display>(what: &str, result: Result<T, E>) -> Result<T, String> {
    result.map_err(|e| format!("cannot {what}: {e}"))
}

/// The median.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A one-line description of the machine.
pub fn machine() -> String {
    let name = rustix::system::uname();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let release = name.release().to_string_lossy();
    format!("Linux {release} {}, {cores} cores", name.machine().to_string_lossy())
}
