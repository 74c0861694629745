//! Scenes with real processes: what must be found, or at least counted, and what must not shake the sweep. Each test is
//! named after what went wrong in a real tool; `bad_` ones after what a user or a machine can get wrong.

#[cfg(test)]
mod chains;
#[cfg(test)]
#[path = "../common/mod.rs"]
mod common;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod environs;
#[cfg(test)]
mod help;
#[cfg(test)]
mod hidden;
#[cfg(test)]
mod machine;
#[cfg(test)]
mod many;
#[cfg(test)]
mod names;
#[cfg(test)]
mod parents;
#[cfg(test)]
mod quiet;
#[cfg(test)]
mod stubborn;
#[cfg(test)]
mod terminal;
#[cfg(test)]
mod usage;
