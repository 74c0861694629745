//! Profiles: one family of agents each, with its markers, its programs, and what of it is left alone.
//!
//! Texts and lists are borrowed from the program for a built-in profile ([`crate::builtin_profiles`]), so that
//! selecting one copies only pointers, and owned for a profile from a file.

use crate::program;
use crate::program::{Match, Names};
use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

/// A text of a profile.
pub type Text = Cow<'static, str>;
/// A list of a profile.
pub type List<T> = Cow<'static, [T]>;

/// Where a profile comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProfileOrigin {
    /// Built in.
    BuiltIn,
    /// Defined in this file.
    File(PathBuf),
}

/// One family of agents: the markers that prove provenance, and the programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name.
    pub name: Text,
    /// One sentence about it.
    pub about: Text,
    /// Where it comes from.
    pub origin: ProfileOrigin,
    /// Variables of which any one proves provenance.
    pub markers: List<Marker>,
    /// Variables that must all be there too.
    pub require: List<Marker>,
    /// The programs.
    pub programs: Programs,
    /// A variable whose value all processes of one owner share.
    pub owner_env: Option<Text>,
    /// A variable that holds the owner's pid.
    pub owner_pid_env: Option<Text>,
    /// Whether its helpers that accept connections are kept; `None`: as the general setting says.
    pub keep_listeners: Option<bool>,
    /// Arguments that mark a process as started to outlive its launcher.
    pub keep_args: List<KeepArgs>,
}

impl Profile {
    /// An empty profile.
    pub const EMPTY: Self = Self {
        name: Cow::Borrowed(""),
        about: Cow::Borrowed(""),
        origin: ProfileOrigin::BuiltIn,
        markers: Cow::Borrowed(&[]),
        require: Cow::Borrowed(&[]),
        programs: Programs::Named(Cow::Borrowed(&[])),
        owner_env: None,
        owner_pid_env: None,
        keep_listeners: None,
        keep_args: Cow::Borrowed(&[]),
    };
}

/// A built-in profile, with what `reaper profiles` shows about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltIn {
    /// The profile.
    pub profile: Profile,
    /// Whether it is in force unless `use` says otherwise.
    pub default: bool,
    /// Why it is on or off.
    pub why: &'static str,
}

/// Which programs a profile is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Programs {
    /// Any program that carries the marker; the owner must be provably dead.
    Any,
    /// The programs that these rules match.
    Named(List<ProgramRule>),
}

impl Programs {
    /// The rules; none for [`Programs::Any`].
    #[must_use]
    pub fn rules(&self) -> &[ProgramRule] {
        match self {
            Self::Any => &[],
            Self::Named(rules) => rules,
        }
    }

    /// The best matching rule for a process, and how it matched; `None` for [`Programs::Any`] too, as no rule did.
    #[must_use]
    pub fn find<'a>(&self, names: &Names<'a>, argv: &[Vec<u8>]) -> Option<(&ProgramRule, Match<'_, 'a>)> {
        let Self::Named(rules) = self else { return None };
        let mut applicable = rules.iter().filter(|rule| rule.accepts_args(argv));
        let found = program::find(names, applicable.clone().map(|rule| &*rule.name))?;
        applicable.find(|rule| rule.name == found.rule).map(|rule| (rule, found))
    }
}

/// One program of a profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramRule {
    /// Its name, as [`crate::program::names_closely`] compares it.
    pub name: Text,
    /// Some argument must contain this.
    pub with_arg: Option<Text>,
    /// No argument may start with this.
    pub without_arg: Option<Text>,
    /// Whether it is a helper that agents start, not an agent, adapter or harness.
    pub is_helper: bool,
    /// The evidence for the rule.
    pub evidence: Option<Text>,
}

impl ProgramRule {
    /// Whether the arguments match the rule; the first argument, a name, is ignored.
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

/// Consecutive arguments that mark a process as started to outlive its launcher.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeepArgs {
    /// Only for this program.
    pub program: Option<Text>,
    /// The arguments, in a row; one that ends in `*` stands for any with that beginning.
    pub args: List<Text>,
    /// The evidence for the rule.
    pub evidence: Option<Text>,
}

impl KeepArgs {
    /// Whether a process was started with these arguments.
    #[must_use]
    pub fn matches(&self, names: &Names<'_>, argv: &[Vec<u8>]) -> bool {
        let program = self.program.as_deref();
        if self.args.is_empty() || program.is_some_and(|name| program::find_widely(names, [name]).is_none()) {
            return false;
        }
        let row = |window: &[Vec<u8>]| {
            window.iter().zip(self.args.iter()).all(|(arg, wanted)| match wanted.strip_suffix('*') {
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
    pub name: Text,
    /// The required value; `None` for any value that does not mean "no".
    pub value: Option<List<u8>>,
    /// The evidence for the rule.
    pub evidence: Option<Text>,
}

impl Marker {
    /// Whether a value of the variable is accepted.
    #[must_use]
    pub fn accepts(&self, value: &[u8]) -> bool {
        const NO: [&[u8]; 5] = [b"", b"0", b"false", b"no", b"off"];
        match &self.value {
            Some(wanted) => **wanted == *value,
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
    fn a_marker_accepts_any_value_that_does_not_mean_no() {
        let any = Marker { name: "M".into(), value: None, evidence: None };
        for yes in ["1", "true", "xyz.block.sprout.app", "00", " 0", "nope", "\u{7f}"] {
            assert!(any.accepts(yes.as_bytes()), "{yes:?}");
        }
        assert!(any.accepts(&[0xff]));
        for no in ["", "0", "false", "no", "off", "FALSE", "No", "oFF"] {
            assert!(!any.accepts(no.as_bytes()), "{no:?}");
        }
    }

    #[test]
    fn a_marker_with_a_value_accepts_only_that_value() {
        let exact = Marker { name: "M".into(), value: Some(b"0".into()), evidence: None };
        assert!(exact.accepts(b"0"));
        for other in ["", "1", "00", "0 ", "M=0"] {
            assert!(!exact.accepts(other.as_bytes()), "{other:?}");
        }
    }

    #[test]
    fn arguments_keep_a_process_only_in_a_row_and_for_their_program() {
        let keep = |program: Option<&str>, args: &[&str]| KeepArgs {
            program: program.map(|name| name.to_owned().into()),
            args: args.iter().map(|arg| (*arg).to_owned().into()).collect(),
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
    fn a_rule_may_require_or_exclude_arguments() {
        let rule = ProgramRule {
            name: "chrome".into(),
            with_arg: Some("puppeteer_dev_chrome_profile-".into()),
            without_arg: Some("--type=".into()),
            is_helper: false,
            evidence: None,
        };
        let plain = ProgramRule { name: "chrome".into(), with_arg: Some("other".into()), ..rule.clone() };
        let programs = Programs::Named(vec![plain, rule].into());
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
