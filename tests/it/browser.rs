//! Pages as people meet them, in a real browser.

mod instrument;
mod verification;
