//! The exit watch: processes that are held by a handle and whose exit is reported at once.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use reaper_platform::{ExitWatcher as _, Host, HostError, Pid, ProcId, ProcessHandle as _};

/// The share of all available handles that this watch may hold; the rest is kept for ending processes.
const SHARE: usize = 4;

/// Why a process is watched. Both roles can apply at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It is tracked itself.
    Tracked,
    /// Its exit may make orphans of others.
    Ancestor,
}

#[derive(Debug)]
struct Held<P> {
    process: Arc<P>,
    token: u64,
    is_tracked: bool,
    is_ancestor: bool,
}

impl<P> Held<P> {
    const fn role(&mut self, role: Role) -> &mut bool {
        match role {
            Role::Tracked => &mut self.is_tracked,
            Role::Ancestor => &mut self.is_ancestor,
        }
    }

    const fn is_needed(&self) -> bool {
        self.is_tracked || self.is_ancestor
    }
}

/// The exit watch.
pub struct ExitWatch<H: Host> {
    exit_watcher: H::ExitWatcher,
    /// The alarm that is set on the exit watcher.
    alarm: Option<Duration>,
    held: HashMap<ProcId, Held<H::ProcessHandle>>,
    /// The tokens under which the exit watcher reports them.
    tokens: HashMap<u64, ProcId>,
    last_token: u64,
}

impl<H: Host> ExitWatch<H> {
    /// An empty watch.
    ///
    /// # Errors
    /// When the system cannot wait for processes.
    pub fn new(host: &H) -> Result<Self, HostError> {
        let exit_watcher = host.exit_watcher()?;
        Ok(Self { exit_watcher, alarm: None, held: HashMap::new(), tokens: HashMap::new(), last_token: 0 })
    }

    /// Readable when a watched process has exited, or at the time set by [`Self::wake_at`].
    #[must_use]
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.exit_watcher.descriptor()
    }

    /// Makes the descriptor readable at time `at` of the monotonic clock, which now reads `now`; returns whether that
    /// is supported.
    pub fn wake_at(&mut self, at: Duration, now: Duration) -> bool {
        // An alarm that has fired fires again only when it is set again.
        let is_set = (self.alarm == Some(at) && at > now) || self.exit_watcher.wake_at(at);
        self.alarm = is_set.then_some(at);
        is_set
    }

    /// The number of further processes that may be held.
    #[must_use]
    pub fn room(&self, host: &H) -> usize {
        (host.handle_limit() / SHARE).saturating_sub(self.held.len())
    }

    /// Holds a process in a role until it is released; returns whether its exit will be reported.
    pub fn hold(&mut self, process: H::ProcessHandle, role: Role) -> bool {
        let id = process.id();
        if let Some(held) = self.held.get_mut(&id) {
            *held.role(role) = true;
            return true;
        }
        let token = self.last_token + 1;
        if self.exit_watcher.watch(&process, token).is_err() {
            return false;
        }
        self.last_token = token;
        self.tokens.insert(token, id);
        let mut held = Held { process: Arc::new(process), token, is_tracked: false, is_ancestor: false };
        *held.role(role) = true;
        self.held.insert(id, held);
        true
    }

    /// The handle of a process that is held.
    #[must_use]
    pub fn handle(&self, id: &ProcId) -> Option<Arc<H::ProcessHandle>> {
        self.held.get(id).map(|held| Arc::clone(&held.process))
    }

    /// The pids of the processes that are held as ancestors.
    #[must_use]
    pub fn ancestors(&self) -> HashSet<Pid> {
        self.held.iter().filter(|(_, held)| held.is_ancestor).map(|(id, _)| id.pid).collect()
    }

    /// Releases a process in a role.
    pub fn release(&mut self, id: &ProcId, role: Role) {
        let Entry::Occupied(mut held) = self.held.entry(*id) else { return };
        *held.get_mut().role(role) = false;
        if !held.get().is_needed() {
            self.tokens.remove(&held.remove().token);
        }
    }

    /// Releases all ancestors but those with these pids.
    pub fn keep_ancestors(&mut self, needed: &HashSet<Pid>) {
        let others = self.held.iter().filter(|(id, held)| held.is_ancestor && !needed.contains(&id.pid));
        for id in others.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.release(&id, Role::Ancestor);
        }
    }

    /// The watched processes that have exited. They are released.
    ///
    /// # Errors
    /// When the exit watcher fails.
    pub fn ended(&mut self) -> Result<Vec<ProcId>, HostError> {
        let mut ended = Vec::new();
        for token in self.exit_watcher.wait(Duration::ZERO)? {
            // A handle that was released may still be in use by a read that hangs.
            if let Some(id) = self.tokens.remove(&token) {
                self.held.remove(&id);
                ended.push(id);
            }
        }
        Ok(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use reaper_platform::fake::{FakeHost, Process, pid};

    fn host() -> FakeHost {
        let host = testing::host((1..=9).map(|n| Process::new(n, "x")));
        host.change(|machine| machine.handle_limit = 12);
        host
    }

    fn hold(watch: &mut ExitWatch<FakeHost>, host: &FakeHost, number: i32, role: Role) -> ProcId {
        let process = host.open(pid(number)).unwrap();
        let id = process.id();
        assert!(watch.hold(process, role));
        id
    }

    #[test]
    fn an_exit_is_reported_once_whatever_the_roles() {
        let host = host();
        let mut watch = ExitWatch::new(&host).unwrap();
        let both = hold(&mut watch, &host, 3, Role::Tracked);
        assert_eq!(hold(&mut watch, &host, 3, Role::Ancestor), both);
        let other = hold(&mut watch, &host, 4, Role::Ancestor);
        assert_eq!(watch.ended().unwrap(), []);
        host.change(|machine| machine.exit(pid(3)));
        assert_eq!((watch.ended().unwrap(), watch.ended().unwrap()), (vec![both], vec![]));
        assert!(watch.handle(&both).is_none() && watch.handle(&other).is_some());
    }

    #[test]
    fn one_is_held_as_long_as_one_role_needs_it() {
        let host = host();
        let mut watch = ExitWatch::new(&host).unwrap();
        let both = hold(&mut watch, &host, 3, Role::Tracked);
        hold(&mut watch, &host, 3, Role::Ancestor);
        watch.release(&both, Role::Tracked);
        assert!(watch.handle(&both).is_some());
        watch.keep_ancestors(&HashSet::from([pid(3)]));
        assert_eq!(watch.ancestors(), HashSet::from([pid(3)]));
        watch.keep_ancestors(&HashSet::new());
        assert!(watch.handle(&both).is_none());
        host.change(|machine| machine.exit(pid(3)));
        assert_eq!(watch.ended().unwrap(), [], "it was released");
    }

    #[test]
    fn a_share_of_the_descriptors_is_kept_free() {
        let host = host();
        let mut watch = ExitWatch::new(&host).unwrap();
        assert_eq!(watch.room(&host), 3);
        let one = hold(&mut watch, &host, 3, Role::Tracked);
        hold(&mut watch, &host, 3, Role::Ancestor);
        assert_eq!(watch.room(&host), 2, "one descriptor for both roles");
        watch.release(&one, Role::Tracked);
        assert_eq!(watch.room(&host), 2);
        watch.release(&one, Role::Ancestor);
        assert_eq!(watch.room(&host), 3);
    }
}
