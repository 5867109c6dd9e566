//! The operator's pages, and the same as JSON.

mod cursors;
mod views;
