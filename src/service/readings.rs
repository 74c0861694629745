//! How things are at the moment when somebody asks for the metrics: what is not counted but looked up.

use std::time::Duration;

use reaper_platform::{Host, Pid};
use sysinfo::{MemoryRefreshKind, System};

use super::status;
use super::warden::Warden;
use crate::report::status::Verdicts;

/// Most children that are looked at for one count of zombies: some 30 ms' worth.
const MAX_CHILDREN: usize = 4096;
/// The share of the time that counting zombies may take: one part in this many.
const ZOMBIE_SHARE: u32 = 100;

/// How things are now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readings {
    /// When the last look around succeeded, since 1970.
    pub last_success: Duration,
    /// Processes of interest by verdict.
    pub verdicts: Verdicts,
    /// How many targets are being ended.
    pub ending: usize,
    /// How many of the adopters' children ended and were not collected.
    pub zombies: usize,
    /// How many processes could not be read.
    pub unreadable: usize,
    /// Whether the service sees what it must see.
    pub is_ready: bool,
    /// Whether not one environment could be read.
    pub is_blind: bool,
    /// Whether nothing is to be ended.
    pub is_paused: bool,
    /// Whether the config that was read last is in force.
    pub is_config_taken: bool,
    /// The machine's memory.
    pub machine: Option<Room>,
    /// What the cgroup allows; `None` when it sets no limit.
    pub cgroup: Option<Room>,
}

/// Memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// All of it.
    pub limit: u64,
    /// What is left.
    pub available: u64,
}

/// The last count of zombies.
#[derive(Debug, Default)]
pub(super) struct Zombies {
    count: usize,
    /// Not before this moment is counted again, however often somebody asks.
    next: Duration,
}

/// Looks things up.
pub fn take<H: Host>(warden: &mut Warden<H>) -> Readings {
    let sight = warden.tracker.view();
    let (machine, cgroup) = memory();
    Readings {
        last_success: warden.looks.last_success.map_or(Duration::ZERO, |clock| clock.realtime),
        verdicts: status::verdicts(warden.tracker.judgements()),
        ending: warden.executions.as_ref().map_or(0, super::execution::Executions::left),
        zombies: zombies(warden),
        unreadable: sight.unreadable,
        is_ready: status::is_ready(warden, &sight),
        is_blind: sight.blind,
        is_paused: warden.pause.is_some(),
        is_config_taken: warden.config_error.is_none(),
        machine,
        cgroup,
    }
}

/// Nobody tells when a process becomes a zombie, and no list says who is one, so each child that the last
/// census listed is looked at. That costs 8 µs a child, hence only when somebody asks, and seldom enough.
fn zombies<H: Host>(warden: &mut Warden<H>) -> usize {
    let before = warden.clock().monotonic;
    if before >= warden.outputs.zombies.next {
        let host = &warden.tracker.ground().host;
        let is_zombie = |pid: &&Pid| host.glance(**pid).is_ok_and(|stat| stat.is_dead());
        let count = warden.tracker.adopted().iter().take(MAX_CHILDREN).filter(is_zombie).count();
        let after = warden.clock().monotonic;
        let pause = after.saturating_sub(before) * ZOMBIE_SHARE;
        warden.outputs.zombies = Zombies { count, next: after + pause };
    }
    warden.outputs.zombies.count
}

/// Of the machine, and of the cgroup that this container is in, where there is one with a limit.
fn memory() -> (Option<Room>, Option<Room>) {
    let Ok(mut system) = System::new() else { return (None, None) };
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    let machine = Room { limit: system.total_memory(), available: system.available_memory() };
    let cgroup = system.cgroup_limits();
    (
        Some(machine).filter(|room| room.limit > 0),
        cgroup.map(|limits| Room { limit: limits.total_memory, available: limits.free_memory }),
    )
}
