//! `reaper doctor` and `reaper history` on real machines, as far as a stage can be one: what is sound is called sound,
//! what is broken is named with its remedy, and the self-test ends nobody but its stand-in.

#[cfg(test)]
mod checks;
#[cfg(test)]
#[path = "../common/mod.rs"]
mod common;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod history;
#[cfg(test)]
mod machines;
#[cfg(test)]
mod places;
#[cfg(test)]
mod services;
#[cfg(test)]
mod stand_in;
#[cfg(test)]
#[path = "../scenes/support.rs"]
#[expect(dead_code, reason = "other scenes use the rest")]
mod support;
