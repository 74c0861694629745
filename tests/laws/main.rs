//! The laws of safety, each with tests that fail when it is broken.

#[cfg(test)]
mod accounts;
#[cfg(test)]
mod again;
#[cfg(test)]
mod grace;
#[cfg(test)]
mod macos;
#[cfg(test)]
mod mishaps;
#[cfg(test)]
#[path = "../paper/mod.rs"]
mod paper;
#[cfg(test)]
mod replays;
#[cfg(test)]
mod scenes;
#[cfg(test)]
mod trees;
#[cfg(test)]
mod verify;
#[cfg(test)]
mod w06;
#[cfg(test)]
mod w07;
#[cfg(test)]
mod w08;
#[cfg(test)]
mod w25;
