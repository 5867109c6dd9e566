//! Pages as people meet them, in a real browser.

mod accessibility;
mod instrument;
mod operator;
mod verification;
