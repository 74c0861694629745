//! Reads all facts of one process, through one handle and of one program image.

use reaper_platform::{ProcessHandle, Wanted, Why};
use reaper_policy::facts::{Fact, Facts};

/// How often a process is read again whose program changes meanwhile.
const TRIES: usize = 3;

/// Reads all facts of one program image: its names and its environment belong together. A process that executed another
/// program meanwhile is read again; one that keeps doing so has no readable program, arguments or environment.
///
/// # Errors
/// When not even `stat` can be read: the process is gone.
pub fn facts<P: ProcessHandle>(process: &P, wanted: &Wanted) -> Fact<Facts> {
    let mut before = process.first_image();
    for _ in 0..TRIES {
        let facts = facts_once(process, wanted)?;
        let now = match process.image(&facts.stat) {
            Ok(image) => Some(image),
            // It is exiting and will not execute another program.
            Err(Why::Gone | Why::Exiting) => return Ok(facts),
            Err(_) => None,
        };
        if now.is_some() && now == before {
            return Ok(facts);
        }
        before = now;
    }
    let why = Why::Garbled("it executed one program after another while it was read");
    without_memory(process, &why).map(|facts| Facts { exe: Err(why), ..facts })
}

/// The environment is read late because that can block, and `stat` last: it shows whether the environment was read
/// whole, and the parent must be as recent as possible.
fn facts_once<P: ProcessHandle>(process: &P, wanted: &Wanted) -> Fact<Facts> {
    let (ids, exe, unit, argv) = (process.ids(), process.exe(), process.unit(), process.argv());
    let started_by_parent = process.started_by_parent();
    let environ = process.environ(wanted);
    let stat = process.stat()?;
    let environ = environ.and_then(|scan| scan.verify(&stat));
    Ok(Facts { id: process.id(), ids, exe, unit, started_by_parent, argv, environ, stat })
}

/// Reads the facts that need no access to the process's memory, which can block for ever.
///
/// # Errors
/// As [`facts`].
pub fn without_memory<P: ProcessHandle>(process: &P, why: &Why) -> Fact<Facts> {
    let (ids, exe, unit) = (process.ids(), process.exe(), process.unit());
    let (argv, environ) = (Err(why.clone()), Err(why.clone()));
    let started_by_parent = process.started_by_parent();
    Ok(Facts { id: process.id(), ids, exe, unit, started_by_parent, argv, environ, stat: process.stat()? })
}
