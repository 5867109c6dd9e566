//! The operator's side, as programs use it, over several replicas.

mod access;
mod audit;
mod deletion;
mod deliveries;
mod forgery;
mod history;
mod many_sessions;
mod pages;
mod status;
