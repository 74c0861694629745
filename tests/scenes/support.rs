//! What every scene needs: the acting command, a marked actor, and assertions that show the whole verdict.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reaper_testkit::{Actor, Alive, IdMap, Stage, Troupe};
use rustix::process::Signal;
use serde_json::Value;

use crate::common::{Ran, Reaper, state_dir};

/// The launcher's marker, and the value it has in the wild.
pub const MARK: &str = "SPROUT_MANAGED_AGENT";
pub const APP: &str = "xyz.block.sprout.app";

/// As users run it from a script: it ends what may be ended, at once, and tells of everybody.
pub const ACT: [&str; 7] = ["scan", "--yes", "--all", "--grace", "0s", "--format", "json"];

/// Long for anything that happens at once, on a machine that is busy.
pub const LONG: Duration = Duration::from_secs(20);

/// A stage for a user without any rights: what belongs to others, or is closed, cannot be read.
pub fn ordinary_user() -> Stage {
    let stage = Stage::new().systemd().user_namespace(IdMap::Same);
    if rustix::process::geteuid().is_root() { stage.as_user(1000) } else { stage }
}

/// The home of the runs of a scene.
pub fn home(troupe: &Troupe) -> PathBuf {
    troupe.directory().join("home")
}

/// The acting command.
pub fn act(troupe: &Troupe) -> Reaper {
    Reaper::new(&home(troupe), ACT)
}

/// An agent of a known launcher.
pub fn marked(troupe: &Troupe, name: &str) -> Actor {
    troupe.actor(name).env(MARK, APP)
}

/// An orphan beyond doubt: whatever a scene spares beside it was not spared because nothing was done.
pub fn orphan(troupe: &Troupe) -> Alive {
    marked(troupe, "goose").args(["acp"]).orphan_of_dead_leader()
}

/// Fails unless the process was asked to end, did, and was no more than asked.
#[track_caller]
pub fn ended(ran: &Ran, gone: &Alive) {
    let action = action(ran, gone).unwrap_or_else(|| panic!("{} was not ended\n{}", gone.pid, ran.stdout));
    assert_eq!(
        (&action["outcome"], action["signals"].to_string().as_str()),
        (&"exited".into(), "[\"TERM\"]")
    );
    assert!(!gone.is_alive());
}

/// Fails unless this gate spared the process, with these words for it, and it lives.
#[track_caller]
pub fn spared(ran: &Ran, alive: &Alive, gate: &str, words: &str) {
    let listed = ran.judgement(alive.pid);
    let judgement = listed.unwrap_or_else(|| panic!("{} is not listed\n{}", alive.pid, ran.stdout));
    decided(&judgement, "spare", gate, words);
    untouched(ran, alive);
}

/// Fails unless this gate could not tell, with these words for it, and the process lives.
#[track_caller]
pub fn doubted(ran: &Ran, alive: &Alive, gate: &str, words: &str) {
    let listed = ran.judgement(alive.pid);
    let judgement = listed.unwrap_or_else(|| panic!("{} is not listed\n{}", alive.pid, ran.stdout));
    decided(&judgement, "unknown", gate, words);
    untouched(ran, alive);
}

/// Fails unless the process was named as a part of a tree that stays, with these words, and lives.
#[track_caller]
pub fn left_alone(ran: &Ran, alive: &Alive, words: &str) {
    let all = ran.json();
    let left = all["left_alone"].as_array().and_then(|all| all.iter().find(|one| one["pid"] == alive.pid));
    let left = left.unwrap_or_else(|| panic!("{} is not named\n{}", alive.pid, ran.stdout));
    let reason = left["reason"].as_str().unwrap_or_default();
    assert!(reason.contains(words), "`{words}` is not in {left}");
    untouched(ran, alive);
}

/// Fails unless the process lives and nothing was done to it.
#[track_caller]
pub fn untouched(ran: &Ran, alive: &Alive) {
    assert!(action(ran, alive).is_none(), "{} was a target\n{}", alive.pid, ran.stdout);
    assert!(alive.is_alive(), "{} has ended\n{}", alive.pid, ran.stdout);
}

/// Fails unless this gate alone stood between the process and its end; grace aside, which a scan can waive.
#[track_caller]
pub fn only(troupe: &Troupe, alive: &Alive, gate: &str) {
    let judgement = explain(troupe, alive);
    for other in ["user", "program", "orphan", "marker", "unsupervised", "unclaimed", "unprotected"] {
        let answer = finding(&judgement, other).unwrap_or_default()["answer"].clone();
        assert_eq!(answer == "yes", other != gate, "{other}: {judgement:#}");
    }
}

/// What `reaper explain` says of any process, whether or not a scan would look at it.
pub fn explain(troupe: &Troupe, alive: &Alive) -> Value {
    let args = ["explain", &alive.pid.to_string(), "--format", "json"].map(str::to_owned);
    Reaper::new(&home(troupe), args).run().expect_code(0).json()["judgement"].clone()
}

/// Fails unless a judgement is this, by this gate, with these words in its evidence.
#[track_caller]
pub fn decided(judgement: &Value, verdict: &str, gate: &str, words: &str) {
    let (got, by) = (&judgement["verdict"], &judgement["decided_by"]);
    assert!(got == verdict && by == gate, "not {verdict} by {gate}: {judgement:#}");
    let finding = finding(judgement, gate).unwrap_or_default();
    let evidence = finding["evidence"].as_str().unwrap_or_default();
    assert!(evidence.contains(words), "`{words}` is not in {finding:#}");
}

pub fn finding(judgement: &Value, gate: &str) -> Option<Value> {
    judgement["findings"].as_array()?.iter().find(|one| one["gate"] == gate).cloned()
}

/// What was done to a process, if anything.
pub fn action(ran: &Ran, alive: &Alive) -> Option<Value> {
    ran.json()["actions"].as_array()?.iter().find(|one| one["pid"] == alive.pid).cloned()
}

/// The history of a home, line by line; a line that is being written is not there yet.
pub fn records(home: &Path) -> Vec<Value> {
    let text = fs::read_to_string(state_dir(home).join("history.jsonl")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Waits until the signal has been accounted for and so is about to be sent.
pub fn wait_for_intent(home: &Path, alive: &Alive, signal: &str) {
    let is_it = |r: &Value| r["event"] == "intent" && r["pid"] == alive.pid && r["signal"] == signal;
    until("the intent is written", || records(home).iter().any(is_it));
}

/// Waits until a run has remembered the process as an orphan.
pub fn wait_for_sighting(home: &Path, alive: &Alive) {
    let entry = format!("\"pid\":{},", alive.pid);
    let file = state_dir(home).join("sightings.json");
    until("it is seen", || fs::read_to_string(&file).is_ok_and(|text| text.contains(&entry)));
}

/// Waits until it is so.
#[track_caller]
pub fn until(what: &str, is_so: impl FnMut() -> bool) {
    assert!(poll(is_so), "not within {LONG:?}: {what}");
}

/// Waits until it is so, and says whether it is.
pub fn poll(mut is_so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + LONG;
    while !is_so() {
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

/// A run that goes on while the scene does.
pub struct Running(Child);

impl Running {
    pub fn start(reaper: Reaper) -> Self {
        Self::spawn(reaper.command())
    }

    /// By way of another program (see [`Reaper::through`]).
    pub fn spawn(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// Waits for its end.
    pub fn finish(self) -> Ran {
        self.0.wait_with_output().unwrap().into()
    }

    /// Ends it, as a power cut would.
    pub fn kill(mut self) {
        let pid = i32::try_from(self.0.id()).unwrap();
        Alive::pin(pid).unwrap().signal(Signal::KILL.as_raw()).unwrap();
        self.0.wait().unwrap();
    }
}

/// The file of the stand-in under this name.
pub fn program(troupe: &Troupe, name: &str) -> PathBuf {
    let one = troupe.actor(name).child();
    let path = one.exe().unwrap();
    one.kill();
    path
}

/// `REAPER_OWNER` for this owner, with its PID namespace.
pub fn lease(owner: &Alive) -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    format!("{}:{}:{}:{}", owner.pid, owner.start_ticks(), boot.trim(), pid_namespace(owner.pid))
}

/// The inode of a process's PID namespace.
pub fn pid_namespace(pid: i32) -> String {
    let link = fs::read_link(format!("/proc/{pid}/ns/pid")).unwrap();
    link.to_str().unwrap().chars().filter(char::is_ascii_digit).collect()
}

/// The same lease as launchers wrote it that know of no namespaces.
pub fn of_no_namespace(lease: &str) -> String {
    lease.rsplit_once(':').unwrap().0.to_owned()
}

/// A lease of an owner that has ended.
pub fn dead_lease(troupe: &Troupe) -> String {
    let owner = troupe.actor("launcher").child();
    let lease = lease(&owner);
    owner.kill();
    assert!(owner.wait_collected(LONG));
    lease
}
