//! The watch for exits: processes that are held by a handle, and whose end is told at once.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use reaper_platform::{Host, HostError, Pid, Pinned as _, ProcId, Waiter as _};

/// Of all processes that can be held at once, the share that this watch may hold: the rest is for ending some.
const SHARE: usize = 4;

/// Why a process is watched. It can be both at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It is of interest itself.
    Tracked,
    /// Its end makes orphans of others.
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

/// The watch for exits.
pub struct ExitWatch<H: Host> {
    waiter: H::Waiter,
    /// The moment that the waiter was told to wake at.
    alarm: Option<Duration>,
    held: HashMap<ProcId, Held<H::Pinned>>,
    /// Under which numbers the waiter knows them.
    tokens: HashMap<u64, ProcId>,
    last_token: u64,
}

impl<H: Host> ExitWatch<H> {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// When the system cannot wait for processes.
    pub fn new(host: &H) -> Result<Self, HostError> {
        let waiter = host.waiter()?;
        Ok(Self { waiter, alarm: None, held: HashMap::new(), tokens: HashMap::new(), last_token: 0 })
    }

    /// Readable when a watched process has ended, or the moment of [`Self::wake_at`] has come.
    #[must_use]
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.waiter.descriptor()
    }

    /// Lets the descriptor tell when a moment of the monotonic clock has come, which is `now`; says whether it will.
    pub fn wake_at(&mut self, at: Duration, now: Duration) -> bool {
        // A moment that has passed was told already, and is told again only when it is set again.
        let is_set = (self.alarm == Some(at) && at > now) || self.waiter.wake_at(at);
        self.alarm = is_set.then_some(at);
        is_set
    }

    /// How many more processes may be held.
    #[must_use]
    pub fn room(&self, host: &H) -> usize {
        (host.pin_limit() / SHARE).saturating_sub(self.held.len())
    }

    /// Holds a process in a role, as long as it is not released; says whether its end will be told.
    pub fn hold(&mut self, process: H::Pinned, role: Role) -> bool {
        let id = process.id();
        if let Some(held) = self.held.get_mut(&id) {
            *held.role(role) = true;
            return true;
        }
        let token = self.last_token + 1;
        if self.waiter.watch(&process, token).is_err() {
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
    pub fn handle(&self, id: &ProcId) -> Option<Arc<H::Pinned>> {
        self.held.get(id).map(|held| Arc::clone(&held.process))
    }

    /// The pids of those that are held as ancestors.
    #[must_use]
    pub fn ancestors(&self) -> HashSet<Pid> {
        self.held.iter().filter(|(_, held)| held.is_ancestor).map(|(id, _)| id.pid).collect()
    }

    /// Lets go of a process in a role.
    pub fn release(&mut self, id: &ProcId, role: Role) {
        let Entry::Occupied(mut held) = self.held.entry(*id) else { return };
        *held.get_mut().role(role) = false;
        if !held.get().is_needed() {
            self.tokens.remove(&held.remove().token);
        }
    }

    /// Lets go of all ancestors but those with these pids.
    pub fn keep_ancestors(&mut self, needed: &HashSet<Pid>) {
        let others = self.held.iter().filter(|(id, held)| held.is_ancestor && !needed.contains(&id.pid));
        for id in others.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.release(&id, Role::Ancestor);
        }
    }

    /// Which watched processes have ended. They are not held any more.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn ended(&mut self) -> Result<Vec<ProcId>, HostError> {
        let mut ended = Vec::new();
        for token in self.waiter.wait(Duration::ZERO)? {
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
        host.change(|machine| machine.pin_limit = 12);
        host
    }

    fn hold(watch: &mut ExitWatch<FakeHost>, host: &FakeHost, number: i32, role: Role) -> ProcId {
        let process = host.pin(pid(number)).unwrap();
        let id = process.id();
        assert!(watch.hold(process, role));
        id
    }

    #[test]
    fn an_end_is_told_once_whatever_the_roles() {
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
        assert_eq!(watch.ended().unwrap(), [], "it was let go of");
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
