//! Random forests of processes, judged by the gates and by an oracle that knows only the rules.

#[cfg(test)]
mod grow;
#[cfg(test)]
#[path = "../paper/mod.rs"]
mod paper;
#[cfg(test)]
mod properties;
