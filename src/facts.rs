//! Everything that is read of one process, through one handle, before it is judged.

use reaper_platform::{EnvironScan, Ids, Pid, Pinned, ProcId, RuntimeUnit, Stat, Wanted, Why};

use crate::program::Identity;
use crate::report::escape::escape;

/// A fact, or why it could not be had.
pub type Fact<T> = Result<T, Why>;

/// How often a process is read whose program changes meanwhile.
const TRIES: usize = 3;

/// What one process says of itself. Values are what the kernel gave, unescaped.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Which process.
    pub id: ProcId,
    /// Parent, session, start, size.
    pub stat: Stat,
    /// Its user ids and namespace.
    pub ids: Fact<Ids>,
    /// Its program file.
    pub exe: Fact<Vec<u8>>,
    /// Its arguments.
    pub argv: Fact<Vec<Vec<u8>>>,
    /// What its environment says of the variables that were asked for.
    pub environ: Fact<EnvironScan>,
    /// The service manager's unit it runs in.
    pub unit: Fact<Option<RuntimeUnit>>,
    /// Whether its parent started it; `None` where the system does not say.
    pub started_by_parent: Fact<Option<bool>>,
}

impl Facts {
    /// Reads them all, of one program image: its names and its environment belong together. A process that executed
    /// another program meanwhile is read again; one that keeps doing so has no readable program, arguments or
    /// environment.
    ///
    /// # Errors
    /// When not even `stat` can be read: the process is gone.
    pub fn read<P: Pinned>(process: &P, wanted: &Wanted) -> Fact<Self> {
        let mut before = process.first_image();
        for _ in 0..TRIES {
            let facts = Self::read_once(process, wanted)?;
            let now = match process.image(&facts.stat) {
                Ok(image) => Some(image),
                // On its way out, it executes nothing any more.
                Err(Why::Gone | Why::Exiting) => return Ok(facts),
                Err(_) => None,
            };
            if now.is_some() && now == before {
                return Ok(facts);
            }
            before = now;
        }
        let why = Why::Garbled("it executed one program after another while it was read");
        Self::without_memory(process, &why).map(|facts| Self { exe: Err(why), ..facts })
    }

    /// The environment comes late, because that read can block, and `stat` comes last: it tells whether the environment
    /// was read whole, and its parent is the newest fact of all.
    fn read_once<P: Pinned>(process: &P, wanted: &Wanted) -> Fact<Self> {
        let (ids, exe, unit, argv) = (process.ids(), process.exe(), process.unit(), process.argv());
        let started_by_parent = process.started_by_parent();
        let environ = process.environ(wanted);
        let stat = process.stat()?;
        let environ = environ.and_then(|scan| scan.verify(&stat));
        Ok(Self { id: process.id(), ids, exe, unit, started_by_parent, argv, environ, stat })
    }

    /// Reads what the kernel tells without the process's memory, whose readers may have to wait for ever.
    ///
    /// # Errors
    /// As [`Facts::read`].
    pub fn without_memory<P: Pinned>(process: &P, why: &Why) -> Fact<Self> {
        let (ids, exe, unit) = (process.ids(), process.exe(), process.unit());
        let (argv, environ) = (Err(why.clone()), Err(why.clone()));
        let started_by_parent = process.started_by_parent();
        Ok(Self { id: process.id(), ids, exe, unit, started_by_parent, argv, environ, stat: process.stat()? })
    }

    /// What its program's names are taken from.
    #[must_use]
    pub fn identity(&self) -> Identity<'_> {
        Identity { exe: self.exe.as_deref().ok(), argv: self.argv.as_deref().ok(), comm: &self.stat.comm }
    }

    /// Its number.
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
