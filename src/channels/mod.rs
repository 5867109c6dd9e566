//! Channels by platform: how what comes in is read.

pub mod webhook;
