//! Memory of the machine, and of the cgroup that this process is in.

use sysinfo::{MemoryRefreshKind, System};

/// Memory of the machine and of the cgroup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// Memory of the machine; `None` when unknown.
    pub machine: Option<Room>,
    /// Memory within the limit of the cgroup; `None` when it has no limit.
    pub cgroup: Option<Room>,
}

/// Sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// The total.
    pub limit: u64,
    /// The part that is available.
    pub available: u64,
}

impl Memory {
    /// Reads both.
    pub fn read() -> Self {
        let Ok(mut system) = System::new() else { return Self::default() };
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        let machine = Room { limit: system.total_memory(), available: system.available_memory() };
        let cgroup = system.cgroup_limits();
        Self {
            machine: Some(machine).filter(|room| room.limit > 0),
            cgroup: cgroup.map(|limits| Room { limit: limits.total_memory, available: limits.free_memory }),
        }
    }
}
