//! The measured service: its start, its figures from `/proc`, its log.

use super::common::{beside, doing};
use nix::time::ClockId;
use nix::unistd::Pid;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running `reaper run`; ended when dropped.
pub struct Service {
    child: Child,
    log: PathBuf,
    socket: PathBuf,
}

impl Service {
    /// Starts it in the home directory, with a grace longer than the benchmark, and waits until it is ready.
    pub fn start(interval: Duration) -> Result<Self, String> {
        let home = PathBuf::from(doing("find a home", std::env::var("HOME"))?);
        let log = home.join("log");
        let file = doing("make a log", File::create(&log))?;
        let mut command = Command::new(beside("reaper")?);
        command
            .arg("run")
            .env("REAPER_INTERVAL", format!("{}s", interval.as_secs()))
            .env("REAPER_GRACE", "12h");
        let child = doing("start the service", command.stdin(Stdio::null()).stderr(file).spawn())?;
        let socket = home.join("reaper/control.sock");
        let service = Self { child, log, socket };
        let end = Instant::now() + Duration::from_secs(60);
        while service.looks().is_err() {
            if Instant::now() > end {
                return Err(format!("the service does not start: {}", service.log_text()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(service)
    }

    /// The number of ticks so far.
    pub fn looks(&self) -> Result<f64, String> {
        let mut stream = doing("connect to the service", UnixStream::connect(&self.socket))?;
        let request = "{\"schema\":\"reaper.control/1\",\"command\":\"status\"}\n";
        doing("ask the service", stream.write_all(request.as_bytes()))?;
        let mut line = String::new();
        doing("hear the service", BufReader::new(stream).read_line(&mut line))?;
        let reply: serde_json::Value = doing("understand the service", serde_json::from_str(&line))?;
        let count = reply.pointer("/status/sweeps/count").and_then(serde_json::Value::as_f64);
        count.ok_or_else(|| format!("no count of looks in `{line}`"))
    }

    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// The CPU time of all its threads, those that have ended included.
    pub fn cpu(&self) -> Result<Duration, String> {
        let clock = doing("find its clock", ClockId::pid_cpu_clock_id(Pid::from_raw(self.pid())))?;
        Ok(doing("read its clock", clock.now())?.into())
    }

    /// A figure of `/proc/PID/FILE`, by its name.
    pub fn figure(&self, file: &str, name: &str) -> Result<f64, String> {
        let path = format!("/proc/{}/{file}", self.pid());
        let text = doing(&format!("read {path}"), std::fs::read_to_string(&path))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let value = line.and_then(|value| value.split_whitespace().next()?.parse().ok());
        value.ok_or_else(|| format!("no {name} in {path}"))
    }

    pub fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// When it noticed an orphan, in microseconds since 1970.
    pub fn noticed(&self, pid: u32) -> Option<i64> {
        let text = self.log_text();
        let line = text.lines().find(|line| line.contains(&format!("(pid {pid}): wait")))?;
        let time: jiff::Timestamp = line.split(' ').next()?.parse().ok()?;
        Some(time.as_microsecond())
    }

    /// System calls of all its threads during this time; an error where they cannot be counted.
    pub fn syscalls(&self, time: Duration) -> Result<f64, String> {
        let mut strace = Command::new("strace");
        strace.args(["-c", "-f", "-p", &self.pid().to_string()]).stdout(Stdio::null()).stderr(Stdio::piped());
        let child = strace.spawn().map_err(|e| format!("no system calls: strace: {e}"))?;
        let tracer = Pid::from_raw(child.id().cast_signed());
        std::thread::sleep(time);
        doing("stop strace", nix::sys::signal::kill(tracer, nix::sys::signal::Signal::SIGINT))?;
        let output = doing("wait for strace", child.wait_with_output())?;
        let summary = String::from_utf8_lossy(&output.stderr);
        let total = summary.lines().find(|line| line.ends_with(" total"));
        let calls = total.and_then(|line| line.split_whitespace().nth(3)?.parse().ok());
        calls.ok_or_else(|| format!("no system calls: `{}`", summary.trim()))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.pid());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.child.wait();
    }
}
