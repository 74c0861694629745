//! Everything that is read of one process before it is judged.

use reaper_platform::{EnvironScan, Ids, Pid, ProcId, RuntimeUnit, Stat, Why};

use crate::escape::escape;
use crate::program::Identity;

/// A fact, or why it could not be read.
pub type Fact<T> = Result<T, Why>;

/// The facts of one process. Values are as the kernel gave them, unescaped.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Which process.
    pub id: ProcId,
    /// Parent, session, start time, memory size.
    pub stat: Stat,
    /// Its user ids and namespace.
    pub ids: Fact<Ids>,
    /// Its program file.
    pub exe: Fact<Vec<u8>>,
    /// Its arguments.
    pub argv: Fact<Vec<Vec<u8>>>,
    /// The values in its environment of the variables that were asked for.
    pub environ: Fact<EnvironScan>,
    /// The service manager's unit it runs in.
    pub unit: Fact<Option<RuntimeUnit>>,
    /// Whether its parent started it; `None` where the system does not say.
    pub started_by_parent: Fact<Option<bool>>,
}

impl Facts {
    /// The strings that its program names are derived from.
    #[must_use]
    pub fn identity(&self) -> Identity<'_> {
        Identity { exe: self.exe.as_deref().ok(), argv: self.argv.as_deref().ok(), comm: &self.stat.comm }
    }

    /// Its pid.
    #[must_use]
    pub const fn pid(&self) -> Pid {
        self.id.pid
    }

    /// `` `name` (pid 7)``, escaped, for evidence.
    #[must_use]
    pub fn called(&self) -> String {
        let names = crate::program::Names::of(&self.identity());
        let name = names.first().map_or(self.stat.comm.as_slice(), |n| n.bytes);
        format!("`{}` (pid {})", escape(name), self.pid())
    }
}
