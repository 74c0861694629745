//! The table of settings: one row defines one setting.
//!
//! It is used to read files and variables, to write `config show`, `config example` and the man page, and to suggest
//! names for misspelt keys and variables. The defaults are those of [`Settings::default`].

use std::path::Path;
use std::time::Duration;

use reaper_policy::builtin_profiles::BUILT_IN;
use reaper_policy::duration::format as duration;
use reaper_policy::policy::Reach;

use super::document::{Fault, quoted, quoted_list};
use super::given::Given;
use super::outputs::{self, LogFormat};
use super::setting::{Setting, Settings};
use super::validate;

/// A setting.
pub(crate) struct Key {
    /// Its TOML table; `None` at the top level.
    pub(crate) table: Option<&'static Table>,
    /// Its name.
    pub(crate) name: &'static str,
    /// The environment variable that sets it.
    pub(crate) variable: &'static str,
    /// Its description, wrapped for the example file; see [`Key::text`].
    text: &'static str,
    /// Parses, checks and stores a value.
    pub(super) read: fn(&mut Settings, &Given<'_>) -> Result<(), Fault>,
    /// Formats the value in force as TOML.
    pub(super) show: fn(&Settings) -> String,
    /// For a setting to which all sources add: what they added.
    pub(super) added: Option<Added>,
}

/// Returns what the sources added to a value, each entry with its origin.
type Added = fn(&Settings) -> &[Setting<String>];

/// A table of settings.
pub(crate) struct Table {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its description.
    pub(crate) text: &'static str,
}

impl Key {
    /// Its description, wrapped for the example file.
    pub(crate) fn text(&self) -> String {
        let off = BUILT_IN.iter().filter(|built_in| !built_in.default);
        let off: Vec<&str> = off.map(|built_in| &*built_in.profile.name).collect();
        self.text.replace(PROFILES_OFF, &off.join(", "))
    }

    /// Its default, as TOML.
    pub(crate) fn default(&self) -> String {
        (self.show)(&Settings::default())
    }
}

/// The keys of a table, or of the top level.
pub(crate) fn keys_of(table: Option<&str>) -> impl Iterator<Item = &'static Key> + Clone {
    KEYS.iter().filter(move |key| key.table.map(|table| table.name) == table)
}

/// The tables, in their order.
pub(crate) static TABLES: &[&Table] = &[&METRICS];

static METRICS: Table = Table {
    name: "metrics",
    text: "Where the service puts its metrics; docs/metrics.md explains them. Both are off while they are empty.",
};

/// Placeholder in a text for the built-in profiles that are off by default.
const PROFILES_OFF: &str = "{profiles that are off}";

const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Shortest interval: more frequent sweeps would cost more than the orphans that they find.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
/// Largest `max-targets`, the limit of pids on Linux; a larger value is a typing error.
const MOST_TARGETS: usize = 4_194_304;

/// Every setting, in the order of the example file: top-level keys first, then those of each table together.
pub(crate) static KEYS: &[Key] = &[
    Key {
        table: None,
        name: "interval",
        variable: "REAPER_INTERVAL",
        text: "Time between two sweeps of the service.",
        read: |s, given| given.duration(SHORTEST_INTERVAL..=DAY).map(|time| s.policy_mut().interval = time),
        show: |s| quoted(&duration(s.policy.interval)),
        added: None,
    },
    Key {
        table: None,
        name: "grace",
        variable: "REAPER_GRACE",
        text: "How long a process must have been seen orphaned before it is asked to end.",
        read: |s, given| given.duration(Duration::ZERO..=YEAR).map(|time| s.policy_mut().grace = time),
        show: |s| quoted(&duration(s.policy.grace)),
        added: None,
    },
    Key {
        table: None,
        name: "term-timeout",
        variable: "REAPER_TERM_TIMEOUT",
        text: "Time from SIGTERM to SIGKILL. Agents need it to stop their own workers.",
        read: |s, given| given.duration(MILLISECOND..=HOUR).map(|time| s.policy_mut().term_timeout = time),
        show: |s| quoted(&duration(s.policy.term_timeout)),
        added: None,
    },
    Key {
        table: None,
        name: "kill-timeout",
        variable: "REAPER_KILL_TIMEOUT",
        text: "Time to wait for the end after SIGKILL.",
        read: |s, given| given.duration(MILLISECOND..=HOUR).map(|time| s.policy_mut().kill_timeout = time),
        show: |s| quoted(&duration(s.policy.kill_timeout)),
        added: None,
    },
    Key {
        table: None,
        name: "reach",
        variable: "REAPER_REACH",
        text: "\"tree\": descendants and group members too, each judged by itself; \"process\": only the orphan and its wrappers.",
        read: |s, given| {
            let choices = [("process", Reach::Process), ("tree", Reach::Tree)];
            given.choice(&choices).map(|reach| s.policy_mut().reach = reach)
        },
        show: |s| quoted(&s.policy.reach.to_string()),
        added: None,
    },
    Key {
        table: None,
        name: "max-targets",
        variable: "REAPER_MAX_TARGETS",
        text: "Most processes ended in one sweep; the rest waits for the next.",
        read: |s, given| {
            let advice = "to end nothing, stop the service or use `reaper scan --dry-run`";
            given.count(MOST_TARGETS, advice).map(|count| s.policy_mut().max_targets = count)
        },
        show: |s| s.policy.max_targets.to_string(),
        added: None,
    },
    Key {
        table: None,
        name: "keep-listeners",
        variable: "REAPER_KEEP_LISTENERS",
        text: "Whether a helper (a server, a script, a wrapper; never an agent) is kept while it accepts connections: on a TCP port,\nor on a socket that others can know.",
        read: |s, given| given.boolean().map(|is_kept| s.policy_mut().keep_listeners = is_kept),
        show: |s| s.policy.keep_listeners.to_string(),
        added: None,
    },
    Key {
        table: None,
        name: "use",
        variable: "REAPER_USE",
        text: "Built-in profiles to apply; `reaper profiles` explains them. Also known:\n{profiles that are off}.",
        // Names are checked later: all profiles are known only when all files are read.
        read: |s, given| given.names(|_| Ok(())).map(|names| s.selected = names),
        show: |s| quoted_list(&s.selected),
        added: None,
    },
    Key {
        table: None,
        name: "protect",
        variable: "REAPER_PROTECT",
        text: "More programs that are never touched. The built-in ones (tmux, systemd, sshd…) cannot be taken away.",
        read: |s, given| given.names(validate::shape).map(|names| s.protect(names, given.origin)),
        show: |s| quoted_list(s.protected.iter().map(|entry| &entry.value)),
        added: Some(|s| &s.protected),
    },
    Key {
        table: None,
        name: "adopters",
        variable: "REAPER_ADOPTERS",
        text: "Subreapers that adopt orphans, besides init and the user's service manager: \"conmon\", \"my-supervisor\". Exact\nnames. They also start programs, so an orphan below one is ended only if its parent's death is proven: by its session,\nby REAPER_OWNER, or because the service saw it.",
        read: |s, given| given.names(validate::adopter).map(|names| s.policy_mut().adopters = names),
        show: |s| quoted_list(&s.policy.adopters),
        added: None,
    },
    Key {
        table: None,
        name: "wrappers",
        variable: "REAPER_WRAPPERS",
        text: "Programs that only start another and wait for it, by their exact names. They end together with what they started;\none that runs several marked programs at once is their host and no wrapper.",
        read: |s, given| given.names(validate::wrapper).map(|names| s.policy_mut().wrappers = names),
        show: |s| quoted_list(&s.policy.wrappers),
        added: None,
    },
    Key {
        table: None,
        name: "log-level",
        variable: "REAPER_LOG_LEVEL",
        text: "How much the service logs: error, warn, info, debug, trace or off, or a list such as \"info,reaper::service=debug\".\nRUST_LOG and -v win over it.",
        read: |s, given| given.text(outputs::log_level).map(|level| s.outputs.log_level = level),
        show: |s| quoted(&s.outputs.log_level.to_string()),
        added: None,
    },
    Key {
        table: None,
        name: "log-format",
        variable: "REAPER_LOG_FORMAT",
        text: "\"journal\": structured, to systemd's journal; \"text\" and \"json\": to standard error; \"auto\": to the journal under\nsystemd, else text. A change of it needs a restart of the service; all others only `reaper reload`.",
        read: |s, given| {
            let choices = LogFormat::ALL.map(|format| (format.name(), format));
            given.choice(&choices).map(|format| s.outputs.log_format = format)
        },
        show: |s| quoted(s.outputs.log_format.name()),
        added: None,
    },
    Key {
        table: None,
        name: "notify",
        variable: "REAPER_NOTIFY",
        text: "Whether to show a note on the desktop when something was ended.",
        read: |s, given| given.boolean().map(|is_on| s.outputs.notify = is_on),
        show: |s| s.outputs.notify.to_string(),
        added: None,
    },
    Key {
        table: Some(&METRICS),
        name: "textfile",
        variable: "REAPER_METRICS_TEXTFILE",
        text: "A file that node_exporter reads, such as \"/var/lib/node_exporter/textfile/reaper.prom\"; its directory must exist.",
        read: |s, given| given.text(outputs::textfile).map(|path| s.outputs.textfile = path),
        show: |s| quoted(&s.outputs.textfile().map(Path::to_string_lossy).unwrap_or_default()),
        added: None,
    },
    Key {
        table: Some(&METRICS),
        name: "listen",
        variable: "REAPER_METRICS_LISTEN",
        text: "An address to serve /metrics, /livez and /readyz on, such as \"127.0.0.1:9464\". Access is not authenticated.",
        read: |s, given| given.text(outputs::listen).map(|address| s.outputs.listen = address),
        show: |s| quoted(&s.outputs.listen.map(|address| address.to_string()).unwrap_or_default()),
        added: None,
    },
];

#[cfg(test)]
mod tests {
    use super::{KEYS, TABLES, keys_of};

    #[test]
    fn a_variable_is_named_after_its_key() {
        for key in KEYS {
            let table = key.table.map(|table| format!("{}_", table.name)).unwrap_or_default();
            let name = format!("REAPER_{table}{}", key.name).to_uppercase().replace('-', "_");
            assert_eq!(name, key.variable);
        }
    }

    #[test]
    fn every_key_is_reached_once_and_in_order() {
        let tables = TABLES.iter().map(|table| Some(table.name));
        let reached = std::iter::once(None).chain(tables).flat_map(keys_of);
        assert_eq!(
            reached.map(|key| key.variable).collect::<Vec<_>>(),
            KEYS.iter().map(|key| key.variable).collect::<Vec<_>>()
        );
    }

    #[test]
    fn no_text_has_a_placeholder_left() {
        for key in KEYS {
            assert!(!key.text().contains(['{', '}']), "{}", key.name);
        }
    }
}
