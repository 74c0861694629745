//! The numbers of processes that a service ends are given to others at once, at any moment of that, many times over:
//! what is signalled is the process that was judged, never one that has its number now.
//!
//! `REUSES=NUMBER` says how often, `REUSE_SEED=NUMBER` at which moments.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reaper_testkit::{
    PidNamespace, ProcessRef, ProcessSet, ProcessSpec, Shape, in_namespace, measured, recycle_pid, skip,
    test_name,
};
use rustix::process::Signal;

use super::service_process::{Running, SOON, Service};
use super::soak::Dice;
use crate::common::one_heavy_test;

/// So many at a time: each waits for most of its time.
const SLOTS: usize = 10;
/// The latest moment at which a number is taken away by chance: by then there was a look, SIGTERM and SIGKILL.
const LATEST: Duration = Duration::from_millis(750);
/// From the log's message that an orphan is to be ended to its signal, about.
const DUE: Duration = Duration::from_millis(3);
/// From the record of a signal to the signal, about.
const ACCOUNTED: Duration = Duration::from_millis(1);
/// How long the service may take to log or record that: it waits for others, too.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a signal may be on its way.
const AFTERWARDS: Duration = Duration::from_millis(500);
const SHAPE: Shape = Shape::OrphanOfDeadLeader;

/// The process that gets the pid: each is protected by another gate.
#[derive(Clone, Copy, Debug)]
enum Bystander {
    AtWork,
    Unmarked,
    Kept,
    Leased,
}

/// When it gets it.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// So long after the start of the orphan, while the service does whatever it does then.
    Started(Duration),
    /// The service is stopped so long after it logged that the orphan is to be ended.
    Due(Duration),
    /// The service is stopped so long after it recorded the last signal that the orphan needs.
    Accounted(Duration),
}

/// One number that changes hands.
#[derive(Clone, Copy, Debug)]
struct Reuse {
    index: usize,
    is_deaf: bool,
    bystander: Bystander,
    moment: Moment,
}

impl Reuse {
    /// Each protected process in turn, after orphans that exit on SIGTERM and such that do not, at moments of each
    /// kind.
    fn new(index: usize, dice: &mut Dice) -> Self {
        let mut within = |most: Duration| {
            Duration::from_micros(dice.roll(usize::try_from(most.as_micros()).unwrap()).try_into().unwrap())
        };
        Self {
            index,
            bystander: [Bystander::AtWork, Bystander::Unmarked, Bystander::Kept, Bystander::Leased]
                [index % 4],
            is_deaf: index / 4 % 2 == 1,
            moment: match index / 8 % 3 {
                0 => Moment::Due(within(DUE)),
                1 => Moment::Started(within(LATEST)),
                _ => Moment::Accounted(within(ACCOUNTED)),
            },
        }
    }
}

/// The result.
enum Outcome {
    /// The number could not be had.
    Missed,
    /// The bystander got no signal and lives. Whether the service had ended the orphan before.
    Unharmed { was_ended: bool },
    /// The bystander got a signal, or is dead.
    Harmed(String),
}

/// What is written to a file from some moment on.
struct Tail {
    path: PathBuf,
    at: u64,
    text: String,
}

impl Tail {
    fn new(path: &Path) -> Self {
        let at = path.metadata().map_or(0, |meta| meta.len());
        Self { path: path.to_owned(), at, text: String::new() }
    }

    /// Whether there is a line with all of these texts.
    fn says(&mut self, words: &[String]) -> bool {
        let mut new = Vec::new();
        let read = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.at))?;
            file.read_to_end(&mut new)
        });
        self.at += u64::try_from(read.unwrap_or(0)).unwrap();
        self.text.push_str(&String::from_utf8_lossy(&new));
        self.text.lines().any(|line| words.iter().all(|word| line.contains(word)))
    }
}

/// A service that does nothing as long as this lives, wherever it was. From a judgement to its signal are milliseconds,
/// and a number takes as long to change hands: only so there is time for it between any two calls.
struct Halted<'a> {
    service: &'a Running,
    _turn: MutexGuard<'a, ()>,
}

impl<'a> Halted<'a> {
    fn new(service: &'a Running, turns: &'a Mutex<()>) -> Self {
        let turn = turns.lock().unwrap_or_else(PoisonError::into_inner);
        service.signal(Signal::STOP);
        Self { service, _turn: turn }
    }
}

impl Drop for Halted<'_> {
    fn drop(&mut self) {
        self.service.signal(Signal::CONT);
    }
}

/// Where numbers change hands, one after the other.
struct Slot<'a> {
    processes: &'a ProcessSet,
    service: &'a Running,
    turns: &'a Mutex<()>,
    /// A live launcher: the parent of the one at work, and the owner in the lease.
    app: ProcessRef,
}

impl<'a> Slot<'a> {
    fn new(processes: &'a ProcessSet, service: &'a Running, turns: &'a Mutex<()>) -> Self {
        Self { processes, service, turns, app: processes.spec("sprout-app").own_session().child() }
    }

    fn unmarked(&self) -> ProcessSpec {
        self.processes.spec("goose").args(["acp"])
    }

    fn marked(&self) -> ProcessSpec {
        self.unmarked().env("SPROUT_MANAGED_AGENT", "xyz.block.sprout.app")
    }

    fn lease(&self) -> String {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        format!("{}:{}:{}", self.app.pid, self.app.start_ticks(), boot.trim())
    }

    fn bystander(&self, who: Bystander) -> (ProcessSpec, Shape) {
        match who {
            Bystander::AtWork => (self.marked().by(&self.app), Shape::Child),
            Bystander::Unmarked => (self.unmarked(), SHAPE),
            Bystander::Kept => (self.marked().env("REAPER_KEEP", "1"), SHAPE),
            Bystander::Leased => (self.marked().env("REAPER_OWNER", self.lease()), SHAPE),
        }
    }

    fn in_namespace(&self, reuse: Reuse) -> Outcome {
        let record = self.processes.directory().join(format!("record-{}", reuse.index));
        let (bystander, shape) = self.bystander(reuse.bystander);
        let bystander = bystander.behave(format!("record={}", record.display()));
        let log = Tail::new(self.service.log_file());
        let history = Tail::new(&self.service.state().join("history.jsonl"));
        let orphan =
            self.marked().behave(if reuse.is_deaf { "ignore-term" } else { "" }).spawn(SHAPE).unwrap();
        let last = if reuse.is_deaf { "KILL" } else { "TERM" };
        let pid = orphan.pid;
        let halted = match reuse.moment {
            // An orphan that is ended before loses its pid at that moment.
            Moment::Started(after) => {
                let _ = orphan.wait_exit(after);
                None
            }
            Moment::Due(after) => self.halt(&orphan, log, &[format!("(pid {pid}): reap,")], after),
            Moment::Accounted(after) => {
                let words = [format!("\"pid\":{pid},"), format!("\"signal\":\"{last}\"")];
                self.halt(&orphan, history, &words, after)
            }
        };
        let was_ended = !orphan.is_alive();
        let given = recycle_pid(&orphan, &bystander, shape);
        drop(halted);
        let bystander = match given {
            Ok(bystander) => bystander,
            Err(error) if error.kind() == ErrorKind::Other => return Outcome::Missed,
            // It had the pid, and was killed before it could report that: since SIGTERM waits for it to be recorded.
            Err(error) => return Outcome::Harmed(format!("pid {pid}: {reuse:?}: stillborn: {error}")),
        };
        assert!(bystander.pid == pid && !orphan.is_alive(), "another process, under the same number");
        let is_dead = bystander.wait_exit(AFTERWARDS);
        let senders = fs::read_to_string(&record).unwrap_or_default();
        bystander.kill();
        if is_dead || !senders.is_empty() {
            let senders: Vec<&str> = senders.lines().collect();
            Outcome::Harmed(format!("pid {pid}: {reuse:?}: SIGTERM from {senders:?}, dead: {is_dead}"))
        } else {
            Outcome::Unharmed { was_ended }
        }
    }

    /// Stops the service so long after this message. The message may never come: the orphan is gone, or it is late.
    fn halt(
        &self,
        orphan: &ProcessRef,
        mut file: Tail,
        words: &[String],
        after: Duration,
    ) -> Option<Halted<'a>> {
        let end = Instant::now() + PATIENCE;
        while !file.says(words) {
            if Instant::now() >= end || !orphan.is_alive() {
                return None;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        std::thread::sleep(after);
        Some(Halted::new(self.service, self.turns))
    }
}

/// The results of all of them.
#[derive(Default)]
struct Tally {
    missed: usize,
    unharmed: usize,
    ended: usize,
    harmed: Vec<String>,
}

impl Tally {
    fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Missed => self.missed += 1,
            Outcome::Unharmed { was_ended } => {
                self.unharmed += 1;
                self.ended += usize::from(was_ended);
            }
            Outcome::Harmed(how) => self.harmed.push(how),
        }
    }
}

#[test]
fn w07_a_pid_reused_while_the_service_ends_orphans_is_never_signalled() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let wanted = usize::try_from(number("REUSES").unwrap_or(50)).unwrap();
    let seed = number("REUSE_SEED").unwrap_or(7);
    // Each takes two seconds, on a machine that is busy.
    let time = Duration::from_secs(2) * u32::try_from(wanted.div_ceil(SLOTS)).unwrap();
    let _heavy = one_heavy_test();
    in_namespace(&PidNamespace::new().systemd().timeout(time + 4 * SOON), test_name!(), || {
        let processes = ProcessSet::new();
        let plain = processes.spec("goose");
        if let Err(error) = recycle_pid(&plain.orphan(), &plain, SHAPE) {
            return skip(test_name!(), &format!("no process can be given a number of choice: {error}"));
        }
        let service =
            Service::new(&processes.directory().join("home")).set("interval", "200ms").set("grace", "0s");
        let service = service.set("term-timeout", "250ms").start();
        let turns = Mutex::new(());
        let slots: Vec<Slot<'_>> = (0..SLOTS).map(|_| Slot::new(&processes, &service, &turns)).collect();
        let mut dice = Dice(2 * seed + 1);
        let reuses: Vec<Reuse> = (0..wanted).map(|index| Reuse::new(index, &mut dice)).collect();
        let (left, tally) = (Mutex::new(reuses.into_iter()), Mutex::new(Tally::default()));
        let next = || left.lock().unwrap().next();
        let began = Instant::now();
        std::thread::scope(|scope| {
            for slot in &slots {
                scope.spawn(|| {
                    while let Some(reuse) = next() {
                        let outcome = slot.in_namespace(reuse);
                        tally.lock().unwrap().add(outcome);
                    }
                });
            }
        });
        let took = began.elapsed();
        let Tally { missed, unharmed, ended, harmed } = tally.into_inner().unwrap();
        let signals = |signal: &str| service.history().iter().filter(|r| r["signal"] == signal).count();
        let (terms, kills, totals) = (signals("TERM"), signals("KILL"), service.status()["totals"].take());
        measured(&format!(
            "{} numbers reused in {:.1} s, {missed} missed; {ended} orphans had been ended by the service, {} were gone \
             when their signal came; accounts of {terms} SIGTERM and {kills} SIGKILL; seed {seed} {totals}",
            unharmed + harmed.len(),
            took.as_secs_f64(),
            totals["gone"]
        ));
        assert!(harmed.is_empty(), "seed {seed}\n{}\n{}", harmed.join("\n"), service.log_text());
        assert!(unharmed * 5 >= wanted * 4, "{missed} of {wanted} numbers could not be reused");
        assert!(ended > 0 && kills > 0, "nothing was being ended\n{}", service.log_text());
        service.stop();
    });
}
