//! The machine of the README: forty agents that outlived their app, and other processes that must live.

use std::path::{Path, PathBuf};
use std::process::Command;

use reaper_testkit::{ProcessRef, ProcessSet, ProcessSpec};

/// Its processes.
pub struct DemoMachine {
    processes: ProcessSet,
    uid: Option<u32>,
    /// The forty, in the order of their numbers.
    pub orphans: Vec<ProcessRef>,
    /// What must be alive at the end.
    pub others: Vec<(&'static str, ProcessRef)>,
}

impl DemoMachine {
    /// Sets it up, as a user without rights where the test has the right to become one.
    pub fn new() -> Self {
        // Numbers as on a machine that has been up for a while; not possible everywhere, and only cosmetic.
        drop(std::fs::write("/proc/sys/kernel/ns_last_pid", "41200"));
        let uid = an_ordinary_user();
        let mut machine = Self { processes: ProcessSet::new(), uid, orphans: Vec::new(), others: Vec::new() };
        machine.left_behind();
        machine.bystanders();
        machine
    }

    fn spec(&self, name: &str) -> ProcessSpec {
        let spec = self.processes.spec(name).exe_dir("/run/agents/bin");
        match self.uid {
            Some(uid) => spec.uid(uid),
            None => spec,
        }
    }

    /// Started by the app, like everything below it.
    fn agent(&self, name: &str) -> ProcessSpec {
        self.spec(name).env("SPROUT_MANAGED_AGENT", "xyz.block.sprout.app")
    }

    /// The app has crashed; its agents were reparented to init.
    fn left_behind(&mut self) {
        let script = |path: &str| format!("/usr/lib/node_modules/{path}");
        for i in 0..14 {
            let goose = self.agent("goose").args(["acp"]).orphan_of_dead_leader();
            if i % 4 == 0 {
                let server = script("@modelcontextprotocol/server-github/dist/index.js");
                self.agent("node").args([server]).under(&goose);
            }
            self.orphans.push(goose);
        }
        for _ in 0..12 {
            let adapter = script("@zed-industries/claude-agent-acp/dist/index.js");
            let adapter = self.agent("node").args([adapter]).orphan_of_dead_leader();
            self.agent("claude").own_session().under(&adapter);
            self.orphans.push(adapter);
        }
        for (name, args, count) in
            [("codex-acp", &[][..], 8), ("gemini", &["--acp"], 4), ("opencode", &["acp"], 2)]
        {
            let agent = self.agent(name).args(args.iter().copied());
            self.orphans.extend((0..count).map(|_| agent.orphan_of_dead_leader()));
        }
    }

    fn bystanders(&mut self) {
        let editor = self.spec("code").orphan_in_session();
        let owner = format!("{}:{}:{}", editor.pid, editor.start_ticks(), boot_id());
        let daemon = self.agent("claude").args(["daemon", "run"]).orphan_in_session();
        let owned = self.agent("goose").args(["acp"]).env("REAPER_OWNER", owner).orphan_of_dead_leader();
        let tmux = self.agent("tmux").args(["new-session", "-d"]).orphan_in_session();
        let attached = self.agent("claude").under(&tmux);
        let by_hand = self.spec("claude").orphan_of_dead_leader();
        self.others = vec![
            ("the editor", editor),
            ("a daemon that claude was asked to leave", daemon),
            ("an agent that the editor owns", owned),
            ("tmux, though started by an agent", tmux),
            ("the agent in tmux", attached),
            ("an agent without a marker", by_hand),
        ];
    }

    /// `sh`, as the user, who finds `reaper` in the path.
    pub fn shell(&self, script: &str) -> Command {
        use std::os::unix::process::CommandExt as _;
        let reaper = PathBuf::from(env!("CARGO_BIN_EXE_reaper"));
        let home = self.home();
        let mut command = Command::new("sh");
        let path = format!("{}:/usr/bin:/bin", reaper.parent().unwrap_or(Path::new("/")).display());
        command.args(["-c", script]).env_clear().env("PATH", path).env("HOME", home);
        if let Some(uid) = self.uid {
            command.uid(uid).gid(uid);
        }
        command
    }

    fn home(&self) -> PathBuf {
        let home = self.processes.directory().join("home");
        drop(std::fs::create_dir(&home));
        if let Some(uid) = self.uid {
            std::os::unix::fs::chown(&home, Some(uid), Some(uid)).expect("root gives a folder away");
        }
        home
    }
}

/// An ordinary user to be, when we are root of the machine.
fn an_ordinary_user() -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let root = std::fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0);
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let every = map.split_whitespace().eq(["0", "0", "4294967295"]);
    (root && every).then_some(1000)
}

/// The running boot's id.
pub fn boot_id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("a boot id");
    id.trim().to_owned()
}
