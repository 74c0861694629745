//! A running service, and ways to query it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reaper_testkit::ProcessRef;
use serde_json::Value;

use super::format_reader::Families;
use crate::common::{Ran, Reaper, set_mode};

/// A profile of the user's own, for every name that begins with `goose-`.
pub const GEESE: &str =
    "[[profile]]\nname = \"geese\"\nmarkers = [\"GOOSE_RUN\"]\nprograms = [\"goose-*\"]\n";

/// How long anything that is waited for may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// `reaper run` at a home of its own; ended with the test.
pub struct Service {
    pub home: PathBuf,
    uid: Option<u32>,
    child: Child,
}

/// What the service is started with.
pub struct Start {
    home: PathBuf,
    config: String,
    env: Vec<(String, String)>,
    args: Vec<String>,
    uid: Option<u32>,
    is_private: bool,
}

impl Start {
    /// With this config, at home below `directory`.
    pub fn new(directory: &Path, config: &str) -> Self {
        let home = directory.join("home");
        Self {
            home,
            config: config.to_owned(),
            env: Vec::new(),
            args: Vec::new(),
            uid: None,
            is_private: false,
        }
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    pub fn uid(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    /// With a umask that makes its files private.
    pub fn private(mut self) -> Self {
        self.is_private = true;
        self
    }

    /// Starts it, and returns when it answers.
    pub fn run(self) -> Service {
        let mut args = vec!["--config".to_owned(), self.home.join("config.toml").display().to_string()];
        args.extend(self.args);
        args.push("run".to_owned());
        let mut reaper = Reaper::new(&self.home, args);
        configure(&self.home, &self.config);
        if let Some(uid) = self.uid {
            std::os::unix::fs::chown(self.home.join("config.toml"), Some(uid), Some(uid)).unwrap();
            reaper = reaper.uid(uid);
        }
        for (name, value) in &self.env {
            reaper = reaper.env(name, value);
        }
        let log = fs::File::create(self.home.join("log")).unwrap();
        let mut command = reaper.command();
        if self.is_private {
            command = private(&command);
        }
        let child = command.stderr(log).stdout(Stdio::null()).spawn().unwrap();
        let mut service = Service { home: self.home, uid: self.uid, child };
        let end = Instant::now() + PATIENCE;
        while service.ask(&["status", "--check", "live"]).code != 0 {
            let ended = service.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < end, "{ended:?}\n{}", service.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        service
    }
}

/// The same command and environment, through a shell that sets the umask.
fn private(command: &Command) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "umask 077; exec \"$0\" \"$@\""]).arg(command.get_program()).args(command.get_args());
    shell.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell
}

fn configure(home: &Path, config: &str) {
    let path = home.join("config.toml");
    fs::write(&path, config).unwrap();
    set_mode(&path, 0o600);
}

impl Service {
    /// Runs a command that talks to it.
    pub fn ask(&self, args: &[&str]) -> Ran {
        let reaper = Reaper::new(&self.home, args.iter().copied());
        match self.uid {
            Some(uid) => reaper.uid(uid).run(),
            None => reaper.run(),
        }
    }

    /// Gives it another config; returns what `reload` said.
    pub fn reload(&self, config: &str) -> Ran {
        configure(&self.home, config);
        self.ask(&["reload"])
    }

    /// Its status.
    pub fn status(&self) -> Value {
        self.ask(&["status", "--format", "json"]).expect_code(0).json()
    }

    /// Its metrics, checked.
    pub fn metrics(&self) -> Families {
        let text = self.ask(&["status", "--format", "openmetrics"]).expect_code(0).stdout;
        Families::openmetrics(&text).unwrap_or_else(|e| panic!("{e}\n{text}"))
    }

    /// Waits until a sample has a value.
    pub fn wait_for(&self, sample: &str, value: f64) {
        let mut last = None;
        let is_there = poll(|| {
            last = self.metrics().value(sample);
            last == Some(value)
        });
        assert!(is_there, "{sample} is {last:?}, not {value}\n{}", self.log());
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.home.join("log")).unwrap()
    }

    /// Stops it with SIGTERM, and waits for its end.
    pub fn stop(mut self) -> String {
        let alive = ProcessRef::open(self.child.id().cast_signed()).unwrap();
        alive.signal(15).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}\n{}", self.log());
        self.log()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let (Ok(None), Ok(alive)) =
            (self.child.try_wait(), ProcessRef::open(self.child.id().cast_signed()))
        {
            drop(alive.signal(9));
            drop(self.child.wait());
        }
    }
}

/// Waits until the condition holds; returns whether it does.
pub fn poll(mut is_so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + PATIENCE;
    loop {
        if is_so() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A loopback address that no other test has: the whole of 127.0.0.0/8 is this machine's.
pub fn address() -> SocketAddr {
    let pid = std::process::id();
    // The pid in a namespace is small; the namespace's number tells tests apart.
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap().display().to_string();
    let number: u32 = namespace.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap();
    let [_, a, b, c] = number.wrapping_add(pid).to_be_bytes();
    SocketAddr::from(([127, a, b, c.clamp(1, 254)], 9464))
}

/// Sends bytes and reads until the other side closes.
pub fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // It may close before it has read everything; what it answered counts.
    drop(stream.write_all(request));
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    String::from_utf8(answer).unwrap()
}

/// The body of what a GET is answered, and the code.
pub fn get(address: SocketAddr, path: &str) -> (String, String) {
    let answer = exchange(address, format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer.as_str(), ""));
    let code = head.split(' ').nth(1).unwrap_or_default();
    (code.to_owned(), body.to_owned())
}
