//! The census: which processes may be orphans at all.
//!
//! Only children of an adopter can be. Adopters are few and the kernel keeps a list of each one's children, so the cost
//! is proportional to the number of init's children, not of all processes. Where those lists cannot be read (`hidepid`,
//! a kernel without them), or where the config names adopters, which may be anywhere, all of `/proc` is listed instead.
//! Both methods give the same candidates.

pub mod method;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use reaper_platform::{Host, HostError, Pid, ProcessHandle as _, ProcessList, Scope, Uid, Why};

use crate::deadline;
use method::Method;
use reaper_policy::facts::Fact;
use reaper_policy::gates::orphan;
use reaper_policy::policy::Policy;
use reaper_policy::program::Identity;

/// The result of one census.
#[derive(Debug, Clone)]
pub struct Census {
    /// The method.
    pub method: Method,
    /// Processes that adopt orphans, PID 1 first.
    pub adopters: Vec<Pid>,
    /// Their children in scope; in a later census only those that were not known before.
    pub candidates: Vec<Pid>,
    /// Their children out of scope that were not known before.
    pub foreigners: Vec<Pid>,
    /// All their children, known ones and those out of scope included, sorted.
    pub children: Vec<Pid>,
    /// The number of processes examined.
    pub examined: usize,
    /// The number of processes in scope that exist but could not be read.
    pub unreadable: usize,
    /// Whether every process could be classified as a candidate or not.
    pub complete: bool,
    /// The children of each process, where all of `/proc` was listed.
    families: Option<HashMap<Pid, Vec<Pid>>>,
}

impl Census {
    /// The children of a process, where all of `/proc` was listed; otherwise `None`.
    #[must_use]
    pub fn listed_children(&self, pid: Pid) -> Option<Vec<Pid>> {
        self.families.as_ref().map(|families| families.get(&pid).cloned().unwrap_or_default())
    }

    /// The children of a process, by the same means as the census. Read once: a child that is missed here is found when
    /// the tree is read again.
    ///
    /// # Errors
    /// When its list cannot be read.
    pub fn children<H: Host>(&self, host: &H, pid: Pid) -> Fact<Vec<Pid>> {
        match &self.families {
            Some(families) => Ok(families.get(&pid).cloned().unwrap_or_default()),
            None => host.children(pid),
        }
    }

    /// The adopters' children in a listing of all processes: what their own lists should have held.
    #[must_use]
    pub fn adopted_in(&self, listing: &ProcessList) -> Vec<Pid> {
        let is_adopted = |parent: Option<Pid>| parent.is_some_and(|p| self.adopters.contains(&p));
        listing.entries.iter().filter(|e| is_adopted(e.stat.ppid)).map(|e| e.stat.pid).collect()
    }
}

/// Takes a census.
///
/// # Errors
/// When neither the lists nor `/proc` can be read.
pub fn take<H: Host>(host: &Arc<H>, policy: &Policy, scope: Scope) -> Result<Census, HostError> {
    look(host, policy, scope, &Known { adopters: &[], is_known: &|_| false })
}

/// What an earlier census found, so that a later one need not read it again.
pub struct Known<'a> {
    /// Its adopters.
    pub adopters: &'a [Pid],
    /// Whether a child was inspected already.
    pub is_known: &'a dyn Fn(Pid) -> bool,
}

/// Takes a census that reads only children that are not known yet. Costs little more than reading the adopters' lists.
///
/// # Errors
/// As [`take`].
pub fn again<H: Host>(
    host: &Arc<H>,
    policy: &Policy,
    scope: Scope,
    known: &Known<'_>,
) -> Result<Census, HostError> {
    look(host, policy, scope, known)
}

fn look<H: Host>(
    host: &Arc<H>,
    policy: &Policy,
    scope: Scope,
    known: &Known<'_>,
) -> Result<Census, HostError> {
    if policy.adopters.is_empty() {
        match by_children(&**host, scope, known) {
            Ok(census) => return Ok(census),
            Err(Why::Failed(_) | Why::Garbled(_) | Why::Gone | Why::Denied | Why::Unsupported(_)) => {}
            Err(why) => return Err(HostError { what: "list init's children", why }),
        }
    }
    by_listing(host, policy, scope, known)
}

/// The longest list that a single reading is reliable for: about what the kernel returns in one read. In a longer one,
/// children are missed when siblings exit meanwhile.
const SHORT: usize = 500;

/// Two readings and their union: one reading can miss a child when a sibling exits meanwhile, which
/// happens more often the longer the list is.
///
/// # Errors
/// As [`Host::children`].
pub fn children_twice<H: Host>(host: &H, pid: Pid) -> Fact<Vec<Pid>> {
    let mut union = host.children(pid)?;
    union.extend(host.children(pid)?);
    union.sort_unstable();
    union.dedup();
    Ok(union)
}

/// A later census reads a short list once: what it misses, the next one finds.
fn read_list<H: Host>(host: &H, pid: Pid, is_later: bool) -> Fact<Vec<Pid>> {
    if is_later {
        let list = host.children(pid)?;
        if list.len() <= SHORT {
            return Ok(list);
        }
    }
    children_twice(host, pid)
}

fn by_children<H: Host>(host: &H, scope: Scope, known: &Known<'_>) -> Fact<Census> {
    let is_later = !known.adopters.is_empty();
    let hint = match scope {
        Scope::User(uid) if !is_later => host.manager_hint(uid).filter(|pid| is_manager(host, *pid, uid)),
        _ => None,
    };
    let mut census = Census {
        method: Method::Children,
        adopters: if is_later { known.adopters.to_vec() } else { vec![Pid::INIT] },
        candidates: Vec::new(),
        foreigners: Vec::new(),
        children: Vec::new(),
        examined: 0,
        unreadable: 0,
        complete: true,
        families: None,
    };
    census.adopters.extend(hint);
    let mut relays = None;
    let mut next = 0;
    while let Some(adopter) = census.adopters.get(next).copied() {
        let list = match read_list(host, adopter, is_later) {
            // An adopter that has exited; its children are PID 1's now.
            Err(Why::Gone) if is_later && adopter != Pid::INIT => {
                census.adopters.remove(next);
                continue;
            }
            list => list?,
        };
        next += 1;
        census.examined += list.len();
        for child in list {
            census.children.push(child);
            if (known.is_known)(child) {
                continue;
            }
            let uid = match host.owner(child) {
                Ok(uid) => uid,
                Err(Why::Gone) => continue,
                Err(_) => {
                    census.unreadable += 1;
                    continue;
                }
            };
            let is_new = !census.adopters.contains(&child);
            let is_roots = is_roots(uid);
            if is_new && is_roots && *relays.get_or_insert_with(|| has_relays(host)) && is_relay(host, child)
            {
                census.adopters.push(child);
            }
            if !scope.holds(uid) {
                census.foreigners.push(child);
                continue;
            }
            if is_new && adopter == Pid::INIT && hint.is_none() && is_manager(host, child, uid) {
                census.adopters.push(child);
            }
            census.candidates.push(child);
        }
    }
    for list in [&mut census.candidates, &mut census.children] {
        list.sort_unstable();
        list.dedup();
    }
    census.complete = census.unreadable == 0;
    Ok(census)
}

/// Whether a process looks like a user's service manager. A false positive only means more children to inspect; the
/// gate `orphan` checks precisely. The manager is a service of the system's manager and so leads its own session, which
/// is the cheapest check. Its arguments are not read here, because such a read can block for ever, and any process may
/// look like this.
fn is_manager<H: Host>(host: &H, pid: Pid, uid: Uid) -> bool {
    if host.session(pid).is_ok_and(|session| session != Some(pid)) {
        return false;
    }
    let is_systemd = host.stat_of(pid).is_ok_and(|s| s.comm == b"systemd" && s.ppid == Some(Pid::INIT));
    is_systemd && host.owner(pid) == Ok(uid)
}

/// Relays run as root. The arguments of other users' processes are not read, as that could block for ever.
const fn is_roots(uid: Uid) -> bool {
    uid.0 == 0
}

/// Whether PID 1 is that of WSL. Its arguments are read only if its name fits: any other PID 1 may be stuck, as a
/// container's one command can be, and must not block us.
fn has_relays<H: Host>(host: &H) -> bool {
    host.stat_of(Pid::INIT).is_ok_and(|init| init.comm.starts_with(b"init")) && is_relay(host, Pid::INIT)
}

/// The relays of WSL: `/init` as PID 1 and further `/init` processes beneath it, each a subreaper.
fn is_relay<H: Host>(host: &H, pid: Pid) -> bool {
    host.argv_of(pid).is_ok_and(|argv| argv.first().is_some_and(|a| a == b"/init"))
}

fn by_listing<H: Host>(
    host: &Arc<H>,
    policy: &Policy,
    scope: Scope,
    known: &Known<'_>,
) -> Result<Census, HostError> {
    // Adopters that the config names, and the relays of WSL, may belong to another user.
    let relays = has_relays(&**host);
    let wide = if policy.adopters.is_empty() && !relays { scope } else { Scope::Everyone };
    let listing = host.list(wide)?;
    let mut families: HashMap<Pid, Vec<Pid>> = HashMap::new();
    for entry in &listing.entries {
        if let Some(parent) = entry.stat.ppid {
            families.entry(parent).or_default().push(entry.stat.pid);
        }
    }
    let in_scope: HashSet<Pid> =
        listing.entries.iter().filter(|e| scope.holds(e.uid)).map(|e| e.stat.pid).collect();
    let mut adopters = adopters_in(&**host, &listing, relays);
    let (named, unread) = named_adopters(host, policy, &listing, &families, &in_scope);
    adopters.extend(named.into_iter().filter(|pid| !adopters.contains(pid)).collect::<Vec<_>>());
    let mut children: Vec<Pid> = adopters.iter().filter_map(|a| families.get(a)).flatten().copied().collect();
    children.sort_unstable();
    children.dedup();
    let is_new = |pid: &Pid| in_scope.contains(pid) && !(known.is_known)(*pid);
    Ok(Census {
        method: Method::Walk,
        adopters,
        candidates: children.iter().copied().filter(is_new).collect(),
        foreigners: Vec::new(),
        children,
        examined: listing.examined,
        unreadable: listing.unreadable + unread,
        complete: listing.unreadable + unread == 0,
        families: Some(families),
    })
}

fn adopters_in<H: Host>(host: &H, listing: &ProcessList, relays: bool) -> Vec<Pid> {
    let mut adopters = vec![Pid::INIT];
    for entry in &listing.entries {
        let pid = entry.stat.pid;
        let manager = entry.stat.comm == b"systemd" && is_manager(host, pid, entry.uid);
        if pid != Pid::INIT && (manager || (relays && is_roots(entry.uid) && is_relay(host, pid))) {
            adopters.push(pid);
        }
    }
    adopters
}

/// The adopters that the config names, matched as in the gate `orphan`, and the number of processes that could not be
/// read. Only processes with children in scope are read: the others have adopted nothing relevant.
fn named_adopters<H: Host>(
    host: &Arc<H>,
    policy: &Policy,
    listing: &ProcessList,
    families: &HashMap<Pid, Vec<Pid>>,
    in_scope: &HashSet<Pid>,
) -> (Vec<Pid>, usize) {
    if policy.adopters.is_empty() {
        return (Vec::new(), 0);
    }
    let is_parent =
        |pid: Pid| families.get(&pid).is_some_and(|list| list.iter().any(|c| in_scope.contains(c)));
    let parents: Vec<Pid> =
        listing.entries.iter().map(|e| e.stat.pid).filter(|pid| is_parent(*pid)).collect();
    let asked = {
        let host = Arc::clone(host);
        // Reading the arguments of a stuck process may never return.
        deadline::map(parents.clone(), deadline::LIMIT, move |pid| {
            let process = host.open(*pid)?;
            Ok((process.exe().ok(), process.argv().ok(), process.stat()?.comm))
        })
    };
    let (mut named, mut unread) = (Vec::new(), 0);
    for (pid, read) in parents.into_iter().zip(asked.into_iter().map(Result::flatten)) {
        match read {
            Ok((exe, argv, comm)) => {
                let identity = Identity { exe: exe.as_deref(), argv: argv.as_deref(), comm: &comm };
                if orphan::is_named_adopter(&identity, policy) {
                    named.push(pid);
                }
            }
            Err(Why::Gone | Why::Exiting) => {}
            Err(_) => unread += 1,
        }
    }
    (named, unread)
}
