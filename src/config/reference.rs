//! What every key of the config means, once: the example file and the man page are both written from this.

use super::env;
use super::error::ConfigError;
use super::layers::{Layers, Overrides};
use super::profiles;
use super::resolve::resolve;
use super::show::{list, quoted};
use reaper_policy::duration::format as duration;

/// One key outside profiles.
#[derive(Debug)]
pub struct Key {
    /// The table that it stands in; none at the top.
    pub table: Option<&'static str>,
    /// Its name.
    pub name: &'static str,
    /// What it means, wrapped for the example file.
    pub text: String,
    /// Its default, as it is written in the file.
    pub default: String,
    /// The variable that sets it too.
    pub variable: &'static str,
}

/// One key of a profile.
#[derive(Debug)]
pub struct ProfileKey {
    /// Its name.
    pub name: &'static str,
    /// What it means, wrapped for the example file.
    pub text: &'static str,
    /// A value as somebody may write it.
    pub example: &'static str,
}

/// What the keys of `[metrics]` have in common.
pub const METRICS: &str =
    "Where the service puts its metrics; docs/metrics.md explains them. Both are off while they are empty.";

/// What a profile is.
pub const PROFILE: &str =
    "A profile of your own: what your launcher sets on everything it starts, and which programs it starts.";

/// The keys of a profile.
pub const PROFILE_KEYS: [ProfileKey; 9] = [
    profile("name", "What it is called; not like a built-in one.", "\"mine\""),
    profile("about", "A few words for `reaper profiles`.", "\"agents started by my launcher\""),
    profile(
        "markers",
        "Any one of these variables proves provenance. NAME: any value but 0, false, no and off; NAME=VALUE: exactly that.",
        "[\"MY_AGENT_RUN\"]",
    ),
    profile("require", "All of these must be there too.", "[]"),
    profile(
        "programs",
        "\"my-agent\" also covers my-agent-1.2.0, my-agent-linux-x64 and my-agent.real, and nothing else; \"my-agent-*\" covers\nwhatever begins so. A table looks at the arguments too: with-arg is a piece of one, without-arg the beginning of none.",
        r#"["my-agent", { name = "chromium", with-arg = "--headless", without-arg = "--type=" }]"#,
    ),
    profile(
        "owner-env",
        "A variable whose value all processes of one run share: nothing is ended while a live one holds it.",
        "\"MY_AGENT_GENERATION\"",
    ),
    profile("owner-pid-env", "A variable that holds the launcher's pid.", "\"MY_AGENT_PID\""),
    profile("keep-listeners", "As above, for this profile alone.", "true"),
    profile(
        "keep-args",
        "Arguments that say: started to outlive its launcher. A trailing * stands for any ending.",
        r#"["--daemon", "serve --forever", { program = "my-agent", args = ["--listen", "unix://*"] }]"#,
    ),
];

const fn profile(name: &'static str, text: &'static str, example: &'static str) -> ProfileKey {
    ProfileKey { name, text, example }
}

/// Every key outside profiles, in the order of the example file.
///
/// # Errors
/// Only if the defaults themselves do not hold, which is a bug.
pub fn keys() -> Result<Vec<Key>, ConfigError> {
    let policy = resolve(&Layers::default(), &Overrides::default())?;
    let outputs = policy.outputs();
    let off: Vec<_> = profiles::names().filter(|name| !profiles::DEFAULT.contains(name)).collect();
    let known = format!(
        "Built-in profiles to apply; `reaper profiles` explains them. Also known:\n{}.",
        off.join(", ")
    );
    let key = |name, variable, default, text: &str| Key {
        table: None,
        name,
        text: text.to_owned(),
        default,
        variable,
    };
    let metric = |name, variable, text: &str| {
        let default = quoted("");
        Key { table: Some("metrics"), name, text: text.to_owned(), default, variable }
    };
    Ok(vec![
        key(
            "interval",
            env::INTERVAL,
            quoted(&duration(policy.interval.value)),
            "Time between two sweeps of the service.",
        ),
        key(
            "grace",
            env::GRACE,
            quoted(&duration(policy.grace.value)),
            "How long a process must have been seen orphaned before it is asked to end.",
        ),
        key(
            "term-timeout",
            env::TERM_TIMEOUT,
            quoted(&duration(policy.term_timeout.value)),
            "Time from SIGTERM to SIGKILL. Agents need it to stop their own workers.",
        ),
        key(
            "kill-timeout",
            env::KILL_TIMEOUT,
            quoted(&duration(policy.kill_timeout.value)),
            "Time to wait for the end after SIGKILL.",
        ),
        key(
            "reach",
            env::REACH,
            quoted(&policy.reach.value.to_string()),
            "\"tree\": descendants and group members too, each judged by itself; \"process\": only the orphan and its wrappers.",
        ),
        key(
            "max-targets",
            env::MAX_TARGETS,
            policy.max_targets.value.to_string(),
            "Most processes ended in one sweep; the rest waits for the next.",
        ),
        key(
            "keep-listeners",
            env::KEEP_LISTENERS,
            policy.keep_listeners.value.to_string(),
            "Whether a helper (a server, a script, a wrapper; never an agent) is kept while it accepts connections: on a TCP port,\nor on a socket that others can know.",
        ),
        key("use", env::USE, list(profiles::DEFAULT), &known),
        key(
            "protect",
            env::PROTECT,
            list::<&str>([]),
            "More programs that are never touched. The built-in ones (tmux, systemd, sshd…) cannot be taken away.",
        ),
        key(
            "adopters",
            env::ADOPTERS,
            list(&policy.adopters.value),
            "Subreapers that adopt orphans, besides init and the user's service manager: \"conmon\", \"my-supervisor\". Exact\nnames. They also start programs, so an orphan below one is ended only if its parent's death is proven: by its session,\nby REAPER_OWNER, or because the service saw it.",
        ),
        key(
            "wrappers",
            env::WRAPPERS,
            list(&policy.wrappers.value),
            "Programs that only start another and wait for it, by their exact names. They end together with what they started;\none that runs several marked programs at once is their host and no wrapper.",
        ),
        key(
            "log-level",
            env::LOG_LEVEL,
            quoted(&outputs.log_level().to_string()),
            "How much the service logs: error, warn, info, debug, trace or off, or a list such as \"info,reaper::service=debug\".\nRUST_LOG and -v win over it.",
        ),
        key(
            "log-format",
            env::LOG_FORMAT,
            quoted(&outputs.log_format().to_string()),
            "\"journal\": structured, to systemd's journal; \"text\" and \"json\": to standard error; \"auto\": to the journal under\nsystemd, else text. A change of it needs a restart of the service; all others only `reaper reload`.",
        ),
        key(
            "notify",
            env::NOTIFY,
            outputs.notify().to_string(),
            "Whether to show a note on the desktop when something was ended.",
        ),
        metric(
            "textfile",
            env::METRICS_TEXTFILE,
            "A file that node_exporter reads, such as \"/var/lib/node_exporter/textfile/reaper.prom\"; its directory must exist.",
        ),
        metric(
            "listen",
            env::METRICS_LISTEN,
            "An address to serve /metrics, /livez and /readyz on, such as \"127.0.0.1:9464\". Nothing there asks who calls.",
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::{PROFILE_KEYS, keys};
    use crate::config::env;
    use std::collections::BTreeSet;

    #[test]
    fn every_variable_that_sets_a_key_has_its_key() {
        let described: BTreeSet<_> = keys().unwrap().iter().map(|key| key.variable).collect();
        let read: BTreeSet<_> = env::SETTINGS.into_iter().filter(|name| *name != env::CONFIG).collect();
        assert_eq!(described, read);
    }

    #[test]
    fn a_variable_is_called_like_its_key() {
        for key in keys().unwrap() {
            let table = key.table.map(|table| format!("{table}_")).unwrap_or_default();
            let name = format!("REAPER_{table}{}", key.name).to_uppercase().replace('-', "_");
            assert_eq!(name, key.variable);
        }
    }

    /// What serde says that it knows, when it is asked for a key that it does not know.
    fn known_to_the_reader(text: &str) -> BTreeSet<String> {
        let error = toml::from_str::<crate::config::file::FileConfig>(text).unwrap_err().to_string();
        let (_, names) = error.split_once("expected one of ").unwrap();
        let quoted = names.lines().next().unwrap().split(", ");
        quoted.map(|name| name.trim_matches('`').to_owned()).collect()
    }

    #[test]
    fn every_key_that_is_read_is_described() {
        let keys = keys().unwrap();
        let mut top: BTreeSet<String> =
            keys.iter().filter(|key| key.table.is_none()).map(|key| key.name.to_owned()).collect();
        top.extend(["metrics".to_owned(), "profile".to_owned()]);
        assert_eq!(top, known_to_the_reader("planted = 1"));
        let profile: BTreeSet<String> = PROFILE_KEYS.iter().map(|key| key.name.to_owned()).collect();
        assert_eq!(profile, known_to_the_reader("[[profile]]\nplanted = 1"));
    }
}
