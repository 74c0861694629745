//! Gate `orphan`: its parent died, and the kernel reparented it to an adopter.
//!
//! "Parent is PID 1" alone proves little: inits start services, containers run their workload as PID 1 or directly
//! below it, and a user's own `systemd --user` adopts too. So the climb ends at one of three kinds of process: an
//! adopter, which starts nothing that could be mistaken for an orphan; a suspect, which may have started the candidate
//! itself, so that reparenting must be proven; or any other process, in which case the candidate is not an orphan.

use reaper_platform::{Condition, Pid, Scope, Stat, Uid, Why};

use super::marker;
use crate::case::{Ancestor, Case, Claim, Liveness, could_not};
use crate::facts::Facts;
use crate::policy::Policy;
use crate::program::{Identity, find_word, title_words};
use crate::verdict::{Finding, Gate};

const GATE: Gate = Gate::Orphan;

/// Inits that start no agents themselves: service managers, and container inits whose one command is
/// known (see the gate `unsupervised`).
const INITS: [&[u8]; 14] = [
    b"systemd",
    b"launchd",
    b"tini",
    b"tini-static",
    b"dumb-init",
    b"docker-init",
    b"podman-init",
    b"catatonit",
    b"pause",
    b"s6-svscan",
    b"runit",
    b"runit-init",
    b"runsvdir",
    b"s6-linux-init",
];

/// Inits that run exactly one command and end with it.
const ONE_COMMAND: [&[u8]; 6] =
    [b"tini", b"tini-static", b"dumb-init", b"docker-init", b"podman-init", b"catatonit"];

const INIT_OF_SOME_KIND: &str = "of which nothing is known";
/// Description of a suspect that is named in the config.
pub const NAMED: &str = "a subreaper that the config names";
const OUTSIDE: &str = "its parent is outside our PID namespace (`docker exec`, a container's first process)";

/// What is unknown about a process that may be a wrapper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt {
    /// Whether it carries a marker: its environment could not be read.
    Marked(Why),
    /// Whether it runs one marked program or several: the environment of a child could not be read.
    OneOrSeveral(Why),
}

impl Doubt {
    fn words(&self, called: &str) -> String {
        match self {
            Self::Marked(why) => {
                format!(
                    "whether {called} wraps an agent cannot be told: {}",
                    could_not("its environment", why)
                )
            }
            Self::OneOrSeveral(why) => format!(
                "whether {called} runs one marked program or several cannot be told: {}",
                could_not("the environment of a child of it", why)
            ),
        }
    }
}

/// The kind of an ancestor of the candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A marked wrapper: the climb goes on.
    Wrapper,
    /// Perhaps a marked wrapper: the climb goes on, and if it ends at an adopter, the answer is unknown.
    MayBeWrapper(Doubt),
    /// It adopts orphans and starts no agents; with the reason why that is known.
    Adopter(&'static str),
    /// A marked wrapper that runs, or once ran, several marked children: their live parent.
    Host,
    /// It adopts orphans and may also have started the candidate; with a description.
    Suspect(&'static str),
    /// Any other process.
    Other,
    /// It could not be read.
    Unreadable(Why),
}

/// The kind of an ancestor, seen from a candidate of user `uid`.
#[must_use]
pub fn kind(ancestor: &Ancestor, uid: Option<Uid>, policy: &Policy, systemd_booted: bool) -> Kind {
    let facts = match &ancestor.facts {
        Ok(facts) => facts,
        Err(_) if ancestor.pid == Pid::INIT && systemd_booted => {
            return Kind::Adopter("the machine's systemd");
        }
        Err(_) if ancestor.pid == Pid::INIT => return Kind::Suspect(INIT_OF_SOME_KIND),
        Err(why) => return Kind::Unreadable(why.clone()),
    };
    let identity = facts.identity();
    if ancestor.pid == Pid::INIT && (is_called(facts, &INITS) || is_our_service(facts)) {
        return Kind::Adopter("an init");
    }
    if is_named_adopter(&identity, policy) {
        return Kind::Suspect(NAMED);
    }
    if ancestor.pid == Pid::INIT {
        return Kind::Suspect(INIT_OF_SOME_KIND);
    }
    if is_user_manager(facts, uid) {
        return Kind::Adopter("the user's service manager");
    }
    if facts.argv.as_ref().is_ok_and(|argv| argv.first().is_some_and(|a| a == b"/init")) {
        // The relay processes of WSL are subreapers and start the user's shells.
        return Kind::Suspect("a relay of WSL");
    }
    // The environments of other users cannot be read, and their wrappers wrap no agent of ours.
    let is_ours = uid.is_none_or(|uid| facts.ids.as_ref().is_ok_and(|ids| ids.real == uid));
    match wrapping(facts, policy) {
        Some(Ok(())) => match &ancestor.is_host {
            Ok(false) => Kind::Wrapper,
            Ok(true) => Kind::Host,
            Err(why) => Kind::MayBeWrapper(Doubt::OneOrSeveral(why.clone())),
        },
        Some(Err(why)) if is_ours => Kind::MayBeWrapper(Doubt::Marked(why)),
        Some(Err(_)) | None => Kind::Other,
    }
}

/// Whether the config names a process as an adopter. Such a process may have started what is below it, as `conmon`
/// starts the command of its container, so it is a suspect. The census uses the same names.
#[must_use]
pub fn is_named_adopter(identity: &Identity<'_>, policy: &Policy) -> bool {
    find_word(identity, policy.adopters.iter().map(String::as_str)).is_some()
}

/// Whether a process only wraps another (`npm`, `sh`) and carries a marker itself.
#[must_use]
pub fn is_marked_wrapper(facts: &Facts, policy: &Policy) -> bool {
    matches!(wrapping(facts, policy), Some(Ok(())))
}

/// Whether a process of a user in `scope` only wraps another (`npm`, `sh`) and carries a marker itself, or may carry
/// one as far as can be read.
#[must_use]
pub fn may_be_marked_wrapper(facts: &Facts, policy: &Policy, scope: Scope) -> bool {
    let is_meant = || facts.ids.as_ref().is_ok_and(|ids| scope.holds(ids.real) && scope.holds(ids.effective));
    wrapping(facts, policy).is_some_and(|marked| marked.is_ok() || is_meant())
}

/// For a wrapper program: whether it carries a marker. `None` if the process is certainly not a marked wrapper.
fn wrapping(facts: &Facts, policy: &Policy) -> Option<Result<(), Why>> {
    let marked = match &facts.environ {
        Ok(environ) => match environ.condition {
            Condition::Intact if policy.profiles.iter().any(|p| marker::carries(p, environ)) => Ok(()),
            Condition::Intact => return None,
            Condition::Garbled(how) => Err(Why::Garbled(how)),
        },
        // It has ended and wraps nothing.
        Err(Why::Gone | Why::Exiting) => return None,
        Err(why) => Err(why.clone()),
    };
    policy.is_wrapper(&facts.identity()).then_some(marked)
}

/// `systemd --user` of `uid`: after `daemon-reexec` it has more arguments, so the flag is looked for.
#[must_use]
pub fn is_user_manager(facts: &Facts, uid: Option<Uid>) -> bool {
    facts.stat.comm == b"systemd"
        && facts.stat.ppid == Some(Pid::INIT)
        && facts.argv.as_ref().is_ok_and(|argv| argv.iter().skip(1).any(|a| a == b"--user"))
        && facts.ids.as_ref().is_ok_and(|ids| uid.is_none_or(|uid| ids.real == uid && ids.effective == uid))
}

/// Whether this is a container init that runs a command; one with unreadable arguments counts as such.
#[must_use]
pub fn runs_one_command(facts: &Facts) -> bool {
    is_called(facts, &ONE_COMMAND) && facts.argv.as_ref().map_or(true, |argv| one_command(argv).is_some())
}

/// The command among an init's arguments: what follows `--`, or the first argument that is neither an
/// option nor an option's value (tini's `-p` and `-e`, dumb-init's `-r` take one).
fn one_command(argv: &[Vec<u8>]) -> Option<&[Vec<u8>]> {
    let mut i = 1;
    while let Some(arg) = argv.get(i) {
        if arg == b"--" {
            return argv.get(i + 1..).filter(|rest| !rest.is_empty());
        }
        if !arg.starts_with(b"-") {
            return argv.get(i..);
        }
        i += if matches!(arg.as_slice(), b"-p" | b"-e" | b"-r" | b"--rewrite") { 2 } else { 1 };
    }
    None
}

fn is_called(facts: &Facts, names: &[&[u8]]) -> bool {
    title_words(&facts.identity()).any(|(word, _)| names.contains(&word))
}

/// Whether it is reaper's own service as a container's first process.
fn is_our_service(facts: &Facts) -> bool {
    is_called(facts, &[b"reaper"]) && facts.argv.as_deref().is_ok_and(is_run_without_command)
}

/// Whether these arguments are `run` without a command to run: there are container inits called `reaper` that execute
/// their arguments.
fn is_run_without_command(argv: &[Vec<u8>]) -> bool {
    let mut words = argv.iter().skip(1).map(Vec::as_slice);
    let mut has_run = false;
    while let Some(word) = words.next() {
        match word {
            b"run" if !has_run => has_run = true,
            b"--config" | b"--color" => drop(words.next()),
            _ if word.starts_with(b"-") && word != b"--" => {}
            _ => return false,
        }
    }
    has_run
}

/// Evaluates the gate.
pub fn ask(case: &Case<'_>) -> Finding {
    let Some(chain) = case.chain else { return Finding::not_asked(GATE) };
    let uid = case.facts.ids.as_ref().ok().map(|ids| ids.real);
    if case.facts.stat.is_dead() {
        return Finding::no(GATE, "it has exited already (zombie)");
    }
    if case.facts.pid() == Pid::INIT {
        return Finding::no(GATE, "it is PID 1, which has no parent here");
    }
    let Some(end) = chain.end() else {
        return Finding::no(GATE, OUTSIDE);
    };
    let through: Vec<String> = chain
        .wrappers()
        .map(|w| w.facts.as_ref().map_or_else(|_| w.pid.to_string(), Facts::called))
        .collect();
    let through = if through.is_empty() { String::new() } else { format!(" through {}", through.join(", ")) };
    let name = end.facts.as_ref().map_or_else(|_| format!("pid {}", end.pid), Facts::called);
    let kind = |ancestor| kind(ancestor, uid, case.policy, case.own.systemd_booted);
    let doubt = chain.wrappers().find_map(|w| match kind(w) {
        Kind::MayBeWrapper(doubt) => {
            Some(doubt.words(&w.facts.as_ref().map_or_else(|_| w.pid.to_string(), Facts::called)))
        }
        _ => None,
    });
    match (kind(end), doubt) {
        (Kind::Adopter(_) | Kind::Suspect(_), Some(doubt)) => Finding::unknown(GATE, doubt),
        (Kind::Adopter(how), None) => {
            Finding::yes(GATE, format!("its parent died; {name}, {how}, has it{through}"))
        }
        (Kind::Suspect(_), None) => match proof(case, end) {
            Some(proof) => Finding::yes(GATE, format!("its parent died ({proof}); {name} has it{through}")),
            None => Finding::unknown(GATE, format!("its parent {name} may have started it{through}")),
        },
        (Kind::Host, _) => Finding::no(
            GATE,
            format!(
                "its parent {name} is alive, and runs several marked programs: their host, no wrapper{through}"
            ),
        ),
        (Kind::Other, _) => Finding::no(GATE, format!("its parent {name} is alive{through}")),
        (Kind::Wrapper | Kind::MayBeWrapper(_), _)
            if end.facts.as_ref().is_ok_and(|f| f.stat.ppid.is_none()) =>
        {
            Finding::no(GATE, OUTSIDE)
        }
        (Kind::Wrapper | Kind::MayBeWrapper(_), _) => {
            Finding::unknown(GATE, format!("the wrappers above it do not end{through}"))
        }
        (Kind::Unreadable(why), _) => Finding::unknown(GATE, could_not(&format!("its parent {name}"), &why)),
    }
}

/// What proves that a suspect did not start the candidate.
fn proof(case: &Case<'_>, suspect: &Ancestor) -> Option<String> {
    let chain = case.chain?;
    // The suspect's own child: the outermost wrapper, or the candidate itself.
    let child = match chain.wrappers().last() {
        Some(wrapper) => &wrapper.facts.as_ref().ok()?.stat,
        None => &case.facts.stat,
    };
    if let Some(session) = inherited_session(child, suspect) {
        return Some(format!("its session {session} is neither its own nor its parent's"));
    }
    if let Some(parent) = case.past.ties.dead_parent {
        return Some(format!("pid {parent}, its earlier parent, was seen to die"));
    }
    case.claims?.iter().find_map(|claim| match claim {
        Claim::Lease(owner, Ok(Liveness::Dead)) if *owner != suspect.pid => {
            Some(format!("its owner, pid {owner}, is dead"))
        }
        _ => None,
    })
}

/// The session of a suspect's child that is neither the child's own nor the suspect's. A session is inherited or made by
/// its leader, so such a child had an ancestor in between. PID 1 cannot be in a session that was made inside its namespace
/// by any process but itself, so that holds even where PID 1 cannot be read.
#[must_use]
pub fn inherited_session(child: &Stat, suspect: &Ancestor) -> Option<Pid> {
    let session = child.session.filter(|s| *s != child.pid && *s != suspect.pid)?;
    let differs = match &suspect.facts {
        Ok(facts) => facts.stat.session != Some(session),
        Err(_) => suspect.pid == Pid::INIT && session != Pid::INIT,
    };
    differs.then_some(session)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(words: &str) -> Vec<Vec<u8>> {
        words.split(' ').map(|w| w.as_bytes().to_vec()).collect()
    }

    #[test]
    fn the_one_command_is_found_behind_the_options() {
        let cases = [
            ("tini -- goose acp", Some("goose acp")),
            ("tini -s -p SIGTERM goose acp", Some("goose acp")),
            ("dumb-init --rewrite 15:3 goose", Some("goose")),
            ("catatonit -P", None),
            ("tini -- ", Some("")),
            ("tini", None),
        ];
        for (line, expected) in cases {
            let words = argv(line);
            assert_eq!(one_command(&words), expected.map(argv).as_deref(), "{line}");
        }
    }

    #[test]
    fn an_init_named_reaper_that_executes_its_arguments_is_not_our_service() {
        for ours in
            ["reaper run", "/usr/bin/reaper --config /c.toml run --dry-run", "reaper -q run --color=never"]
        {
            assert!(is_run_without_command(&argv(ours)), "{ours}");
        }
        for other in [
            "reaper",
            "reaper goose acp",
            "reaper run goose",
            "reaper run -- goose",
            "reaper -- run",
            "reaper run run",
        ] {
            assert!(!is_run_without_command(&argv(other)), "{other}");
        }
    }
}
