//! Pages as people meet them, in a real browser.

mod instrument;
mod operator;
mod verification;
