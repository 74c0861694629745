//! The settings in force: merged, checked, and never changed afterwards.
//!
//! A [`Policy`] is made by [`super::load`] only, so whoever holds one knows that every rule in it holds.

use super::error::Warning;
use crate::program::{self, Identity, Match, Names};
use serde::Deserialize;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// A config file.
    File(PathBuf),
    /// An environment variable.
    Env(&'static str),
    /// A flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.to_string_lossy().escape_debug()),
            Self::Env(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub origin: Origin,
}

/// How far a verdict about one process reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// The process and its wrappers.
    Process,
    /// Its descendants and group members too, each judged by itself.
    Tree,
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Process => "process",
            Self::Tree => "tree",
        })
    }
}

/// The settings in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub(super) interval: Setting<Duration>,
    pub(super) grace: Setting<Duration>,
    pub(super) term_timeout: Setting<Duration>,
    pub(super) kill_timeout: Setting<Duration>,
    pub(super) reach: Setting<Reach>,
    pub(super) max_targets: Setting<NonZeroUsize>,
    pub(super) selected: Setting<Vec<String>>,
    pub(super) profiles: Vec<Profile>,
    pub(super) protect: Vec<Setting<String>>,
    pub(super) adopters: Setting<Vec<String>>,
    pub(super) wrappers: Setting<Vec<String>>,
    pub(super) keep_args: Vec<KeepArgs>,
    pub(super) keep_env: Vec<Marker>,
    pub(super) files: Vec<PathBuf>,
    pub(super) warnings: Vec<Warning>,
}

impl Policy {
    /// Time between two sweeps of the service.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.interval.value
    }

    /// How long a process must have been seen orphaned.
    #[must_use]
    pub const fn grace(&self) -> Duration {
        self.grace.value
    }

    /// Time from SIGTERM to SIGKILL.
    #[must_use]
    pub const fn term_timeout(&self) -> Duration {
        self.term_timeout.value
    }

    /// Time to wait for the end after SIGKILL.
    #[must_use]
    pub const fn kill_timeout(&self) -> Duration {
        self.kill_timeout.value
    }

    /// How far a verdict reaches.
    #[must_use]
    pub const fn reach(&self) -> Reach {
        self.reach.value
    }

    /// Most processes ended in one sweep.
    #[must_use]
    pub const fn max_targets(&self) -> NonZeroUsize {
        self.max_targets.value
    }

    /// The profiles in force, in the order they are asked.
    #[must_use]
    pub fn profiles(&self) -> &[Profile] {
        &self.profiles
    }

    /// Programs that are never touched: the built-in ones, then the user's.
    pub fn protect(&self) -> impl Iterator<Item = &str> + Clone {
        self.protect.iter().map(|entry| entry.value.as_str())
    }

    /// The protected program a process is, if it is one.
    #[must_use]
    pub fn protected<'a>(&self, identity: &Identity<'a>) -> Option<Match<'_, 'a>> {
        program::find_by_any_word(identity, self.protect())
    }

    /// Subreaper programs named by the user.
    #[must_use]
    pub fn adopters(&self) -> &[String] {
        &self.adopters.value
    }

    /// Programs that only start another and wait for it.
    #[must_use]
    pub fn wrappers(&self) -> &[String] {
        &self.wrappers.value
    }

    /// Arguments by which agents mark daemons they started on purpose; they hold for every profile.
    #[must_use]
    pub fn keep_args(&self) -> &[KeepArgs] {
        &self.keep_args
    }

    /// Variables by which agents mark daemons they started on purpose; they hold for every profile.
    #[must_use]
    pub fn keep_env(&self) -> &[Marker] {
        &self.keep_env
    }

    /// The files that were read, weakest first.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// What is allowed but probably not meant.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

/// Who wrote a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProfileOrigin {
    /// It came with the program.
    BuiltIn,
    /// It stands in this file.
    File(PathBuf),
}

/// One family of agents: how their provenance is proven, and which programs they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// One sentence about it.
    pub about: String,
    /// Who wrote it.
    pub origin: ProfileOrigin,
    /// Variables of which any one proves provenance.
    pub markers: Vec<Marker>,
    /// Variables that must all be there too.
    pub require: Vec<Marker>,
    /// The programs.
    pub programs: Programs,
    /// A variable whose value all processes of one owner share.
    pub owner_env: Option<String>,
    /// A variable that holds the owner's pid.
    pub owner_pid_env: Option<String>,
    /// Arguments that say: started to outlive its launcher.
    pub keep_args: Vec<KeepArgs>,
}

/// Which programs a profile is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Programs {
    /// Whatever carries the marker; the owner must be provably dead.
    Any,
    /// These.
    Named(Vec<ProgramRule>),
}

impl Programs {
    /// The best matching rule for a process, and how it matched; `None` for [`Programs::Any`] too, as no rule did.
    #[must_use]
    pub fn find<'a>(&self, names: &Names<'a>, argv: &[Vec<u8>]) -> Option<(&ProgramRule, Match<'_, 'a>)> {
        let Self::Named(rules) = self else { return None };
        let mut applicable = rules.iter().filter(|rule| rule.accepts_args(argv));
        let found = program::find(names, applicable.clone().map(|rule| rule.name.as_str()))?;
        applicable.find(|rule| rule.name == found.rule).map(|rule| (rule, found))
    }
}

/// One program of a profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramRule {
    /// Its name, as [`crate::program::matches`] compares it.
    pub name: String,
    /// Some argument must contain this.
    pub with_arg: Option<String>,
    /// No argument may start with this.
    pub without_arg: Option<String>,
    /// Why the line is there.
    pub evidence: Option<String>,
}

impl ProgramRule {
    /// Whether the arguments are as the rule asks; the first argument, a name, is not looked at.
    #[must_use]
    pub fn accepts_args(&self, argv: &[Vec<u8>]) -> bool {
        let mut args = argv.iter().skip(1);
        let with =
            self.with_arg.as_ref().is_none_or(|text| args.clone().any(|arg| contains(arg, text.as_bytes())));
        with && !self
            .without_arg
            .as_ref()
            .is_some_and(|text| args.any(|arg| arg.starts_with(text.as_bytes())))
    }
}

fn contains(arg: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && arg.windows(part.len()).any(|window| window == part)
}

/// Consecutive arguments that say: started to outlive its launcher.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeepArgs {
    /// Only for this program.
    pub program: Option<String>,
    /// The arguments, in a row; one that ends in `*` stands for any with that beginning.
    pub args: Vec<String>,
    /// Why the line is there.
    pub evidence: Option<String>,
}

impl KeepArgs {
    /// Whether a process was started with these arguments.
    #[must_use]
    pub fn matches(&self, names: &Names<'_>, argv: &[Vec<u8>]) -> bool {
        let program = self.program.as_deref();
        if self.args.is_empty() || program.is_some_and(|name| program::find(names, [name]).is_none()) {
            return false;
        }
        let row = |window: &[Vec<u8>]| {
            window.iter().zip(&self.args).all(|(arg, wanted)| match wanted.strip_suffix('*') {
                Some(beginning) => arg.starts_with(beginning.as_bytes()),
                None => arg == wanted.as_bytes(),
            })
        };
        argv.get(1..).unwrap_or_default().windows(self.args.len()).any(row)
    }
}

impl fmt::Display for KeepArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.args.join(" "))
    }
}

/// An environment variable that proves where a process came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// The variable.
    pub name: String,
    /// The one value it must have; `None` for any that is not a way to say no.
    pub value: Option<Vec<u8>>,
    /// Why the line is there.
    pub evidence: Option<String>,
}

impl Marker {
    /// Whether a value of the variable is accepted.
    #[must_use]
    pub fn accepts(&self, value: &[u8]) -> bool {
        const NO: [&[u8]; 5] = [b"", b"0", b"false", b"no", b"off"];
        match &self.value {
            Some(wanted) => wanted == value,
            None => !NO.iter().any(|no| value.eq_ignore_ascii_case(no)),
        }
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.value.as_ref().map_or(Ok(()), |value| write!(f, "={}", value.escape_ascii()))
    }
}

#[cfg(test)]
mod tests {
    use super::{KeepArgs, Marker, ProgramRule, Programs};
    use crate::program::{Identity, Names};

    fn args(words: &[&str]) -> Vec<Vec<u8>> {
        words.iter().map(|word| word.as_bytes().to_vec()).collect()
    }

    #[test]
    fn a_marker_takes_any_value_but_a_no() {
        let any = Marker { name: "M".to_owned(), value: None, evidence: None };
        for yes in ["1", "true", "xyz.block.sprout.app", "00", " 0", "nope", "\u{7f}"] {
            assert!(any.accepts(yes.as_bytes()), "{yes:?}");
        }
        assert!(any.accepts(&[0xff]));
        for no in ["", "0", "false", "no", "off", "FALSE", "No", "oFF"] {
            assert!(!any.accepts(no.as_bytes()), "{no:?}");
        }
    }

    #[test]
    fn a_marker_with_a_value_takes_that_value_only() {
        let exact = Marker { name: "M".to_owned(), value: Some(b"0".to_vec()), evidence: None };
        assert!(exact.accepts(b"0"));
        for other in ["", "1", "00", "0 ", "M=0"] {
            assert!(!exact.accepts(other.as_bytes()), "{other:?}");
        }
    }

    #[test]
    fn arguments_keep_a_process_only_in_a_row_and_for_their_program() {
        let keep = |program: Option<&str>, args: &[&str]| KeepArgs {
            program: program.map(str::to_owned),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            evidence: None,
        };
        let argv = args(&["/p/codex", "app-server", "--listen", "unix:///run/x", "daemon"]);
        let identity = Identity { exe: Some(b"/p/codex"), argv: Some(&argv), comm: b"codex" };
        let names = Names::of(&identity);
        for (program, words, expected) in [
            (Some("codex"), &["--listen", "unix://*"][..], true),
            (None, &["daemon"], true),
            (Some("claude"), &["daemon"], false),
            (Some("codex"), &["app-server", "daemon"], false),
            (None, &["unix://"], false),
            (None, &["/p/codex"], false),
            (None, &["daemon", "run"], false),
            (None, &[], false),
        ] {
            assert_eq!(keep(program, words).matches(&names, &argv), expected, "{program:?} {words:?}");
        }
        assert!(!keep(None, &["x"]).matches(&names, &[]));
    }

    #[test]
    fn a_rule_may_look_at_the_arguments() {
        let rule = ProgramRule {
            name: "chrome".to_owned(),
            with_arg: Some("puppeteer_dev_chrome_profile-".to_owned()),
            without_arg: Some("--type=".to_owned()),
            evidence: None,
        };
        let plain =
            ProgramRule { name: "chrome".to_owned(), with_arg: Some("other".to_owned()), ..rule.clone() };
        let programs = Programs::Named(vec![plain, rule]);
        let profile = "--user-data-dir=/tmp/puppeteer_dev_chrome_profile-x";
        for (argv, expected) in [
            (&["/opt/chrome", profile][..], true),
            (&["/opt/chrome", profile, "--type=renderer"], false),
            (&["/opt/chrome"], false),
            (&["/opt/puppeteer_dev_chrome_profile-/chrome"], false),
            (&[], false),
        ] {
            let argv = args(argv);
            let identity = Identity { exe: Some(b"/opt/chrome"), argv: Some(&argv), comm: b"" };
            let found = programs.find(&Names::of(&identity), &argv);
            assert_eq!(found.is_some(), expected, "{argv:?}");
            if let Some((rule, _)) = found {
                assert_eq!(rule.with_arg.as_deref(), Some("puppeteer_dev_chrome_profile-"));
            }
        }
        assert!(Programs::Any.find(&Names::default(), &[]).is_none());
    }
}
