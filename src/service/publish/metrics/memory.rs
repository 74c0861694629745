//! Memory of the machine, and of the cgroup that this process is in.

use sysinfo::{MemoryRefreshKind, System};

/// What is known of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// The machine's.
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

impl Memory {
    /// Reads it.
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
