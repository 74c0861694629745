//! `reaper doctor`: it reports a sound machine as sound, names what is broken with its remedy, and its self-test ends
//! nothing but its own stand-in.

mod directories;
mod host_conditions;
mod self_test;
mod service_checks;
mod support;
