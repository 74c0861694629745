//! What protects a process beside its own name: the desktop scope that was made for it, what it accepts connections on,
//! and its descendants.
//!
//! Read last, and once per inspector for each process: a wrapper above a tree and the orphan in it need the same ones.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reaper_platform::{Folder, Host, Listener, Pid, ProcessHandle, SocketTables, Why};

use super::ancestry::Ancestry;
use super::cache::lock;
use super::children::Children;
use super::read;
use crate::context::Context;
use reaper_policy::browser::is_throw_away_browser;
use reaper_policy::case::{Chain, Guards};
use reaper_policy::facts::{Fact, Facts};
use reaper_policy::gates::{orphan, unprotected, unsupervised};
use reaper_policy::profile::{Profile, Programs};
use reaper_policy::program::Names;

/// Most descendants of a process that are examined; with more, the answer is unknown.
const MAX_BELOW: usize = 10_000;
/// Tolerance between two clocks of one machine.
const CLOCK_SLACK: Duration = Duration::from_secs(1);
/// Longest line of parents that is climbed to find the tree that a scope's process belongs to.
const MAX_CLIMB: usize = 32;

/// The facts by which a process may protect one above it.
#[derive(Debug, Clone)]
struct Relative {
    facts: Facts,
    listens: Fact<Option<String>>,
    children: Fact<Vec<Pid>>,
}

/// Reads what protects processes.
pub(super) struct GuardReader<H: Host> {
    context: Context<H>,
    children: Arc<Children<H>>,
    ancestry: Arc<Ancestry<H>>,
    relatives: Mutex<HashMap<Pid, Fact<Arc<Relative>>>>,
    sockets: SocketTables,
}

impl<H: Host> GuardReader<H> {
    pub(super) fn new(
        context: &Context<H>,
        children: &Arc<Children<H>>,
        ancestry: &Arc<Ancestry<H>>,
    ) -> Self {
        Self {
            context: context.clone(),
            children: Arc::clone(children),
            ancestry: Arc::clone(ancestry),
            relatives: Mutex::default(),
            sockets: SocketTables::default(),
        }
    }

    /// Reads the guards of a process for the profiles that it is judged under. `chain` holds the wrappers above it.
    pub(super) fn read(
        &self,
        process: &H::ProcessHandle,
        facts: &Facts,
        chain: Option<&Chain>,
        profiles: &[&Profile],
    ) -> Guards {
        let is_any = profiles.iter().any(|p| p.programs == Programs::Any);
        let may_be_kept_for_helping = self.may_help(facts);
        let by_listening = may_be_kept_for_helping && self.keeps_listeners(profiles.iter().copied());
        Guards {
            own_scope: if is_any { self.own_scope(facts, chain) } else { None },
            listens: by_listening.then(|| self.listens(process, facts)),
            // An agent is ended whatever is below it; protected descendants stay.
            below: (is_any || may_be_kept_for_helping)
                .then(|| self.spared_from_below(facts, profiles, is_any, by_listening)),
        }
    }

    /// Whether listening protects a process: not agents and throw-away browsers.
    fn may_help(&self, facts: &Facts) -> bool {
        let identity = facts.identity();
        let argv = identity.argv.unwrap_or_default();
        !self.context.policy.is_agent(&Names::of(&identity), argv) && !is_throw_away_browser(&identity, argv)
    }

    fn keeps_listeners<'p>(&self, profiles: impl IntoIterator<Item = &'p Profile>) -> bool {
        profiles.into_iter().any(|p| p.keep_listeners.unwrap_or_else(|| self.context.policy.keep_listeners))
    }

    /// An address of a process that others can connect to, in words.
    fn listens(&self, process: &H::ProcessHandle, facts: &Facts) -> Fact<Option<String>> {
        let listeners = process.listeners(&self.sockets)?;
        Ok(listeners.iter().find_map(|listener| {
            let is_its_own = |folder: &[u8]| {
                process.folder(folder).is_ok_and(|folder| self.is_its_own_folder(&folder, facts))
            };
            known_to_others(listener, is_its_own)
        }))
    }

    /// Whether a process or one of its descendants created a folder for itself: only its user may enter it, and it is
    /// no older than the process.
    fn is_its_own_folder(&self, folder: &Folder, facts: &Facts) -> bool {
        let clock = self.context.host.clock();
        let age = self.context.host.info().start_clock.age(facts.id.start, &clock);
        let started = clock.realtime.saturating_sub(age).saturating_sub(CLOCK_SLACK);
        let is_private = folder.mode & 0o077 == 0;
        is_private
            && facts.ids.as_ref().is_ok_and(|ids| ids.effective == folder.owner)
            && folder.made.is_some_and(|made| made >= started)
    }

    /// The first process below one that spares it: a protected or kept one where the profile is for any program or this
    /// is a wrapper, one that accepts connections where this is no agent.
    fn spared_from_below(
        &self,
        facts: &Facts,
        profiles: &[&Profile],
        is_any: bool,
        by_listening: bool,
    ) -> Fact<Option<String>> {
        let by_protection = is_any || self.context.policy.is_wrapper(&facts.identity());
        if !by_protection && !by_listening {
            return Ok(None);
        }
        let mut below = self.children_or_none(facts.pid())?;
        let mut seen: HashSet<Pid> = below.iter().copied().chain([facts.pid()]).collect();
        while let Some(pid) = below.pop() {
            if seen.len() > MAX_BELOW {
                return Err(Why::Garbled("there are too many processes below it"));
            }
            let relative = match self.relative(pid) {
                Ok(relative) => relative,
                Err(Why::Gone | Why::Exiting) => continue,
                Err(why) => return Err(why),
            };
            let facts = &relative.facts;
            if facts.stat.is_dead() {
                continue;
            }
            if by_protection {
                if let Some(found) = unprotected::protected_by(&self.context.policy, facts, profiles) {
                    return Ok(Some(format!("{} below it is never touched ({found})", facts.called())));
                }
                if unprotected::asked_to_be_kept(facts) {
                    return Ok(Some(format!("{} below it asked to be kept", facts.called())));
                }
                if let Some(what) = unsupervised::kept_by(&self.context.policy, facts, profiles) {
                    return Ok(Some(format!(
                        "{} below it was started on purpose to stay ({what})",
                        facts.called()
                    )));
                }
            }
            if by_listening && self.may_help(facts) {
                match &relative.listens {
                    Ok(Some(what)) => return Ok(Some(format!("{} below it: {what}", facts.called()))),
                    Ok(None) | Err(Why::Gone | Why::Exiting) => {}
                    // Another user's process goes on by itself.
                    Err(Why::Denied)
                        if facts.ids.as_ref().is_ok_and(|ids| !self.context.own.scope.holds(ids.real)) => {}
                    Err(why) => return Err(why.clone()),
                }
            }
            match &relative.children {
                Ok(children) => below.extend(children.iter().copied().filter(|child| seen.insert(*child))),
                Err(Why::Gone | Why::Exiting) => {}
                Err(why) => return Err(why.clone()),
            }
        }
        Ok(None)
    }

    fn children_or_none(&self, pid: Pid) -> Fact<Vec<Pid>> {
        match self.children.of(pid) {
            Err(Why::Gone | Why::Exiting) => Ok(Vec::new()),
            list => list,
        }
    }

    fn relative(&self, pid: Pid) -> Fact<Arc<Relative>> {
        if let Some(known) = lock(&self.relatives).get(&pid) {
            return known.clone();
        }
        let read = || {
            let process = self.context.host.open(pid)?;
            let facts = read::facts(&process, &self.context.wanted)?;
            // Read once for all; the socket tables only where a profile needs them.
            let is_minded = self.keeps_listeners(&self.context.policy.profiles) && self.may_help(&facts);
            let listens = if is_minded { self.listens(&process, &facts) } else { Ok(None) };
            Ok(Arc::new(Relative { facts, listens, children: self.children.of(pid) }))
        };
        let relative = read();
        lock(&self.relatives).insert(pid, relative.clone());
        relative
    }

    /// The desktop scope that was made for a process itself, by its name: `app-…-N.scope`, where N is the process, or
    /// one above or below it in its tree. The scope of the terminal or editor that it was started from has another pid
    /// in its name.
    fn own_scope(&self, facts: &Facts, chain: Option<&Chain>) -> Option<String> {
        let unit = facts.unit.as_ref().ok()?.as_ref()?;
        let number = unit.name.strip_prefix("app-")?.strip_suffix(".scope")?.rsplit('-').next()?;
        let made_for = Pid::parse(number.as_bytes())?;
        let pid = facts.pid();
        // An adopter is not part of the trees that it adopted: its scope is its own.
        let adopts = || {
            let uid = facts.ids.as_ref().ok().map(|ids| ids.real);
            matches!(
                self.ancestry.adopter(made_for, uid).1,
                orphan::Kind::Adopter(_) | orphan::Kind::Suspect(_)
            )
        };
        let is_above = || {
            chain.is_some_and(|chain| chain.wrappers().any(|wrapper| wrapper.pid == made_for))
                || self.is_below(pid, made_for) && !adopts()
        };
        (made_for == pid || self.is_below(made_for, pid) || is_above()).then(|| unit.name.clone())
    }

    /// Whether a process is a descendant of another, judged by parent pids alone.
    fn is_below(&self, pid: Pid, above: Pid) -> bool {
        let mut at = pid;
        for _ in 0..MAX_CLIMB {
            match self.context.host.stat_of(at).ok().and_then(|stat| stat.ppid) {
                Some(parent) if parent == above => return above != Pid::INIT,
                Some(parent) => at = parent,
                None => break,
            }
        }
        false
    }
}

/// An address that others can connect to, in words. A socket without a name, or one in a folder with a random name that
/// the process created for itself, cannot be found by others.
fn known_to_others(listener: &Listener, is_its_own: impl Fn(&[u8]) -> bool) -> Option<String> {
    match listener {
        Listener::Tcp(port) => Some(format!("it accepts connections on TCP port {port}")),
        Listener::Abstract(_) => Some("it accepts connections on an abstract socket".to_owned()),
        Listener::Path(path) if made_up_folder(path).is_some_and(is_its_own) => None,
        Listener::Path(_) => Some("it accepts connections on a socket in the file system".to_owned()),
        Listener::Unnamed => None,
    }
}

/// The folder in a path that is in a directory for temporary files and has a random name, as mkdtemp(3) makes it: at
/// the end at least six letters, digits and underscores, of more than one kind.
fn made_up_folder(path: &[u8]) -> Option<&[u8]> {
    const TEMPORARY: [&[u8]; 5] =
        [b"/tmp/", b"/var/tmp/", b"/dev/shm/", b"/private/tmp/", b"/private/var/folders/"];
    let (at, below) =
        TEMPORARY.iter().enumerate().find_map(|(at, folder)| Some((at, path.strip_prefix(*folder)?)))?;
    // On macOS two folders with random names and one called `T` are the user's own, and every process knows them.
    let below = if at == 4 { below.splitn(4, |byte| *byte == b'/').nth(3)? } else { below };
    let end = below.iter().position(|byte| *byte == b'/')?;
    let name = below.get(..end)?;
    let random = name.rsplit(|byte| matches!(byte, b'-' | b'.')).next()?;
    let kinds: [fn(&u8) -> bool; 3] = [u8::is_ascii_lowercase, u8::is_ascii_uppercase, u8::is_ascii_digit];
    let is_random = random.len() >= 6
        && random.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        && kinds.iter().filter(|is_kind| random.iter().any(is_kind)).count() >= 2;
    is_random.then(|| path.get(..path.len() - below.len() + end)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_that_others_can_find_are_distinguished() {
        let is_known =
            |listener: &Listener, is_its_own: bool| known_to_others(listener, |_| is_its_own).is_some();
        for known in [
            &b"/home/u/.cache/index.sock"[..],
            b"/run/user/1000/app/socket",
            b"/tmp/index.sock",
            b"/tmp/tmux-1000/default",
            b"/tmp/my-project/dev.sock",
            b"/private/var/folders/ab/cd12EF34/T/x.sock",
            b"relative.sock",
        ] {
            assert!(is_known(&Listener::Path(known.to_vec()), true), "{}", known.escape_ascii());
        }
        for (path, folder) in [
            (&b"/tmp/playwright-a1B2c3/pipe.sock"[..], &b"/tmp/playwright-a1B2c3"[..]),
            (b"/tmp/org.chromium.Chromium.Xy12Zk/SingletonSocket", b"/tmp/org.chromium.Chromium.Xy12Zk"),
            (b"/tmp/pymp-3k2j9d0a/deeper/listener", b"/tmp/pymp-3k2j9d0a"),
            (b"/tmp/tmpx_3k2j9_/listener", b"/tmp/tmpx_3k2j9_"),
            (
                b"/private/var/folders/ab/cd12EF34/T/app-Qw3rTy/x.sock",
                b"/private/var/folders/ab/cd12EF34/T/app-Qw3rTy",
            ),
        ] {
            assert_eq!(made_up_folder(path), Some(folder), "{}", path.escape_ascii());
            assert!(!is_known(&Listener::Path(path.to_vec()), true), "{}", path.escape_ascii());
            // A home directory that existed before: others know its path.
            assert!(is_known(&Listener::Path(path.to_vec()), false), "{}", path.escape_ascii());
        }
        assert!(is_known(&Listener::Tcp(3000), true) && is_known(&Listener::Abstract(b"x".to_vec()), true));
        assert!(!is_known(&Listener::Unnamed, false));
    }
}
