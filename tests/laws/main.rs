//! The laws of safety, each with tests that fail when it is broken.

#[cfg(test)]
mod accounts;
#[cfg(test)]
mod again;
#[cfg(test)]
mod fresh;
#[cfg(test)]
mod grace;
#[cfg(test)]
mod images;
#[cfg(test)]
mod in_place;
#[cfg(test)]
mod macos;
#[cfg(test)]
mod mishaps;
#[cfg(test)]
#[path = "../paper/mod.rs"]
mod paper;
#[cfg(test)]
mod relations;
#[cfg(test)]
mod replays;
#[cfg(test)]
mod returns;
#[cfg(test)]
mod scenes;
#[cfg(test)]
mod threads;
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
