//! The example config, written from the defaults themselves so that it cannot tell a lie.
//!
//! Every key stands there commented out at its default: deleting the file, or removing every `#` before a key,
//! changes nothing.

use super::durations::format as duration;
use super::error::ConfigError;
use super::layers::{Layers, Overrides};
use super::profiles;
use super::resolve::resolve;
use super::show::{list, quoted};

const HEAD: &str = "\
# Settings of reaper. Every key is shown at its default; remove the `#` before one to change it.
# Read from /etc/reaper/config.toml, then from $XDG_CONFIG_HOME/reaper/config.toml, then from REAPER_* variables
# (REAPER_GRACE=45s), then from flags; later wins. `reaper config check` checks, `reaper config show` explains.
";

const METRICS: &str = "
# Where the service puts its metrics; docs/metrics.md explains them. Both are off while they are empty.
#[metrics]
";

const OWN_PROFILE: &str = r#"
# A profile of your own: what your launcher sets on everything it starts, and which programs it starts.
#
# [[profile]]
# name = "mine"
# about = "agents started by my launcher"
# # Any one of these variables proves provenance. NAME: any value but 0, false, no and off; NAME=VALUE: exactly that.
# markers = ["MY_AGENT_RUN"]
# # All of these must be there too.
# require = []
# # "my-agent" also covers my-agent-acp, my-agent_2 and my-agent.real. A table looks at the arguments too:
# # with-arg is a piece of one, without-arg the beginning of none.
# programs = ["my-agent", { name = "chromium", with-arg = "--headless", without-arg = "--type=" }]
# # A variable whose value all processes of one run share: nothing is ended while a live one holds it.
# owner-env = "MY_AGENT_GENERATION"
# # A variable that holds the launcher's pid.
# owner-pid-env = "MY_AGENT_PID"
# # Arguments that say: started to outlive its launcher. A trailing * stands for any ending.
# keep-args = ["--daemon", "serve --forever", { program = "my-agent", args = ["--listen", "unix://*"] }]
"#;

/// Writes the example.
///
/// # Errors
/// Only if the defaults themselves do not hold, which is a bug.
pub fn render() -> Result<String, ConfigError> {
    let policy = resolve(&Layers::default(), &Overrides::default())?;
    let mut out = String::from(HEAD);
    let mut key = |text: &str, name: &str, value: String| put(&mut out, text, name, &value);
    key("Time between two sweeps of the service.", "interval", quoted(&duration(policy.interval())));
    key(
        "How long a process must have been seen orphaned before it is asked to end.",
        "grace",
        quoted(&duration(policy.grace())),
    );
    key(
        "Time from SIGTERM to SIGKILL. Agents need it to stop their own workers.",
        "term-timeout",
        quoted(&duration(policy.term_timeout())),
    );
    key("Time to wait for the end after SIGKILL.", "kill-timeout", quoted(&duration(policy.kill_timeout())));
    key(
        "\"tree\": descendants and group members too, each judged by itself; \"process\": only the orphan and its wrappers.",
        "reach",
        quoted(&policy.reach().to_string()),
    );
    key(
        "Most processes ended in one sweep; the rest waits for the next.",
        "max-targets",
        policy.max_targets().to_string(),
    );
    let off: Vec<_> = profiles::names().filter(|name| !profiles::DEFAULT.contains(name)).collect();
    key(
        &format!(
            "Built-in profiles to apply; `reaper profiles` explains them. Also known:\n{}.",
            off.join(", ")
        ),
        "use",
        list(profiles::DEFAULT),
    );
    key(
        "More programs that are never touched. The built-in ones (tmux, systemd, sshd…) cannot be taken away.",
        "protect",
        list::<&str>([]),
    );
    key(
        "More programs that adopt orphans, besides init and the user's service manager: \"conmon\", \"my-supervisor\".",
        "adopters",
        list(policy.adopters()),
    );
    key(
        "Programs that only start another and wait for it. They end together with what they started.",
        "wrappers",
        list(policy.wrappers()),
    );
    let outputs = policy.outputs();
    key(
        "How much the service logs: error, warn, info, debug, trace or off, or a list such as \"info,reaper::service=debug\".\nRUST_LOG and -v win over it.",
        "log-level",
        quoted(&outputs.log_level().to_string()),
    );
    key(
        "\"journal\": structured, to systemd's journal; \"text\" and \"json\": to standard error; \"auto\": to the journal under\nsystemd, else text. A change of it needs a restart of the service; all others only `reaper reload`.",
        "log-format",
        quoted(&outputs.log_format().to_string()),
    );
    key(
        "Whether to show a note on the desktop when something was ended.",
        "notify",
        outputs.notify().to_string(),
    );
    out.push_str(METRICS);
    put(
        &mut out,
        "A file that node_exporter reads, such as \"/var/lib/node_exporter/textfile/reaper.prom\"; its directory must exist.",
        "textfile",
        &quoted(""),
    );
    put(
        &mut out,
        "An address to serve /metrics, /livez and /readyz on, such as \"127.0.0.1:9464\". Nothing there asks who calls.",
        "listen",
        &quoted(""),
    );
    out.push_str(OWN_PROFILE);
    Ok(out)
}

fn put(out: &mut String, text: &str, name: &str, value: &str) {
    out.push('\n');
    for line in text.lines() {
        out.push_str(&format!("# {line}\n"));
    }
    out.push_str(&format!("#{name} = {value}\n"));
}

#[cfg(test)]
mod tests {
    use super::{OWN_PROFILE, render};
    use crate::config::layers::{FileLayer, Layers, Overrides};
    use crate::config::policy::{Origin, Policy};
    use crate::config::{resolve::resolve, show};
    use std::path::Path;

    fn policy(text: Option<String>) -> Policy {
        let files = text.map(|text| FileLayer::parse(Path::new("c"), text).unwrap()).into_iter().collect();
        let layers = Layers { files, ..Layers::default() };
        resolve(&layers, &Overrides::default()).unwrap()
    }

    #[test]
    fn the_committed_example_is_the_generated_one() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.toml");
        let generated = render().unwrap();
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&path, &generated).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap();
        assert!(committed == generated, "run `reaper config example >config.example.toml`");
    }

    #[test]
    fn uncommented_it_changes_nothing() {
        let uncommented: Vec<_> = render()
            .unwrap()
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => key.to_owned(),
                _ => line.to_owned(),
            })
            .collect();
        let read = policy(Some(uncommented.join("\n")));
        let plain = policy(None);
        assert_eq!(read.interval.origin, Origin::File("c".into()));
        let mut same = read.clone();
        same.files.clear();
        for origin in [
            &mut same.interval.origin,
            &mut same.grace.origin,
            &mut same.term_timeout.origin,
            &mut same.kill_timeout.origin,
            &mut same.reach.origin,
            &mut same.max_targets.origin,
            &mut same.selected.origin,
            &mut same.adopters.origin,
            &mut same.wrappers.origin,
            &mut same.outputs.log_level.origin,
            &mut same.outputs.log_format.origin,
            &mut same.outputs.notify.origin,
            &mut same.outputs.textfile.origin,
            &mut same.outputs.listen.origin,
        ] {
            *origin = Origin::Default;
        }
        assert_eq!(same, plain);
        assert_eq!(read.warnings(), []);
    }

    #[test]
    fn its_profile_is_a_profile() {
        let text: Vec<_> =
            OWN_PROFILE.lines().skip(2).map(|line| line.trim_start_matches('#').trim_start()).collect();
        let body: Vec<_> =
            text.into_iter().filter(|line| line.starts_with('[') || line.contains(" = ")).collect();
        let policy = policy(Some(body.join("\n")));
        let profile = policy.profiles().last().unwrap();
        assert_eq!((profile.name.as_str(), profile.keep_args.len()), ("mine", 3));
    }

    #[test]
    fn what_is_shown_can_be_loaded() {
        let text = r#"
            grace = "1m"
            protect = ["postgres"]
            log-level = "warn,reaper=debug"
            notify = true
            [metrics]
            textfile = "/tmp/a \"b\".prom"
            listen = "[::1]:9464"
            [[profile]]
            name = "mine"
            markers = ["MINE=a\"b", "OTHER"]
            programs = ["abc", { name = "bash", with-arg = "/mine/" }]
            keep-args = ["serve --forever"]
        "#;
        let first = policy(Some(text.to_owned()));
        let shown = show::render(&first);
        assert!(shown.contains("# c\n") && shown.contains("# default\n"), "{shown}");
        let again = policy(Some(shown));
        assert_eq!(again.profiles(), first.profiles());
        assert_eq!(again.grace(), first.grace());
        assert!(again.protect().eq(first.protect()));
        let told = |policy: &Policy| {
            let o = policy.outputs();
            (o.log_level().clone(), o.log_format(), o.notify(), o.textfile().map(Path::to_owned), o.listen())
        };
        assert_eq!(told(&again), told(&first));
    }
}
