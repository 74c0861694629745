//! A `reaper run` for a test: with a home of its own, queried over its socket, and its log.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use reaper_testkit::ProcessRef;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::log_reader::{self, Line};
use crate::common::{Ran, Reaper, set_mode, state_dir};

/// How long anything may take that is to happen at once, on a busy machine.
pub const SOON: Duration = Duration::from_secs(15);

/// The settings of a service to start.
#[derive(Clone)]
pub struct Service {
    home: PathBuf,
    args: Vec<OsString>,
    env: Vec<(String, OsString)>,
    uid: Option<u32>,
}

impl Service {
    /// At home in `home`, with short times: a grace of one second, a tick every second.
    pub fn new(home: &Path) -> Self {
        let it = Self { home: home.to_owned(), args: Vec::new(), env: Vec::new(), uid: None };
        it.set("interval", "1s").set("grace", "1s").set("term-timeout", "2s").set("kill-timeout", "2s")
    }

    /// Sets a key of the config by its variable.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        let name = format!("REAPER_{}", key.to_uppercase().replace('-', "_"));
        self.env.retain(|(known, _)| *known != name);
        self.env.push((name, value.into()));
        self
    }

    /// Leaves a key to the config file.
    pub fn unset(mut self, key: &str) -> Self {
        let name = format!("REAPER_{}", key.to_uppercase().replace('-', "_"));
        self.env.retain(|(known, _)| *known != name);
        self
    }

    /// Sets any other variable of the service.
    pub fn variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Adds an argument to `run`.
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Runs as this user.
    pub fn uid(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    /// Writes the config file.
    pub fn config(&self, text: &str) {
        let file = self.home.join(".config/reaper/config.toml");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        set_mode(&file, 0o600);
    }

    /// `reaper ARGS`, as the user who runs the service.
    pub fn reaper(&self, args: &[&str]) -> Reaper {
        let runtime = self.home.join("xdg");
        drop(fs::create_dir_all(&runtime));
        set_mode(&runtime, 0o700);
        let mut reaper = Reaper::new(&self.home, args).env("XDG_RUNTIME_DIR", &runtime);
        for (name, value) in &self.env {
            reaper = reaper.env(name, value);
        }
        if let Some(uid) = self.uid {
            drop(std::os::unix::fs::chown(&runtime, Some(uid), Some(uid)));
            reaper = reaper.uid(uid);
        }
        reaper
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.home.join("xdg/reaper/control.sock")
    }

    /// Where it remembers.
    pub fn state(&self) -> PathBuf {
        state_dir(&self.home)
    }

    /// Starts it, and returns at once.
    pub fn spawn(&self) -> Running {
        let mut args = vec!["run"];
        args.extend(self.args.iter().filter_map(|arg| arg.to_str()));
        let mut command = self.reaper(&args).command();
        let path = self.home.join("log");
        let log = OpenOptions::new().append(true).create(true).open(&path).unwrap();
        let from = log.metadata().unwrap().len();
        let child = command.stdout(Stdio::null()).stderr(log).spawn().expect("reaper can be started");
        let alive = ProcessRef::open(child.id().cast_signed()).expect("it was just started");
        Running { service: self.clone(), child, alive, log: path, from }
    }

    /// Starts it, and waits until it is ready.
    pub fn start(&self) -> Running {
        let running = self.spawn();
        running.expect_log("it says that it watches", |line| line.text.starts_with("watching "));
        running
    }

    /// The history, line by line; lines that a crash cut short are left out.
    pub fn history(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.state().join("history.jsonl")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The history in short, a line for each record: process, root, role, event.
    pub fn accounts(&self) -> String {
        let word = |record: &Value| {
            let what = record["signal"].as_str().or(record["outcome"].as_str()).unwrap_or_default();
            format!("{} of {} as {}: {what}\n", record["pid"], record["root"], record["role"])
        };
        self.history().iter().map(word).collect()
    }

    /// The history of one process in short: `TERM`, `KILL` for what was about to be sent, and outcomes.
    pub fn story(&self, pid: i32) -> Vec<String> {
        let of_it = self.history().into_iter().filter(|record| record["pid"] == pid);
        let word =
            |record: Value| record["signal"].as_str().or(record["outcome"].as_str()).map(str::to_owned);
        of_it.filter_map(word).collect()
    }
}

/// A running service; ended when dropped.
pub struct Running {
    service: Service,
    child: Child,
    /// Its process.
    pub alive: ProcessRef,
    log: PathBuf,
    /// Where this run's part of the log begins.
    from: u64,
}

impl std::ops::Deref for Running {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

impl Running {
    /// Sends a request line to its socket; the reply.
    pub fn ask(&self, request: &Value) -> Value {
        let mut stream = UnixStream::connect(self.socket()).expect("it listens");
        stream.set_read_timeout(Some(SOON * 2)).unwrap();
        stream.write_all(format!("{request}\n").as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).expect("it answers");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: `{line}`"))
    }

    /// Its status document.
    pub fn status(&self) -> Value {
        self.ask(&json!({"schema": "reaper.control/1", "command": "status"}))["status"].take()
    }

    /// Runs `reaper ARGS` beside it.
    pub fn cli(&self, args: &[&str]) -> Ran {
        self.reaper(args).run()
    }

    /// Its log so far.
    pub fn log(&self) -> Vec<Line> {
        let path = self.log.with_extension("now");
        let all = fs::read(&self.log).unwrap_or_default();
        let from = usize::try_from(self.from).unwrap().min(all.len());
        fs::write(&path, &all[from..]).unwrap();
        log_reader::read(&path)
    }

    /// Where its log is.
    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// The log as it is, byte for byte.
    pub fn raw_log(&self) -> Vec<u8> {
        fs::read(&self.log).unwrap_or_default()
    }

    /// Waits for an event of the log.
    pub fn expect_log(&self, what: &str, is_it: impl Fn(&Line) -> bool) -> Line {
        let found = eventually(SOON, || self.log().into_iter().find(&is_it));
        found.unwrap_or_else(|| panic!("not in the log: {what}\n{}", self.log_text()))
    }

    /// Waits for a verdict on a process.
    pub fn expect_verdict(&self, pid: i32, verdict: &str) -> Line {
        let said = format!("(pid {pid}): {verdict},");
        self.expect_log(&said, |line| line.text.contains(&said))
    }

    /// Waits for the outcome of a process.
    pub fn expect_outcome(&self, pid: i32, outcome: &str) -> Line {
        let said = format!("(pid {pid}) {outcome},");
        self.expect_log(&said, |line| line.text.contains(&said))
    }

    /// The log, for a message.
    pub fn log_text(&self) -> String {
        String::from_utf8_lossy(&self.raw_log()).into_owned()
    }

    /// Waits for something about its status.
    pub fn expect_status(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let found = eventually(SOON, || Some(self.status()).filter(&is_so));
        found.unwrap_or_else(|| panic!("never: {what}\n{:#}\n{}", self.status(), self.log_text()))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.alive.signal(signal.as_raw()).expect("it is there");
    }

    /// Waits for its end; the exit code, -1 for a signal.
    pub fn wait(mut self) -> i32 {
        assert!(self.alive.wait_exit(SOON * 2), "it does not stop\n{}", self.log_text());
        self.child.wait().expect("it has ended").code().unwrap_or(-1)
    }

    /// Stops it with SIGTERM as a service manager does, and expects a clean exit.
    pub fn stop(self) {
        self.signal(Signal::TERM);
        let log = self.log.clone();
        assert_eq!(self.wait(), 0, "{}", fs::read_to_string(log).unwrap_or_default());
    }

    /// Kills it with SIGKILL, whatever it is doing.
    pub fn crash(self) -> Service {
        let service = self.service.clone();
        self.signal(Signal::KILL);
        assert_eq!(self.wait(), -1);
        service
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.alive.signal(Signal::KILL.as_raw()));
        drop(self.child.wait());
    }
}

/// Asks every few milliseconds until there is an answer.
pub fn eventually<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}
