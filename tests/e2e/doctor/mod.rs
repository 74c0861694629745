//! `reaper doctor`: it reports no problem on a working machine, names each problem with its remedy, and its self-test
//! ends nothing but its own stand-in.

mod directories;
mod host_conditions;
mod self_test;
mod service_checks;
mod support;
