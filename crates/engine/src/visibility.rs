//! Why no process that reaper could look after can be seen, in words: a container without the agents' PID namespace, or
//! agents that run as another user. Everything else looks healthy there, and nothing found must not be called clean.

/// What makes blind, and what helps; also for a container that can read nobody's environment.
pub const AS_THE_AGENTS: &str = "run reaper with the agents' user and group (runAsUser and runAsGroup in a pod, `--user UID:GID`), \
                                 or for several users as root with --all-users and the capabilities KILL, SYS_PTRACE and \
                                 DAC_READ_SEARCH (those of another user than root are not ambient in a pod)";
const SHARE: &str = "share the agents' PID namespace: `shareProcessNamespace: true` in a pod, `docker run \
                     --pid=container:NAME` or `--pid=host`, `pid: \"service:NAME\"` in compose";

/// Why nobody is there to look after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lonely {
    /// There is no process but reaper in its PID namespace.
    Alone,
    /// None is our user's, and an agent of another user is there: which, in words.
    Strangers(String),
}

impl Lonely {
    /// What is wrong.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Self::Alone => {
                "reaper is alone in its PID namespace, so no agent can be seen from here".to_owned()
            }
            Self::Strangers(who) => {
                format!("nobody else is here of reaper's own user, and {who}, whose marker cannot be read")
            }
        }
    }

    /// What helps.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Alone => SHARE,
            Self::Strangers(_) => AS_THE_AGENTS,
        }
    }
}
