//! Why no process that reaper could look after can be seen, in words: a container without the agents' PID namespace, or
//! agents that run as another user. Everything else looks healthy there, and an empty result must not be reported as
//! clean.

/// The remedy for missing rights; also for a container in which no environment can be read.
pub const AS_THE_AGENTS: &str = "run reaper with the agents' user and group (runAsUser and runAsGroup in a pod, `--user UID:GID`), \
                                 or for several users as root with --all-users and the capabilities KILL, SYS_PTRACE and \
                                 DAC_READ_SEARCH (those of another user than root are not ambient in a pod)";
const SHARE: &str = "share the agents' PID namespace: `shareProcessNamespace: true` in a pod, `docker run \
                     --pid=container:NAME` or `--pid=host`, `pid: \"service:NAME\"` in compose";

/// Why no process that reaper could look after can be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VisibilityProblem {
    /// There is no process but reaper in its PID namespace.
    Alone,
    /// No process is our user's, but an agent of another user is running: which one, in words.
    Strangers(String),
}

impl VisibilityProblem {
    /// The problem, in words.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Self::Alone => {
                "reaper is alone in its PID namespace, so no agent can be seen from here".to_owned()
            }
            Self::Strangers(who) => {
                format!("no other process runs as reaper's own user, and {who}, whose marker cannot be read")
            }
        }
    }

    /// The remedy, in words.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Alone => SHARE,
            Self::Strangers(_) => AS_THE_AGENTS,
        }
    }
}
