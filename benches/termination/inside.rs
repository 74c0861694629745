//! One run inside a population: the observer watches the marked orphans, the command ends them.

use super::baselines;
use super::common::{Args, beside, doing};
use super::usage::usage;
use rustix::event::epoll;
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, getrlimit, pidfd_open, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

/// From SIGTERM to SIGKILL, for every way.
pub const TERM_TIMEOUT: Duration = Duration::from_secs(2);
/// From SIGTERM to the exit of processes that do not ignore it: the first exit shows when the first SIGTERM was sent.
pub const EXIT_AFTER: Duration = Duration::from_millis(20);

/// How the orphans are ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Reaper,
    Polling,
    OneByOne,
}

pub const WAYS: [Way; 3] = [Way::Reaper, Way::Polling, Way::OneByOne];

impl Way {
    pub fn name(self) -> &'static str {
        match self {
            Self::Reaper => "reaper scan --yes",
            Self::Polling => "SIGTERM all, poll every 100 ms",
            Self::OneByOne => "one after another",
        }
    }

    /// One after another takes at least a poll's time for each.
    pub fn too_slow(self, size: usize) -> bool {
        self == Self::OneByOne && size > 100
    }
}

/// What one run took.
pub struct Figures {
    pub wall_ms: f64,
    /// From the first SIGTERM to the last exit.
    pub ending_ms: f64,
    /// Return of the command minus the last exit; negative when it returned while some still ran.
    pub lag_ms: f64,
    pub cpu_ms: f64,
    pub peak_kib: f64,
    /// How many were alive when the observer gave up.
    pub left: f64,
}

impl Figures {
    /// The reverse of what [`run`] prints.
    pub fn from_line(line: &str) -> Result<Self, String> {
        let fields: Vec<f64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        match *fields.as_slice() {
            [wall_ms, ending_ms, lag_ms, cpu_ms, peak_kib, left] => {
                Ok(Self { wall_ms, ending_ms, lag_ms, cpu_ms, peak_kib, left })
            }
            _ => Err(format!("no figures: `{}`", line.trim())),
        }
    }
}

/// Runs a baseline (`--baseline`), or measures one way (`--way`) and prints its figures.
#[expect(clippy::print_stdout, reason = "the benchmark outside reads the figures from here")]
pub fn run(args: &Args) -> Result<ExitCode, String> {
    let targets = baselines::marked_orphans()?;
    if let Some(name) = args.value("--baseline") {
        match WAYS.iter().find(|way| way.name() == name) {
            Some(Way::Polling) => baselines::polling(&targets, TERM_TIMEOUT),
            Some(Way::OneByOne) => baselines::one_by_one(&targets, TERM_TIMEOUT),
            _ => return Err(format!("no baseline `{name}`")),
        }
        return Ok(ExitCode::SUCCESS);
    }
    let name = args.value("--way").ok_or("no --way")?;
    let way = WAYS.into_iter().find(|way| way.name() == name).ok_or_else(|| format!("no way `{name}`"))?;
    let watch = Watch::on(&targets)?;
    let command = thread::spawn(move || match way {
        // Its settings are in the environment: see `Stage::inside` for what else is there.
        Way::Reaper => usage(&beside("reaper")?, &["scan", "--yes", "--grace", "0s"]),
        other => usage(&beside("bench")?, &["--inside", "--baseline", other.name()]),
    });
    let ([first_exit_ns, last_exit_ns], left) = watch.exits(|| command.is_finished())?;
    let usage = command.join().map_err(|_| "the thread of the command panicked".to_owned())??;
    if usage.status != 0 {
        return Err(format!("`{name}` ended with status {}", usage.status));
    }
    let lag_ms = (usage.end_ns as f64 - last_exit_ns as f64) / 1e6;
    let ending_ms = (last_exit_ns - first_exit_ns) as f64 / 1e6 + EXIT_AFTER.as_secs_f64() * 1e3;
    let cpu_ms = usage.cpu_us as f64 / 1e3;
    println!("{} {ending_ms} {lag_ms} {cpu_ms} {} {left}", usage.wall_ms(), usage.peak_kib);
    Ok(ExitCode::SUCCESS)
}

/// The observer: one pidfd for each orphan, all in one epoll.
struct Watch {
    epoll: OwnedFd,
    pidfds: Vec<Option<OwnedFd>>,
}

impl Watch {
    fn on(targets: &[Pid]) -> Result<Self, String> {
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        doing("raise the limit of open files", setrlimit(Resource::Nofile, raised))?;
        let epoll = doing("make an epoll", epoll::create(epoll::CreateFlags::CLOEXEC))?;
        let mut pidfds = Vec::new();
        for (&pid, index) in targets.iter().zip(0..) {
            let pidfd = doing("open a pidfd", pidfd_open(pid, PidfdFlags::empty()))?;
            let data = epoll::EventData::new_u64(index);
            doing("watch a pidfd", epoll::add(&epoll, &pidfd, data, epoll::EventFlags::IN))?;
            pidfds.push(Some(pidfd));
        }
        Ok(Self { epoll, pidfds })
    }

    /// When the first and the last one exited, and how many have not a second after the command has.
    fn exits(mut self, command_is_done: impl Fn() -> bool) -> Result<([u64; 2], usize), String> {
        let (mut first, mut left, mut idle) = (None, self.pidfds.len(), 0);
        let mut last = now_ns();
        let mut events = Vec::with_capacity(256);
        let tick = rustix::time::Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        while left > 0 && idle < 10 {
            events.clear();
            doing(
                "wait for exits",
                epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&tick)),
            )?;
            if !events.is_empty() {
                last = now_ns();
                first.get_or_insert(last);
            }
            for event in &events {
                let index = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
                // Closing it takes it out of the epoll.
                left -= usize::from(self.pidfds.get_mut(index).and_then(Option::take).is_some());
            }
            idle = if events.is_empty() && command_is_done() { idle + 1 } else { 0 };
        }
        Ok(([first.unwrap_or(last), last], left))
    }
}

fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}
